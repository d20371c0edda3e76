"""Waits until a deleted object is gone, and says what holds it."""

from typing import Any

from turnout.providers.kubernetes.annotations import SKIP_AWAIT, is_true
from turnout.providers.kubernetes.cluster import Cluster
from turnout.providers.kubernetes.errors import Absent, ApiError
from turnout.providers.kubernetes.fields import holders, value_step
from turnout.providers.kubernetes.tokens import Kind
from turnout.providers.kubernetes.waiting import Clock, Deadline

_SKIPS = frozenset({"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"})
"""Kinds whose deletion `skipAwait` does not wait for either (`allowsSkipAwaitWithDelete`, overrides.go of
pulumi-kubernetes)."""
_LONG = frozenset({"DaemonSet", "Deployment", "ReplicationController", "StatefulSet"})
_KEPT_BY = {
    "foregroundDeletion": "the garbage collector, until its dependents are gone",
    "orphan": "the garbage collector",
    "kubernetes": "the namespace controller, until it is empty",
    "kubernetes.io/pvc-protection": "the PVC protection controller, while a pod uses it",
    "kubernetes.io/pv-protection": "the PV protection controller, while a claim is bound to it",
    "customresourcecleanup.apiextensions.k8s.io": "the API server, until the custom resources are gone",
}
"""Finalizers of Kubernetes itself ("Finalizers", Kubernetes)."""


def seconds_for(kind: Kind) -> float:
    """How long the provider waits for a deletion (provider/pkg/await/awaiters.go)."""
    return 600.0 if kind.name in _LONG else 300.0


def remove(
    kind: Kind, path: str, subject: str, inputs: dict[str, Any], policy: str, cluster: Cluster, deadline: tuple[float, Clock]
) -> None:
    """Deletes an object and waits until it is gone; one that is gone already is success. Raises `ProviderError`."""
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
    try:
        told = cluster.call("DELETE", path, f"deleting {subject}", body=options)
    except Absent:
        return
    except ApiError as error:
        if error.code != 409:
            raise
        told = {}  # it is being deleted already
    if is_true(inputs, SKIP_AWAIT) and kind.name in _SKIPS:
        return
    uid = (told.get("metadata") or {}).get("uid") or (told.get("details") or {}).get("uid")
    seconds, clock = deadline
    last: dict[str, Any] = {}

    def gone() -> bool:
        nonlocal last
        try:
            last = cluster.get(path, subject)
        except Absent:
            return True
        return uid is not None and last["metadata"].get("uid") != uid

    Deadline(seconds, clock).until(gone, lambda: "\n".join([f"{subject} is not gone after {seconds:g} s:", *held(last)]))


def held(live: dict[str, Any]) -> list[str]:
    """What keeps an object that was deleted: its finalizers with who set them, and what a namespace still holds."""
    meta = live.get("metadata") or {}
    if not meta.get("deletionTimestamp"):
        return ["  nobody has begun to delete it: was it made again?"]
    lines = []
    spec = [(name, ("f:spec", "f:finalizers")) for name in (live.get("spec") or {}).get("finalizers") or []]
    for name, path in [*((name, ("f:metadata", "f:finalizers")) for name in meta.get("finalizers") or []), *spec]:
        owners = holders(live, (*path, value_step(name))) or holders(live, path)
        keeper = _KEPT_BY.get(name) or (f"set by {', '.join(dict.fromkeys(owners))}" if owners else "nobody says who set it")
        lines.append(f"  finalizer {name}: {keeper}")
    for each in (live.get("status") or {}).get("conditions") or []:
        if each.get("status") == "True" and each.get("type", "").startswith("Namespace"):
            lines.append(f"  {each.get('reason')}: {each.get('message')}")
    grace = meta.get("deletionGracePeriodSeconds")
    if not lines and grace:
        lines.append(f"  its grace period is {grace} s")
    return lines or ["  nothing says what holds it"]
