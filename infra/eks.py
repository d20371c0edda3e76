"""What components on EKS take of a stack's settings."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pulumi
from turnout_components.clients import aws_client
from turnout_components.eks_cluster import EksCluster, EksClusterArgs
from turnout_components.eks_lookup import EksError, look_up
from turnout_components.ingress import Ingress
from turnout_components.model_deployment import ModelDeployment
from turnout_components.network import Network
from turnout_components.resolve import Size
from turnout_components.service_namespace import ServiceNamespace
from turnout_components.service_secrets import ServiceSecrets
from turnout_components.traffic_switch import SwitchedEnvironment, TrafficSwitch

from infra import node_settings, pods
from infra.config_clusters import Cluster, Karpenter
from infra.settings import CONFIG_REFUSED, Settings

if TYPE_CHECKING:
    from turnout_components.eks_node_group import EksNodeGroupArgs
    from turnout_components.karpenter_pool import KarpenterPoolArgs
    from turnout_components.rollout_runner import RolloutRunnerArgs
    from turnout_components.runner_reach import RunnerClusterArgs

_OFFLINE = {"endpoint": "https://known.at.apply", "certificate_authority": "a25vd24gYXQgYXBwbHk=", "security_group_id": "sg-0"}
"""Of a cluster that exists, in a preview that calls nothing."""


def cluster_of(settings: Settings) -> Cluster:
    """The cluster as config has it."""
    assert settings.cluster is not None  # `platform_rules.on_eks`
    return settings.cluster


def cluster_name(settings: Settings) -> str:
    """The cluster's name; a new one is called as the service unless config says otherwise."""
    return cluster_of(settings).name or settings.service


def cluster_args(settings: Settings, network: Network) -> EksClusterArgs:
    """What an `EksCluster` takes. A cluster that exists is looked up; ends the program where it cannot be used."""
    said, name = cluster_of(settings), cluster_name(settings)
    place = {"name": name, "region": settings.region}
    if said.is_new:
        given = said.model_dump(exclude={"name", "nodes", "karpenter"}, include=said.model_fields_set)
        return cast(EksClusterArgs, {**given, **place, "vpc_id": network.vpc_id, "subnet_ids": network.private_subnet_ids})
    try:
        found = _OFFLINE if settings.offline else look_up(aws_client("eks", settings.region, settings.endpoint), name)
    except EksError as error:
        print(f"turnout:cluster = {name}: {error}", file=sys.stderr)
        sys.exit(CONFIG_REFUSED)
    return cast(EksClusterArgs, {**place, **found, "exists": True})


def node_group_args(settings: Settings, nodes: Mapping[str, Any], network: Network, cluster: EksCluster) -> "EksNodeGroupArgs":
    """What an `EksNodeGroup` takes."""
    args = {
        **nodes,
        "cluster_name": cluster.name,
        "region": settings.region,
        "subnet_ids": network.private_subnet_ids,
        "security_group_id": cluster.security_group_id,
    }
    return cast("EksNodeGroupArgs", args | ({"vpc_id": network.vpc_id} if nodes.get("efa") else {}))


def karpenter_args(settings: Settings, karpenter: Karpenter, network: Network, cluster: EksCluster) -> "KarpenterPoolArgs":
    """What a `KarpenterPool` takes: it is called as the namespace, which is this stack's in the cluster."""
    args = {
        **node_settings.karpenter_pool(pods.namespace(settings), karpenter, settings.health.drain),
        "cluster_name": cluster.name,
        "region": settings.region,
        "subnet_ids": network.private_subnet_ids,
        "security_group_ids": [cluster.security_group_id],
    }
    return cast("KarpenterPoolArgs", args)


def references(settings: Settings, own: ServiceSecrets | None) -> Mapping[str, Any]:
    """Where an environment's variables are: its own secrets, and what config names."""
    named: dict[str, Any] = dict(settings.secrets.references)
    return named | ({each: own.references[each] for each in settings.secrets.names} if own is not None else {})


def reached(settings: Settings, environment: str, ingress: Ingress, cluster: EksCluster) -> dict[str, Any]:
    """How a `ModelDeployment` is reached, and what its pods may read."""
    return {
        "target_group_arn": ingress.target_groups[environment].arn,
        "balancer_security_group_id": ingress.security_group_id,
        "clients": [{"cidr": settings.network.cidr}] if settings.network.cidr else pod_clients(settings),
        "identity": {"cluster_name": cluster.name, "region": settings.region},
    }


def pod_clients(settings: Settings) -> list[dict[str, Any]]:
    """Who may send requests, as config names them."""
    return [one.model_dump(exclude_none=True) for one in settings.kubernetes.clients]


def switched(environments: Mapping[str, ModelDeployment], sizes: Mapping[str, Size]) -> dict[str, SwitchedEnvironment]:
    """The environments as the switch takes them."""
    return {
        name: {
            "target_group_arn": environment.target_group,
            "group_name": environment.group,
            "release": environment.release,
            "minimum": sizes[name].minimum,
            "maximum": sizes[name].maximum,
        }
        for name, environment in environments.items()
    }


def runner_args(
    settings: Settings, switch: TrafficSwitch, network: Network, cluster: EksCluster, namespace: ServiceNamespace
) -> "RolloutRunnerArgs":
    """What a `RolloutRunner` takes: it stands in the cluster's network, where a private endpoint answers."""
    reached = {
        "name": cluster.name,
        "namespace": namespace.namespace,
        "vpc": {
            "vpc_id": network.vpc_id,
            "subnet_ids": network.private_subnet_ids,
            "cluster_security_group_id": cluster.security_group_id,
        },
        **settings.step_down_args(),
    }
    return {**settings.runner_args(switch), "cluster": cast("RunnerClusterArgs", reached)}


def admit_balancer(
    service: str, settings: Settings, ingress: Ingress, cluster: EksCluster, opts: pulumi.ResourceOptions
) -> None:
    """The load balancer's way to the pods; the controller opens the other side (`TargetGroupBinding`'s networking)."""
    from pulumi_aws import vpc

    vpc.SecurityGroupEgressRule(
        f"{service}-to-pods",
        security_group_id=ingress.security_group_id,
        referenced_security_group_id=cluster.security_group_id,
        ip_protocol="tcp",
        from_port=settings.pool.port,
        to_port=settings.pool.port,
        description="To the pods",
        opts=opts,
    )
