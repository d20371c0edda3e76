from typing import Any

import pulumi
import pytest
from component_args import SERVICE
from pulumi_aws import autoscaling
from recording import AUTO_SUFFIX, ELB, Recording, record
from turnout_components.ingress import Ingress

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
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


def opened(made: Recording) -> list[tuple[str, int]]:
    return sorted((r.inputs["cidrIpv4"], r.inputs["fromPort"]) for r in made.all(":SecurityGroupIngressRule"))


def test_with_a_certificate_plain_http_is_sent_to_https():
    made = ingress(certificate_arn=CERTIFICATE, port=8443, allowed_cidrs=["203.0.113.0/24"])
    listener = made.one(":Listener", "-redirect").inputs
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    (action,) = listener["defaultActions"]
    assert action == {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "8443", "statusCode": "HTTP_301"}}
    assert opened(made) == [("203.0.113.0/24", 80), ("203.0.113.0/24", 8443)]


@pytest.mark.parametrize("changes", [{}, {"certificate_arn": CERTIFICATE, "redirect_port": None}, {"certificate_arn": None}])
def test_nothing_redirects_without_a_certificate_or_when_told_not_to(changes):
    made = ingress(allowed_cidrs=["203.0.113.0/24"], **changes)
    assert len(made.all(":Listener")) == 1
    assert opened(made) == [("203.0.113.0/24", 443)]


def test_a_certificate_that_is_not_known_yet_redirects_too():
    made = ingress(certificate_arn=pulumi.Output.from_input(CERTIFICATE), redirect_port=8080)
    assert made.one(":Listener", "-redirect").inputs["port"] == 8080


def test_an_internal_load_balancer_is_internal():
    assert ingress(internal=True).one(":LoadBalancer").inputs["internal"] is True


def test_access_logs_go_to_the_bucket_that_is_given():
    assert "accessLogs" not in ingress().one(":LoadBalancer").inputs
    logs = ingress(access_logs={"bucket": "logs", "prefix": "prod"}).one(":LoadBalancer").inputs["accessLogs"]
    assert logs == {"enabled": True, "bucket": "logs", "prefix": "prod"}


def test_a_clients_connection_has_an_end():
    assert ingress().one(":LoadBalancer").inputs["clientKeepAlive"] == 3600
    assert ingress(client_keep_alive=120).one(":LoadBalancer").inputs["clientKeepAlive"] == 120


def test_a_web_acl_stands_before_the_load_balancer():
    assert ingress().all(":WebAclAssociation") == []
    made = ingress(web_acl_arn="arn:acl").one(":WebAclAssociation").inputs
    assert made["webAclArn"] == "arn:acl"
    assert ":loadbalancer/" in made["resourceArn"]


def test_cross_zone_is_turned_off_at_the_target_groups_only():
    assert all("loadBalancingCrossZoneEnabled" not in g.inputs for g in ingress().all(":TargetGroup"))
    made = ingress(cross_zone=False)
    assert [g.inputs["loadBalancingCrossZoneEnabled"] for g in made.all(":TargetGroup")] == ["false", "false"]
    assert "enableCrossZoneLoadBalancing" not in made.one(":LoadBalancer").inputs


def test_targets_are_instances_or_the_addresses_of_pods():
    assert {g.inputs["targetType"] for g in ingress().all(":TargetGroup")} == {"instance"}
    assert {g.inputs["targetType"] for g in ingress(target_type="ip").all(":TargetGroup")} == {"ip"}
    with pytest.raises(ValueError, match="target_type = .alb.: is nothing that a release runs on; write instance, or ip"):
        ingress(target_type="alb")


def test_a_record_is_an_alias_of_the_load_balancer():
    assert ingress().all(":Record") == []
    made = ingress(record={"zone_id": "Z1", "name": "llm.example.com"})
    record = made.one(":Record").inputs
    assert (record["zoneId"], record["name"], record["type"]) == ("Z1", "llm.example.com", "A")
    (alias,) = record["aliases"]
    assert alias["evaluateTargetHealth"] is True
    assert alias["name"].endswith(".elb.amazonaws.com")
    assert alias["zoneId"] == "Z35SXDOTRQ7X7K"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"idle_timeout": 60, "server_keep_alive": 30}, "server_keep_alive"),
        ({"redirect_port": 80}, "redirect_port"),
        ({"subnet_ids": ["subnet-a"]}, "subnet_ids"),
        ({"access_logs": {"bucket": pulumi.Output.from_input("logs"), "prefix": "/x"}, "idle_timeout": 5000}, "idle_timeout"),
    ],
)
def test_what_aws_refuses_is_refused_before_anything_is_made(changes, field):
    with pytest.raises(ValueError, match=f"^{field} = "):
        ingress(**changes)


def test_the_production_listener_is_not_here():
    assert len(ingress().all(":Listener")) == 1


def test_a_certificate_makes_the_test_listener_speak_tls():
    listener = ingress(certificate_arn=CERTIFICATE).one(":Listener", "-test").inputs
    assert (listener["protocol"], listener["certificateArn"]) == ("HTTPS", CERTIFICATE)
    assert listener["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"


def test_outputs_name_target_groups_and_rules_by_environment():
    outputs = ingress().outputs
    assert set(outputs["groups"]) == set(outputs["rules"]) == {"blue", "green"}
    assert all(":targetgroup/" in arn for arn in outputs["groups"].values())
    assert all(":listener-rule/" in arn for arn in outputs["rules"].values())


EXISTING = {
    "load_balancer_arn": f"{ELB}:loadbalancer/app/theirs/50dc6c495c0c9188",
    "security_group_id": "sg-theirs",
    "dns_name": "theirs",
}


def beside(**changes: Any) -> Recording:
    args: Any = {"vpc_id": "vpc-1", "health_paths": PATHS, "existing": EXISTING, "allowed_cidrs": ["10.0.0.0/8"], **changes}

    def program():
        made = Ingress("svc", args)
        return {key: getattr(made, key) for key in ("load_balancer_arn", "dns_name", "security_group_id", "target_group_arns")}

    return record(program)


def test_a_load_balancer_that_exists_gets_target_groups_and_a_test_listener():
    made = beside(test_port=9001)
    assert not made.all(":LoadBalancer")
    assert not made.all(":SecurityGroup")
    assert len(made.all(":TargetGroup")) == 2
    assert made.one(":Listener").inputs["loadBalancerArn"] == EXISTING["load_balancer_arn"]
    assert made.one(":Listener").inputs["port"] == 9001
    assert {rule.inputs["securityGroupId"] for rule in made.all(":SecurityGroupIngressRule")} == {"sg-theirs"}
    assert {key: made.outputs[key] for key in EXISTING} == EXISTING


def test_a_load_balancer_that_exists_may_be_another_components():
    given = {key: pulumi.Output.from_input(value) for key, value in EXISTING.items()}
    assert len(beside(existing=given, certificate_arn="arn:certificate").all(":Listener")) == 1, "no redirect of its own"


@pytest.mark.parametrize("changes", [{"subnet_ids": ["a", "b"]}, {"idle_timeout": 120}, {"deletion_protection": False}])
def test_what_describes_a_load_balancer_is_refused_of_one_that_exists(changes):
    with pytest.raises(ValueError, match=f"^{next(iter(changes))} = .*: describes a load balancer of its own"):
        beside(**changes)


def test_without_one_that_exists_subnets_are_demanded():
    with pytest.raises(ValueError, match="^subnet_ids = None: is missing; give a subnet"):
        beside(existing=None)


def test_who_takes_a_target_group_from_the_outputs_comes_after_its_test_rule():
    def program():
        made = Ingress("svc", {"vpc_id": "vpc-1", "subnet_ids": ["a", "b"], "health_paths": PATHS})
        autoscaling.Group("group", max_size=1, min_size=1, target_group_arns=[made.target_group_arns["blue"]])

    assert "svc-test-blue" in record(program).one("autoscaling/group:Group").dependencies
