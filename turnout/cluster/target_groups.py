"""Fills ALB target groups with the pods of their TargetGroupBindings: a small stand-in for the AWS Load Balancer Controller.

It does what `reconcileWithIPTargetType` of the controller does for target type ip: registers the pods of the Service whose
containers are ready, deregisters what else is registered, and opens the pods' readiness gate when their target is healthy. An
open gate stays open while its target is registered: the controller keeps a healthy target for five minutes, and looks again
only when an endpoint changes. What a binding that is gone had registered is deregistered, and its gates are opened.
Sources: "TargetGroupBinding" and "Pod readiness gate", AWS Load Balancer Controller (kubernetes-sigs.github.io).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lightkube import Client

from turnout.cluster.watching import (
    ENDPOINT_SLICE,
    POD,
    SERVICE,
    TARGET_GROUP_BINDING,
    Key,
    Object,
    Watch,
    key_of,
    labels_of,
    patch,
)

logger = logging.getLogger(__name__)

GATE = "target-health.elbv2.k8s.aws"
_SERVICE_NAME = "kubernetes.io/service-name"
_HEALTHY, _DRAINING = "healthy", "draining"
_AGAIN = 0.5
"""Seconds until the next look: AWS tells nobody when a target's state changes."""

Target = tuple[str, int]
"""A pod's address and the port on it."""


@dataclass(frozen=True)
class Registered:
    """What a target group says of a target."""

    state: str
    reason: str = ""
    description: str = ""


_NEW = Registered("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
_UNBOUND = Registered(_HEALTHY, "", "Target Group Binding is deleted")


@dataclass(frozen=True)
class Plan:
    """What is to be done for a binding. `gates`: pods with a readiness gate for it, and what is to stand there."""

    register: tuple[Target, ...] = ()
    deregister: tuple[Target, ...] = ()
    gates: tuple[tuple[Object, Registered], ...] = ()


def gate_of(binding: Object) -> str:
    """The condition type of the readiness gate that belongs to a binding."""
    return f"{GATE}/{key_of(binding)[1]}"


def unsupported(binding: Object) -> str | None:
    """Why the stand-in does not fill the binding's group."""
    spec = binding["spec"]
    if spec.get("targetType") != "ip":
        return f"target type {spec.get('targetType')} is not filled here, only ip"
    named = [name for name in ("multiClusterTargetGroup", "iamRoleArnToAssume", "targetGroupName") if spec.get(name)]
    return f"{', '.join(named)} is not carried out here" if named else None


def plan(
    binding: Object,
    services: Iterable[Object],
    slices: Iterable[Object],
    pods: Mapping[Key, Object],
    registered: Mapping[Target, Registered],
) -> Plan:
    """What the binding asks for, with what its group holds. A pod is registered when its containers are ready, whatever its
    gate says: it becomes ready by being registered and healthy."""
    wanted = _wanted(binding, services, slices, pods)
    held = {target: found for target, found in registered.items() if found.state != _DRAINING}
    gates = [
        (pod, held.get(target, _NEW)) for target, pod in wanted.items() if _is_due(pod, gate_of(binding), held.get(target))
    ]
    return Plan(tuple(sorted(wanted.keys() - held.keys())), tuple(sorted(held.keys() - wanted.keys())), tuple(gates))


def _is_due(pod: Object, gate: str, found: Registered | None) -> bool:
    """Whether the pod's gate says something else than it shall."""
    said = _condition(pod, gate)
    is_open = found is not None and said.get("status") == "True"
    return gate in _gates(pod) and not is_open and said != _said(found or _NEW)


def _wanted(
    binding: Object, services: Iterable[Object], slices: Iterable[Object], pods: Mapping[Key, Object]
) -> dict[Target, Object]:
    namespace, reference = key_of(binding)[0], binding["spec"]["serviceRef"]
    service = next((one for one in services if key_of(one) == (namespace, reference["name"])), None)
    ports = [
        one
        for one in (service or {"spec": {}})["spec"].get("ports") or ()
        if reference["port"] in (one["port"], one.get("name"))
    ]
    if not ports:
        return {}
    found: dict[Target, Object] = {}
    for one in slices:
        if key_of(one)[0] != namespace or labels_of(one).get(_SERVICE_NAME) != reference["name"]:
            continue
        numbers = [held["port"] for held in one.get("ports") or () if (held.get("name") or "") == (ports[0].get("name") or "")]
        for endpoint in one.get("endpoints") or ():
            pod = pods.get((namespace, (endpoint.get("targetRef") or {}).get("name", "")))
            if pod is not None and _takes_part(pod, endpoint):
                found |= {(address, number): pod for address in endpoint["addresses"] for number in numbers}
    return found


def _takes_part(pod: Object, endpoint: Mapping[str, Any]) -> bool:
    """A ready endpoint; or one whose containers are ready and that is not on its way out."""
    conditions = endpoint.get("conditions") or {}
    if conditions.get("terminating"):
        return False
    if conditions.get("ready") in (None, True):
        return True
    return _condition(pod, "ContainersReady").get("status") == "True"


def _gates(pod: Object) -> list[str]:
    return [one["conditionType"] for one in pod["spec"].get("readinessGates") or ()]


def _condition(pod: Object, kind: str) -> dict[str, Any]:
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one["type"] == kind:
            return {name: one.get(name) or "" for name in ("status", "reason", "message")}
    return {}


def _said(found: Registered) -> dict[str, str]:
    status = "True" if found.state == _HEALTHY else "False"
    return {"status": status, "reason": found.reason, "message": found.description}


class TargetGroups:
    """Keeps target groups and readiness gates in step, on a thread of its own. `balancing`: a client of ELBv2 for a region."""

    def __init__(self, client: Client, pods: Watch, balancing: Callable[[str], Any]) -> None:
        self._client = client
        self._balancing = balancing
        self._changed = threading.Event()
        self._over = threading.Event()
        self._pods = pods
        self._watches = [Watch(client, kind, self._changed.set) for kind in (TARGET_GROUP_BINDING, SERVICE, ENDPOINT_SLICE)]
        self._said: set[str] = set()
        self._filled: dict[Key, tuple[str, tuple[Target, ...]]] = {}
        self._thread = threading.Thread(target=self._run, name="target-groups", daemon=True)

    def start(self) -> None:
        """Begins."""
        for watch in self._watches:
            watch.start()
        self._thread.start()

    def close(self) -> None:
        """Takes up nothing any more."""
        self._over.set()
        self._changed.set()
        for watch in self._watches:
            watch.close()

    def _run(self) -> None:
        for watch in (*self._watches, self._pods):
            watch.synced.wait()
        while not self._over.is_set():
            self._changed.clear()
            bindings = {key_of(binding): binding for binding in self._watches[0].objects()}
            for key, binding in bindings.items():
                self._tried(key, partial(self._fill, binding))
            for key in self._filled.keys() - bindings.keys():
                self._tried(key, partial(self._empty, key))
            self._changed.wait(_AGAIN)

    def _tried(self, key: Key, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self._say(f"binding {'/'.join(key)}: {error}")

    def _fill(self, binding: Object) -> None:
        fault = unsupported(binding)
        if fault is not None:
            self._say(f"binding {'/'.join(key_of(binding))}: {fault}")
            return
        arn = binding["spec"]["targetGroupARN"]
        balancing = self._balancing(_region(arn))
        held = _registered(balancing.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"])
        pods = {key_of(pod): pod for pod in self._pods.objects()}
        wanted = plan(binding, self._watches[1].objects(), self._watches[2].objects(), pods, held)
        if wanted.deregister:
            balancing.deregister_targets(TargetGroupArn=arn, Targets=_described(wanted.deregister))
        if wanted.register:
            balancing.register_targets(TargetGroupArn=arn, Targets=_described(wanted.register))
        for pod, found in wanted.gates:
            self._set_gate(pod, gate_of(binding), found)
        self._filled[key_of(binding)] = arn, (*(held.keys() - set(wanted.deregister)), *wanted.register)

    def _empty(self, key: Key) -> None:
        """What the controller does at a binding's end, where a finalizer has it wait."""
        arn, targets = self._filled.pop(key)
        if targets:
            self._balancing(_region(arn)).deregister_targets(TargetGroupArn=arn, Targets=_described(targets))
        gate = f"{GATE}/{key[1]}"
        for pod in self._pods.objects():
            if key_of(pod)[0] == key[0] and gate in _gates(pod) and _condition(pod, gate) != _said(_UNBOUND):
                self._set_gate(pod, gate, _UNBOUND)

    def _set_gate(self, pod: Object, gate: str, found: Registered) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": gate, **_said(found), "lastTransitionTime": moment}
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        patch(self._client, POD, key_of(pod), body, status=True, strategic=True)

    def _say(self, fault: str) -> None:
        if fault not in self._said:
            self._said.add(fault)
            logger.warning(fault)


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _registered(descriptions: Iterable[Mapping[str, Any]]) -> dict[Target, Registered]:
    return {
        (one["Target"]["Id"], int(one["Target"]["Port"])): Registered(
            one["TargetHealth"]["State"], one["TargetHealth"].get("Reason") or "", one["TargetHealth"].get("Description") or ""
        )
        for one in descriptions
    }


def _described(targets: Iterable[Target]) -> list[dict[str, Any]]:
    return [{"Id": address, "Port": port} for address, port in targets]
