"""What pods of GPU workloads may do, where they run and what keeps them up. Pure checks on Kubernetes objects.

Judged are pods that ask for NVIDIA GPUs, and those of an environment: others, such as a device plugin's, need more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.capacity_placeholder_rules import LABEL as PLACEHOLDER
from turnout_components.checks import Fault
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL
from turnout_components.policy_resources import UNKNOWN, Found, Resource, Stack, StackFound, Undecided, at, each, of

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
LEADER_WORKER_SET = "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet"
POD = "kubernetes:core/v1:Pod"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
_LEADERS = ("spec.leaderWorkerTemplate.leaderTemplate", "spec.leaderWorkerTemplate.workerTemplate")
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    DEPLOYMENT: ("spec.template",),
    STATEFUL_SET: ("spec.template",),
    LEADER_WORKER_SET: _LEADERS,
    POD: ("",),
}
WITH_PODS = tuple(_TEMPLATES)
WORKLOADS = (DEPLOYMENT, STATEFUL_SET, LEADER_WORKER_SET)
_GPU = "nvidia.com/"
_POD_LEVEL: Mapping[str, Any] = {"runAsNonRoot": True, "seccompProfile.type": "RuntimeDefault"}
_CONTAINER_LEVEL: Mapping[str, Any] = {"allowPrivilegeEscalation": False, "capabilities.drop": ["ALL"]}
_HOST = ("hostNetwork", "hostPID", "hostIPC")


@dataclass(frozen=True)
class Template:
    """A pod template and where it stands in its workload."""

    path: str
    labels: Any
    spec: Any

    def containers(self) -> Iterator[tuple[str, Any]]:
        """Each container with its path; of every kind."""
        for key in ("initContainers", "containers"):
            yield from ((f"{self.path}spec.{key}[{n}]", one) for n, one in enumerate(each(at(self.spec, key))))

    @property
    def gpus(self) -> dict[str, Any]:
        """GPUs that its containers are limited to, by resource."""
        limits = [at(one, "resources.limits") for _, one in self.containers()]
        return {
            key: value for found in limits if isinstance(found, Mapping) for key, value in found.items() if key.startswith(_GPU)
        }

    @property
    def is_judged(self) -> bool:
        labels = self.labels if isinstance(self.labels, Mapping) else {}
        return bool(self.gpus) or ENVIRONMENT_LABEL in labels


def templates(resource: Resource) -> list[Template] | None:
    """The pod templates that are judged; None where they are not known yet."""
    found = []
    for path in _TEMPLATES.get(resource.type, ()):
        whole = resource.get(path) if path else resource.props
        spec = at(whole, "spec")
        if UNKNOWN in (whole, spec):
            return None
        found.append(Template(f"{path}." if path else "", at(whole, "metadata.labels"), spec))
    return [one for one in found if one.is_judged]


def restricted(resource: Resource, _: Mapping[str, Any]) -> Found:
    """The restricted level ("Pod Security Standards", Kubernetes), as far as a workload says it."""
    for template in _known(resource):
        if isinstance(template, Undecided):
            yield template
            continue
        yield from _said(template.spec, f"{template.path}spec.securityContext", _POD_LEVEL)
        for key in _HOST:
            if at(template.spec, key) is True:
                yield Fault(f"{template.path}spec.{key}", True, "gives the pod its node's own", "leave it out")
        for index, volume in enumerate(each(at(template.spec, "volumes"))):
            if at(volume, "hostPath") is not None:
                fix = "use an emptyDir or a claim"
                yield Fault(f"{template.path}spec.volumes[{index}].hostPath", at(volume, "hostPath"), "is the node's disk", fix)
        for path, container in template.containers():
            yield from _said(container, f"{path}.securityContext", _CONTAINER_LEVEL)
            if at(container, "securityContext.privileged") is True:
                yield Fault(f"{path}.securityContext.privileged", True, "is as good as root on the node", "leave it out")


def _known(resource: Resource) -> list[Template] | list[Undecided]:
    found = templates(resource)
    return [Undecided("spec")] if found is None else found


def _said(holder: Any, path: str, wanted: Mapping[str, Any]) -> Found:
    for key, value in wanted.items():
        found = at(holder, f"securityContext.{key}")
        if found is UNKNOWN:
            yield Undecided(f"{path}.{key}")
        elif found != value:
            yield Fault(f"{path}.{key}", found, "lets the pod do more than the restricted standard", f"write {_told(value)}")


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", "")


def placed(resource: Resource, given: Mapping[str, Any]) -> Found:
    """Pods with GPUs tolerate the taint that keeps others off them, and ask for no fewer GPUs than they may use ("Schedule
    GPUs", Kubernetes: requests and limits must be equal)."""
    for template in _known(resource):
        if isinstance(template, Undecided):
            yield template
            continue
        if template.gpus:
            yield from _tolerates(template, given["taint"])
        for path, container in template.containers():
            for key, limit in (at(container, "resources.limits") or {}).items():
                asked = at(container, "resources.requests") or {}
                if key.startswith(_GPU) and key in asked and str(asked[key]) != str(limit):
                    reason = f"is not the limit {limit}, and Kubernetes refuses it"
                    yield Fault(f"{path}.resources.requests.{key}", asked[key], reason, "write the limit, or leave it out")


def _tolerates(template: Template, taint: str) -> Found:
    tolerations = each(at(template.spec, "tolerations"))
    if UNKNOWN in tolerations:
        yield Undecided(f"{template.path}spec.tolerations")
    elif not any(at(one, "key") in (taint, None) and at(one, "effect") in ("NoSchedule", None) for one in tolerations):
        fix = f"add {{key: {taint}, operator: Exists, effect: NoSchedule}}"
        yield Fault(f"{template.path}spec.tolerations", tolerations, f"do not hold {taint}: no GPU node takes the pod", fix)


def budgeted(stack: Stack, _: Mapping[str, Any]) -> StackFound:
    """A workload of servers has a disruption budget that selects its pods: a drain would else take all at once ("Specifying a
    Disruption Budget for your Application", Kubernetes)."""
    budgets = [(one.get("metadata.namespace"), one.get("spec.selector.matchLabels")) for one in of(stack, BUDGET)]
    for resource in of(stack, *WORKLOADS):
        found = templates(resource)
        if found is None or UNKNOWN in (labels for _, labels in budgets):
            yield resource, Undecided("spec")
            continue
        namespace = resource.get("metadata.namespace")
        for template in (one for one in found if not _is_placeholder(one)):
            if not any(place == namespace and _selects(selector, template.labels) for place, selector in budgets):
                fix = "compose a ModelDeployment, or add a PodDisruptionBudget for these labels"
                yield resource, Fault(f"{template.path}metadata.labels", template.labels, "are in no disruption budget", fix)


def _is_placeholder(template: Template) -> bool:
    """Whether its pods serve nobody, and hold room that is taken from them at any time."""
    return isinstance(template.labels, Mapping) and template.labels.get(PLACEHOLDER) == "true"


def _selects(selector: Any, labels: Any) -> bool:
    return bool(selector) and isinstance(labels, Mapping) and selector.items() <= labels.items()
