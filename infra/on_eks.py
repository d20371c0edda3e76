"""A service on Amazon EKS: a cluster with GPU nodes, pods behind a load balancer, and the switch that moves traffic."""

from typing import Any

import pulumi
from turnout_components.eks_cluster import EksCluster
from turnout_components.ingress import Ingress
from turnout_components.model_deployment import ModelDeployment
from turnout_components.network import Network
from turnout_components.service_namespace import ServiceNamespace
from turnout_components.service_secrets import ServiceSecrets
from turnout_components.traffic_switch import TrafficSwitch
from turnout_components.workload_autoscaler import WorkloadAutoscaler
from turnout_components.workload_secrets import WorkloadSecrets

from infra import eks, gpu_nodes, pods
from infra.clusters import eks_provider
from infra.config import ENVIRONMENTS
from infra.providers import aws_provider, decide_traffic
from infra.settings import Settings


def program(settings: Settings) -> dict[str, Any]:
    """Declares the service; the stack's outputs."""
    decision = decide_traffic(settings)
    on_aws = pulumi.ResourceOptions(provider=aws_provider(settings))
    service = settings.service
    pulumi.log.info(f"switch: {decision.reason}{settings.notes}")

    network = Network(service, settings.network_args(), on_aws)
    ingress = Ingress(service, settings.ingress_args(network), on_aws)
    cluster = EksCluster(f"{service}-cluster", eks.cluster_args(settings, network), on_aws)
    in_cluster = pulumi.ResourceOptions(provider=eks_provider(settings, cluster), depends_on=[cluster])
    nodes = gpu_nodes.declare(settings, network, cluster, on_aws, in_cluster)

    eks.admit_balancer(service, settings, ingress, cluster, on_aws)
    namespace = ServiceNamespace(service, pods.namespace_args(settings), in_cluster)
    gpu_nodes.keep_room(settings, nodes, namespace, in_cluster)

    own = {name: ServiceSecrets(f"{service}-{name}", settings.secrets_args(name), on_aws) for name in settings.with_secrets}
    secrets = {
        name: WorkloadSecrets(f"{service}-{name}-secrets", pods.secrets_args(settings, name, found), in_cluster)
        for name in ENVIRONMENTS
        if (found := eks.references(settings, own.get(name)))
    }
    environments = {
        name: ModelDeployment(
            f"{service}-{name}",
            pods.deployment_args(
                settings, name, decision.sizes[name], secrets, **nodes.placed, **eks.reached(settings, name, ingress, cluster)
            ),
            pulumi.ResourceOptions(
                providers=[on_aws.provider, in_cluster.provider],  # type: ignore[list-item]  # both are given
                depends_on=[cluster, namespace, ingress.test_rules[name], *nodes.first],
            ),
        )
        for name in ENVIRONMENTS
    }
    for name in pods.scaled(settings):
        args = pods.scaler_args(settings, environments[name], decision.sizes[name])
        WorkloadAutoscaler(f"{service}-{name}-scaling", args, in_cluster)

    switch = TrafficSwitch(
        service,
        {
            "service": service,
            "region": settings.region,
            "endpoint_url": settings.endpoint,
            "record_table": settings.record_table,
            "platform": settings.platform.value,
            "cluster": cluster.name,
            "load_balancer_arn": ingress.load_balancer_arn,
            **settings.listener_args,  # type: ignore[typeddict-item]  # mypy: an open dict may hold more
            "environments": eks.switched(environments, decision.sizes),
            "active": decision.traffic.active,
            "weights": decision.traffic.weights,
            **pods.gate_args(settings),
        },
        on_aws,
    )
    if settings.runner is not None:
        from turnout_components.rollout_runner import RolloutRunner

        providers: Any = [on_aws.provider, in_cluster.provider]
        driver = eks.runner_args(settings, switch, network, cluster, namespace)
        RolloutRunner(f"{service}-rollouts", driver, pulumi.ResourceOptions(providers=providers))
    return {
        "url": ingress.dns_name.apply(lambda name: settings.url(name, settings.ingress.port)),
        "test_url": ingress.dns_name.apply(lambda name: settings.url(name, settings.ingress.test_port)),
        "active": switch.active,
        "weights": switch.weights,
        "releases": settings.environments.releases(),
        "listener_arn": switch.listener_arn,
        "cluster": cluster.name,
        **nodes.outputs,
    }
