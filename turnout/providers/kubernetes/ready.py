"""When an object is what it should be: the provider's await logic, kind by kind (provider/pkg/await of pulumi-kubernetes).

A check looks at the live object and says what is still missing; nothing missing is ready. Kinds without a check are ready when
the API server has taken them, custom resources among them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from turnout.providers.kubernetes.cluster import Cluster
from turnout.providers.kubernetes.errors import Absent
from turnout.providers.kubernetes.tokens import Kind

Live = Mapping[str, Any]


@dataclass(frozen=True)
class Readiness:
    """`check` gives what is missing; `seconds` is how long the provider waits unless told otherwise."""

    check: Callable[[Live, Cluster], list[str]]
    seconds: float


class Failed(Exception):
    """The object will never be ready; the message says why."""


def condition(live: Live, name: str) -> Mapping[str, Any]:
    """A condition of the object's status; {} where it has none of that type."""
    found = (live.get("status") or {}).get("conditions") or []
    return next((each for each in found if each.get("type") == name), {})


def told(live: Live, name: str) -> str:
    """A condition in words: `Available=False MinimumReplicasUnavailable: …`."""
    found = condition(live, name)
    if not found:
        return f"{name} is not reported yet"
    words = [f"{name}={found.get('status')}", str(found.get("reason") or "")]
    message = str(found.get("message") or "")
    return " ".join(word for word in words if word) + (f": {message}" if message else "")


def _holds(live: Live, name: str, status: str = "True") -> bool:
    return bool(condition(live, name).get("status") == status)


def _is_behind(live: Live) -> bool:
    """Whether the controller has not looked at the last change."""
    seen, last = (live.get("status") or {}).get("observedGeneration", 0), live["metadata"].get("generation", 0)
    return bool(seen < last)


def _deployment(live: Live, _: Cluster) -> list[str]:
    """deployment.go: reconciled, Available, and Progressing for NewReplicaSetAvailable."""
    if live["spec"].get("paused"):
        return []
    if _is_behind(live):
        return ["the deployment controller has not looked at it yet"]
    progressing = condition(live, "Progressing")
    rolled = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    missing = [] if _holds(live, "Available") else [told(live, "Available")]
    return missing if rolled else [*missing, told(live, "Progressing")]


def _stateful_set(live: Live, _: Cluster) -> list[str]:
    """statefulset.go: reconciled, as many ready as wanted, and all of the last revision."""
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    if _is_behind(live):
        return ["the StatefulSet controller has not looked at it yet"]
    missing = []
    if status.get("readyReplicas", 0) != wanted:
        missing.append(f"{status.get('readyReplicas', 0)} of {wanted} pods are ready")
    rolls = (live["spec"].get("updateStrategy") or {}).get("type") != "OnDelete"
    if rolls and wanted and status.get("currentRevision") != status.get("updateRevision"):
        missing.append(f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the last revision")
    return missing


def _daemon_set(live: Live, _: Cluster) -> list[str]:
    """daemonset.go: reconciled, rolled out, none unavailable."""
    status = live.get("status") or {}
    if _is_behind(live):
        return ["the DaemonSet controller has not looked at it yet"]
    if (live["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return []
    wanted = status.get("desiredNumberScheduled", 0)
    missing = []
    if status.get("updatedNumberScheduled", 0) < wanted:
        missing.append(f"{status.get('updatedNumberScheduled', 0)} of {wanted} nodes have the last revision")
    if status.get("numberUnavailable", 0):
        missing.append(f"{status['numberUnavailable']} of {wanted} pods are not available")
    return missing


def _job(live: Live, _: Cluster) -> list[str]:
    """job.go: Complete, and a failure ends the waiting."""
    if _holds(live, "Failed"):
        raise Failed(told(live, "Failed"))
    return [] if _holds(live, "Complete") or live["spec"].get("suspend") else ["it is not complete"]


def _pod(live: Live, _: Cluster) -> list[str]:
    """pod.go: Ready, or done."""
    if (live.get("status") or {}).get("phase") == "Succeeded" or _holds(live, "Ready"):
        return []
    return [told(live, "Ready")]


def _service(live: Live, cluster: Cluster) -> list[str]:
    """service.go: has endpoints where it selects pods, and an address where it is a load balancer's."""
    spec, missing = live["spec"], []
    if spec.get("type") == "LoadBalancer" and not ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        missing.append("no address was allocated for it; is there a controller for load balancers?")
    selects = bool(spec.get("selector")) and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName"
    if selects and not _has_endpoints(live["metadata"]["name"], live["metadata"]["namespace"], cluster):
        labels = ", ".join(f"{name}={value}" for name, value in spec["selector"].items())
        missing.append(f"it targets no pod: none with {labels} is ready")
    return missing


def _has_endpoints(service: str, namespace: str, cluster: Cluster) -> bool:
    path = cluster.path_of(Kind("discovery.k8s.io", "v1", "EndpointSlice"), namespace)
    slices = cluster.get(path, f"endpoints of {service}", labelSelector=f"kubernetes.io/service-name={service}")
    return any(
        (endpoint.get("conditions") or {}).get("ready", True)
        for found in slices.get("items") or []
        for endpoint in found.get("endpoints") or []
    )


def _ingress(live: Live, cluster: Cluster) -> list[str]:
    """ingress.go: an address, and endpoints behind each rule."""
    missing = []
    if not ((live.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        missing.append("no address was allocated for it; is there a controller of its class?")
    rules = live["spec"].get("rules") or []
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or []]
    services = [(path.get("backend") or {}).get("service") or {} for path in paths]
    namespace = live["metadata"]["namespace"]
    idle = [name for name in sorted({str(each["name"]) for each in services if each}) if not _serves(name, namespace, cluster)]
    return [*missing, *(f"its service {name} targets no pod" for name in idle)]


def _serves(service: str, namespace: str, cluster: Cluster) -> bool:
    try:
        found = cluster.get(cluster.path_of(Kind("", "v1", "Service"), namespace, service), f"service {service}")
    except Absent:
        return False
    return found["spec"].get("type") == "ExternalName" or _has_endpoints(service, namespace, cluster)


def _claim(live: Live, cluster: Cluster) -> list[str]:
    """awaiters.go, untilCoreV1PersistentVolumeClaimReady: Bound, or Pending where a first consumer binds it."""
    phase = (live.get("status") or {}).get("phase")
    if phase == "Bound" or (phase == "Pending" and _binds_late(live, cluster)):
        return []
    return [f"it is {phase or 'not looked at yet'}, not Bound"]


def _binds_late(live: Live, cluster: Cluster) -> bool:
    name = live["spec"].get("storageClassName")
    if not name:
        return False
    try:
        found = cluster.get(cluster.path_of(Kind("storage.k8s.io", "v1", "StorageClass"), None, name), f"storage class {name}")
    except Absent:
        return False
    return found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _volume(live: Live, _: Cluster) -> list[str]:
    phase = (live.get("status") or {}).get("phase")
    return [] if phase in ("Available", "Bound") else [f"it is {phase or 'not looked at yet'}, not Available"]


def _quota(live: Live, _: Cluster) -> list[str]:
    counted = (live.get("status") or {}).get("hard") == live["spec"].get("hard")
    return [] if counted else ["the quota controller has not taken its limits yet"]


def _replication_controller(live: Live, _: Cluster) -> list[str]:
    available, wanted = (live.get("status") or {}).get("availableReplicas", 0), live["spec"].get("replicas", 1)
    return [] if available == wanted else [f"{available} of {wanted} pods are available"]


def _definition(live: Live, _: Cluster) -> list[str]:
    """A CustomResourceDefinition is served when it is Established ("Custom Resources", Kubernetes)."""
    refused = condition(live, "NamesAccepted")
    if refused.get("status") == "False" and refused.get("reason") != "NotAccepted":
        raise Failed(told(live, "NamesAccepted"))
    return [] if _holds(live, "Established") else [told(live, "Established")]


_CHECKS: dict[tuple[str, str], Readiness] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): Readiness(_definition, 60),
    ("apps/v1", "DaemonSet"): Readiness(_daemon_set, 600),
    ("apps/v1", "Deployment"): Readiness(_deployment, 600),
    ("apps/v1", "StatefulSet"): Readiness(_stateful_set, 600),
    ("batch/v1", "Job"): Readiness(_job, 600),
    ("networking.k8s.io/v1", "Ingress"): Readiness(_ingress, 600),
    ("v1", "PersistentVolume"): Readiness(_volume, 300),
    ("v1", "PersistentVolumeClaim"): Readiness(_claim, 300),
    ("v1", "Pod"): Readiness(_pod, 300),
    ("v1", "ReplicationController"): Readiness(_replication_controller, 600),
    ("v1", "ResourceQuota"): Readiness(_quota, 60),
    ("v1", "Service"): Readiness(_service, 600),
}
"""Seconds as in provider/pkg/await; a definition is waited for as long as a quota."""


def readiness_of(kind: Kind) -> Readiness | None:
    """How the provider waits for this kind; None where it does not."""
    return _CHECKS.get((kind.api_version, kind.name))
