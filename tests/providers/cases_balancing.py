"""Network load balancers with their target groups and listeners, access logs, and listeners that speak TLS."""

import json
from functools import partial
from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case, forward, tag_balancing
from turnout.engine.provider import Created, Properties

BALANCER, TARGETS, LISTENER = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/targetGroup:TargetGroup", "aws:lb/listener:Listener"


TCP_CHECK: Properties = {"protocol": "TCP", "interval": 30}


def redirect(port: str) -> list[Properties]:
    return [{"type": "redirect", "redirect": {"port": port, "protocol": "HTTPS", "statusCode": "HTTP_301"}}]


def bucket(world: World, allowed: bool = True) -> str:
    """A bucket into which Elastic Load Balancing may write."""
    name, api = world.name("logs"), world.api("s3")
    api.create_bucket(Bucket=name)
    principal = {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    if allowed:
        api.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return name


def certificate(world: World) -> str:
    return str(world.api("acm").request_certificate(DomainName="assistant.example.com")["CertificateArn"])


def attribute(world: World, made: Created, key: str, value: str) -> Any:
    settings = [{"Key": key, "Value": value}]
    if ":targetgroup/" in made.id:
        return world.api("elbv2").modify_target_group_attributes(TargetGroupArn=made.id, Attributes=settings)
    return world.api("elbv2").modify_load_balancer_attributes(LoadBalancerArn=made.id, Attributes=settings)


def tcp_group(world: World, **changes: Any) -> Properties:
    return {
        "name": world.name("tcp"),
        "port": 50051,
        "protocol": "TCP",
        "vpcId": world.vpc,
        "targetType": "instance",
        "deregistrationDelay": 120,
        "preserveClientIp": "true",
        "healthCheck": {
            "protocol": "HTTP",
            "port": "8000",
            "path": "/ready?release=sha256:00",
            "matcher": "200",
            "interval": 5,
            "timeout": 2,
            "healthyThreshold": 2,
            "unhealthyThreshold": 2,
        },
        "tags": TAGS,
        **changes,
    }


def tcp_target(world: World) -> str:
    return world.make(TARGETS, **tcp_group(world)).id


def network(world: World) -> Properties:
    return {
        "name": world.name("nlb"),
        "internal": True,
        "loadBalancerType": "network",
        "securityGroups": [world.group()],
        "subnets": world.subnets[:1],
        "enableCrossZoneLoadBalancing": True,
        "tags": TAGS,
    }


def network_listener(world: World, **changes: Any) -> Properties:
    balancer = world.make(BALANCER, **network(world)).id
    actions = forward((tcp_target(world), 100), (tcp_target(world), 0))
    return {"loadBalancerArn": balancer, "port": 443, "protocol": "TCP", "defaultActions": actions, "tags": TAGS, **changes}


def tls_listener(world: World) -> Properties:
    policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    return network_listener(
        world, protocol="TLS", certificateArn=certificate(world), sslPolicy=policy, alpnPolicy="HTTP2Preferred"
    )


def listener_by_hand(world: World, made: Created, **members: Any) -> Any:
    return world.api("elbv2").modify_listener(ListenerArn=made.id, **members)


def idle_by_hand(world: World, made: Created) -> Any:
    settings = [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]
    return world.api("elbv2").modify_listener_attributes(ListenerArn=made.id, Attributes=settings)


BALANCING = (
    Case(
        BALANCER,
        lambda w: {
            "name": w.name("lb"),
            "subnets": w.subnets[:2],
            "accessLogs": {"enabled": True, "bucket": bucket(w), "prefix": "prod"},
            "clientKeepAlive": 120,
            "enableDeletionProtection": False,
        },
        lambda w: [
            {"clientKeepAlive": 604800},
            {"accessLogs": {"enabled": True, "bucket": bucket(w)}},
            {"accessLogs": None},
            {"accessLogs": {"enabled": True, "bucket": bucket(w), "prefix": "again"}},
            {"accessLogs": {"enabled": False, "bucket": "whatever"}},
            *RETAG,
        ],
        {
            "accessLogs": partial(attribute, key="access_logs.s3.enabled", value="false"),
            "clientKeepAlive": partial(attribute, key="client_keep_alive.seconds", value="60"),
            "enableDeletionProtection": partial(attribute, key="deletion_protection.enabled", value="true"),
        },
        ("arn", "dnsName", "zoneId"),
    ),
    Case(
        BALANCER,
        network,
        lambda w: [
            {"enableCrossZoneLoadBalancing": None},
            {"enableCrossZoneLoadBalancing": True},
            {"enableDeletionProtection": True},
            {"enableDeletionProtection": False},
            {"securityGroups": [w.group(), w.group()]},
            {"subnets": w.subnets},
            *RETAG,
        ],
        {
            "tags": tag_balancing,
            "enableCrossZoneLoadBalancing": partial(attribute, key="load_balancing.cross_zone.enabled", value="false"),
        },
        ("arn", "arnSuffix", "dnsName", "zoneId", "vpcId"),
        onward=frozenset({"subnets"}),
    ),
    Case(
        TARGETS,
        tcp_group,
        lambda _: [
            {"preserveClientIp": "false"},
            {"connectionTermination": True},
            {"connectionTermination": None, "proxyProtocolV2": True},
            {"loadBalancingCrossZoneEnabled": "false"},
            {"stickiness": {"enabled": True, "type": "source_ip"}},
            {"healthCheck": {"protocol": "HTTP", "path": "/ready", "matcher": "200-299", "interval": 10, "timeout": 10}},
            *RETAG,
        ],
        {
            "tags": tag_balancing,
            "preserveClientIp": partial(attribute, key="preserve_client_ip.enabled", value="false"),
            "connectionTermination": partial(
                attribute, key="deregistration_delay.connection_termination.enabled", value="true"
            ),
        },
        ("arn", "arnSuffix"),
    ),
    Case(
        TARGETS,
        lambda w: {"name": w.name("tls"), "port": 443, "protocol": "TLS", "vpcId": w.vpc, "healthCheck": TCP_CHECK},
        lambda _: [{"loadBalancingCrossZoneEnabled": "true"}, {"healthCheck": {"protocol": "TCP", "interval": 10}}],
        outputs=("arn",),
    ),
    Case(
        LISTENER,
        network_listener,
        lambda w: [
            {"defaultActions": forward((tcp_target(w), 0), (tcp_target(w), 100))},
            {"port": 50051},
            {"tcpIdleTimeoutSeconds": 6000},
            {"tcpIdleTimeoutSeconds": None},
            {"protocol": "TLS", "certificateArn": certificate(w), "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"},
            {"protocol": "TCP", "certificateArn": None, "sslPolicy": None},
            *RETAG,
        ],
        {"tags": tag_balancing, "port": partial(listener_by_hand, Port=444), "tcpIdleTimeoutSeconds": idle_by_hand},
        ("arn",),
        computed=frozenset({"sslPolicy"}),
    ),
    Case(
        LISTENER,
        tls_listener,
        lambda w: [
            {"certificateArn": certificate(w)},
            {"alpnPolicy": "HTTP2Only"},
            {"alpnPolicy": None},
            {"sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"},
            *RETAG,
        ],
        {
            "alpnPolicy": partial(listener_by_hand, AlpnPolicy=["HTTP1Only"]),
            "sslPolicy": partial(listener_by_hand, SslPolicy="ELBSecurityPolicy-2016-08"),
        },
        ("arn",),
    ),
    Case(
        LISTENER,
        lambda w: {
            "loadBalancerArn": w.balancer,
            "port": 80,
            "protocol": "HTTP",
            "defaultActions": redirect("443"),
        },
        lambda _: [{"defaultActions": redirect("8443")}],
    ),
)
