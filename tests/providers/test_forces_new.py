"""What the Pulumi AWS provider replaces an object for, and what this engine does: the same, or a difference with its reason.

pulumi_aws' docstrings say so only where a condition goes with it; the rest is ForceNew, RequiresReplace or CustomizeDiff of
terraform-provider-aws, on which the provider stands."""

import importlib
import inspect
import re

import pytest

from tests.providers.conftest import TYPES, World
from tests.providers.test_metadata import modules
from turnout.engine.provider import ProviderError

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
SAYS = re.compile(r"forces? (?:a )?(?:new resource|recreation|replacement|re-creation)", re.IGNORECASE)
PARAMETER = re.compile(r":param [^:]*?(\w+): (.*)")

REFUSED_INSTEAD = {
    (BALANCER, "securityGroups"): "of a network load balancer, from none to some or back (customizeDiffLoadBalancerNLB)",
    (BALANCER, "subnets"): "of a network load balancer, unless there become more (customizeDiffLoadBalancerNLB)",
    (ENDPOINT, "privateDnsEnabled"): "of a gateway endpoint, which has no private DNS",
}
"""Replaced there under a condition, refused here with a message under the same one: the tests below."""

REPLACED_HERE = {
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", "routeTableId"): "there in place, with a new id",
    ("aws:ec2/vpc:Vpc", "instanceTenancy"): "there in place from dedicated to default (resourceVPCCustomizeDiff)",
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "referencedSecurityGroupId"): "there from a range alone",
    (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "referencedSecurityGroupId",
    ): "there from a range alone",
    ("aws:route53/record:Record", "type"): "there in one batch of changes, with a new id (resourceRecordUpdate)",
}
"""Updated there, at times, and always replaced here: an update of this engine keeps the id, and moto a rule's group."""


def documented(token: str) -> set[str]:
    """The supported inputs whose docstring says that a change forces a replacement."""
    module, name = modules(token)
    found = importlib.import_module(module)
    owner = getattr(found, f"{name}InitArgs", None) or getattr(found, f"{name}Args")
    texts = dict(PARAMETER.findall(inspect.getdoc(owner.__init__) or ""))
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): name for name in TYPES[token].inputs}
    return {name for parameter, name in snake.items() if SAYS.search(texts.get(parameter, ""))}


@pytest.mark.parametrize("token", sorted(TYPES))
def test_what_pulumi_aws_documents_as_replacing_replaces_or_is_refused(token: str) -> None:
    refused = {name for of, name in REFUSED_INSTEAD if of == token}
    assert documented(token) - TYPES[token].replace_on == refused


def test_every_difference_is_of_a_replacing_input() -> None:
    assert all(name in TYPES[token].replace_on for token, name in REPLACED_HERE)


@pytest.mark.parametrize("change", ["fewer", "others", "no groups"])
def test_a_network_load_balancer_that_would_be_replaced_is_refused(life: World, change: str) -> None:
    subnets = [life.subnets[0], life.subnets[1]]
    old = {"name": life.name("nlb"), "loadBalancerType": "network", "subnets": subnets, "securityGroups": [life.group()]}
    made = life.make(BALANCER, **old)
    changes = {"fewer": {"subnets": subnets[:1]}, "others": {"subnets": life.subnets[1:]}, "no groups": {"securityGroups": []}}
    with pytest.raises(ProviderError, match="make another load balancer"):
        TYPES[BALANCER].update(life.config, made.id, old, {**old, **changes[change]}, made.outputs)
    found = TYPES[BALANCER].read(life.config, made.id, old, made.outputs)
    assert found is not None
    assert found.inputs == old


def test_private_dns_of_a_gateway_endpoint_is_refused() -> None:
    inputs = {"vpcId": "vpc-1", "serviceName": "com.amazonaws.us-east-1.s3", "privateDnsEnabled": True}
    assert [fault.property for fault in TYPES[ENDPOINT].check(inputs)] == ["privateDnsEnabled"]
