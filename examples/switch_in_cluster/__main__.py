"""Only the switch, in a cluster: a team has a Gateway, and for each environment a Service with a Deployment behind it."""

from typing import Any

import pulumi
from pulumi_kubernetes import Provider
from turnout_components.route_switch import RouteSwitch
from turnout_components.traffic_decision import TrafficDecision

config = pulumi.Config()
service, namespace = config.require("service"), config.require("namespace")
active, theirs = config.require_object("traffic")["active"], config.require_object("environments")
context = config.require_object("kubernetes")["context"]
in_cluster = pulumi.ResourceOptions(provider=Provider("cluster", context=context))
wanted: Any = {name: {key: each[key] for key in ("release", "minimum", "maximum")} for name, each in theirs.items()}

# What is in force: a change of `active` moves traffic; after a rollback the record wins until config says something new.
decision = TrafficDecision(
    service,
    {"service": service, "platform": "kubernetes", "context": context, "active": active, "environments": wanted},
    in_cluster,
)

# The route. Before its weights change, the gate waits until the other side has as many ready pods as serve now.
switch = RouteSwitch(
    service,
    {
        "service": service,
        "namespace": namespace,
        "context": context,
        "gateway": config.require_object("gateway"),
        "environments": {
            name: {
                "target_group": f"Service/{namespace}/{each['service']}",
                "group": f"Deployment/{namespace}/{each['deployment']}",
                "release": each["release"],
                "minimum": each["minimum"],
                "maximum": each["maximum"],
            }
            for name, each in theirs.items()
        },
        "active": decision.active,
        "weights": decision.weights,
        "configured_active": active,
        "gate_timeout": config.get_int("gate_timeout") or 900,
    },
    in_cluster,
)

pulumi.export("traffic", decision.reason)
pulumi.export("weights", switch.weights)
