"""Two services behind one load balancer: each has a port, two environments, and a switch that moves its users alone."""

from pathlib import Path

import pulumi
from pulumi_aws import Provider
from turnout_components.environment import Environment
from turnout_components.ingress import Ingress
from turnout_components.network import Network
from turnout_components.release import parse
from turnout_components.traffic_decision import TrafficDecision
from turnout_components.traffic_switch import TrafficSwitch

config = pulumi.Config()
region, certificate = config.require("region"), config.require("certificate_arn")
release = parse(Path(__file__).parent / config.require("release"))
on_aws = pulumi.ResourceOptions(provider=Provider("aws", region=region))
ENVIRONMENTS, HEALTH = ("blue", "green"), "/health"

network = Network("shared", {"cidr": "10.20.0.0/16", "zones": [f"{region}a", f"{region}b"], "nat": "single"}, on_aws)  # type: ignore[typeddict-item]
front = {"vpc_id": network.vpc_id, "certificate_arn": certificate, "allowed_cidrs": ["0.0.0.0/0"]}
front["health_paths"] = dict.fromkeys(ENVIRONMENTS, HEALTH)
chat = Ingress("chat", {**front, "subnet_ids": network.public_subnet_ids}, on_aws)  # type: ignore[typeddict-item]
# The second service stands on the first one's load balancer, with target groups and a test listener of its own.
theirs = {"load_balancer_arn": chat.load_balancer_arn, "security_group_id": chat.security_group_id, "dns_name": chat.dns_name}
search = Ingress("search", {**front, "existing": theirs, "port": 8443, "test_port": 8082}, on_aws)  # type: ignore[typeddict-item]


def serve(service: str, ingress: Ingress, port: int) -> TrafficSwitch:
    """Both environments of a service, and its switch."""
    place, active = {"service": service, "region": region}, config.require_object("active")[service]
    wanted = {name: {"release": release.id, "minimum": 1, "maximum": 4} for name in ENVIRONMENTS}
    decision = TrafficDecision(service, {**place, "active": active, "environments": wanted}, on_aws)  # type: ignore[typeddict-item]
    nodes = {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.private_subnet_ids,
        "load_balancer_arn": ingress.load_balancer_arn,
        "balancer_security_group_id": ingress.security_group_id,
        "release": release.for_storage(),
        "health_path": HEALTH,
    }
    switched = {}
    for name in ENVIRONMENTS:
        side = {"target_group_arn": ingress.target_group_arns[name]}
        side |= {"minimum": decision.minimums[name], "maximum": decision.maximums[name]}
        environment = Environment(f"{service}-{name}", {**place, **nodes, **side, "environment": name}, on_aws)  # type: ignore[typeddict-item]
        switched[name] = {**side, "group_name": environment.group_name, "release": environment.release}
    listener = {"load_balancer_arn": ingress.load_balancer_arn, "certificate_arn": certificate, "port": port}
    force = {"active": decision.active, "weights": decision.weights, "configured_active": active}
    return TrafficSwitch(service, {**place, **listener, **force, "environments": switched}, on_aws)  # type: ignore[typeddict-item]


pulumi.export("chat", serve("chat", chat, 443).weights)
pulumi.export("search", serve("search", search, 8443).weights)
