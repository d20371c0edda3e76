"""What the switch may need to do in a cluster: for a Role, and to be asked of the cluster beforehand."""

from collections.abc import Iterable
from dataclasses import dataclass

from turnout_components.cluster_api import KINDS, ClusterApi


@dataclass(frozen=True)
class Right:
    """Verbs on a kind of object in a namespace."""

    kind: str
    verbs: tuple[str, ...]

    @property
    def resource(self) -> str:
        """As a Role names it."""
        return KINDS[self.kind][2]

    @property
    def group(self) -> str:
        """As a Role names it; "" for the core group."""
        return KINDS[self.kind][0]


RECORD = (
    Right("Namespace", ("get",)),
    Right("ConfigMap", ("get", "create", "update")),
    Right("Lease", ("get", "create", "patch")),
)
"""In the record's namespace."""
WORKLOADS = (
    Right("Deployment", ("get", "patch")),
    Right("LeaderWorkerSet", ("get", "patch")),
    Right("ReplicaSet", ("list",)),
    Right("Pod", ("list",)),
    Right("Event", ("list",)),
    Right("HorizontalPodAutoscaler", ("get", "patch")),
    Right("ScaledObject", ("get", "patch")),
    Right("CronJob", ("list", "create", "delete")),
)
"""In the service's namespace, on `eks` too."""
TRAFFIC = (
    Right("HTTPRoute", ("get", "list", "patch")),
    Right("Service", ("get",)),
    Right("EndpointSlice", ("list",)),
    Right("PodLog", ("get",)),
)
"""In the service's namespace, where an HTTPRoute carries the weights."""


def missing(api: ClusterApi, namespace: str, rights: Iterable[Right]) -> list[str]:
    """What whoever asks may not do there, a line each ("SelfSubjectAccessReview").

    Raises `ClusterError`."""
    found = []
    for right in rights:
        refused = [verb for verb in right.verbs if not _may(api, namespace, right, verb)]
        if refused:
            group = f"{right.resource}.{right.group}" if right.group else right.resource
            found.append(f"{', '.join(refused)} {group} in namespace {namespace}")
    return found


def _may(api: ClusterApi, namespace: str, right: Right, verb: str) -> bool:
    resource, _, part = right.resource.partition("/")
    wanted = {"namespace": namespace, "verb": verb, "group": right.group, "resource": resource}
    wanted |= {"subresource": part} if part else {}
    answer = api.create("SelfSubjectAccessReview", {"metadata": {}, "spec": {"resourceAttributes": wanted}})
    return bool(answer["status"]["allowed"])
