"""The GPU nodes of a stack on EKS as its config has them, and where no pod of its would ever run. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from turnout_components import checks
from turnout_components.checks import Fault
from turnout_components.naming import shorten

from infra.config import Environments, Health, Network, Pool
from infra.config_clusters import Cluster, Karpenter, Kubernetes, Placeholder, Pods
from infra.pod_settings import namespace

POOL_LABEL = "karpenter.sh/nodepool"
""" "Well-Known Labels", Karpenter: each of a NodePool's nodes has its name."""
GPU = "nvidia.com/gpu"
_WELL_KNOWN = ("kubernetes.io", "k8s.io", "karpenter.sh", "karpenter.k8s.aws", "amazonaws.com", "k8s.aws")
""" "Scheduling", Karpenter: what it knows of the nodes to come without being told."""


def karpenter_pool(name: str, karpenter: Karpenter, drain: int) -> dict[str, Any]:
    """What a `KarpenterPool` takes of config."""
    said = karpenter.model_dump(exclude_none=True, exclude={"placeholder"})
    return {**said, "name": name, "drain": drain}


def node_selector(name: str, pods: Pods) -> dict[str, str]:
    """The labels by which pods find the nodes of this pool, and of no other in the cluster."""
    return {POOL_LABEL: name, **(pods.node_selector or {})}


def placeholder(name: str, wanted: Placeholder, pods: Pods) -> dict[str, Any]:
    """What a `CapacityPlaceholder` takes of config: places as large as a pod of the service."""
    size = pods.model_dump(include={"gpus", "gpu_resource", "cpus", "memory_gib", "node_selector"}, exclude_none=True)
    return {**size, **wanted.model_dump(exclude_none=True), "namespace": name, "name": shorten(f"{name}-room", 63)}


def one_kind(cluster: Cluster | None) -> Iterable[Fault]:
    """Pods have nodes of one kind; those of a cluster that exists may be its own."""
    if cluster is None:
        return
    if cluster.nodes is not None and cluster.karpenter is not None:
        fix = "leave one of them out: a managed node group (nodes), or Karpenter's nodes (karpenter)"
        yield Fault("cluster.karpenter", cluster.karpenter.model_dump(exclude_none=True), "stands beside cluster.nodes", fix)
    elif cluster.is_new and cluster.nodes is None and cluster.karpenter is None:
        fix = "write {instance_types: […], maximum: …} of a managed node group, or karpenter: {gpus_at_most: …} in its place"
        yield Fault("cluster.nodes", None, "is missing, and so is karpenter: a new cluster has no GPU nodes", fix)


def karpenter_faults(
    service: str,
    cluster: Cluster | None,
    kubernetes: Kubernetes,
    pool: Pool,
    health: Health,
    network: Network,
    environments: Environments,
) -> Iterable[Fault]:
    """What Karpenter refuses, and pods for which it would start no node."""
    if cluster is None or cluster.karpenter is None:
        return
    from turnout_components import karpenter_rules

    karpenter, pods, name = cluster.karpenter, kubernetes.pods, namespace(service, kubernetes)
    wanted = karpenter_pool(name, karpenter, health.drain)
    found = [
        *(fault for fault in karpenter_rules.faults(wanted) if fault.field != "name"),
        *_zone_faults(karpenter, network),
        *_size_faults(wanted, pods, pool, environments),
    ]
    yield from checks.below("cluster.karpenter", found)
    yield from _selector_faults(node_selector(name, pods), {**karpenter_rules.labels(wanted), POOL_LABEL: name})
    if karpenter.placeholder is not None:
        yield from _placeholder_faults(placeholder(name, karpenter.placeholder, pods))


def _zone_faults(karpenter: Karpenter, network: Network) -> Iterable[Fault]:
    for zone in karpenter.zones or ():
        if network.zones is not None and zone not in network.zones:
            yield Fault("zones", zone, "is none of network.zones", f"name some of {', '.join(network.zones)}")


def _size_faults(wanted: Mapping[str, Any], pods: Pods, pool: Pool, environments: Environments) -> Iterable[Fault]:
    """A node holds a pod, and the limit holds all pods of both environments at their fewest."""
    if pods.gpu_resource != GPU:
        return
    from turnout_components.gpus import gpus
    from turnout_components.karpenter_rules import types_of

    sizes = [known.count for one in types_of(wanted) if (known := gpus(one)) is not None]
    if sizes and max(sizes) < pods.gpus:
        reason = f"have {max(sizes):g} GPUs at most, and a pod asks for {pods.gpus}"
        yield Fault("instance_types", types_of(wanted), reason, "name a larger type, or lower kubernetes.pods.gpus")
    servers = pool.minimum * sum(release is not None for release in environments.releases().values())
    least = servers * pods.nodes_per_replica * pods.gpus
    if 1 <= wanted["gpus_at_most"] < least:
        reason = f"is less than the {least} GPUs of {servers} servers, the fewest of the environments that have a release"
        yield Fault("gpus_at_most", wanted["gpus_at_most"], reason, f"write {least} or more, or lower pool.minimum")


def _selector_faults(selector: Mapping[str, str], held: Mapping[str, str]) -> Iterable[Fault]:
    """Karpenter starts nodes for pods whose labels it knows or gives."""
    for key, value in selector.items():
        domain = key.rpartition("/")[0]
        known = any(domain == one or domain.endswith(f".{one}") for one in _WELL_KNOWN)
        if held.get(key) != value and (key in held or not known):
            fix = "write it in cluster.karpenter.labels too, or leave it out"
            if key == POOL_LABEL:
                fix = "leave it out: the service's own pool is selected by itself"
            yield Fault(f"kubernetes.pods.node_selector.{key}", value, "is on no node of cluster.karpenter", fix)


def _placeholder_faults(wanted: Mapping[str, Any]) -> Iterable[Fault]:
    from turnout_components import capacity_placeholder_rules

    for fault in capacity_placeholder_rules.faults(wanted):
        if fault.field in ("replicas", "by", "image"):
            yield from checks.below("cluster.karpenter.placeholder", [fault])
        elif fault.field == "gpus":
            yield from checks.below("kubernetes.pods", [fault])
