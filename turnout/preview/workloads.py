"""How many pods and GPUs each workload of a plan has. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from turnout_components.policy_resources import at, each, whole

from turnout.preview.changes import UNKNOWN, Resource
from turnout.preview.routes import DEPLOYMENT, LEADER_WORKER_SET, is_a, template_of

GPU = "nvidia.com/"
"""What GPUs and their slices are called as resources ("Schedule GPUs", Kubernetes; MIG's are nvidia.com/mig-…)."""
_SCALED_OBJECT, _AUTOSCALER = ":ScaledObject", ":HorizontalPodAutoscaler"


def counted(resources: Iterable[Resource]) -> Iterator[tuple[Resource, int | None, int | None, int | None]]:
    """Each workload with its fewest and most replicas and the GPUs of one; None for what is not known."""
    held = list(resources)
    bounds = dict(scaler for one in held if (scaler := _scaled(one)) is not None)
    for one in held:
        if one.type == DEPLOYMENT or is_a(one, LEADER_WORKER_SET):
            replicas = _count(at(one.inputs, "spec.replicas"), 1)
            low, high = bounds.get(
                (str(at(one.inputs, "metadata.namespace")), str(at(one.inputs, "metadata.name"))), (replicas, replicas)
            )
            yield one, low, high, _gpus(one)


def _scaled(one: Resource) -> tuple[tuple[str, str], tuple[int | None, int | None]] | None:
    """Namespace and name of what a scaler scales, with its bounds; None for what is no scaler."""
    names = {_SCALED_OBJECT: ("minReplicaCount", "maxReplicaCount"), _AUTOSCALER: ("minReplicas", "maxReplicas")}
    found = next((fields for kind, fields in names.items() if is_a(one, kind)), None)
    if found is None:
        return None
    of = str(at(one.inputs, "metadata.namespace")), str(at(one.inputs, "spec.scaleTargetRef.name"))
    low, high = (_count(at(one.inputs, f"spec.{field}"), 0) for field in found)
    paused = _count(at(one.inputs, "metadata.annotations") and _paused(one.inputs), None)
    return of, (low, high) if paused is None else (paused, paused)


def _paused(inputs: Mapping[str, Any]) -> Any:
    """Replicas at which KEDA keeps a workload ("Pausing Scaling of Deployments, StatefulSets and Custom Resources", KEDA)."""
    return (at(inputs, "metadata.annotations") or {}).get("autoscaling.keda.sh/paused-replicas")


def _gpus(workload: Resource) -> int | None:
    """GPUs of one replica: of all the pods that it consists of."""
    spec = at(workload.inputs, "spec.leaderWorkerTemplate")
    if spec is None:
        return _in(template_of(workload.type, workload.inputs))
    size = _count(at(spec, "size"), 1)
    leader, worker = (_in(at(spec, f"{kind}Template")) for kind in ("leader", "worker"))
    if size is None or worker is None:
        return None
    return (worker if leader is None else leader) + worker * (size - 1)


def _in(template: Any) -> int | None:
    """GPUs that a pod asks for; None without a template."""
    if template is None:
        return None
    limits = [at(one, "resources.limits") or {} for one in each(at(template, "spec.containers"))]
    return sum(whole(count) or 0 for found in limits for name, count in found.items() if name.startswith(GPU))


def _count(found: Any, default: int | None) -> int | None:
    if found is None:
        return default
    return None if found == UNKNOWN else whole(found)
