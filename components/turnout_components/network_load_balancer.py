"""How connections reach the environments where requests are not HTTP/1.1: gRPC or any TCP, with or without TLS.

The production listener is not here: `TrafficSwitch` owns it, with `protocol` TCP. Weights of a network load balancer decide
about new connections; those that exist stay where they are until they end ("Listeners for your Network Load Balancers", User
Guide for Network Load Balancers). The local cloud keeps such a load balancer and checks its targets, and carries no TCP.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired

import pulumi
from pulumi_aws import lb

from turnout_components import arguments, ingress_rules
from turnout_components.ingress import (
    BalancerArgs,
    access_logs,
    admit,
    alias_record,
    balancer_group,
    checked_arns,
    health_check,
    listener_protocol,
    plain,
)
from turnout_components.ingress_rules import PORT
from turnout_components.naming import balancer_logical_name


class NetworkLoadBalancerArgs(BalancerArgs):
    """What a load balancer of connections takes beside that."""

    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Public subnets in two zones or more, one in each."""
    test_ports: NotRequired[Mapping[str, int]]
    """Port of each environment's test listener. Default 8081 and those after it, in the order of `health_paths`."""
    alpn_policy: NotRequired[str]
    """What TLS offers to clients: `HTTP2Preferred` or `HTTP2Only` for gRPC. Default none."""
    health_port: NotRequired[pulumi.Input[int] | None]
    """Port on which they answer health checks. Default `target_port`."""
    idle_timeout: NotRequired[pulumi.Input[int]]
    """Seconds without a byte after which a TCP connection ends, 60 to 6000; not with a certificate. Default 350."""
    preserve_client_ip: NotRequired[bool]
    """Nodes see the clients' addresses. Default true."""
    connection_termination: NotRequired[bool]
    """End connections that outlive the drain, so that a client makes a new one while its node can still say goodbye. Default
    true (AWS's own: false)."""


class NetworkLoadBalancer(pulumi.ComponentResource):
    """A network load balancer that nobody can reach until `allowed_cidrs` says so.

    `target_groups` and `test_listeners` (by environment) are attributes of the object. A pool depends on the test listener of
    its environment, not on this component: a target group that no listener uses is never checked."""

    load_balancer_arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arns: pulumi.Output[dict[str, str]]
    test_listener_arns: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: NetworkLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:NetworkLoadBalancer", name, {}, opts)
        args = arguments.taken(name, args, NetworkLoadBalancerArgs)
        known = plain(args)
        ingress_rules.refuse(name, [*ingress_rules.network_faults(known), *ingress_rules.cidr_faults(known)])
        ports = ingress_rules.test_ports(args)
        group = balancer_group(self, name, args["vpc_id"])
        admit(self, f"{name}-users", group.id, args.get("allowed_cidrs", []), args.get("port", PORT), "Users")
        for env, port in ports.items():
            admit(self, f"{name}-tests-{env}", group.id, args.get("test_cidrs", []), port, f"Tests of {env}")
        balancer = lb.LoadBalancer(
            balancer_logical_name(name),
            load_balancer_type="network",
            internal=args.get("internal", False),
            security_groups=[group.id],
            subnets=args["subnet_ids"],
            enable_cross_zone_load_balancing=args.get("cross_zone", True),
            enable_deletion_protection=args.get("deletion_protection", True),
            access_logs=access_logs(args.get("access_logs")),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        paths = args["health_paths"]
        self.target_groups = {env: self._target_group(f"{name}-{env}", path, args) for env, path in paths.items()}
        self.test_listeners = {
            env: lb.Listener(
                f"{name}-test-{env}",
                load_balancer_arn=balancer.arn,
                port=port,
                default_actions=[{"type": "forward", "target_group_arn": self.target_groups[env].arn}],
                tcp_idle_timeout_seconds=args.get("idle_timeout"),
                opts=pulumi.ResourceOptions(parent=self),
                **listener_protocol(args.get("certificate_arn"), "TCP", args.get("alpn_policy")),
            )
            for env, port in ports.items()
        }
        if (record := args.get("record")) is not None:
            alias_record(f"{name}-record", record, balancer, self)
        self.load_balancer_arn = balancer.arn
        self.dns_name = balancer.dns_name
        self.security_group_id = group.id
        self.target_group_arns = checked_arns(self.target_groups, self.test_listeners)
        self.test_listener_arns = pulumi.Output.all(**{env: made.arn for env, made in self.test_listeners.items()})
        outputs = ("load_balancer_arn", "dns_name", "security_group_id", "target_group_arns", "test_listener_arns")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _target_group(self, name: str, path: pulumi.Input[str], args: NetworkLoadBalancerArgs) -> lb.TargetGroup:
        health, port = args.get("health", {}), args.get("health_port")
        checked = "traffic-port" if port is None else pulumi.Output.from_input(port).apply(lambda number: str(int(number)))
        return lb.TargetGroup(
            balancer_logical_name(name),
            vpc_id=args["vpc_id"],
            target_type="instance",
            protocol="TCP",
            port=args.get("target_port", 8000),
            deregistration_delay=health.get("drain", 30),
            connection_termination=args.get("connection_termination", True),
            preserve_client_ip="true" if args.get("preserve_client_ip", True) else "false",
            health_check=health_check(path, health, checked),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
