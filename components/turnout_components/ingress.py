"""How requests reach the environments: a load balancer, a target group an environment, and a listener for tests.

The production listener is not here: `TrafficSwitch` owns it, because it must come after the pools, and they after this.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2, lb, route53, vpc

from turnout_components import arguments, ingress_rules
from turnout_components.ingress_rules import CLIENT_KEEP_ALIVE, IDLE_TIMEOUT, PORT, TEST_PORT
from turnout_components.kubernetes_names import TEST_HEADER
from turnout_components.naming import balancer_logical_name

WEB_ACL_ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
"""By its token: to import `pulumi_aws.wafv2` for it would take a fifth of the time in which a whole stack is previewed."""
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.3 and 1.2 ("Security policies for your Application Load Balancer", Elastic Load Balancing User Guide)."""


class HealthArgs(TypedDict):
    """How targets are checked and drained; times in seconds."""

    interval: NotRequired[pulumi.Input[int]]
    """Between two checks. Default 5, the shortest that an ALB offers."""
    timeout: NotRequired[pulumi.Input[int]]
    """For an answer, below the interval. Default 2."""
    healthy_threshold: NotRequired[pulumi.Input[int]]
    """Good checks in a row that make a target healthy. Default 2."""
    unhealthy_threshold: NotRequired[pulumi.Input[int]]
    """Bad checks in a row that make it unhealthy. Default 2."""
    drain: NotRequired[pulumi.Input[int]]
    """For requests in flight when a target is taken out: above the longest stream. Default 30."""


class AccessLogsArgs(TypedDict):
    """Where the load balancer writes a line for each request."""

    bucket: pulumi.Input[str]
    """A bucket of the same region, encrypted with SSE-S3, whose policy lets Elastic Load Balancing write."""
    prefix: NotRequired[pulumi.Input[str]]
    """Folder in the bucket. Default its root."""


class RecordArgs(TypedDict):
    """The name by which users find the load balancer."""

    zone_id: pulumi.Input[str]
    """A Route 53 hosted zone."""
    name: pulumi.Input[str]
    """A name in that zone."""


class BalancerArgs(TypedDict):
    """Where a load balancer stands, whom it admits, and how each environment is checked."""

    vpc_id: pulumi.Input[str]
    """The VPC of load balancer and nodes."""
    health_paths: Mapping[str, pulumi.Input[str]]
    """Path of the health check by environment, such as `/ready?release=sha256:…`. Checks are HTTP."""
    port: NotRequired[pulumi.Input[int]]
    """Port that the security group opens for users. Default 443."""
    allowed_cidrs: NotRequired[Sequence[str]]
    """IPv4 blocks of the users. Default none: closed."""
    test_cidrs: NotRequired[Sequence[str]]
    """IPv4 blocks from which tests come. Default none: closed."""
    certificate_arn: NotRequired[pulumi.Input[str] | None]
    """ACM certificate; tests then come over TLS too."""
    target_port: NotRequired[pulumi.Input[int]]
    """Port on which the nodes serve. Default 8000."""
    health: NotRequired[HealthArgs]
    """Checks and drain of the target groups."""
    internal: NotRequired[bool]
    """Reachable inside the VPC only; `subnet_ids` are then private ones. Default false."""
    cross_zone: NotRequired[bool]
    """Spread over the targets of all zones. False keeps what comes in where it came in: each zone then needs targets for its
    share. Default true (AWS's own for a network load balancer: false)."""
    access_logs: NotRequired[AccessLogsArgs]
    """Access logs; a network load balancer's are of TLS only. Default none."""
    record: NotRequired[RecordArgs | None]
    """A DNS name. Default none."""
    deletion_protection: NotRequired[pulumi.Input[bool]]
    """Refuse to delete the load balancer. Default true."""


class ExistingBalancerArgs(TypedDict):
    """An application load balancer that is there: a team's own, or another `Ingress`'s."""

    load_balancer_arn: pulumi.Input[str]
    """The load balancer."""
    security_group_id: pulumi.Input[str]
    """Its security group: users and tests are admitted there, and pools from there."""
    dns_name: pulumi.Input[str]
    """Its name."""


class IngressArgs(BalancerArgs):
    """What a load balancer of requests takes beside that."""

    subnet_ids: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Public subnets in two zones or more, one in each. Required without `existing`."""
    existing: NotRequired[ExistingBalancerArgs | None]
    """A load balancer that exists, in place of one of its own: this gives it target groups, and a test listener on `test_port`.
    What describes the load balancer itself is left out then."""
    target_type: NotRequired[str]
    """What targets are: `instance`, or `ip` for pods by their addresses. Default instance."""
    test_port: NotRequired[pulumi.Input[int]]
    """Port of the test listener. Default 8081."""
    idle_timeout: NotRequired[pulumi.Input[int]]
    """Seconds without a byte after which the load balancer closes, 1 to 4000: above the slowest first token, below the
    server's keep-alive. Default 60."""
    client_keep_alive: NotRequired[pulumi.Input[int]]
    """Seconds that a client's connection lives at most, 60 to 604800: the last answer on it asks the client to make a new one,
    so that a long-lived client meets new rules. Default 3600."""
    server_keep_alive: NotRequired[int]
    """Seconds for which the nodes' server keeps an idle connection. When given, idle_timeout must be below it."""
    redirect_port: NotRequired[int | None]
    """Port that sends plain HTTP to HTTPS on `port`, open to `allowed_cidrs`. Default 80 with a certificate. None: none."""
    web_acl_arn: NotRequired[pulumi.Input[str] | None]
    """A regional web ACL of AWS WAF in front of every listener. Default none."""


class Ingress(pulumi.ComponentResource):
    """An application load balancer that nobody can reach until `allowed_cidrs` says so.

    `target_groups` and `test_rules` (by environment) are attributes of the object; the outputs carry their ARNs. A pool
    depends on the rule of its environment, not on this component: that would include what depends on the pool. Who takes a
    target group from `target_group_arns` comes after the rules.
    """

    load_balancer_arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arns: pulumi.Output[dict[str, str]]
    test_rule_arns: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:Ingress", name, {}, opts)
        args = arguments.taken(name, args, IngressArgs)
        known = plain(args)
        found = [*ingress_rules.existing_faults(args), *ingress_rules.faults(known), *ingress_rules.cidr_faults(known)]
        ingress_rules.refuse(name, found)
        existing = args.get("existing")
        balancer = self._balancer(name, args) if existing is None else existing
        admit_all(self, name, balancer["security_group_id"], args)
        paths, arn = args["health_paths"], balancer["load_balancer_arn"]
        self.target_groups = {env: self._target_group(f"{name}-{env}", path, args) for env, path in paths.items()}
        self.test_rules = self._test_listener(name, arn, args)
        self._redirect(name, arn, args)
        self.load_balancer_arn = pulumi.Output.from_input(arn)
        self.dns_name = pulumi.Output.from_input(balancer["dns_name"])
        self.security_group_id = pulumi.Output.from_input(balancer["security_group_id"])
        self.target_group_arns = checked_arns(self.target_groups, self.test_rules)
        self.test_rule_arns = pulumi.Output.all(**{env: rule.arn for env, rule in self.test_rules.items()})
        self.register_outputs(
            {
                "load_balancer_arn": self.load_balancer_arn,
                "dns_name": self.dns_name,
                "security_group_id": self.security_group_id,
                "target_group_arns": self.target_group_arns,
                "test_rule_arns": self.test_rule_arns,
            }
        )

    def _balancer(self, name: str, args: IngressArgs) -> ExistingBalancerArgs:
        group = balancer_group(self, name, args["vpc_id"])
        balancer = lb.LoadBalancer(
            balancer_logical_name(name),
            load_balancer_type="application",
            internal=args.get("internal", False),
            security_groups=[group.id],
            subnets=args["subnet_ids"],
            idle_timeout=args.get("idle_timeout", IDLE_TIMEOUT),
            client_keep_alive=args.get("client_keep_alive", CLIENT_KEEP_ALIVE),
            access_logs=access_logs(args.get("access_logs")),
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.get("deletion_protection", True),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )
        if args.get("web_acl_arn") is not None:
            pulumi.CustomResource(
                WEB_ACL_ASSOCIATION,
                f"{name}-web-acl",
                {"resourceArn": balancer.arn, "webAclArn": args["web_acl_arn"]},
                pulumi.ResourceOptions(parent=self, version=metadata.version("pulumi_aws")),
            )
        if (record := args.get("record")) is not None:
            alias_record(f"{name}-record", record, balancer, self)
        return {"load_balancer_arn": balancer.arn, "security_group_id": group.id, "dns_name": balancer.dns_name}

    def _target_group(self, name: str, path: pulumi.Input[str], args: IngressArgs) -> lb.TargetGroup:
        health = args.get("health", {})
        return lb.TargetGroup(
            balancer_logical_name(name),
            vpc_id=args["vpc_id"],
            target_type=args.get("target_type", "instance"),
            protocol="HTTP",
            port=args.get("target_port", 8000),
            deregistration_delay=health.get("drain", 30),
            load_balancing_cross_zone_enabled=None if args.get("cross_zone", True) else "false",
            health_check=health_check(path, health, "traffic-port"),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _test_listener(self, name: str, balancer_arn: pulumi.Input[str], args: IngressArgs) -> dict[str, lb.ListenerRule]:
        """A target group that no listener uses is never checked (`unused`): these rules let an environment become healthy
        before it carries traffic ("Target health status", User Guide for Application Load Balancers)."""
        listener = lb.Listener(
            f"{name}-test",
            load_balancer_arn=balancer_arn,
            port=args.get("test_port", TEST_PORT),
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "text/plain",
                        "message_body": f"Name an environment in the header {TEST_HEADER}.",
                        "status_code": "404",
                    },
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
            **listener_protocol(args.get("certificate_arn")),
        )
        return {env: self._test_rule(name, env, rank, listener) for rank, env in enumerate(self.target_groups, start=1)}

    def _test_rule(self, name: str, environment: str, rank: int, listener: lb.Listener) -> lb.ListenerRule:
        return lb.ListenerRule(
            f"{name}-test-{environment}",
            listener_arn=listener.arn,
            priority=rank * 10,
            conditions=[{"http_header": {"http_header_name": TEST_HEADER, "values": [environment]}}],
            actions=[{"type": "forward", "target_group_arn": self.target_groups[environment].arn}],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _redirect(self, name: str, balancer_arn: pulumi.Input[str], args: IngressArgs) -> None:
        """ "Redirect actions" (User Guide for Application Load Balancers): host, path and query stay as they are."""
        port = ingress_rules.redirect_port(plain(args))
        if port is None:
            return
        target = pulumi.Output.from_input(args.get("port", PORT)).apply(lambda number: str(int(number)))
        lb.Listener(
            f"{name}-redirect",
            load_balancer_arn=balancer_arn,
            port=port,
            protocol="HTTP",
            default_actions=[
                {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": target, "status_code": "HTTP_301"}},
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )


def checked_arns(
    groups: Mapping[str, lb.TargetGroup], checks: Mapping[str, lb.ListenerRule | lb.Listener]
) -> pulumi.Output[dict[str, str]]:
    """ARNs of target groups by environment, known when each has the rule or listener by which its targets are checked: a
    program in another language cannot depend on a child of a component."""
    both = {env: pulumi.Output.all(group.arn, checks[env].arn) for env, group in groups.items()}
    return pulumi.Output.all(**{env: pair.apply(lambda arns: str(arns[0])) for env, pair in both.items()})


def balancer_group(parent: pulumi.Resource, name: str, vpc_id: pulumi.Input[str]) -> ec2.SecurityGroup:
    """A load balancer's security group, through which nothing goes yet."""
    return ec2.SecurityGroup(
        f"{name}-balancer",
        description="Load balancer: users and tests in, the pools out (each pool adds its own rule)",
        vpc_id=vpc_id,
        tags={"Name": f"{name}-balancer"},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def admit_all(parent: pulumi.Resource, name: str, group_id: pulumi.Input[str], args: IngressArgs) -> None:
    """Users and tests of a load balancer of requests."""
    users, redirect = args.get("allowed_cidrs", []), ingress_rules.redirect_port(plain(args))
    admit(parent, f"{name}-users", group_id, users, args.get("port", PORT), "Users")
    if redirect is not None:
        admit(parent, f"{name}-redirect", group_id, users, redirect, "Users, to be sent to HTTPS")
    tests = args.get("test_cidrs", [])
    admit(parent, f"{name}-tests", group_id, tests, args.get("test_port", TEST_PORT), "Tests of either environment")


def admit(
    parent: pulumi.Resource,
    name: str,
    group_id: pulumi.Input[str],
    cidrs: Sequence[str],
    port: pulumi.Input[int],
    description: str,
) -> None:
    """Opens a port to address blocks, a rule each."""
    for cidr in cidrs:
        vpc.SecurityGroupIngressRule(
            f"{name}-{cidr}",
            security_group_id=group_id,
            description=description,
            cidr_ipv4=cidr,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=pulumi.ResourceOptions(parent=parent),
        )


def health_check(path: pulumi.Input[str], health: HealthArgs, port: pulumi.Input[str]) -> lb.TargetGroupHealthCheckArgsDict:
    """A target group's check by HTTP."""
    return {
        "enabled": True,
        "protocol": "HTTP",
        "port": port,
        "path": path,
        "matcher": "200",
        "interval": health.get("interval", 5),
        "timeout": health.get("timeout", 2),
        "healthy_threshold": health.get("healthy_threshold", 2),
        "unhealthy_threshold": health.get("unhealthy_threshold", 2),
    }


def plain(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are known before anything runs, to be judged: one that holds an output is left out. Of a certificate
    and a load balancer that exists it only counts whether there is one."""
    known = {key: value for key, value in args.items() if not arguments.holds_output(value)}
    return known | {key: None if args.get(key) is None else "given" for key in ("certificate_arn", "existing")}


def access_logs(args: AccessLogsArgs | None) -> lb.LoadBalancerAccessLogsArgsDict | None:
    """The load balancer's block; None where it keeps no access logs."""
    return None if args is None else {"enabled": True, **args}


def alias_record(name: str, args: RecordArgs, balancer: lb.LoadBalancer, parent: pulumi.Resource) -> route53.Record:
    """The load balancer's own name under another one. It is the only record of its name: Route 53 answers with it even while
    an empty standby makes the load balancer count as unhealthy ("How Amazon Route 53 chooses records when health checking is
    configured", Amazon Route 53 Developer Guide)."""
    return route53.Record(
        name,
        zone_id=args["zone_id"],
        name=args["name"],
        type="A",
        aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
        opts=pulumi.ResourceOptions(parent=parent),
    )


class ListenerProtocol(TypedDict, total=False):
    """The inputs of a listener that a certificate decides."""

    protocol: str
    ssl_policy: str
    certificate_arn: pulumi.Input[str]
    alpn_policy: str


def listener_protocol(
    certificate_arn: pulumi.Input[str] | None, protocol: str = "HTTP", alpn_policy: str | None = None
) -> ListenerProtocol:
    """`protocol` (HTTP or TCP) as it is without a certificate, HTTPS or TLS with one."""
    if certificate_arn is None:
        return {"protocol": protocol}
    secure: ListenerProtocol = {
        "protocol": ingress_rules.SECURED[protocol],
        "ssl_policy": TLS_POLICY,
        "certificate_arn": certificate_arn,
    }
    return secure if alpn_policy is None else {**secure, "alpn_policy": alpn_policy}
