"""A load balancer's rules: what AWS refuses is a fault of one field, what it takes is none."""

from typing import Any

import pytest
from turnout_components.ingress_rules import faults, name_faults, network_faults, redirect_port, refuse
from turnout_components.ingress_rules import test_ports as ports_of

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


def fields(**ingress: Any) -> list[str]:
    return [fault.field for fault in faults(ingress)]


@pytest.mark.parametrize(
    ("ingress", "field"),
    [
        ({"idle_timeout": 0}, "idle_timeout"),
        ({"idle_timeout": 4001}, "idle_timeout"),
        ({"client_keep_alive": 59}, "client_keep_alive"),
        ({"client_keep_alive": 604_801}, "client_keep_alive"),
        ({"server_keep_alive": 60}, "server_keep_alive"),
        ({"idle_timeout": 120, "server_keep_alive": 75}, "server_keep_alive"),
        ({"redirect_port": 80}, "redirect_port"),
        ({"redirect_port": 443, "certificate_arn": CERTIFICATE}, "redirect_port"),
        ({"redirect_port": 8081, "certificate_arn": CERTIFICATE}, "redirect_port"),
        ({"port": 80, "certificate_arn": CERTIFICATE}, "redirect_port"),
        ({"redirect_port": 70_000, "certificate_arn": CERTIFICATE}, "redirect_port"),
        ({"access_logs": {"bucket": ""}}, "access_logs.bucket"),
        ({"access_logs": {"bucket": "logs", "prefix": "a/AWSLogs"}}, "access_logs.prefix"),
        ({"access_logs": {"bucket": "logs", "prefix": "/a"}}, "access_logs.prefix"),
        ({"access_logs": {"bucket": "logs", "prefix": "a/"}}, "access_logs.prefix"),
        ({"access_logs": {"bucket": "logs", "prefix": "{name}"}}, "access_logs.prefix"),
        ({"cross_zone": False, "stickiness": True}, "cross_zone"),
        ({"target_type": "lambda"}, "target_type"),
        ({"subnet_ids": ["subnet-a"]}, "subnet_ids"),
        ({"subnet_ids": ["subnet-a", "subnet-a"]}, "subnet_ids"),
        ({"subnet_ids": ["subnet-a", "subnet-b", "subnet-a"]}, "subnet_ids"),
        ({"record": {"zone_id": "", "name": "a.example.com"}}, "record.zone_id"),
        ({"record": {"zone_id": "Z1", "name": "example com"}}, "record.name"),
        ({"record": {"zone_id": "Z1", "name": "-a.example.com"}}, "record.name"),
    ],
)
def test_what_aws_refuses_is_a_fault_of_its_field(ingress, field):
    assert fields(**ingress) == [field]


@pytest.mark.parametrize(
    "ingress",
    [
        {},
        {"idle_timeout": 1},
        {"idle_timeout": 4000, "client_keep_alive": 60, "server_keep_alive": 4001},
        {"client_keep_alive": 604_800},
        {"server_keep_alive": 61},
        {"redirect_port": None, "port": 80, "certificate_arn": CERTIFICATE},
        {"redirect_port": 8080, "certificate_arn": CERTIFICATE},
        {"access_logs": {"bucket": "logs"}},
        {"access_logs": {"bucket": "logs", "prefix": "turnout/prod.1_a-b"}},
        {"access_logs": {"bucket": "logs", "prefix": None}},
        {"cross_zone": False},
        {"cross_zone": True, "stickiness": True},
        {"subnet_ids": ["subnet-a", "subnet-b"]},
        {"record": {"zone_id": "Z1", "name": "assistant.example.com"}},
        {"record": {"zone_id": "Z1", "name": "*.example.com."}},
    ],
)
def test_what_aws_takes_is_no_fault(ingress):
    assert fields(**ingress) == []


@pytest.mark.parametrize("name", ["internal-llm", "-llm", "llm-", "l_m", "llm.eu", ""])
def test_a_name_that_no_load_balancer_may_have_is_refused(name):
    assert [fault.field for fault in name_faults(name)] == ["name"]


def test_names_of_services_are_fine():
    assert name_faults("llm-2") == []


def test_plain_http_is_redirected_only_where_there_is_tls():
    assert redirect_port({}) is None
    assert redirect_port({"certificate_arn": CERTIFICATE}) == 80
    assert redirect_port({"certificate_arn": CERTIFICATE, "redirect_port": None}) is None
    assert redirect_port({"certificate_arn": CERTIFICATE, "redirect_port": 8080}) == 8080


def test_a_refusal_has_a_line_for_each_fault_that_says_what_to_do():
    with pytest.raises(ValueError, match="idle_timeout") as refused:
        refuse("internal-llm", faults({"idle_timeout": 5000, "server_keep_alive": 65}))
    lines = str(refused.value).splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["name", "idle_timeout", "server_keep_alive"]
    assert "serve with 5015, or set idle_timeout below 65" in lines[2]


PATHS = {"blue": "/ready", "green": "/ready"}


@pytest.mark.parametrize(
    ("balancer", "field"),
    [
        ({"subnet_ids": []}, "subnet_ids"),
        ({"subnet_ids": ["subnet-a", "subnet-a"]}, "subnet_ids"),
        ({"test_ports": {"blue": 8081}}, "test_ports"),
        ({"test_ports": {"blue": 8081, "green": 8081}}, "test_ports"),
        ({"test_ports": {"blue": 443, "green": 8081}}, "test_ports"),
        ({"port": 8082}, "test_ports"),
        ({"idle_timeout": 59}, "idle_timeout"),
        ({"idle_timeout": 6001}, "idle_timeout"),
        ({"idle_timeout": 350, "certificate_arn": CERTIFICATE}, "idle_timeout"),
        ({"alpn_policy": "HTTP2Only"}, "alpn_policy"),
        ({"alpn_policy": "h2", "certificate_arn": CERTIFICATE}, "alpn_policy"),
        ({"access_logs": {"bucket": "logs"}}, "access_logs"),
        ({"access_logs": {"bucket": "logs", "prefix": "/"}, "certificate_arn": CERTIFICATE}, "access_logs.prefix"),
        ({"record": {"zone_id": "Z1", "name": "x"}}, "record.name"),
    ],
)
def test_what_aws_refuses_of_a_network_load_balancer_is_a_fault_of_its_field(balancer, field):
    assert [fault.field for fault in network_faults({"health_paths": PATHS, **balancer})] == [field]


@pytest.mark.parametrize(
    "balancer",
    [
        {},
        {"subnet_ids": ["subnet-a"]},
        {"test_ports": {"blue": 1, "green": 2}},
        {"idle_timeout": 6000},
        {"certificate_arn": CERTIFICATE, "access_logs": {"bucket": "logs"}, "alpn_policy": "HTTP2Preferred"},
    ],
)
def test_what_aws_takes_of_a_network_load_balancer_is_no_fault(balancer):
    assert network_faults({"health_paths": PATHS, **balancer}) == []


def test_each_environment_has_a_port_of_its_own_for_tests():
    assert ports_of({"health_paths": PATHS}) == {"blue": 8081, "green": 8082}
    assert ports_of({"health_paths": PATHS, "test_ports": {"blue": 1, "green": 2}}) == {"blue": 1, "green": 2}
