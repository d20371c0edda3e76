"""What AWS refuses: faults that the inputs show, and those that only the cloud's state shows."""

import base64
from typing import Any

import pytest

from tests.providers.cases import CASES
from tests.providers.conftest import TRUST, TYPES, World
from tests.providers.samples import forward, header
from turnout.engine.provider import Properties, ProviderError

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
GROUP, TARGETS = "aws:autoscaling/group:Group", "aws:lb/targetGroup:TargetGroup"
BALANCER, LISTENER, RULE = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener", "aws:lb/listenerRule:ListenerRule"
TEMPLATE, ALARM, ROLE = "aws:ec2/launchTemplate:LaunchTemplate", "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:iam/role:Role"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SECURITY = "aws:ec2/securityGroup:SecurityGroup"
ARN = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/"

GOOD: dict[str, Properties] = {
    VPC: {"cidrBlock": "10.0.0.0/16"},
    SUBNET: {"vpcId": "vpc-1", "cidrBlock": "10.0.1.0/24"},
    GROUP: {"name": "g", "minSize": 1, "maxSize": 2, "launchTemplate": {"id": "lt-1"}, "vpcZoneIdentifiers": ["subnet-1"]},
    TARGETS: {"name": "t", "port": 80, "protocol": "HTTP", "vpcId": "vpc-1"},
    BALANCER: {"name": "l", "subnets": ["subnet-1", "subnet-2"]},
    LISTENER: {"loadBalancerArn": "arn:l", "port": 80, "protocol": "HTTP", "defaultActions": forward((ARN + "1", 1))},
    RULE: {"listenerArn": "arn:l", "priority": 1, "conditions": [header("blue")], "actions": forward((ARN + "1", 1))},
    TEMPLATE: {"name": "template"},
    ALARM: {
        "name": "a",
        "namespace": "N",
        "metricName": "M",
        "statistic": "Sum",
        "period": 60,
        "evaluationPeriods": 2,
        "threshold": 1,
        "comparisonOperator": "GreaterThanThreshold",
    },
    ROLE: {"name": "r", "assumeRolePolicy": TRUST},
    INGRESS: {"securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 80, "toPort": 80, "cidrIpv4": "0.0.0.0/0"},
    SECURITY: {"name": "group", "vpcId": "vpc-1"},
}
PAGE = {"statusCode": "302", "contentType": "text/plain"}
REFUSED: tuple[tuple[str, Properties, str], ...] = (
    (VPC, {"cidrBlock": "10.0.0.1/16"}, "cidrBlock"),
    (VPC, {"cidrBlock": "10.0.0.0/8"}, "cidrBlock"),
    (VPC, {"cidrBlock": "ten"}, "cidrBlock"),
    (VPC, {"cidrBlock": None}, "cidrBlock"),
    (VPC, {"instanceTenancy": "shared"}, "instanceTenancy"),
    (SUBNET, {"cidrBlock": "10.0.1.1/24"}, "cidrBlock"),
    (SUBNET, {"cidrBlock": "10.0.1.0/29"}, "cidrBlock"),
    ("aws:ec2/natGateway:NatGateway", {"subnetId": "subnet-1"}, "allocationId"),
    ("aws:ec2/eip:Eip", {"domain": "standard"}, "domain"),
    ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, ""),
    (
        "aws:ec2/route:Route",
        {"routeTableId": "r", "destinationCidrBlock": "10.0.0.1/8", "gatewayId": "i"},
        "destinationCidrBlock",
    ),
    (SECURITY, {"name": "sg-mine"}, "name"),
    (SECURITY, {"description": "naïve"}, "description"),
    (INGRESS, {"cidrIpv4": "10.0.0.1/8"}, "cidrIpv4"),
    (INGRESS, {"referencedSecurityGroupId": "sg-2"}, ""),
    (INGRESS, {"cidrIpv4": None}, ""),
    (INGRESS, {"fromPort": 81}, "fromPort"),
    (INGRESS, {"toPort": 70000}, "toPort"),
    (INGRESS, {"toPort": None}, "toPort"),
    (INGRESS, {"ipProtocol": "-1"}, "fromPort"),
    (TEMPLATE, {"name": "ab"}, "name"),
    (TEMPLATE, {"name": "a b c"}, "name"),
    (TEMPLATE, {"metadataOptions": {"httpTokens": "always"}}, "metadataOptions.httpTokens"),
    (TEMPLATE, {"metadataOptions": {"httpEndpoint": "on"}}, "metadataOptions.httpEndpoint"),
    (TEMPLATE, {"metadataOptions": {"instanceMetadataTags": "yes"}}, "metadataOptions.instanceMetadataTags"),
    (TEMPLATE, {"metadataOptions": {"httpPutResponseHopLimit": 65}}, "metadataOptions.httpPutResponseHopLimit"),
    (TEMPLATE, {"networkInterfaces": [{"deviceIndex": 0}], "vpcSecurityGroupIds": ["sg-1"]}, "vpcSecurityGroupIds"),
    (TEMPLATE, {"userData": "#!/bin/sh"}, "userData"),
    (TEMPLATE, {"userData": base64.b64encode(b"x" * 16385).decode()}, "userData"),
    (TEMPLATE, {"blockDeviceMappings": [{"ebs": {"volumeType": "gp4"}}]}, "blockDeviceMappings[0].ebs.volumeType"),
    (TEMPLATE, {"tagSpecifications": [{"resourceType": "vpc", "tags": {}}]}, "tagSpecifications[0].resourceType"),
    (BALANCER, {"name": "-l"}, "name"),
    (BALANCER, {"name": "internal-l"}, "name"),
    (BALANCER, {"name": "l" * 33}, "name"),
    (BALANCER, {"subnets": ["subnet-1"]}, "subnets"),
    (BALANCER, {"loadBalancerType": "gateway"}, "loadBalancerType"),
    (BALANCER, {"idleTimeout": 0}, "idleTimeout"),
    (BALANCER, {"idleTimeout": 4001}, "idleTimeout"),
    (BALANCER, {"clientKeepAlive": 59}, "clientKeepAlive"),
    (BALANCER, {"desyncMitigationMode": "none"}, "desyncMitigationMode"),
    (TARGETS, {"name": "t" * 33}, "name"),
    (TARGETS, {"name": "t_1"}, "name"),
    (TARGETS, {"name": "t-"}, "name"),
    (TARGETS, {"port": 0}, "port"),
    (TARGETS, {"protocol": "GENEVE"}, "protocol"),
    (TARGETS, {"deregistrationDelay": 3601}, "deregistrationDelay"),
    (TARGETS, {"slowStart": 29}, "slowStart"),
    (TARGETS, {"slowStart": 901}, "slowStart"),
    (TARGETS, {"slowStart": 30, "loadBalancingAlgorithmType": "least_outstanding_requests"}, "slowStart"),
    (TARGETS, {"loadBalancingAlgorithmType": "random"}, "loadBalancingAlgorithmType"),
    (TARGETS, {"healthCheck": {"interval": 4}}, "healthCheck.interval"),
    (TARGETS, {"healthCheck": {"interval": 301}}, "healthCheck.interval"),
    (TARGETS, {"healthCheck": {"timeout": 1}}, "healthCheck.timeout"),
    (TARGETS, {"healthCheck": {"timeout": 10, "interval": 10}}, "healthCheck.timeout"),
    (TARGETS, {"healthCheck": {"healthyThreshold": 1}}, "healthCheck.healthyThreshold"),
    (TARGETS, {"healthCheck": {"unhealthyThreshold": 11}}, "healthCheck.unhealthyThreshold"),
    (TARGETS, {"healthCheck": {"path": "ready"}}, "healthCheck.path"),
    (TARGETS, {"healthCheck": {"matcher": "ok"}}, "healthCheck.matcher"),
    (LISTENER, {"port": 0}, "port"),
    (LISTENER, {"protocol": "UDP"}, "protocol"),
    (LISTENER, {"protocol": "HTTPS"}, "certificateArn"),
    (LISTENER, {"certificateArn": "arn:c"}, "certificateArn"),
    (LISTENER, {"defaultActions": []}, "defaultActions"),
    (LISTENER, {"defaultActions": [{}]}, "defaultActions[0].type"),
    (LISTENER, {"defaultActions": [{"type": "authenticate-oidc"}]}, "defaultActions[0].type"),
    (LISTENER, {"defaultActions": [{"type": "forward"}]}, "defaultActions[0].forward"),
    (LISTENER, {"defaultActions": [{"type": "redirect"}]}, "defaultActions[0].redirect"),
    (
        LISTENER,
        {"defaultActions": [{"type": "fixed-response", "fixedResponse": PAGE}]},
        "defaultActions[0].fixedResponse.statusCode",
    ),
    (LISTENER, {"defaultActions": forward((ARN, 1000))}, "defaultActions[0].forward.targetGroups[0].weight"),
    (LISTENER, {"defaultActions": forward((ARN, -1))}, "defaultActions[0].forward.targetGroups[0].weight"),
    (LISTENER, {"defaultActions": forward((ARN, 1), (ARN, 2))}, "defaultActions[0].forward.targetGroups"),
    (LISTENER, {"defaultActions": forward(*((f"{ARN}{n}", 1) for n in range(6)))}, "defaultActions[0].forward.targetGroups"),
    (LISTENER, {"defaultActions": forward()}, "defaultActions[0].forward.targetGroups"),
    (RULE, {"actions": forward((ARN, 1000))}, "actions[0].forward.targetGroups[0].weight"),
    (RULE, {"priority": 0}, "priority"),
    (RULE, {"priority": 50001}, "priority"),
    (RULE, {"conditions": []}, "conditions"),
    (RULE, {"conditions": [{}]}, "conditions[0]"),
    (RULE, {"conditions": [{"cookie": {"values": ["a"]}}]}, "conditions[0]"),
    (RULE, {"conditions": [{"pathPattern": {"values": []}}]}, "conditions[0].pathPattern"),
    (RULE, {"conditions": [{"pathPattern": {"values": list("abcdef")}}]}, "conditions"),
    (GROUP, {"minSize": 3}, "minSize"),
    (GROUP, {"minSize": -1}, "minSize"),
    (GROUP, {"desiredCapacity": 3}, "desiredCapacity"),
    (GROUP, {"desiredCapacity": 0}, "desiredCapacity"),
    (GROUP, {"healthCheckType": "ALB"}, "healthCheckType"),
    (GROUP, {"name": "a:b"}, "name"),
    (GROUP, {"launchTemplate": {}}, "launchTemplate"),
    (GROUP, {"launchTemplate": {"id": "lt-1", "name": "n"}}, "launchTemplate"),
    (GROUP, {"vpcZoneIdentifiers": []}, "vpcZoneIdentifiers"),
    (GROUP, {"waitForCapacityTimeout": "ten"}, "waitForCapacityTimeout"),
    (ROLE, {"name": "r/1"}, "name"),
    (ROLE, {"name": "r" * 65}, "name"),
    (ROLE, {"assumeRolePolicy": "{"}, "assumeRolePolicy"),
    (ROLE, {"assumeRolePolicy": "{}"}, "assumeRolePolicy"),
    (ROLE, {"maxSessionDuration": 60}, "maxSessionDuration"),
    ("aws:iam/rolePolicy:RolePolicy", {"role": "r", "name": "p", "policy": "no"}, "policy"),
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": "r", "policyArn": "AdministratorAccess"}, "policyArn"),
    ("aws:iam/instanceProfile:InstanceProfile", {"name": "a b"}, "name"),
    (ALARM, {"comparisonOperator": "Above"}, "comparisonOperator"),
    (ALARM, {"statistic": "p95"}, "statistic"),
    (ALARM, {"statistic": None}, "statistic"),
    (ALARM, {"extendedStatistic": "p95"}, "statistic"),
    (ALARM, {"statistic": None, "extendedStatistic": "q95"}, "extendedStatistic"),
    (ALARM, {"period": 61}, "period"),
    (ALARM, {"datapointsToAlarm": 3}, "datapointsToAlarm"),
    (ALARM, {"evaluationPeriods": 1441}, "evaluationPeriods"),
    (ALARM, {"treatMissingData": "skip"}, "treatMissingData"),
    (ALARM, {"metricQueries": []}, "metricName"),
    (ALARM, {"metricName": None, "metricQueries": [{"id": "a"}]}, "metricQueries"),
    (ALARM, {"alarmActions": ["a"] * 6}, "alarmActions"),
)


@pytest.mark.parametrize(("token", "change", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_is_a_fault_of_its_input(token: str, change: Properties, property: str) -> None:
    inputs = {name: value for name, value in {**GOOD.get(token, {}), **change}.items() if value is not None}
    assert property in [fault.property for fault in TYPES[token].check(inputs)]


@pytest.mark.parametrize("token", sorted(GOOD))
def test_good_inputs_have_no_fault(token: str) -> None:
    assert TYPES[token].check(GOOD[token]) == []


class Unknown:
    """Stands for the engine's sentinel: whatever is not plain data is a value that is not known yet."""


@pytest.mark.parametrize("token", sorted(TYPES))
def test_unknown_values_pass_wherever_they_stand(token: str, world: World) -> None:
    case = next(case for case in CASES if case.token == token)
    inputs = case.inputs(world)
    for name in inputs:
        assert TYPES[token].check({**inputs, name: Unknown()}) == []
    assert TYPES[token].check(_blur(inputs)) == []


def _blur(value: Any, depth: int = 0) -> Any:
    """Every leaf below the top is unknown."""
    if isinstance(value, dict):
        return {name: inner if name == "type" else _blur(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_blur(item, depth + 1) for item in value]
    return value if depth < 2 else Unknown()


def refused(world: World, token: str, text: str, **inputs: Any) -> None:
    assert TYPES[token].check(inputs) == []
    with pytest.raises(ProviderError, match=text):
        world.make(token, **inputs)


def listener(world: World, **change: Any) -> Properties:
    good = {"loadBalancerArn": world.balancer, "port": 80, "protocol": "HTTP"}
    return {**good, "defaultActions": forward((world.target_group(), 1)), **change}


def test_a_second_listener_on_a_port_is_refused(world: World) -> None:
    inputs = listener(world)
    world.make(LISTENER, **inputs)
    refused(world, LISTENER, "DuplicateListener", **inputs)


def test_a_listener_may_not_move_to_a_port_in_use(world: World) -> None:
    first = listener(world)
    made = world.make(LISTENER, **first)
    world.make(LISTENER, **{**first, "port": 81})
    with pytest.raises(ProviderError, match="DuplicateListener"):
        TYPES[LISTENER].update(world.config, made.id, first, {**first, "port": 81}, made.outputs)


def test_forwarding_to_a_target_group_that_does_not_exist_is_refused(world: World) -> None:
    missing = world.target_group().replace("targetgroup/tg", "targetgroup/no")
    refused(world, LISTENER, "TargetGroupNotFound", **listener(world, defaultActions=forward((missing, 1))))
    inputs = {"listenerArn": world.listener, "priority": 1, "conditions": [header("blue")]}
    refused(world, RULE, "TargetGroupNotFound", **inputs, actions=forward((missing, 1)))
    made = world.make(LISTENER, **(good := listener(world)))
    with pytest.raises(ProviderError, match="TargetGroupNotFound"):
        TYPES[LISTENER].update(world.config, made.id, good, {**good, "defaultActions": forward((missing, 1))}, made.outputs)


def test_a_rule_priority_in_use_is_refused(world: World) -> None:
    inputs = {"listenerArn": world.listener, "priority": 1, "conditions": [header("blue")]}
    inputs["actions"] = forward((world.target_group(), 1))
    world.make(RULE, **inputs)
    refused(world, RULE, "PriorityInUse", **inputs)


def test_two_subnets_in_one_zone_are_refused(world: World) -> None:
    twin = world.make(SUBNET, vpcId=world.vpc, cidrBlock="10.20.50.0/24", availabilityZone="us-east-1a").id
    refused(world, BALANCER, "one zone", name=world.name(), subnets=[world.subnets[0], twin])


def test_a_subnet_outside_its_vpc_is_refused(world: World) -> None:
    refused(world, SUBNET, r"InvalidSubnet\.Range", vpcId=world.vpc, cidrBlock="10.99.0.0/24")


def test_a_balancer_under_deletion_protection_is_not_deleted(world: World) -> None:
    inputs: Properties = {"name": world.name("lb"), "subnets": world.subnets[:2], "enableDeletionProtection": True}
    made, kind = world.make(BALANCER, **inputs), TYPES[BALANCER]
    with pytest.raises(ProviderError, match="deletion protection"):
        kind.delete(world.config, made.id, inputs, made.outputs, 5)
    assert kind.read(world.config, made.id, inputs, made.outputs) is not None
    kind.update(world.config, made.id, inputs, {**inputs, "enableDeletionProtection": False}, made.outputs)


def test_a_target_group_in_use_is_not_deleted(world: World) -> None:
    inputs = listener(world)
    world.make(LISTENER, **inputs)
    arn = inputs["defaultActions"][0]["forward"]["targetGroups"][0]["arn"]
    with pytest.raises(ProviderError, match="ResourceInUse"):
        TYPES[TARGETS].delete(world.config, arn, {}, {}, 0.2)


def test_a_vpc_with_subnets_is_not_deleted(world: World) -> None:
    assert world.subnets
    with pytest.raises(ProviderError, match="DependencyViolation"):
        TYPES[VPC].delete(world.config, world.vpc, {}, {}, 0.2)


@pytest.mark.parametrize(("token", "prefix"), [(BALANCER, "lb"), (TARGETS, "tg"), (TEMPLATE, "lt"), (ROLE, "role")])
def test_a_name_in_use_is_refused(token: str, prefix: str, world: World) -> None:
    inputs = next(case for case in CASES if case.token == token).inputs(world)
    inputs["name"] = world.name(prefix)
    world.make(token, **inputs)
    refused(world, token, "(Duplicate|AlreadyExists)", **inputs)


@pytest.mark.parametrize(
    "token", ["aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation", INGRESS, GROUP]
)
def test_a_second_object_of_the_same_key_is_refused(token: str, world: World) -> None:
    inputs = next(case for case in CASES if case.token == token).inputs(world)
    world.make(token, **inputs)
    refused(world, token, "(AlreadyExists|AlreadyAssociated|Duplicate)", **inputs)


def test_a_group_needs_a_whole_launch_template_and_living_target_groups(world: World) -> None:
    good = next(case for case in CASES if case.token == GROUP).inputs(world)
    bare = world.make(TEMPLATE, name=world.name("lt"), imageId="ami-12c6146b").id
    refused(world, GROUP, "no InstanceType", **{**good, "launchTemplate": {"id": bare}})
    empty = world.make(TEMPLATE, name=world.name("lt"), instanceType="g5.xlarge").id
    refused(world, GROUP, "no ImageId", **{**good, "launchTemplate": {"id": empty}})
    missing = world.target_group().replace("targetgroup/tg", "targetgroup/no")
    refused(world, GROUP, "does not exist", **{**good, "targetGroupArns": [missing]})
