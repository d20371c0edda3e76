"""Who carries requests on Kubernetes before a plan: Gateways, HTTPRoutes, Services and workloads. Pure.

A route's rule for requests with a header (tests, an experiment's variants) carries nobody by itself.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.policy_resources import at, each, whole

from turnout.preview.changes import UNKNOWN, Change, Operation, Resource

ROUTE, GATEWAY, BINDING, LEADER_WORKER_SET = ":HTTPRoute", ":Gateway", ":TargetGroupBinding", ":LeaderWorkerSet"
SERVICE, DEPLOYMENT = "kubernetes:core/v1:Service", "kubernetes:apps/v1:Deployment"
NAMESPACE = "kubernetes:core/v1:Namespace"
_KUBERNETES = "kubernetes:"
Id = tuple[str, str]
"""Namespace and name."""


def carried(route: Resource) -> dict[Id, int]:
    """Weight by Service of the route's first rule for everybody; a backendRef without weight has 1 ("BackendRef", Gateway API
    reference)."""
    for rule in each(at(route.inputs, "spec.rules")):
        if at(rule, "backendRefs") and not _by_header(rule):
            return {
                (str(at(ref, "namespace") or _id(route)[0]), str(at(ref, "name"))): _weight(ref) for ref in rule["backendRefs"]
            }
    return {}


def is_a(resource: Resource | Change, kind: str) -> bool:
    """Whether it is of that kind of Kubernetes, whatever its version."""
    return resource.type.startswith(_KUBERNETES) and resource.type.endswith(kind)


def _by_header(rule: Mapping[str, Any]) -> bool:
    """Whether every match of a rule asks for a header; a rule without matches is for everybody."""
    matches = each(at(rule, "matches"))
    return bool(matches) and all(at(match, "headers") for match in matches)


def _weight(ref: Any) -> int:
    weight = at(ref, "weight")
    return 1 if weight is None else whole(weight) or 0


@dataclass(frozen=True)
class Carrying:
    """What carries requests, by namespace and name; `routes` by URN. `by_label`: selector of each Service that carries."""

    routes: frozenset[str]
    gateways: frozenset[Id]
    services: frozenset[Id]
    bindings: frozenset[str]
    selectors: tuple[tuple[str, Mapping[str, str]], ...]
    workloads: frozenset[str]
    namespaces: frozenset[str]

    @classmethod
    def of(cls, held: Iterable[Resource], targets: Collection[str]) -> "Carrying":
        """`targets`: logical names of the target groups that carry requests, which a TargetGroupBinding fills."""
        held = list(held)
        routes = [one for one in held if is_a(one, ROUTE) and any(carried(one).values())]
        bindings = [one for one in held if is_a(one, BINDING) and _target_group(one.inputs) in targets]
        services = {service for one in routes for service, weight in carried(one).items() if weight}
        services |= {_bound(one) for one in bindings}
        parents = {_parent(one, ref) for one in routes for ref in each(at(one.inputs, "spec.parentRefs"))}
        selectors = tuple(
            (_id(one)[0], at(one.inputs, "spec.selector") or {}) for one in held if one.type == SERVICE and _id(one) in services
        )
        workloads = frozenset(one.urn for one in held if _selected(one.type, one.inputs, selectors))
        return cls(
            routes=frozenset(one.urn for one in routes),
            gateways=frozenset(parents),
            services=frozenset(services),
            bindings=frozenset(one.urn for one in bindings),
            selectors=selectors,
            workloads=workloads,
            namespaces=frozenset(space for space, _ in services | parents),
        )

    def kind(self, resource: Resource) -> str:
        """What an active resource is, in words; "" for what carries nothing."""
        if resource.urn in self.routes:
            return "a route that carries requests"
        if resource.urn in self.workloads:
            return "an active workload"
        if resource.urn in self.bindings:
            return "what puts an active workload behind its target group"
        if resource.type == SERVICE and _id(resource) in self.services:
            return "a Service that carries requests"
        if is_a(resource, GATEWAY) and _id(resource) in self.gateways:
            return "the Gateway"
        return "the namespace of what carries requests" if self._holds(resource) else ""

    def _holds(self, resource: Resource) -> bool:
        return resource.type == NAMESPACE and _id(resource)[1] in self.namespaces


def interruptions(held: Iterable[Resource], changes: Iterable[Change], targets: Collection[str]) -> Iterator[tuple[str, str]]:
    """Resource and reason for each change that takes away what carries requests now."""
    held = list(held)
    carrying = Carrying.of(held, targets)
    kinds = {one.urn: kind for one in held if (kind := carrying.kind(one))}
    for change in changes:
        if change.urn in kinds and (why := _interrupts(change, kinds[change.urn], carrying)):
            yield change.name, why


def _interrupts(change: Change, kind: str, carrying: Carrying) -> str:
    if change.operation is Operation.DELETE:
        return f"{kind} would be deleted"
    if change.operation is Operation.REPLACE:
        return f"{kind} would be replaced, because of {', '.join(change.forced_by)}"
    after = Resource(change.urn, change.type, "", change.after)
    if change.urn in carrying.routes and not any(carried(after).values()) and UNKNOWN not in str(at(change.after, "spec")):
        return f"{kind} would send them to nobody"
    if change.urn in carrying.routes and at(change.before, "spec.parentRefs") != at(change.after, "spec.parentRefs"):
        return f"{kind} would leave its Gateway's listener"
    if change.urn in carrying.workloads:
        return _workload_loses(change, kind, carrying)
    if change.type == SERVICE and at(change.before, "spec.selector") != at(change.after, "spec.selector"):
        return f"{kind} would leave its pods"
    if change.urn in carrying.bindings and _bound(after) != _bound(Resource(change.urn, change.type, "", change.before)):
        return f"{kind} would name another Service"
    return ""


def _workload_loses(change: Change, kind: str, carrying: Carrying) -> str:
    """A count that is not declared any more falls to the default of 1 at once, whoever counts from then on ("Horizontal Pod
    Autoscaling", Kubernetes: Migrating Deployments and StatefulSets to horizontal autoscaling)."""
    before, after = at(change.before, "spec.replicas"), at(change.after, "spec.replicas")
    if whole(after) == 0:
        return f"{kind} would have no pods"
    if after is None and (whole(before) or 0) > 1 and at(change.after, "spec") is not UNKNOWN:
        return f"{kind} would fall to one pod until its scaler counts: scale it while it carries nothing"
    left = not _selected(change.type, change.after, carrying.selectors)
    return f"{kind} would leave its Service" if left and UNKNOWN not in str(change.after.get("spec")) else ""


def _selected(kind: str, inputs: Mapping[str, Any], selectors: Iterable[tuple[str, Mapping[str, str]]]) -> bool:
    """Whether a workload's pods are those of a Service that carries requests."""
    template = template_of(kind, inputs)
    labels = at(template, "metadata.labels") or {}
    if template is None or not isinstance(labels, Mapping):
        return False
    space = str(at(inputs, "metadata.namespace"))
    return any(space == where and wanted and wanted.items() <= labels.items() for where, wanted in selectors)


def template_of(kind: str, inputs: Mapping[str, Any]) -> Any:
    """The template of the pods that answer; None for what is no workload."""
    if kind == DEPLOYMENT:
        return at(inputs, "spec.template")
    if kind.startswith(_KUBERNETES) and kind.endswith(LEADER_WORKER_SET):
        spec = at(inputs, "spec.leaderWorkerTemplate")
        return at(spec, "leaderTemplate") or at(spec, "workerTemplate")
    return None


def _id(resource: Resource) -> Id:
    return str(at(resource.inputs, "metadata.namespace")), str(at(resource.inputs, "metadata.name"))


def _parent(route: Resource, ref: Any) -> Id:
    return str(at(ref, "namespace") or _id(route)[0]), str(at(ref, "name"))


def _bound(binding: Resource) -> Id:
    return _id(binding)[0], str(at(binding.inputs, "spec.serviceRef.name"))


def _target_group(binding: Mapping[str, Any]) -> str:
    """The target group of a binding, by logical name where it is one of the plan's."""
    return str(at(binding, "spec.targetGroupARN")).removeprefix("${").removesuffix(".arn}")
