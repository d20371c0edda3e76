"""What a case of a type's life cycle is, and the inputs and changes of those that need more than a line."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.providers.conftest import World
from turnout.engine.provider import Created, Properties

Drift = Callable[[World, Created], Any]


@dataclass(frozen=True)
class Case:
    """`updates` are applied one after the other; None takes an input out. `drifts` name the input that must show."""

    token: str
    inputs: Callable[[World], Properties]
    updates: Callable[[World], list[Properties]] = lambda _: []
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    computed: frozenset[str] = frozenset()
    """Inputs that the provider takes over where a program does not declare them: no drift shows then."""
    kept: frozenset[str] = frozenset()
    """Inputs that AWS keeps where a later call does not name them: taken out of a program they stay."""
    onward: frozenset[str] = frozenset()
    """Inputs of which AWS refuses to take a change back."""
    stays: bool = False
    """Whether a delete leaves the object to its owner, as the provider does."""


def tag(world: World, made: Created) -> None:
    world.api("ec2").create_tags(Resources=[made.id], Tags=[{"Key": "stranger", "Value": "1"}])


def tag_balancing(world: World, made: Created) -> None:
    world.api("elbv2").add_tags(ResourceArns=[made.id], Tags=[{"Key": "stranger", "Value": "1"}])


def policy(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


TAGS = {"team": "models"}
RETAG: list[Properties] = [{"tags": {"team": "serving", "stage": "a"}}, {"tags": {"stage": "a"}}, {"tags": None}]


def forward(*weights: tuple[str, int]) -> list[Properties]:
    groups = [{"arn": arn, "weight": weight} for arn, weight in weights]
    return [{"type": "forward", "forward": {"targetGroups": groups}}]


def listener(world: World) -> Properties:
    actions = forward((world.target_group(), 100), (world.target_group(), 0))
    return {"loadBalancerArn": world.balancer, "port": 80, "protocol": "HTTP", "defaultActions": actions, "tags": TAGS}


def listener_updates(world: World) -> list[Properties]:
    blue, green = world.target_group(), world.target_group()
    page = {"contentType": "text/plain", "messageBody": "closed", "statusCode": "503"}
    return [
        {"defaultActions": forward((blue, 0), (green, 999))},
        {"defaultActions": [{"type": "forward", "targetGroupArn": blue}]},
        {"defaultActions": [{"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}}]},
        {"defaultActions": [{"type": "fixed-response", "fixedResponse": page}]},
        {"port": 8080},
        *RETAG,
    ]


def rotate_weights(world: World, made: Created) -> None:
    listener = world.api("elbv2").describe_listeners(ListenerArns=[made.id])["Listeners"][0]
    groups = listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    for group in groups:
        group["Weight"] = 100 - group["Weight"]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    world.api("elbv2").modify_listener(ListenerArn=made.id, DefaultActions=[action])


def header(value: str) -> Properties:
    return {"httpHeader": {"httpHeaderName": "x-turnout-environment", "values": [value]}}


def rule_updates(world: World) -> list[Properties]:
    path, host = {"pathPattern": {"values": ["/v1/*"]}}, {"hostHeader": {"values": ["a.example", "b.example"]}}
    return [
        {"priority": 20},
        {"conditions": [header("green"), path]},
        {"conditions": [host, {"httpRequestMethod": {"values": ["GET"]}}, {"sourceIp": {"values": ["10.0.0.0/8"]}}]},
        {"conditions": [{"queryStrings": [{"key": "a", "value": "b"}]}]},
        {"actions": forward((world.target_group(), 1))},
        *RETAG,
    ]


def scaling_group(world: World) -> Properties:
    return {
        "name": world.name("asg"),
        "minSize": 1,
        "maxSize": 3,
        "launchTemplate": {"id": world.template, "version": "1"},
        "vpcZoneIdentifiers": world.subnets[:2],
        "targetGroupArns": [world.target_group()],
        "healthCheckType": "EC2",
        "healthCheckGracePeriod": 30,
        "waitForCapacityTimeout": "0",
        "tags": [{"key": "turnout:service", "value": "digits", "propagateAtLaunch": True}],
    }


def template(world: World) -> Properties:
    return {
        "name": world.name("lt"),
        "imageId": "ami-12c6146b",
        "instanceType": "g5.xlarge",
        "userData": "IyEvYmluL3No",
        "ebsOptimized": "true",
        "monitoring": {"enabled": True},
        "iamInstanceProfile": {"name": "profile"},
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
        "blockDeviceMappings": [
            {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "volumeType": "gp3", "encrypted": "true"}}
        ],
        "networkInterfaces": [{"associatePublicIpAddress": "false", "deviceIndex": 0, "securityGroups": [world.group()]}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"a": "b", "c": "d"}}],
        "updateDefaultVersion": True,
        "tags": TAGS,
    }


def efa(world: World, card: int) -> Properties:
    """A network card with an Elastic Fabric Adapter, of which only the first has an address."""
    kind, index = ("efa", 0) if card == 0 else ("efa-only", 1)
    return {"deviceIndex": index, "networkCardIndex": card, "interfaceType": kind, "securityGroups": [world.group()]}


def template_updates(world: World) -> list[Properties]:
    return [
        {"instanceType": "g6.xlarge"},
        {"userData": "IyEvYmluL2Jhc2g="},
        {"description": "second"},
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
        {"networkInterfaces": None, "vpcSecurityGroupIds": [world.group()]},
        {"instanceMarketOptions": {"marketType": "spot", "spotOptions": {"spotInstanceType": "one-time"}}},
        {
            "instanceMarketOptions": {"marketType": "capacity-block"},
            "capacityReservationSpecification": {
                "capacityReservationTarget": {"capacityReservationId": "cr-0a1b2c3d4e5f60718"}
            },
        },
        {"instanceMarketOptions": None, "capacityReservationSpecification": {"capacityReservationPreference": "open"}},
        {"capacityReservationSpecification": None, "placement": {"groupName": "near", "tenancy": "default"}},
        {
            "placement": None,
            "instanceType": None,
            "instanceRequirements": {
                "vcpuCount": {"min": 4},
                "memoryMib": {"min": 8192, "max": 65536},
                "memoryGibPerVcpu": {"min": 2},
            },
        },
        {"instanceRequirements": None, "instanceType": "p5.48xlarge"},
        {"vpcSecurityGroupIds": None, "networkInterfaces": [efa(world, 0), efa(world, 1)]},
        {"imageId": "ami-0a1b2c3d4e5f60718", "keyName": "of-the-team", "ebsOptimized": "false"},
        {"ebsOptimized": None, "keyName": None, "monitoring": None, "iamInstanceProfile": None},
        {"iamInstanceProfile": {"name": "another"}, "monitoring": {"enabled": False}},
        {"disableApiTermination": True, "instanceInitiatedShutdownBehavior": "terminate"},
        {"disableApiTermination": None, "instanceInitiatedShutdownBehavior": None},
        {"hibernationOptions": {"configured": True}},
        {"hibernationOptions": None, "blockDeviceMappings": [{"deviceName": "/dev/sdb", "ebs": {"volumeSize": 200}}]},
        {"blockDeviceMappings": None, "tagSpecifications": [{"resourceType": "volume", "tags": {"a": "c"}}]},
        {"tagSpecifications": None},
        {"updateDefaultVersion": False, "description": "third"},
        {"updateDefaultVersion": True, "description": "fourth"},
        *RETAG,
    ]


def new_version(world: World, made: Created) -> None:
    world.api("ec2").create_launch_template_version(
        LaunchTemplateId=made.id, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "p5.48xlarge"}
    )


def alarm(world: World) -> Properties:
    return {
        "name": world.name("alarm"),
        "namespace": "AWS/ApplicationELB",
        "metricName": "HTTPCode_Target_5XX_Count",
        "dimensions": {"LoadBalancer": "app/a/1", "TargetGroup": "targetgroup/b/2"},
        "statistic": "Sum",
        "period": 60,
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
        "threshold": 5,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "tags": TAGS,
    }


def topic(name: str) -> str:
    return f"arn:aws:sns:us-east-1:123456789012:{name}"


def alarm_updates(_: World) -> list[Properties]:
    metric = {"metricName": "RequestCount", "namespace": "AWS/ApplicationELB", "period": 60, "stat": "Sum"}
    none = dict.fromkeys(("metricName", "namespace", "statistic", "extendedStatistic", "period", "dimensions"))
    queries = [
        {"id": "rate", "expression": "e / m", "label": "errors", "returnData": True},
        {"id": "e", "metric": {**metric, "metricName": "HTTPCode_Target_5XX_Count", "dimensions": {"LoadBalancer": "app/a/1"}}},
        {"id": "m", "metric": metric},
    ]
    return [
        {"threshold": 6.5, "alarmDescription": "too many"},
        {"statistic": None, "extendedStatistic": "p95"},
        {"actionsEnabled": False, "unit": "Count"},
        {"alarmActions": [topic("a")], "okActions": [topic("b")], "insufficientDataActions": [topic("c")]},
        {"actionsEnabled": None, "alarmActions": None, "okActions": [topic("d")], "insufficientDataActions": None},
        {"comparisonOperator": "LessThanThreshold", "evaluationPeriods": 5, "datapointsToAlarm": 4},
        {"datapointsToAlarm": None, "treatMissingData": "breaching", "unit": None},
        {"treatMissingData": None},
        {"dimensions": {"LoadBalancer": "app/a/1"}},
        {**none, "metricQueries": queries},
        *RETAG,
    ]


def raise_threshold(world: World, made: Created) -> None:
    api = world.api("cloudwatch")
    alarm = api.describe_alarms(AlarmNames=[made.id])["MetricAlarms"][0]
    kept = ("AlarmName", "MetricName", "Namespace", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    kept += ("ComparisonOperator", "TreatMissingData", "DatapointsToAlarm")
    api.put_metric_alarm(**{name: alarm[name] for name in kept}, Threshold=99)


def attach_other(world: World, made: Created) -> None:
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=world.vpc).id
    api = world.api("ec2")
    made_now = api.replace_route_table_association(AssociationId=made.id, RouteTableId=table)
    assert made_now["NewAssociationId"]


def own_policy(world: World) -> str:
    return str(world.api("iam").create_policy(PolicyName=world.name("p"), PolicyDocument=policy("s3:Get*"))["Policy"]["Arn"])


def target_group(world: World) -> Properties:
    return {
        "name": world.name("tg"),
        "port": 8000,
        "protocol": "HTTP",
        "vpcId": world.vpc,
        "targetType": "instance",
        "deregistrationDelay": 30,
        "healthCheck": {
            "path": "/ready?release=sha256:00",
            "interval": 5,
            "timeout": 2,
            "healthyThreshold": 2,
            "unhealthyThreshold": 2,
            "matcher": "200",
            "port": "traffic-port",
            "protocol": "HTTP",
        },
        "tags": TAGS,
    }


def ingress(world: World) -> Properties:
    return {
        "securityGroupId": world.group(),
        "ipProtocol": "tcp",
        "fromPort": 80,
        "toPort": 80,
        "cidrIpv4": "0.0.0.0/0",
        "description": "the world",
        "tags": TAGS,
    }


def rule_by_hand(world: World, made: Created) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIpv4": "0.0.0.0/0"}
    world.api("ec2").modify_security_group_rules(
        GroupId=made.outputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": made.id, "SecurityGroupRule": rule}],
    )
