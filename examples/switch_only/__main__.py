"""Only the switch: a team has a load balancer, two target groups and a group of instances behind each."""

from typing import Any

import pulumi
from pulumi_aws import Provider
from turnout_components.traffic_decision import TrafficDecision
from turnout_components.traffic_switch import TrafficSwitch

config = pulumi.Config()
service, region = config.require("service"), config.require("region")
active, theirs = config.require_object("traffic")["active"], config.require_object("environments")
on_aws = pulumi.ResourceOptions(provider=Provider("aws", region=region))

wanted: Any = {name: {key: each[key] for key in ("release", "minimum", "maximum")} for name, each in theirs.items()}

# What is in force: a change of `active` moves traffic; after a rollback the record wins until config says something new.
decision = TrafficDecision(
    service,
    {"service": service, "region": region, "active": active, "environments": wanted},
    on_aws,
)

# The listener. Before its weights change, the gate waits until the other side has as many healthy targets as serve now.
switch = TrafficSwitch(
    service,
    {
        "service": service,
        "region": region,
        "load_balancer_arn": config.require("load_balancer_arn"),
        "port": config.require_int("port"),
        "certificate_arn": config.get("certificate_arn"),
        "environments": theirs,
        "active": decision.active,
        "weights": decision.weights,
        "configured_active": active,
        "gate_timeout": config.get_int("gate_timeout") or 900,
    },
    on_aws,
)

pulumi.export("traffic", decision.reason)
pulumi.export("weights", switch.weights)
