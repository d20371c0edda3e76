"""For each type every input that cannot change in place, and a change of it."""

from collections.abc import Callable
from typing import Any

from tests.providers.cases_autoscaling import HOOK, PLACEMENT, POLICY, SCHEDULE, group
from tests.providers.cases_dns import ASSOCIATION, CERTIFICATE, RECORD, VALIDATION, validation, web_acl, zone
from tests.providers.cases_eks import (
    ADDON,
    ADMIN,
    CLUSTER,
    ENTRY,
    IDENTITY,
    NODE_GROUP,
    another_cluster,
    another_principal,
    cluster,
    role_arn,
)
from tests.providers.cases_eks import POLICY as ACCESS
from tests.providers.cases_events import POLICY as FILLS
from tests.providers.cases_events import QUEUE, queue
from tests.providers.cases_events import RULE as NOTICE
from tests.providers.cases_events import TARGET as SENT
from tests.providers.cases_events import rule as notice
from tests.providers.cases_functions import FUNCTION, INVOCATIONS, made_function
from tests.providers.cases_functions import SCHEDULE as RECURRENCE
from tests.providers.cases_group import GROUP
from tests.providers.cases_images import LIFECYCLE, REPOSITORY, lifecycle, repository, rule
from tests.providers.cases_images import POLICY as PULLS
from tests.providers.cases_network import ENDPOINT, FLOW_LOG, log_group, role
from tests.providers.cases_secrets import SECRET, key, secret
from tests.providers.cases_storage import BUCKET, bucket
from tests.providers.conftest import World
from tests.providers.samples import own_policy
from turnout.engine.provider import Properties

Change = Callable[[World], Properties]
"""The input's new value, and what must change with it; None takes an input out."""


def named(name: str, form: str = "another-{}") -> Change:
    return lambda w: {name: form.format(w.name())}


def _vpc(w: World) -> str:
    return w.make("aws:ec2/vpc:Vpc", cidrBlock="10.50.0.0/16").id


def _subnet(w: World, vpc: str = "") -> str:
    token, zone = "aws:ec2/subnet:Subnet", "us-east-1d"
    return w.make(token, vpcId=vpc or _vpc(w), cidrBlock="10.50.1.0/24", availabilityZone=zone).id


def _table(w: World) -> str:
    return w.make("aws:ec2/routeTable:RouteTable", vpcId=w.vpc).id


def _interface(w: World) -> str:
    made = w.api("ec2").create_network_interface(SubnetId=w.subnets[0])
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def _listener(w: World) -> str:
    answer = {"statusCode": "404", "contentType": "text/plain"}
    actions = [{"type": "fixed-response", "fixedResponse": answer}]
    token = "aws:lb/listener:Listener"
    return w.make(token, loadBalancerArn=_balancer(w), port=8082, protocol="HTTP", defaultActions=actions).id


def _balancer(w: World) -> str:
    return w.make("aws:lb/loadBalancer:LoadBalancer", name=w.name("lb"), subnets=w.subnets[:2]).id


def _network_balancer(w: World) -> Properties:
    return {"loadBalancerType": "network", "subnets": w.subnets[:1], "idleTimeout": None, "dropInvalidHeaderFields": None}


def _elsewhere(w: World) -> Properties:
    return {"vpcId": _vpc(w), "routeTableIds": []}


def _interface_endpoint(w: World) -> Properties:
    service = "com.amazonaws.us-east-1.ecr.api"
    inside = {"subnetIds": w.subnets[:1], "securityGroupIds": [w.group()]}
    return {"vpcEndpointType": "Interface", "serviceName": service, "routeTableIds": None, "policy": None, **inside}


def _beside(w: World) -> Properties:
    """Two logs of one thing to one destination exclude each other ("CreateFlowLogs": FlowLogAlreadyExists)."""
    return {"logDestination": log_group(w)}


def _secret_value(**value: Any) -> Change:
    return lambda _: {"secretString": None, **value}


_RULE: dict[str, Change] = {
    "securityGroupId": lambda w: {"securityGroupId": w.group()},
    "referencedSecurityGroupId": lambda w: {"referencedSecurityGroupId": w.group(), "cidrIpv4": None},
}
_OF_BUCKET: dict[str, Change] = {"bucket": lambda w: {"bucket": bucket(w)}}

REPLACING: dict[str, dict[str, Change]] = {
    "aws:ec2/vpc:Vpc": {
        "cidrBlock": lambda _: {"cidrBlock": "10.2.0.0/16"},
        "instanceTenancy": lambda _: {"instanceTenancy": "dedicated"},
    },
    "aws:ec2/subnet:Subnet": {
        "vpcId": lambda w: {"vpcId": _vpc(w), "cidrBlock": "10.50.3.0/24"},
        "cidrBlock": lambda _: {"cidrBlock": "10.20.8.0/24"},
        "availabilityZone": lambda _: {"availabilityZone": "us-east-1c", "cidrBlock": "10.20.7.0/24"},
    },
    "aws:ec2/internetGateway:InternetGateway": {},
    "aws:ec2/eip:Eip": {"domain": lambda _: {"domain": None}},
    "aws:ec2/natGateway:NatGateway": {
        "allocationId": lambda w: {"allocationId": w.make("aws:ec2/eip:Eip", domain="vpc").id},
        "subnetId": lambda w: {"subnetId": w.subnets[1], "allocationId": w.make("aws:ec2/eip:Eip", domain="vpc").id},
        "connectivityType": lambda _: {"connectivityType": "private", "allocationId": None},
    },
    "aws:ec2/routeTable:RouteTable": {"vpcId": lambda w: {"vpcId": _vpc(w)}},
    "aws:ec2/route:Route": {
        "routeTableId": lambda w: {"routeTableId": _table(w)},
        "destinationCidrBlock": lambda _: {"destinationCidrBlock": "192.0.2.0/24"},
    },
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {
        "subnetId": lambda w: {"subnetId": w.subnets[1]},
        "routeTableId": lambda w: {"routeTableId": _table(w)},
    },
    ENDPOINT: {
        "vpcId": _elsewhere,
        "serviceName": lambda _: {"serviceName": "com.amazonaws.us-east-1.dynamodb"},
        "vpcEndpointType": _interface_endpoint,
    },
    FLOW_LOG: {
        "vpcId": lambda w: {"vpcId": _vpc(w)},
        "subnetId": lambda w: {"subnetId": w.subnets[0], "vpcId": None},
        "eniId": lambda w: {"eniId": _interface(w), "vpcId": None},
        "trafficType": lambda w: {"trafficType": "REJECT", **_beside(w)},
        "logDestination": lambda w: {"logDestination": log_group(w)},
        "logDestinationType": lambda w: {
            "logDestinationType": "s3",
            "logDestination": f"arn:aws:s3:::{bucket(w)}",
            "iamRoleArn": None,
        },
        "iamRoleArn": lambda w: {"iamRoleArn": role(w), **_beside(w)},
        "maxAggregationInterval": lambda w: {"maxAggregationInterval": 600, **_beside(w)},
        "logFormat": lambda w: {"logFormat": "${srcaddr} ${dstaddr}", **_beside(w)},
    },
    "aws:ec2/securityGroup:SecurityGroup": {
        "name": named("name"),
        "description": lambda _: {"description": "of another pool"},
        "vpcId": lambda w: {"vpcId": _vpc(w)},
    },
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _RULE,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _RULE,
    "aws:ec2/launchTemplate:LaunchTemplate": {"name": named("name")},
    PLACEMENT: {
        "name": named("name"),
        "strategy": lambda _: {"strategy": "spread"},
        "partitionCount": lambda _: {"partitionCount": 3, "strategy": "partition"},
        "spreadLevel": lambda _: {"spreadLevel": "rack", "strategy": "spread"},
    },
    "aws:lb/loadBalancer:LoadBalancer": {
        "name": named("name"),
        "internal": lambda _: {"internal": True},
        "loadBalancerType": _network_balancer,
    },
    "aws:lb/targetGroup:TargetGroup": {
        "name": named("name"),
        "port": lambda _: {"port": 8001},
        "protocol": lambda _: {"protocol": "HTTPS"},
        "protocolVersion": lambda _: {"protocolVersion": "HTTP2"},
        "targetType": lambda _: {"targetType": "ip"},
        "vpcId": lambda w: {"vpcId": _vpc(w)},
    },
    "aws:lb/listener:Listener": {"loadBalancerArn": lambda w: {"loadBalancerArn": _balancer(w)}},
    "aws:lb/listenerRule:ListenerRule": {"listenerArn": lambda w: {"listenerArn": _listener(w)}},
    GROUP: {"name": named("name")},
    POLICY: {"name": named("name"), "autoscalingGroupName": lambda w: {"autoscalingGroupName": group(w)}},
    SCHEDULE: {
        "scheduledActionName": lambda w: {"scheduledActionName": w.name("a"), "recurrence": "0 5 * * *"},
        "autoscalingGroupName": lambda w: {"autoscalingGroupName": group(w)},
    },
    HOOK: {"name": named("name")},
    "aws:iam/role:Role": {"name": named("name"), "path": lambda _: {"path": "/turnout/"}},
    "aws:iam/rolePolicy:RolePolicy": {"name": named("name"), "role": lambda w: {"role": w.role()}},
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
        "role": lambda w: {"role": w.role()},
        "policyArn": lambda w: {"policyArn": own_policy(w)},
    },
    "aws:iam/instanceProfile:InstanceProfile": {"name": named("name"), "path": lambda _: {"path": "/turnout/"}},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"name": named("name")},
    "aws:cloudwatch/logGroup:LogGroup": {"name": named("name", "/turnout/{}")},
    "aws:kms/key:Key": {
        "customerMasterKeySpec": lambda _: {"customerMasterKeySpec": "ECC_NIST_P256", **_SIGNS},
        "keyUsage": lambda _: {"customerMasterKeySpec": "HMAC_256", **_SIGNS, "keyUsage": "GENERATE_VERIFY_MAC"},
        "multiRegion": lambda _: {"multiRegion": True},
    },
    "aws:kms/keyPolicy:KeyPolicy": {"keyId": lambda w: {"keyId": key(w).id}},
    "aws:kms/alias:Alias": {"name": named("name", "alias/turnout/{}")},
    SECRET: {"name": named("name", "turnout/{}")},
    "aws:secretsmanager/secretPolicy:SecretPolicy": {"secretArn": lambda w: {"secretArn": secret(w)}},
    "aws:secretsmanager/secretRotation:SecretRotation": {"secretId": lambda w: {"secretId": secret(w)}},
    "aws:secretsmanager/secretVersion:SecretVersion": {
        "secretId": lambda w: {"secretId": secret(w)},
        "secretString": lambda _: {"secretString": "two", "versionStages": ["AWSCURRENT"]},
        "secretBinary": _secret_value(secretBinary="dHdv", versionStages=["AWSCURRENT"]),
        "secretStringWoVersion": _secret_value(secretStringWo="two", secretStringWoVersion=2, versionStages=["AWSCURRENT"]),
    },
    BUCKET: {
        "bucket": named("bucket", "models-{}"),
        "objectLockEnabled": lambda _: {"objectLockEnabled": True},
    },
    "aws:s3/bucketVersioning:BucketVersioning": _OF_BUCKET,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _OF_BUCKET,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _OF_BUCKET,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _OF_BUCKET,
    "aws:s3/bucketPolicy:BucketPolicy": _OF_BUCKET,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _OF_BUCKET,
    REPOSITORY: {
        "name": named("name", "turnout/{}"),
        "encryptionConfigurations": lambda _: {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
    },
    LIFECYCLE: {
        "repository": lambda w: {"repository": repository(w)},
        "policy": lambda _: {"policy": lifecycle(rule(days=3))},
    },
    PULLS: {"repository": lambda w: {"repository": repository(w)}},
    CERTIFICATE: {
        "domainName": named("domainName", "{}.example"),
        "subjectAlternativeNames": lambda _: {"subjectAlternativeNames": ["d.example"]},
    },
    VALIDATION: {
        "certificateArn": validation,
        "validationRecordFqdns": lambda _: {"validationRecordFqdns": None},
    },
    RECORD: {
        "zoneId": lambda w: {"zoneId": zone(w)[0]},
        "name": lambda _: {"name": "web"},
        "type": lambda _: {"type": "TXT", "records": ["words"]},
    },
    ASSOCIATION: {
        "resourceArn": lambda w: {"resourceArn": _balancer(w)},
        "webAclArn": lambda w: {"webAclArn": web_acl(w)},
    },
    CLUSTER: {
        "name": named("name"),
        "roleArn": lambda w: {"roleArn": role_arn(w)},
        "bootstrapSelfManagedAddons": lambda _: {"bootstrapSelfManagedAddons": True},
        "kubernetesNetworkConfig": lambda _: {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.200.0.0/16"}},
    },
    NODE_GROUP: {
        "clusterName": lambda w: {"clusterName": cluster(w)},
        "nodeGroupName": named("nodeGroupName"),
        "nodeRoleArn": lambda w: {"nodeRoleArn": role_arn(w)},
        "subnetIds": lambda w: {"subnetIds": w.subnets[1:]},
        "amiType": lambda _: {"amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
        "capacityType": lambda _: {"capacityType": "SPOT", "warmPoolConfig": None},
        "diskSize": lambda _: {"diskSize": 100, "launchTemplate": None},
        "instanceTypes": lambda _: {"instanceTypes": ["g6.xlarge"], "launchTemplate": None},
    },
    ADDON: {
        "clusterName": lambda w: {"clusterName": cluster(w)},
        "addonName": lambda _: {"addonName": "kube-proxy", "podIdentityAssociations": None},
    },
    ENTRY: {
        "clusterName": lambda w: {"clusterName": cluster(w)},
        "principalArn": lambda w: {"principalArn": role_arn(w)},
        "type": lambda _: {"type": "EC2_LINUX", "userName": None, "kubernetesGroups": None},
    },
    ACCESS: {
        "clusterName": another_cluster,
        "principalArn": another_principal,
        "policyArn": lambda _: {"policyArn": ADMIN},
        "accessScope": lambda _: {"accessScope": {"type": "cluster"}},
    },
    IDENTITY: {
        "clusterName": lambda w: {"clusterName": cluster(w)},
        "namespace": lambda _: {"namespace": "another"},
        "serviceAccount": lambda _: {"serviceAccount": "digits-green"},
    },
    FUNCTION: {"name": named("name")},
    INVOCATIONS: {"functionName": lambda w: {"functionName": made_function(w)}},
    QUEUE: {"name": named("name")},
    FILLS: {"queueUrl": lambda w: {"queueUrl": queue(w).id}},
    NOTICE: {"name": named("name")},
    SENT: {"rule": lambda w: {"rule": w.make(NOTICE, **notice(w)).id}, "targetId": named("targetId", "another{}")},
    RECURRENCE: {"name": named("name"), "groupName": lambda w: {"groupName": _schedule_group(w)}},
}

_SIGNS: Properties = {"keyUsage": "SIGN_VERIFY", "enableKeyRotation": None}


def _schedule_group(w: World) -> str:
    name = w.name("group")
    w.api("scheduler").create_schedule_group(Name=name)
    return name


NOT_REPLACED: dict[tuple[str, str], str] = {
    (CERTIFICATE, "validationMethod"): "DNS is the only method here: check refuses another",
}
