"""For each type: inputs, what may change in place, and how something else changes it."""

from tests.providers.cases_autoscaling import AUTO_SCALING
from tests.providers.cases_balancing import BALANCING
from tests.providers.cases_dns import DNS
from tests.providers.cases_eks import EKS
from tests.providers.cases_events import EVENTS
from tests.providers.cases_functions import FUNCTIONS
from tests.providers.cases_images import IMAGES
from tests.providers.cases_network import NETWORK
from tests.providers.cases_secrets import SECRETS
from tests.providers.cases_storage import STORAGE
from tests.providers.conftest import TRUST
from tests.providers.samples import (
    RETAG,
    TAGS,
    Case,
    alarm,
    alarm_updates,
    attach_other,
    header,
    ingress,
    listener,
    listener_updates,
    new_version,
    own_policy,
    policy,
    raise_threshold,
    rotate_weights,
    rule_by_hand,
    rule_updates,
    tag,
    tag_balancing,
    target_group,
    template,
    template_updates,
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
        drifts={"routeTableId": attach_other},
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
        ingress,
        lambda w: [
            {"toPort": 81},
            {"description": None},
            {"cidrIpv4": "10.0.0.0/8"},
            {"ipProtocol": "udp"},
            {"fromPort": 8, "toPort": -1, "ipProtocol": "icmp"},
            *RETAG,
        ],
        {"toPort": rule_by_hand, "tags": tag},
        ("arn", "securityGroupRuleId"),
    ),
    Case(
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda w: {"securityGroupId": w.group(), "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"},
        lambda _: [
            {"cidrIpv4": "10.0.0.0/8"},
            {"ipProtocol": "udp", "fromPort": 53, "toPort": 53},
            {"description": "names"},
            *RETAG,
        ],
        {"tags": tag},
        ("arn", "securityGroupRuleId"),
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        template,
        template_updates,
        {"instanceType": new_version, "tags": tag},
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
            {"desyncMitigationMode": "strictest", "preserveHostHeader": True, "xffHeaderProcessingMode": "preserve"},
            {"desyncMitigationMode": "monitor", "preserveHostHeader": False, "xffHeaderProcessingMode": None},
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
        target_group,
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
        listener,
        listener_updates,
        {"defaultActions": rotate_weights, "tags": tag_balancing},
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
        rule_updates,
        {
            "tags": tag_balancing,
            "priority": lambda w, m: w.api("elbv2").set_rule_priorities(RulePriorities=[{"RuleArn": m.id, "Priority": 77}]),
        },
        ("arn",),
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda w: {"name": f"/turnout/{w.name('log')}", "retentionInDays": 30, "tags": TAGS},
        lambda _: [{"retentionInDays": 7}, {"retentionInDays": None}, *RETAG],
        {
            "retentionInDays": lambda w, m: w.api("logs").put_retention_policy(logGroupName=m.id, retentionInDays=1),
            "tags": lambda w, m: w.api("logs").tag_log_group(logGroupName=m.id, tags={"stranger": "1"}),
        },
        ("arn",),
    ),
    Case(
        "aws:iam/role:Role",
        lambda w: {"name": w.name("role"), "assumeRolePolicy": TRUST, "description": "of the pool", "tags": TAGS},
        lambda w: [
            {"description": None},
            {"permissionsBoundary": own_policy(w)},
            {"permissionsBoundary": None},
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
    Case("aws:iam/rolePolicyAttachment:RolePolicyAttachment", lambda w: {"role": w.role(), "policyArn": own_policy(w)}),
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
        alarm,
        alarm_updates,
        {
            "threshold": raise_threshold,
            "tags": lambda w, m: w.api("cloudwatch").untag_resource(ResourceARN=m.outputs["arn"], TagKeys=["team"]),
        },
        ("arn",),
    ),
    *AUTO_SCALING,
    *BALANCING,
    *NETWORK,
    *SECRETS,
    *STORAGE,
    *IMAGES,
    *DNS,
    *FUNCTIONS,
    *EKS,
    *EVENTS,
)
