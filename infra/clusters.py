"""The stack's way to a Kubernetes cluster: its one explicit provider."""

from pulumi_kubernetes import Provider, ProviderArgs
from turnout_components.eks_cluster import EksCluster

from infra.settings import Settings


def cluster_provider(settings: Settings) -> Provider:
    """The local cluster, or the one of the kubeconfig's context. What the program declares is applied by the server, so that
    what gate and rollouts write stays theirs ("Managing Resources with Server-Side Apply", Pulumi)."""
    if settings.kubeconfig is not None:
        return Provider("kubernetes", ProviderArgs(kubeconfig=settings.kubeconfig, enable_server_side_apply=True))
    return Provider("kubernetes", ProviderArgs(context=settings.kubernetes.context, enable_server_side_apply=True))


def eks_provider(settings: Settings, cluster: EksCluster) -> Provider:
    """The stack's EKS cluster, or the local one that stands for it."""
    kubeconfig = settings.kubeconfig if settings.kubeconfig is not None else cluster.kubeconfig
    return Provider("kubernetes", ProviderArgs(kubeconfig=kubeconfig, enable_server_side_apply=True))
