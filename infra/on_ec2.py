"""A service on EC2: a network, a load balancer, two environments, and the switch that moves traffic between them."""

from typing import Any

import pulumi
from turnout_components.environment import Environment
from turnout_components.mirror_access import MirrorAccess
from turnout_components.network import Network
from turnout_components.service_secrets import ServiceSecrets
from turnout_components.traffic_switch import TrafficSwitch

from infra.balancer import load_balancer
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
    ingress, checked = load_balancer(settings, network, on_aws)

    secrets = {name: ServiceSecrets(f"{service}-{name}", settings.secrets_args(name), on_aws) for name in settings.with_secrets}
    environments = {
        name: Environment(
            f"{service}-{name}",
            {
                "vpc_id": network.vpc_id,
                "subnet_ids": settings.node_subnets(network),
                "load_balancer_arn": ingress.load_balancer_arn,
                "balancer_security_group_id": ingress.security_group_id,
                "target_group_arn": ingress.target_groups[name].arn,
                "secrets": secrets[name].references if secrets else settings.secrets.references,
                "secrets_key_arn": secrets[name].key_arn if secrets else None,
                **settings.environment_args(name, decision.sizes[name], decision.traffic.weights[name]),  # type: ignore[typeddict-item]  # mypy: an open dict may hold more
            },
            pulumi.ResourceOptions(provider=on_aws.provider, depends_on=[checked[name]]),
        )
        for name in ENVIRONMENTS
    }
    if settings.pool.mirror_image is not None:
        MirrorAccess(f"{service}-mirror", settings.mirror_args(environments), on_aws)

    switch = TrafficSwitch(
        service,
        {
            "service": service,
            "region": settings.region,
            "endpoint_url": settings.endpoint,
            "record_table": settings.record_table,
            "load_balancer_arn": ingress.load_balancer_arn,
            **settings.listener_args,  # type: ignore[typeddict-item]  # mypy: as above
            "environments": {
                name: {
                    "target_group_arn": environment.target_group_arn,
                    "group_name": environment.group_name,
                    "release": environment.release,
                    "minimum": decision.sizes[name].minimum,
                    "maximum": decision.sizes[name].maximum,
                }
                for name, environment in environments.items()
            },
            "active": decision.traffic.active,
            "weights": decision.traffic.weights,
            **settings.switch_args(),
        },
        on_aws,
    )

    if settings.runner is not None:
        from turnout_components.rollout_runner import RolloutRunner

        RolloutRunner(f"{service}-rollouts", settings.runner_args(switch), on_aws)

    return {
        "url": ingress.dns_name.apply(lambda name: settings.url(name, settings.ingress.port)),
        "test_url": ingress.dns_name.apply(lambda name: settings.url(name, settings.ingress.test_port)),
        "active": switch.active,
        "weights": switch.weights,
        "releases": settings.environments.releases(),
        "listener_arn": switch.listener_arn,
    }
