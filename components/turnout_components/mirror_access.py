"""Lets the nodes of a service's environments send each other copies of requests: whoever is live, to whoever is candidate."""

import itertools
from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi
from pulumi_aws import vpc

from turnout_components import arguments


class MirrorAccessArgs(TypedDict):
    """The nodes of one service."""

    security_group_ids: Mapping[str, pulumi.Input[str]]
    """Security group of the nodes by environment, such as `blue` and `green`; those without nodes are left out."""
    port: pulumi.Input[int]
    """Port on which their servers answer."""


class MirrorAccess(pulumi.ComponentResource):
    """A way out of each environment's nodes, and one in at the others', on the server's port and for nobody else. With one
    environment there is none."""

    def __init__(self, name: str, args: MirrorAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:MirrorAccess", name, {}, opts)
        args = arguments.taken(name, args, MirrorAccessArgs)
        for (live, source), (candidate, target) in itertools.permutations(sorted(args["security_group_ids"].items()), 2):
            shared: dict[str, Any] = {
                "description": f"Copies of requests from {live} to {candidate}",
                "ip_protocol": "tcp",
                "from_port": args["port"],
                "to_port": args["port"],
                "opts": pulumi.ResourceOptions(parent=self),
            }
            vpc.SecurityGroupEgressRule(
                f"{name}-{live}-to-{candidate}", security_group_id=source, referenced_security_group_id=target, **shared
            )
            vpc.SecurityGroupIngressRule(
                f"{name}-{candidate}-from-{live}", security_group_id=target, referenced_security_group_id=source, **shared
            )
        self.register_outputs({})
