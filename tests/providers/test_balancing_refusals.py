"""What AWS refuses of network load balancers, access logs and listeners that speak TLS."""

import pytest

from tests.providers.cases_balancing import (
    BALANCER,
    LISTENER,
    TARGETS,
    bucket,
    network,
    network_listener,
    tcp_group,
    tcp_target,
    tls_listener,
)
from tests.providers.conftest import TYPES, World
from tests.providers.samples import forward
from turnout.engine.provider import Properties, ProviderError

ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/"
PAGE = {"contentType": "text/plain", "statusCode": "404"}
ALB: Properties = {"name": "l", "subnets": ["subnet-1", "subnet-2"]}
NLB: Properties = {"name": "l", "subnets": ["subnet-1"], "loadBalancerType": "network"}
HTTP: Properties = {"name": "t", "port": 80, "protocol": "HTTP", "vpcId": "vpc-1"}
TCP: Properties = {"name": "t", "port": 80, "protocol": "TCP", "vpcId": "vpc-1"}
PLAIN: Properties = {"loadBalancerArn": "arn:l", "port": 443, "protocol": "TCP", "defaultActions": forward((ARN + "1", 1))}
SECURE: Properties = {**PLAIN, "protocol": "TLS", "certificateArn": "arn:c", "sslPolicy": "p", "alpnPolicy": "HTTP2Only"}


@pytest.mark.parametrize(
    ("token", "good", "changes", "property"),
    [
        (BALANCER, ALB, {"enableCrossZoneLoadBalancing": False}, "enableCrossZoneLoadBalancing"),
        (BALANCER, ALB, {"accessLogs": {"enabled": True}}, "accessLogs.bucket"),
        (BALANCER, ALB, {"accessLogs": {"bucket": "b", "prefix": "a/AWSLogs"}}, "accessLogs.prefix"),
        (BALANCER, ALB, {"accessLogs": {"bucket": "b", "prefix": "/a"}}, "accessLogs.prefix"),
        (BALANCER, ALB, {"accessLogs": {"bucket": "b", "prefix": "a/"}}, "accessLogs.prefix"),
        (BALANCER, ALB, {"accessLogs": {"bucket": "b", "prefix": "a b"}}, "accessLogs.prefix"),
        (BALANCER, ALB, {"clientKeepAlive": 604_801}, "clientKeepAlive"),
        (BALANCER, NLB, {"idleTimeout": 60}, "idleTimeout"),
        (BALANCER, NLB, {"clientKeepAlive": 3600}, "clientKeepAlive"),
        (BALANCER, NLB, {"dropInvalidHeaderFields": True}, "dropInvalidHeaderFields"),
        (TARGETS, HTTP, {"preserveClientIp": "true"}, "preserveClientIp"),
        (TARGETS, HTTP, {"connectionTermination": True}, "connectionTermination"),
        (TARGETS, HTTP, {"healthCheck": {"protocol": "TCP"}}, "healthCheck.protocol"),
        (TARGETS, HTTP, {"healthCheck": {"matcher": "200-599"}}, "healthCheck.matcher"),
        (TARGETS, HTTP, {"healthCheck": {"interval": 10, "timeout": 10}}, "healthCheck.timeout"),
        (TARGETS, HTTP, {"stickiness": {"enabled": True, "type": "source_ip"}}, "stickiness.type"),
        (TARGETS, HTTP, {"loadBalancingCrossZoneEnabled": "no"}, "loadBalancingCrossZoneEnabled"),
        (
            TARGETS,
            {**HTTP, "stickiness": {"enabled": True, "type": "lb_cookie"}},
            {"loadBalancingCrossZoneEnabled": "false"},
            "loadBalancingCrossZoneEnabled",
        ),
        (TARGETS, TCP, {"slowStart": 30}, "slowStart"),
        (TARGETS, TCP, {"loadBalancingAlgorithmType": "round_robin"}, "loadBalancingAlgorithmType"),
        (TARGETS, TCP, {"protocolVersion": "GRPC"}, "protocolVersion"),
        (TARGETS, TCP, {"preserveClientIp": "yes"}, "preserveClientIp"),
        (TARGETS, TCP, {"stickiness": {"enabled": True, "type": "lb_cookie"}}, "stickiness.type"),
        (TARGETS, {**TCP, "protocol": "TLS"}, {"stickiness": {"enabled": True, "type": "source_ip"}}, "stickiness.enabled"),
        (TARGETS, TCP, {"healthCheck": {"path": "/ready"}}, "healthCheck.path"),
        (TARGETS, TCP, {"healthCheck": {"protocol": "TCP", "matcher": "200"}}, "healthCheck.matcher"),
        (TARGETS, TCP, {"healthCheck": {"protocol": "HTTP", "matcher": "600"}}, "healthCheck.matcher"),
        (TARGETS, TCP, {"healthCheck": {"interval": 10, "timeout": 11}}, "healthCheck.timeout"),
        (LISTENER, PLAIN, {"certificateArn": "arn:c"}, "certificateArn"),
        (LISTENER, PLAIN, {"sslPolicy": "p"}, "sslPolicy"),
        (LISTENER, PLAIN, {"alpnPolicy": "HTTP2Only"}, "alpnPolicy"),
        (LISTENER, PLAIN, {"defaultActions": [{"type": "fixed-response", "fixedResponse": PAGE}]}, "defaultActions"),
        (LISTENER, PLAIN, {"tcpIdleTimeoutSeconds": 59}, "tcpIdleTimeoutSeconds"),
        (LISTENER, PLAIN, {"tcpIdleTimeoutSeconds": 6001}, "tcpIdleTimeoutSeconds"),
        (LISTENER, SECURE, {"tcpIdleTimeoutSeconds": 350}, "tcpIdleTimeoutSeconds"),
        (LISTENER, SECURE, {"certificateArn": None}, "certificateArn"),
        (LISTENER, SECURE, {"alpnPolicy": "h2"}, "alpnPolicy"),
        (LISTENER, {**SECURE, "protocol": "HTTPS", "alpnPolicy": None}, {"alpnPolicy": "HTTP2Only"}, "alpnPolicy"),
    ],
)
def test_what_the_inputs_show_is_refused_before_any_call(token, good, changes, property) -> None:
    assert TYPES[token].check(good) == []
    wanted = {name: value for name, value in {**good, **changes}.items() if value is not None}
    assert [fault.property for fault in TYPES[token].check(wanted)] == [property]


def test_a_network_load_balancer_may_stand_in_one_zone_and_check_as_often_as_it_waits() -> None:
    assert TYPES[BALANCER].check(NLB) == []
    assert TYPES[TARGETS].check({**TCP, "healthCheck": {"interval": 10, "timeout": 10}}) == []
    assert TYPES[TARGETS].check({**TCP, "healthCheck": {"protocol": "HTTP", "matcher": "200-599"}}) == []


@pytest.mark.parametrize("allowed", [None, False])
def test_access_logs_need_a_bucket_that_takes_them(allowed, world: World) -> None:
    name = "no-bucket-of-that-name" if allowed is None else bucket(world, allowed)
    inputs = {"name": world.name("lb"), "subnets": world.subnets[:2], "accessLogs": {"enabled": True, "bucket": name}}
    with pytest.raises(ProviderError, match=f"Access Denied for bucket: {name}"):
        world.make(BALANCER, **inputs)
    names = [found["LoadBalancerName"] for found in world.api("elbv2").describe_load_balancers()["LoadBalancers"]]
    assert inputs["name"] not in names


def test_a_protected_load_balancer_is_not_deleted_by_anybody(world: World) -> None:
    inputs = {**network(world), "enableDeletionProtection": True}
    made, kind = world.make(BALANCER, **inputs), TYPES[BALANCER]
    with pytest.raises(ProviderError, match="OperationNotPermitted"):
        kind.delete(world.config, made.id, inputs, made.outputs, 20)
    api = world.api("elbv2")
    with pytest.raises(api.exceptions.OperationNotPermittedException):
        api.delete_load_balancer(LoadBalancerArn=made.id)
    kind.update(world.config, made.id, inputs, {**inputs, "enableDeletionProtection": False}, made.outputs)
    kind.delete(world.config, made.id, inputs, made.outputs, 20)
    assert kind.read(world.config, made.id, inputs, made.outputs) is None


def test_a_network_load_balancer_keeps_to_having_security_groups_or_none(world: World) -> None:
    without = {name: value for name, value in network(world).items() if name != "securityGroups"}
    made, kind = world.make(BALANCER, **without), TYPES[BALANCER]
    with pytest.raises(ProviderError, match="made without security groups"):
        kind.update(world.config, made.id, without, {**without, "securityGroups": [world.group()]}, made.outputs)


def test_listeners_forward_to_groups_of_fitting_protocols_only(world: World) -> None:
    http = forward((world.target_group(), 1))
    with pytest.raises(ProviderError, match="IncompatibleProtocols"):
        world.make(LISTENER, **{**network_listener(world), "defaultActions": http})
    tcp = forward((tcp_target(world), 1))
    with pytest.raises(ProviderError, match="IncompatibleProtocols"):
        world.make(LISTENER, loadBalancerArn=world.balancer, port=80, protocol="HTTP", defaultActions=tcp)
    with pytest.raises(ProviderError, match="IncompatibleProtocols"):
        world.make(LISTENER, **{**tls_listener(world), "defaultActions": http})
    secure = world.make(TARGETS, **tcp_group(world, protocol="TLS")).id
    with pytest.raises(ProviderError, match="IncompatibleProtocols"):
        world.make(LISTENER, **{**network_listener(world), "defaultActions": forward((secure, 1))})


def test_a_network_load_balancer_listens_to_tcp_and_an_application_load_balancer_to_http(world: World) -> None:
    inputs = network_listener(world)
    with pytest.raises(ProviderError, match="rotocol"):
        world.make(LISTENER, **{**inputs, "protocol": "HTTP", "defaultActions": forward((world.target_group(), 1))})
    with pytest.raises(ProviderError, match="rotocol"):
        world.make(LISTENER, **{**inputs, "loadBalancerArn": world.balancer})
