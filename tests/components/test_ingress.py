from typing import Any

import pytest
from component_args import SERVICE
from recording import AUTO_SUFFIX, Recording, record
from turnout_components.ingress import Ingress

PATHS = {"blue": "/ready?release=sha256:aa", "green": "/ready"}


def ingress(**changes: Any) -> Recording:
    args: Any = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-a", "subnet-b"], "health_paths": PATHS, **changes}

    def program():
        made = Ingress(SERVICE, args)
        return {"groups": made.target_group_arns, "rules": made.test_rule_arns, "security_group": made.security_group_id}

    return record(program)


def test_nobody_gets_in_unless_told():
    made = ingress()
    assert made.all(":SecurityGroupIngressRule") == []
    assert "ingress" not in made.one(":SecurityGroup").inputs


def test_users_and_tests_get_in_where_they_come_from():
    made = ingress(allowed_cidrs=["203.0.113.0/24"], test_cidrs=["10.0.0.0/8"])
    found = [(r.inputs["cidrIpv4"], r.inputs["fromPort"], r.inputs["toPort"]) for r in made.all(":SecurityGroupIngressRule")]
    assert sorted(found) == [("10.0.0.0/8", 8081, 8081), ("203.0.113.0/24", 443, 443)]


def test_the_load_balancer_is_guarded_by_default():
    balancer = ingress(idle_timeout=120).one(":LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["enableDeletionProtection"] is True
    assert balancer["desyncMitigationMode"] == "defensive"
    assert balancer["idleTimeout"] == 120
    assert balancer["internal"] is False


def test_every_environment_is_checked_by_its_own_path():
    made = ingress(target_port=9000, health={"drain": 120, "interval": 10, "timeout": 5})
    groups = {g.name: g.inputs for g in made.all(":TargetGroup")}
    assert sorted(g["healthCheck"]["path"] for g in groups.values()) == sorted(PATHS.values())
    for group in groups.values():
        assert group["port"] == 9000
        assert group["deregistrationDelay"] == 120
        check = group["healthCheck"]
        assert (check["interval"], check["timeout"], check["matcher"]) == (10, 5, "200")


def test_names_fit_the_32_characters_of_load_balancers_and_target_groups():
    made = ingress()
    names = [r.name + AUTO_SUFFIX for end in (":LoadBalancer", ":TargetGroup") for r in made.all(end)]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 32


def test_the_test_listener_answers_404_unless_a_header_names_an_environment():
    made = ingress()
    listener = made.one(":Listener")
    (action,) = listener.inputs["defaultActions"]
    assert (action["type"], action["fixedResponse"]["statusCode"]) == ("fixed-response", "404")
    assert (listener.inputs["port"], listener.inputs["protocol"]) == (8081, "HTTP")
    rules = {r.name: r.inputs for r in made.all(":ListenerRule")}
    assert len(rules) == 2
    for environment in PATHS:
        rule = rules[f"{SERVICE}-test-{environment}"]
        assert rule["conditions"] == [{"httpHeader": {"httpHeaderName": "x-turnout-environment", "values": [environment]}}]
        assert rule["actions"] == [{"type": "forward", "targetGroupArn": made.outputs["groups"][environment]}]
    assert len({rule["priority"] for rule in rules.values()}) == 2


def test_the_production_listener_is_not_here():
    assert len(ingress().all(":Listener")) == 1


@pytest.mark.parametrize("certificate", ["arn:aws:acm:us-east-1:123456789012:certificate/1"])
def test_a_certificate_makes_the_test_listener_speak_tls(certificate):
    listener = ingress(certificate_arn=certificate).one(":Listener").inputs
    assert (listener["protocol"], listener["certificateArn"]) == ("HTTPS", certificate)
    assert listener["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"


def test_outputs_name_target_groups_and_rules_by_environment():
    outputs = ingress().outputs
    assert set(outputs["groups"]) == set(outputs["rules"]) == {"blue", "green"}
    assert all(":targetgroup/" in arn for arn in outputs["groups"].values())
    assert all(":listener-rule/" in arn for arn in outputs["rules"].values())
