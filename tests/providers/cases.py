"""For each type: inputs, what may change in place, and how something else changes it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.providers.conftest import TRUST, World
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


def _listener(world: World) -> Properties:
    actions = forward((world.target_group(), 100), (world.target_group(), 0))
    return {"loadBalancerArn": world.balancer, "port": 80, "protocol": "HTTP", "defaultActions": actions, "tags": TAGS}


def _listener_updates(world: World) -> list[Properties]:
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


def _rotate_weights(world: World, made: Created) -> None:
    listener = world.api("elbv2").describe_listeners(ListenerArns=[made.id])["Listeners"][0]
    groups = listener["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    for group in groups:
        group["Weight"] = 100 - group["Weight"]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    world.api("elbv2").modify_listener(ListenerArn=made.id, DefaultActions=[action])


def header(value: str) -> Properties:
    return {"httpHeader": {"httpHeaderName": "x-turnout-environment", "values": [value]}}


def _rule_updates(world: World) -> list[Properties]:
    path, host = {"pathPattern": {"values": ["/v1/*"]}}, {"hostHeader": {"values": ["a.example", "b.example"]}}
    return [
        {"priority": 20},
        {"conditions": [header("green"), path]},
        {"conditions": [host, {"httpRequestMethod": {"values": ["GET"]}}, {"sourceIp": {"values": ["10.0.0.0/8"]}}]},
        {"conditions": [{"queryStrings": [{"key": "a", "value": "b"}]}]},
        {"actions": forward((world.target_group(), 1))},
        *RETAG,
    ]


def _group(world: World) -> Properties:
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


def _group_updates(world: World) -> list[Properties]:
    return [
        {"minSize": 2},
        {"maxSize": 4},
        {"minSize": 0, "maxSize": 0},
        {"launchTemplate": {"id": world.template, "version": "$Latest"}},
        {"vpcZoneIdentifiers": world.subnets[1:]},
        {"targetGroupArns": [world.target_group(), world.target_group()]},
        {"targetGroupArns": []},
        {"healthCheckType": "ELB", "healthCheckGracePeriod": 60},
        {"protectFromScaleIn": True},
        {"protectFromScaleIn": None},
        {"defaultCooldown": 10, "terminationPolicies": ["OldestInstance"]},
        {"tags": [{"key": "a", "value": "b", "propagateAtLaunch": False}]},
        {"tags": None},
    ]


def _resize(world: World, made: Created) -> None:
    world.api("autoscaling").update_auto_scaling_group(AutoScalingGroupName=made.id, MinSize=3)


def _template(world: World) -> Properties:
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


def _template_updates(world: World) -> list[Properties]:
    return [
        {"instanceType": "g6.xlarge"},
        {"userData": "IyEvYmluL2Jhc2g="},
        {"description": "second"},
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
        {"networkInterfaces": None, "vpcSecurityGroupIds": [world.group()]},
        *RETAG,
    ]


def _new_version(world: World, made: Created) -> None:
    world.api("ec2").create_launch_template_version(
        LaunchTemplateId=made.id, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "p5.48xlarge"}
    )


def _alarm(world: World) -> Properties:
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


def _alarm_updates(_: World) -> list[Properties]:
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
        {"dimensions": {"LoadBalancer": "app/a/1"}},
        {**none, "metricQueries": queries},
        *RETAG,
    ]


def _raise_threshold(world: World, made: Created) -> None:
    api = world.api("cloudwatch")
    alarm = api.describe_alarms(AlarmNames=[made.id])["MetricAlarms"][0]
    kept = ("AlarmName", "MetricName", "Namespace", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    kept += ("ComparisonOperator", "TreatMissingData", "DatapointsToAlarm")
    api.put_metric_alarm(**{name: alarm[name] for name in kept}, Threshold=99)


def _attach_other(world: World, made: Created) -> None:
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=world.vpc).id
    api = world.api("ec2")
    made_now = api.replace_route_table_association(AssociationId=made.id, RouteTableId=table)
    assert made_now["NewAssociationId"]


def _own_policy(world: World) -> str:
    return str(world.api("iam").create_policy(PolicyName=world.name("p"), PolicyDocument=policy("s3:Get*"))["Policy"]["Arn"])


def _target_group(world: World) -> Properties:
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


def _ingress(world: World) -> Properties:
    return {
        "securityGroupId": world.group(),
        "ipProtocol": "tcp",
        "fromPort": 80,
        "toPort": 80,
        "cidrIpv4": "0.0.0.0/0",
        "description": "the world",
        "tags": TAGS,
    }


def _rule_by_hand(world: World, made: Created) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIpv4": "0.0.0.0/0"}
    world.api("ec2").modify_security_group_rules(
        GroupId=made.outputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": made.id, "SecurityGroupRule": rule}],
    )


CASES = (
    Case(
        "aws:ec2/vpc:Vpc",
        lambda _: {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
        lambda _: [{"enableDnsSupport": False}, {"enableDnsHostnames": None}, *RETAG],
        {
            "tags": tag,
            "enableDnsHostnames": lambda w, m: w.api("ec2").modify_vpc_attribute(
                VpcId=m.id, EnableDnsHostnames={"Value": False}
            ),
            "enableDnsSupport": lambda w, m: w.api("ec2").modify_vpc_attribute(VpcId=m.id, EnableDnsSupport={"Value": False}),
        },
        ("arn", "defaultRouteTableId", "mainRouteTableId", "defaultSecurityGroupId", "defaultNetworkAclId", "ownerId"),
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        lambda w: {"vpcId": w.vpc, "cidrBlock": "10.20.9.0/24", "availabilityZone": "us-east-1b", "tags": TAGS},
        lambda _: [{"mapPublicIpOnLaunch": True}, {"mapPublicIpOnLaunch": None}, *RETAG],
        {
            "tags": tag,
            "mapPublicIpOnLaunch": lambda w, m: w.api("ec2").modify_subnet_attribute(
                SubnetId=m.id, MapPublicIpOnLaunch={"Value": True}
            ),
        },
        ("arn", "ownerId", "availabilityZoneId"),
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway",
        lambda w: {"vpcId": w.vpc, "tags": TAGS},
        lambda w: [{"vpcId": w.make("aws:ec2/vpc:Vpc", cidrBlock="10.30.0.0/16").id}, *RETAG],
        {
            "tags": tag,
            "vpcId": lambda w, m: w.api("ec2").detach_internet_gateway(InternetGatewayId=m.id, VpcId=m.outputs["vpcId"]),
        },
        ("arn",),
    ),
    Case(
        "aws:ec2/eip:Eip",
        lambda _: {"domain": "vpc", "tags": TAGS},
        lambda _: RETAG,
        {"tags": tag},
        ("publicIp", "allocationId", "arn"),
    ),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda w: {"allocationId": w.address, "subnetId": w.subnets[0], "tags": TAGS},
        lambda _: RETAG,
        {"tags": tag},
        ("publicIp", "privateIp", "networkInterfaceId"),
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        lambda w: {"vpcId": w.vpc, "tags": TAGS},
        lambda _: RETAG,
        {"tags": tag},
        ("arn", "ownerId"),
    ),
    Case(
        "aws:ec2/route:Route",
        lambda w: {"routeTableId": w.table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": w.gateway},
        lambda w: [
            {
                "gatewayId": None,
                "natGatewayId": w.make("aws:ec2/natGateway:NatGateway", allocationId=w.address, subnetId=w.subnets[0]).id,
            }
        ],
        {
            "gatewayId": lambda w, m: w.api("ec2").replace_route(
                RouteTableId=w.table,
                DestinationCidrBlock="0.0.0.0/0",
                NatGatewayId=w.make("aws:ec2/natGateway:NatGateway", allocationId=w.address, subnetId=w.subnets[0]).id,
            )
        },
        ("state", "origin"),
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        lambda w: {"subnetId": w.subnets[0], "routeTableId": w.table},
        drifts={"routeTableId": _attach_other},
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda w: {"name": w.name("group"), "description": "of the pool", "vpcId": w.vpc, "tags": TAGS},
        lambda _: RETAG,
        {"tags": tag},
        ("arn", "ownerId"),
    ),
    Case(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        _ingress,
        lambda w: [{"toPort": 81}, {"description": None}, {"cidrIpv4": "10.0.0.0/8"}, *RETAG],
        {"toPort": _rule_by_hand, "tags": tag},
        ("arn", "securityGroupRuleId"),
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda w: {"securityGroupId": w.group(), "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"},
        lambda _: [{"cidrIpv4": "10.0.0.0/8"}, {"ipProtocol": "udp", "fromPort": 53, "toPort": 53}],
        {"tags": tag},
        ("arn", "securityGroupRuleId"),
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        _template,
        _template_updates,
        {"instanceType": _new_version, "tags": tag},
        ("arn", "latestVersion", "defaultVersion"),
    ),
    Case(
        "aws:lb/loadBalancer:LoadBalancer",
        lambda w: {
            "name": w.name("lb"),
            "internal": False,
            "loadBalancerType": "application",
            "securityGroups": [w.group()],
            "subnets": w.subnets[:2],
            "idleTimeout": 120,
            "dropInvalidHeaderFields": True,
            "tags": TAGS,
        },
        lambda w: [
            {"idleTimeout": 61},
            {"dropInvalidHeaderFields": None, "enableHttp2": False},
            {"enableDeletionProtection": True},
            {"enableDeletionProtection": False},
            {"securityGroups": [w.group(), w.group()]},
            {"subnets": w.subnets},
            *RETAG,
        ],
        {
            "tags": tag_balancing,
            "idleTimeout": lambda w, m: w.api("elbv2").modify_load_balancer_attributes(
                LoadBalancerArn=m.id, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "7"}]
            ),
            "enableHttp2": lambda w, m: w.api("elbv2").modify_load_balancer_attributes(
                LoadBalancerArn=m.id, Attributes=[{"Key": "routing.http2.enabled", "Value": "false"}]
            ),
            "securityGroups": lambda w, m: w.api("elbv2").set_security_groups(LoadBalancerArn=m.id, SecurityGroups=[w.group()]),
        },
        ("arn", "arnSuffix", "dnsName", "zoneId", "vpcId"),
    ),
    Case(
        "aws:lb/targetGroup:TargetGroup",
        _target_group,
        lambda _: [
            {"deregistrationDelay": 5},
            {"deregistrationDelay": None, "slowStart": 30},
            {"slowStart": 0, "loadBalancingAlgorithmType": "least_outstanding_requests"},
            {"stickiness": {"enabled": True, "type": "lb_cookie", "cookieDuration": 60}},
            {"stickiness": {"enabled": False, "type": "lb_cookie"}},
            {"healthCheck": {"path": "/ready", "interval": 10, "timeout": 3}},
            *RETAG,
        ],
        {
            "tags": tag_balancing,
            "healthCheck": lambda w, m: w.api("elbv2").modify_target_group(TargetGroupArn=m.id, HealthCheckPath="/other"),
            "deregistrationDelay": lambda w, m: w.api("elbv2").modify_target_group_attributes(
                TargetGroupArn=m.id, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "9"}]
            ),
            "loadBalancingAlgorithmType": lambda w, m: w.api("elbv2").modify_target_group_attributes(
                TargetGroupArn=m.id, Attributes=[{"Key": "load_balancing.algorithm.type", "Value": "weighted_random"}]
            ),
        },
        ("arn", "arnSuffix"),
    ),
    Case(
        "aws:lb/listener:Listener",
        _listener,
        _listener_updates,
        {"defaultActions": _rotate_weights, "tags": tag_balancing},
        ("arn",),
    ),
    Case(
        "aws:lb/listenerRule:ListenerRule",
        lambda w: {
            "listenerArn": w.listener,
            "priority": 10,
            "conditions": [header("blue")],
            "actions": [{"type": "forward", "targetGroupArn": w.target_group()}],
            "tags": TAGS,
        },
        _rule_updates,
        {
            "tags": tag_balancing,
            "priority": lambda w, m: w.api("elbv2").set_rule_priorities(RulePriorities=[{"RuleArn": m.id, "Priority": 77}]),
        },
        ("arn",),
    ),
    Case(
        "aws:autoscaling/group:Group",
        _group,
        _group_updates,
        {
            "minSize": _resize,
            "tags": lambda w, m: w.api("autoscaling").delete_tags(
                Tags=[{"ResourceId": m.id, "ResourceType": "auto-scaling-group", "Key": "turnout:service"}]
            ),
            "protectFromScaleIn": lambda w, m: w.api("autoscaling").update_auto_scaling_group(
                AutoScalingGroupName=m.id, NewInstancesProtectedFromScaleIn=True
            ),
        },
        ("arn", "desiredCapacity", "availabilityZones"),
    ),
    Case(
        "aws:iam/role:Role",
        lambda w: {"name": w.name("role"), "assumeRolePolicy": TRUST, "description": "of the pool", "tags": TAGS},
        lambda _: [
            {"description": None},
            {"maxSessionDuration": 7200},
            {"assumeRolePolicy": TRUST.replace("ec2", "lambda")},
            *RETAG,
        ],
        {
            "tags": lambda w, m: w.api("iam").untag_role(RoleName=m.id, TagKeys=["team"]),
            "maxSessionDuration": lambda w, m: w.api("iam").update_role(RoleName=m.id, MaxSessionDuration=4000),
            "assumeRolePolicy": lambda w, m: w.api("iam").update_assume_role_policy(
                RoleName=m.id, PolicyDocument=TRUST.replace("ec2", "ecs")
            ),
        },
        ("arn", "uniqueId", "createDate"),
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        lambda w: {"name": w.name("inline"), "role": w.role(), "policy": policy("s3:GetObject")},
        lambda _: [{"policy": policy("s3:*")}],
        {
            "policy": lambda w, m: w.api("iam").put_role_policy(
                RoleName=m.outputs["role"], PolicyName=m.outputs["name"], PolicyDocument=policy("ec2:*")
            )
        },
    ),
    Case("aws:iam/rolePolicyAttachment:RolePolicyAttachment", lambda w: {"role": w.role(), "policyArn": _own_policy(w)}),
    Case(
        "aws:iam/instanceProfile:InstanceProfile",
        lambda w: {"name": w.name("profile"), "role": w.role(), "tags": TAGS},
        lambda w: [{"role": w.role()}, {"role": None}, *RETAG],
        {
            "tags": lambda w, m: w.api("iam").tag_instance_profile(
                InstanceProfileName=m.id, Tags=[{"Key": "stranger", "Value": "1"}]
            ),
            "role": lambda w, m: w.api("iam").remove_role_from_instance_profile(
                InstanceProfileName=m.id, RoleName=m.outputs["role"]
            ),
        },
        ("arn", "uniqueId"),
    ),
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        _alarm,
        _alarm_updates,
        {
            "threshold": _raise_threshold,
            "tags": lambda w, m: w.api("cloudwatch").untag_resource(ResourceARN=m.outputs["arn"], TagKeys=["team"]),
        },
        ("arn",),
    ),
)
