"""Deployments and LeaderWorkerSets as the switch's workloads, with the scaler that has their name."""

from collections.abc import Iterator
from itertools import groupby

from turnout_components import pod_state
from turnout_components.cluster_api import ClusterApi, ClusterError, Object
from turnout_components.kubernetes_names import ObjectId
from turnout_components.live import Group
from turnout_components.standby import Launch
from turnout_components.workload_bounds import SCALERS, bounded, bounds, ceiling, replicas, switched_off

LWS_NAME = "leaderworkerset.sigs.k8s.io/name"
LWS_GROUP = "leaderworkerset.sigs.k8s.io/group-index"
LWS_WORKER = "leaderworkerset.sigs.k8s.io/worker-index"
"""Labels that LeaderWorkerSet's controller puts on its pods; worker 0 leads ("Labels, Annotations and Environment Variables",
LeaderWorkerSet)."""


class ClusterWorkloads:
    """`Workloads` by `Kind/namespace/name`; what is in service is named by pod IP. One of a LeaderWorkerSet's is a whole group
    of pods, named by its leader's IP and in service when all of them are ready."""

    def __init__(self, api: ClusterApi) -> None:
        self._api = api

    def group(self, name: str) -> Group | None:
        workload = self._workload(name)
        if workload is None:
            return None
        units = [unit for unit in self._units(workload) if any(map(pod_state.takes_a_place, unit))]
        serving = {ip for unit in units if _serves(unit, workload) and (ip := pod_state.ip(unit[0])) is not None}
        minimum, maximum = bounds(workload, self.scaler(name))
        return Group(name, minimum, maximum, replicas(workload), frozenset(serving), len(units) - len(serving))

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        """As the protocol says. The size is raised as well: a scaler looks every 15 s only, and not at all at 0 replicas."""
        workload, scaler = self._known(name), self.scaler(name)
        if scaler is not None:
            self._bound(name, scaler["kind"], minimum, max(ceiling(scaler), maximum))
        if replicas(workload) < minimum:
            self._resize(name, minimum)

    def hold(self, name: str, size: int) -> None:
        scaler = self.scaler(name)
        if scaler is not None and size:
            self._bound(name, scaler["kind"], size, size)
        elif scaler is not None and (change := switched_off(scaler["kind"])) is not None:
            self._change(scaler["kind"], name, change)
        self._resize(name, size)

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        workload, scaler = self._known(name), self.scaler(name)
        if scaler is not None:
            self._bound(name, scaler["kind"], minimum, maximum)
        size = min(max(replicas(workload), minimum), max(maximum, minimum))
        if size != replicas(workload):
            self._resize(name, size)

    def restore(self, before: Group) -> None:
        """As the protocol says; what was switched off is again."""
        found = self.group(before.name)
        if found is None:
            return
        if before.maximum == 0:
            self.hold(before.name, 0)
            return
        scaler = self.scaler(before.name)
        if scaler is not None:
            self._bound(before.name, scaler["kind"], before.minimum, ceiling(scaler))
        if before.desired < found.desired == found.minimum:
            self._resize(before.name, before.desired)

    def warm(self, name: str) -> int:  # noqa: ARG002 -- of the protocol
        """None: what waits on Kubernetes is room on nodes, no pod that could be counted."""
        return 0

    def launches(self, name: str) -> list[Launch]:
        """Those of the pods that there are: Kubernetes remembers no others."""
        leaders = pod_state.newest_first([unit[0] for unit in self._units_of(name)])
        return [found for pod in leaders if (found := pod_state.launch(pod)) is not None]

    def coming(self, name: str) -> list[bool]:
        units = [unit for unit in self._units_of(name) if any(map(pod_state.takes_a_place, unit))]
        return [False for unit in units if not any(map(pod_state.is_leaving, unit)) and not all(map(pod_state.is_ready, unit))]

    def failed_launch(self, name: str) -> str | None:
        """Of the newest pod that does not start: no node, no image, crashes, no volume; or why no pod can be made at all."""
        workload = self._workload(name)
        if workload is None:
            return None
        refused = pod_state.condition(workload, "ReplicaFailure")
        if refused is not None and refused["status"] == "True":
            return f"no pod can be made ({refused.get('reason', '')}): {refused.get('message', '')}"
        pods = [pod for unit in self._units(workload) for pod in unit]
        waiting = [pod for pod in pods if not pod_state.is_ready(pod) and not pod_state.is_leaving(pod)]
        for pod in pod_state.newest_first(waiting):
            why = pod_state.trouble(pod) or self._event(pod)
            if why is not None:
                return why
        return None

    def _event(self, pod: pod_state.Pod) -> str | None:
        meta = pod["metadata"]
        events = self._api.list("Event", meta["namespace"], involvedObject__uid=meta["uid"])
        return pod_state.told_by_events(meta["name"], events)

    def _units_of(self, name: str) -> list[list[Object]]:
        workload = self._workload(name)
        return [] if workload is None else self._units(workload)

    def _units(self, workload: Object) -> list[list[Object]]:
        """The pods of this very workload, those that serve together together, the one that is addressed first."""
        space, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
        if workload["kind"] == "LeaderWorkerSet":
            return list(_groups(self._api.list("Pod", space, {LWS_NAME: name})))
        labels = workload["spec"]["selector"].get("matchLabels") or {}
        sets = {
            each["metadata"]["uid"]
            for each in self._api.list("ReplicaSet", space, labels)
            if _owner(each) == workload["metadata"]["uid"]
        }
        return [[pod] for pod in self._api.list("Pod", space, labels) if _owner(pod) in sets]

    def _workload(self, name: str) -> Object | None:
        at = ObjectId.parse(name)
        found = self._api.get(at.kind, at.namespace, at.name)
        return None if found is None else {**found, "kind": at.kind}

    def _known(self, name: str) -> Object:
        found = self._workload(name)
        if found is None:
            raise ClusterError(f"{name} is gone; run `turnout up`")
        return found

    def scaler(self, name: str) -> Object | None:
        """What scales it, with its kind; None where nothing does."""
        at = ObjectId.parse(name)
        for kind in SCALERS:
            found = self._api.get(kind, at.namespace, at.name)
            if found is not None:
                return {**found, "kind": kind}
        return None

    def _bound(self, name: str, kind: str, minimum: int, maximum: int) -> None:
        self._change(kind, name, bounded(kind, minimum, maximum))

    def _resize(self, name: str, size: int) -> None:
        self._change(ObjectId.parse(name).kind, name, {"spec": {"replicas": size}})

    def _change(self, kind: str, name: str, body: Object) -> None:
        at = ObjectId.parse(name)
        if self._api.patch(kind, at.namespace, at.name, body) is None:
            raise ClusterError(f"{kind} of {name} is gone; run `turnout up`")


def _owner(found: Object) -> str:
    return next((ref["uid"] for ref in found["metadata"].get("ownerReferences") or () if ref.get("controller")), "")


def _groups(pods: list[Object]) -> Iterator[list[Object]]:
    """A LeaderWorkerSet's pods by group, the leader first; a group whose leader is not there has nobody to be addressed."""

    def place(pod: Object) -> tuple[str, int]:
        labels = pod["metadata"]["labels"]
        return labels.get(LWS_GROUP, ""), int(labels.get(LWS_WORKER, 0))

    for _, held in groupby(sorted(pods, key=place), key=lambda pod: place(pod)[0]):
        unit = list(held)
        if place(unit[0])[1] == 0:
            yield unit


def _serves(unit: list[Object], workload: Object) -> bool:
    size = int((workload["spec"].get("leaderWorkerTemplate") or {}).get("size", 1))
    return len(unit) >= size and all(map(pod_state.is_ready, unit))
