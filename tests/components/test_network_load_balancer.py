from typing import Any

import pytest
from component_args import SERVICE
from recording import AUTO_SUFFIX, Recording, record
from turnout_components.network_load_balancer import NetworkLoadBalancer

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
PATHS = {"blue": "/ready?release=sha256:aa", "green": "/ready"}


def balancer(**changes: Any) -> Recording:
    args: Any = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-a", "subnet-b"], "health_paths": PATHS, **changes}

    def program():
        made = NetworkLoadBalancer(SERVICE, args)
        return {
            "groups": made.target_group_arns,
            "listeners": made.test_listener_arns,
            "security_group": made.security_group_id,
        }

    return record(program)


def test_it_is_a_guarded_network_load_balancer_across_zones():
    made = balancer().one(":LoadBalancer").inputs
    assert made["loadBalancerType"] == "network"
    assert made["enableDeletionProtection"] is True
    assert made["enableCrossZoneLoadBalancing"] is True
    assert made["internal"] is False
    assert made["securityGroups"] == [f"{SERVICE}-balancer-id"]
    of_http = {"idleTimeout", "clientKeepAlive", "dropInvalidHeaderFields", "desyncMitigationMode", "enableHttp2"}
    assert not of_http & set(made)


def test_nobody_gets_in_unless_told():
    assert balancer().all(":SecurityGroupIngressRule") == []
    made = balancer(allowed_cidrs=["203.0.113.0/24"], test_cidrs=["10.0.0.0/8"], port=50051)
    found = sorted((r.inputs["cidrIpv4"], r.inputs["fromPort"]) for r in made.all(":SecurityGroupIngressRule"))
    assert found == [("10.0.0.0/8", 8081), ("10.0.0.0/8", 8082), ("203.0.113.0/24", 50051)]


def test_targets_are_reached_by_tcp_and_checked_by_http():
    made = balancer(target_port=50051, health_port=8000, health={"drain": 600})
    for group in made.all(":TargetGroup"):
        assert (group.inputs["protocol"], group.inputs["port"]) == ("TCP", 50051)
        assert group.inputs["deregistrationDelay"] == 600
        assert group.inputs["connectionTermination"] is True
        assert group.inputs["preserveClientIp"] == "true"
        check = group.inputs["healthCheck"]
        assert (check["protocol"], check["port"], check["matcher"]) == ("HTTP", "8000", "200")
    assert sorted(g.inputs["healthCheck"]["path"] for g in made.all(":TargetGroup")) == sorted(PATHS.values())
    assert {g.inputs["healthCheck"]["port"] for g in balancer().all(":TargetGroup")} == {"traffic-port"}


def test_every_environment_has_a_test_listener_so_that_it_is_checked():
    made = balancer()
    listeners = {r.name: r.inputs for r in made.all(":Listener")}
    assert set(listeners) == {f"{SERVICE}-test-blue", f"{SERVICE}-test-green"}
    for environment, port in (("blue", 8081), ("green", 8082)):
        listener = listeners[f"{SERVICE}-test-{environment}"]
        assert (listener["port"], listener["protocol"]) == (port, "TCP")
        assert listener["defaultActions"] == [{"type": "forward", "targetGroupArn": made.outputs["groups"][environment]}]
        assert "certificateArn" not in listener


def test_a_certificate_makes_the_test_listeners_speak_tls():
    made = balancer(certificate_arn=CERTIFICATE, alpn_policy="HTTP2Preferred", test_ports={"blue": 1, "green": 2})
    for listener in made.all(":Listener"):
        assert (listener.inputs["protocol"], listener.inputs["certificateArn"]) == ("TLS", CERTIFICATE)
        assert listener.inputs["alpnPolicy"] == "HTTP2Preferred"
        assert listener.inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert all("alpnPolicy" not in r.inputs for r in balancer(certificate_arn=CERTIFICATE).all(":Listener"))


def test_connections_that_are_silent_for_longer_are_kept_where_it_is_said():
    assert all("tcpIdleTimeoutSeconds" not in r.inputs for r in balancer().all(":Listener"))
    assert {r.inputs["tcpIdleTimeoutSeconds"] for r in balancer(idle_timeout=900).all(":Listener")} == {900}


def test_what_differs_from_the_defaults_is_declared():
    logs = {"bucket": "logs"}
    made = balancer(
        internal=True,
        cross_zone=False,
        preserve_client_ip=False,
        connection_termination=False,
        deletion_protection=False,
        certificate_arn=CERTIFICATE,
        access_logs=logs,
        record={"zone_id": "Z1", "name": "grpc.example.com"},
    )
    found = made.one(":LoadBalancer").inputs
    assert (found["internal"], found["enableCrossZoneLoadBalancing"], found["enableDeletionProtection"]) == (True, False, False)
    assert found["accessLogs"] == {"enabled": True, **logs}
    assert made.one(":Record").inputs["name"] == "grpc.example.com"
    for group in made.all(":TargetGroup"):
        assert (group.inputs["preserveClientIp"], group.inputs["connectionTermination"]) == ("false", False)


def test_names_fit_the_32_characters_of_load_balancers_and_target_groups():
    names = [r.name + AUTO_SUFFIX for end in (":LoadBalancer", ":TargetGroup") for r in balancer().all(end)]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 32


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"access_logs": {"bucket": "logs"}}, "access_logs"),
        ({"alpn_policy": "HTTP2Only"}, "alpn_policy"),
        ({"test_ports": {"blue": 443, "green": 8081}}, "test_ports"),
    ],
)
def test_what_aws_refuses_is_refused_before_anything_is_made(changes, field):
    with pytest.raises(ValueError, match=f"^{field} = "):
        balancer(**changes)
