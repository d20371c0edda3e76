"""The GPU nodes of a stack on EKS: a managed node group, Karpenter's, or those that the cluster has. Each kind's packages are
imported where a stack has it."""

from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
from turnout_components.eks_cluster import EksCluster
from turnout_components.network import Network
from turnout_components.service_namespace import ServiceNamespace

from infra import eks, node_settings, pods
from infra.config_clusters import Cluster, Karpenter
from infra.settings import Settings


@dataclass(frozen=True)
class GpuNodes:
    """What comes before the pods, what pods are told to find them, and what the stack's outputs say of them."""

    first: list[pulumi.Resource] = field(default_factory=list)
    placed: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


def declare(
    settings: Settings,
    network: Network,
    cluster: EksCluster,
    on_aws: pulumi.ResourceOptions,
    in_cluster: pulumi.ResourceOptions,
) -> GpuNodes:
    """The nodes that config asks for."""
    said = eks.cluster_of(settings)
    if said.nodes is not None:
        from turnout_components.eks_node_group import EksNodeGroup

        after = pulumi.ResourceOptions(provider=on_aws.provider, depends_on=[cluster])
        EksNodeGroup(f"{settings.service}-gpus", eks.node_group_args(settings, said.nodes, network, cluster), after)
    if said.karpenter is not None:
        return _by_karpenter(settings, said, said.karpenter, network, cluster, on_aws, in_cluster)
    return GpuNodes()


def _by_karpenter(
    settings: Settings,
    said: Cluster,
    karpenter: Karpenter,
    network: Network,
    cluster: EksCluster,
    on_aws: pulumi.ResourceOptions,
    in_cluster: pulumi.ResourceOptions,
) -> GpuNodes:
    """Karpenter hears of a cluster from one queue, so that is made with the cluster."""
    from turnout_components.karpenter_interruptions import KarpenterInterruptions
    from turnout_components.karpenter_pool import KarpenterPool

    service, name, outputs = settings.service, pods.namespace(settings), {}
    if said.is_new:
        role = {"cluster_name": cluster.name, "controller_role": karpenter.controller_role}
        queue = KarpenterInterruptions(f"{service}-interruptions", cast(Any, role), on_aws)
        outputs["interruption_queue"] = queue.queue_name
    both: Any = [on_aws.provider, in_cluster.provider]
    pool = KarpenterPool(
        f"{service}-gpus",
        eks.karpenter_args(settings, karpenter, network, cluster),
        pulumi.ResourceOptions(providers=both, depends_on=[cluster]),
    )
    # The local cluster's nodes are there from the start, and of no pool.
    if settings.kubeconfig is not None:
        return GpuNodes([pool], {}, outputs)
    return GpuNodes([pool], {"node_selector": node_settings.node_selector(name, settings.kubernetes.pods)}, outputs)


def keep_room(settings: Settings, nodes: GpuNodes, namespace: ServiceNamespace, in_cluster: pulumi.ResourceOptions) -> None:
    """Places on Karpenter's nodes that wait for pods, where config asks for some."""
    karpenter = eks.cluster_of(settings).karpenter
    if karpenter is None or karpenter.placeholder is None:
        return
    from turnout_components.capacity_placeholder import CapacityPlaceholder

    room = node_settings.placeholder(pods.namespace(settings), karpenter.placeholder, settings.kubernetes.pods)
    after = pulumi.ResourceOptions(provider=in_cluster.provider, depends_on=[namespace, *nodes.first])
    CapacityPlaceholder(f"{settings.service}-room", cast(Any, {**room, **nodes.placed}), after)
