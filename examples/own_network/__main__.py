"""A model service in a network that a team has: their VPC and subnets, our load balancer, environments and switch."""

from pathlib import Path

import pulumi
from pulumi_aws import Provider
from turnout_components.environment import Environment
from turnout_components.ingress import Ingress
from turnout_components.release import load
from turnout_components.traffic_decision import TrafficDecision
from turnout_components.traffic_switch import TrafficSwitch

HEALTH = "/health"  # vLLM's: the target group asks it, and the node before it counts
config = pulumi.Config()
service, region, certificate = config.require("service"), config.require("region"), config.require("certificate_arn")
active, theirs = config.require_object("traffic")["active"], config.require_object("network")
folder = Path(__file__).parent / config.require("releases")
releases = {name: load(folder, each["release"]) for name, each in config.require_object("environments").items()}
place = {"service": service, "region": region}
on_aws = pulumi.ResourceOptions(provider=Provider("aws", region=region))

wanted = {name: {"release": release.id, "minimum": 1, "maximum": 4} for name, release in releases.items()}
decision = TrafficDecision(service, {**place, "active": active, "environments": wanted}, on_aws)  # type: ignore[typeddict-item]

ingress = Ingress(
    service,
    {
        "vpc_id": theirs["vpc_id"],
        "subnet_ids": theirs["public_subnet_ids"],
        "certificate_arn": certificate,
        "allowed_cidrs": ["0.0.0.0/0"],
        "health_paths": dict.fromkeys(releases, HEALTH),
    },
    on_aws,
)
nodes = {
    "vpc_id": theirs["vpc_id"],
    "subnet_ids": theirs["private_subnet_ids"],
    "balancer_security_group_id": ingress.security_group_id,
    "load_balancer_arn": ingress.load_balancer_arn,
    "health_path": HEALTH,
}
switched = {}
for name, release in releases.items():
    sizes = {"minimum": decision.minimums[name], "maximum": decision.maximums[name]}
    target_group = {"target_group_arn": ingress.target_group_arns[name]}  # it comes with the rule by which it is checked
    made = {**place, **nodes, **sizes, **target_group, "environment": name, "release": release.for_storage()}
    environment = Environment(f"{service}-{name}", made, on_aws)  # type: ignore[arg-type]
    switched[name] = {**target_group, **sizes, "group_name": environment.group_name, "release": environment.release}

front = {**place, "load_balancer_arn": ingress.load_balancer_arn, "certificate_arn": certificate, "environments": switched}
force = {"active": decision.active, "weights": decision.weights, "configured_active": active}
TrafficSwitch(service, {**front, **force}, on_aws)  # type: ignore[typeddict-item]
pulumi.export("name", ingress.dns_name)
