"""A service in a Kubernetes cluster that exists: its namespace, two environments, and the switch in front of them."""

from typing import Any

import pulumi
from turnout_components.gateway_ingress import GatewayIngress
from turnout_components.model_deployment import ModelDeployment
from turnout_components.route_switch import RouteSwitch
from turnout_components.service_namespace import ServiceNamespace
from turnout_components.workload_autoscaler import WorkloadAutoscaler
from turnout_components.workload_secrets import WorkloadSecrets

from infra import pods
from infra.clusters import cluster_provider
from infra.config import ENVIRONMENTS
from infra.providers import decide_traffic
from infra.settings import Settings


def program(settings: Settings) -> dict[str, Any]:
    """Declares the service; the stack's outputs."""
    decision = decide_traffic(settings)
    in_cluster = pulumi.ResourceOptions(provider=cluster_provider(settings))
    service = settings.service
    pulumi.log.info(f"switch: {decision.reason}")

    namespace = ServiceNamespace(service, pods.namespace_args(settings), in_cluster)
    within = pulumi.ResourceOptions(provider=in_cluster.provider, depends_on=[namespace])

    references = settings.secrets.references
    secrets = {
        name: WorkloadSecrets(f"{service}-{name}-secrets", pods.secrets_args(settings, name, references), within)
        for name in (ENVIRONMENTS if references else ())
    }
    environments = {
        name: ModelDeployment(
            f"{service}-{name}",
            pods.deployment_args(settings, name, decision.sizes[name], secrets, clients=pods.clients(settings)),
            within,
        )
        for name in ENVIRONMENTS
    }
    for name in pods.scaled(settings):
        args = pods.scaler_args(settings, environments[name], decision.sizes[name])
        WorkloadAutoscaler(f"{service}-{name}-scaling", args, within)

    gateway = GatewayIngress(service, pods.gateway_args(settings, environments), within)
    switch = RouteSwitch(
        service,
        {
            "service": service,
            "namespace": pods.namespace(settings),
            "gateway": {"name": gateway.gateway_name, "namespace": gateway.gateway_namespace, "section": gateway.section},
            "hostnames": settings.kubernetes.gateway.hostnames,
            "request_timeout": settings.kubernetes.gateway.request_timeout,
            "record_table": settings.record_table,
            "environments": pods.switched(environments, decision.sizes),
            "active": decision.traffic.active,
            "weights": decision.traffic.weights,
            **pods.gate_args(settings),  # type: ignore[typeddict-item]  # mypy: an open dict may hold more
        },
        within,
    )
    return {
        "active": switch.active,
        "weights": switch.weights,
        "releases": settings.environments.releases(),
        "listener": switch.listener,
    }
