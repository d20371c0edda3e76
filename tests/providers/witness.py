"""What boto3 itself says of an object, whole and as it stands: the witness against whom a type's reading is held.

Nothing of turnout.providers stands between. What changes by itself (times, states, ids of requests) is left out."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.providers.conftest import World
from tests.providers.witness_events import EVENTS

Witness = Callable[[World, str], Any]

_BY_ITSELF = {"ResponseMetadata", "NextToken", "LastModified", "LastModifiedDate", "LastModificationDate", "RevisionId"}
_BY_ITSELF |= {"LastChangedDate", "LastAccessedDate", "AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "ETag"}
_BY_ITSELF |= {"lastModifiedTimestamp", "LastUpdatedDate", "LastUpdatedTime", "RotationToken", "updatedAt", "Location"}


def witnessed(world: World, token: str, id: str) -> Any:
    """The object of that id as AWS describes it, or None when it is gone."""
    try:
        found = _settled(WITNESSES[token](world, id))
        return {"id": id, "object": found} if found else None
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        gone = ("NotFound", "NoSuch", "NotExist", "Nonexistent", "NonExistent", "DoesNotExist", "Unknown", "404")
        if any(word in code for word in gone) or code == "ValidationError":
            return None
        raise


def _settled(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _settled(value) for name, value in node.items() if name not in _BY_ITSELF and not _intent(value)}
    if isinstance(node, list):
        return [_settled(item) for item in node if not _intent(item)] or None
    return node


def _intent(item: Any) -> bool:
    return isinstance(item, dict) and (item.get("Key") or item.get("TagKey") or item.get("key")) == "turnout:intent"


def _ec2(operation: str, parameter: str, result: str) -> Witness:
    return lambda w, id: getattr(w.api("ec2"), operation)(**{parameter: [id]})[result]


def _api(service: str, operation: str, parameter: str, result: str) -> Witness:
    return lambda w, id: getattr(w.api(service), operation)(**{parameter: id})[result]


def _vpc(w: World, id: str) -> Any:
    api, names = w.api("ec2"), ("enableDnsHostnames", "enableDnsSupport")
    settings = {name: api.describe_vpc_attribute(VpcId=id, Attribute=name)[name[0].upper() + name[1:]] for name in names}
    return {**api.describe_vpcs(VpcIds=[id])["Vpcs"][0], **settings}


def _nat(w: World, id: str) -> Any:
    found = w.api("ec2").describe_nat_gateways(NatGatewayIds=[id])["NatGateways"]
    return [gateway for gateway in found if gateway["State"] != "deleted"]


def _route(w: World, id: str) -> Any:
    table = next(made.outputs for _, made, _ in w.everything if made.id == id)
    found = w.api("ec2").describe_route_tables(RouteTableIds=[table["routeTableId"]])["RouteTables"][0]["Routes"]
    mine = [route for route in found if route.get("DestinationCidrBlock") == table["destinationCidrBlock"]]
    return mine and [table["routeTableId"], mine]


def _association(w: World, id: str) -> Any:
    tables = w.api("ec2").describe_route_tables()["RouteTables"]
    return [one for table in tables for one in table["Associations"] if one["RouteTableAssociationId"] == id]


def _template(w: World, id: str) -> Any:
    api = w.api("ec2")
    versions = api.describe_launch_template_versions(LaunchTemplateId=id, Versions=["$Latest"])["LaunchTemplateVersions"]
    held = {name: versions[0].get(name) for name in ("LaunchTemplateData", "VersionDescription", "DefaultVersion")}
    marks = held["LaunchTemplateData"].get("TagSpecifications") or []  # moto puts the template's own tags among them
    held["LaunchTemplateData"]["TagSpecifications"] = [mark for mark in marks if mark["ResourceType"] != "launch-template"]
    tags = api.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]
    return {**held, "Tags": tags, "Name": versions[0]["LaunchTemplateName"]}


def _flow_log(w: World, id: str) -> Any:
    return w.api("ec2").describe_flow_logs(FlowLogIds=[id])["FlowLogs"]


def _balancing(operation: str, parameter: str, result: str, attributes: str = "", member: str = "") -> Witness:
    def look(w: World, id: str) -> Any:
        api = w.api("elbv2")
        found = {"object": getattr(api, operation)(**{parameter: [id]})[result]}
        found["tags"] = api.describe_tags(ResourceArns=[id])["TagDescriptions"][0]["Tags"]
        if attributes:
            held = {item["Key"]: item["Value"] for item in getattr(api, attributes)(**{member: id})["Attributes"]}
            off = "access_logs.s3." if held.get("access_logs.s3.enabled") == "false" else "-"
            found["attributes"] = {key: value for key, value in held.items() if not key.startswith(off)}
        return found

    return look


def _listener_rule(w: World, id: str) -> Any:
    listener = id.replace(":listener-rule/", ":listener/").rsplit("/", 1)[0]
    return [listener, _balancing("describe_rules", "RuleArns", "Rules")(w, id)]


def _of_group(operation: str, result: str, parameter: str, plural: bool = True) -> Witness:
    """A part of an auto scaling group, whose id is its name alone."""

    def look(w: World, id: str) -> Any:
        group = [made.outputs["autoscalingGroupName"] for _, made, _ in w.everything if made.id == id][-1]
        names = [id] if plural else id
        return getattr(w.api("autoscaling"), operation)(AutoScalingGroupName=group, **{parameter: names})[result]

    return look


def _group(w: World, id: str) -> Any:
    api = w.api("autoscaling")
    (found,) = api.describe_auto_scaling_groups(AutoScalingGroupNames=[id])["AutoScalingGroups"] or [None]
    if found is None:
        return None
    quiet = ("Instances", "Status", "CreatedTime")
    pool = api.describe_warm_pool(AutoScalingGroupName=id).get("WarmPoolConfiguration")
    hooks = api.describe_lifecycle_hooks(AutoScalingGroupName=id)["LifecycleHooks"]
    return {**{name: value for name, value in found.items() if name not in quiet}, "pool": pool, "hooks": hooks}


def _alarm(w: World, id: str) -> Any:
    api = w.api("cloudwatch")
    found = api.describe_alarms(AlarmNames=[id])["MetricAlarms"]
    return found and [found, api.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]]


def _log_group(w: World, id: str) -> Any:
    api = w.api("logs")
    found = [group for group in api.describe_log_groups(logGroupNamePrefix=id)["logGroups"] if group["logGroupName"] == id]
    return found and [found, api.list_tags_log_group(logGroupName=id)["tags"]]


def _profile(w: World, id: str) -> Any:
    return w.api("iam").get_instance_profile(InstanceProfileName=id)["InstanceProfile"]


def _role_policy(w: World, id: str) -> Any:
    role, name = id.split(":", 1)
    return w.api("iam").get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]


def _attached(w: World, id: str) -> Any:
    role, arn = id.split("/", 1)
    found = w.api("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [policy for policy in found if policy["PolicyArn"] == arn]


def _key(w: World, id: str) -> Any:
    api = w.api("kms")
    found = api.describe_key(KeyId=id)["KeyMetadata"]
    if found["KeyState"].startswith("Pending"):
        return None
    turns = api.get_key_rotation_status(KeyId=id) if found["KeySpec"] == "SYMMETRIC_DEFAULT" else {}
    return [found, turns, api.list_resource_tags(KeyId=id)["Tags"], _key_policy(w, id)]


def _key_policy(w: World, id: str) -> Any:
    return w.api("kms").get_key_policy(KeyId=id, PolicyName="default")["Policy"]


def _alias(w: World, id: str) -> Any:
    held = [alias for alias in w.api("kms").list_aliases()["Aliases"] if alias["AliasName"] == id]
    return held and [held, w.api("kms").describe_key(KeyId=held[0]["TargetKeyId"])["KeyMetadata"]["Arn"]]


def _secret(w: World, id: str) -> Any:
    api = w.api("secretsmanager")
    found = api.describe_secret(SecretId=id)
    return None if found.get("DeletedDate") else [found, api.get_resource_policy(SecretId=id).get("ResourcePolicy")]


def _secret_policy(w: World, id: str) -> Any:
    return w.api("secretsmanager").get_resource_policy(SecretId=id).get("ResourcePolicy")


def _version(w: World, id: str) -> Any:
    secret, version = id.split("|", 1)
    found = w.api("secretsmanager").get_secret_value(SecretId=secret, VersionId=version)
    kept = {name: found.get(name) for name in ("ARN", "VersionId", "SecretString", "VersionStages")}
    return {**kept, "SecretBinary": b64encode(found.get("SecretBinary") or b"").decode()}


def _rotation(w: World, id: str) -> Any:
    found = w.api("secretsmanager").describe_secret(SecretId=id)
    kept = {name: found.get(name) for name in ("ARN", "RotationLambdaARN", "RotationRules")}
    return kept if found.get("RotationEnabled") else None


def _bucket(w: World, id: str) -> Any:
    api = w.api("s3")
    if id not in [bucket["Name"] for bucket in api.list_buckets()["Buckets"]]:
        return None
    found: dict[str, Any] = {"name": id}
    for operation, result in (("get_bucket_tagging", "TagSet"), ("get_object_lock_configuration", "ObjectLockConfiguration")):
        try:
            found[result] = getattr(api, operation)(Bucket=id)[result]
        except ClientError:
            found[result] = None
    return {**found, "locked": found["ObjectLockConfiguration"] is not None}


def _setting(operation: str, result: str) -> Witness:
    return lambda w, id: getattr(w.api("s3"), operation)(Bucket=id).get(result)


def _repository(w: World, id: str) -> Any:
    api = w.api("ecr")
    found = api.describe_repositories(repositoryNames=[id])["repositories"][0]
    return [found, api.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]]


def _certificate(w: World, id: str) -> Any:
    api = w.api("acm")
    found = api.describe_certificate(CertificateArn=id)["Certificate"]
    kept = ("DomainName", "SubjectAlternativeNames", "CertificateArn", "DomainValidationOptions", "Type")
    options = [{**option, "ValidationStatus": None} for option in found["DomainValidationOptions"]]
    tags = api.list_tags_for_certificate(CertificateArn=id)["Tags"]
    return [{name: found[name] for name in kept} | {"DomainValidationOptions": options}, tags]


def _issued(w: World, id: str) -> Any:
    found = w.api("acm").describe_certificate(CertificateArn=id)["Certificate"]
    return found["DomainValidationOptions"] if found["Status"] == "ISSUED" else None


def _record(w: World, id: str) -> Any:
    zone, rest = id.split("_", 1)
    name, kind = rest.rsplit("_", 1)
    found = w.api("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [one for one in found if one["Name"] == f"{name}." and one["Type"] == kind]


def _guarded(w: World, id: str) -> Any:
    acl, guarded = id.split(",", 1)
    found = w.api("wafv2").get_web_acl_for_resource(ResourceArn=guarded).get("WebACL")
    return found["ARN"] if found and found["ARN"] == acl else None


def _function(w: World, id: str) -> Any:
    found = w.api("lambda").get_function(FunctionName=id)
    code = {name: value for name, value in found["Configuration"].items() if name not in ("CodeSize", "State")}
    if not (code.get("VpcConfig") or {}).get("SubnetIds"):
        code.pop("VpcConfig", None)  # of a function that was in a VPC, or never
    return [code, found.get("Tags"), found.get("Concurrency")]


def _invocations(w: World, id: str) -> Any:
    return w.api("lambda").get_function_event_invoke_config(FunctionName=id)


def _schedule(w: World, id: str) -> Any:
    group, name = id.split("/", 1)
    return w.api("scheduler").get_schedule(Name=name, GroupName=group)


def _eks(operation: str, result: str, *members: str, apart: str = ":") -> Witness:
    """What EKS describes by the parts of the id, without what it counts and times by itself."""

    def look(w: World, id: str) -> Any:
        of = dict(zip(members, id.split(apart, len(members) - 1), strict=True))
        return _untimed(getattr(w.api("eks"), operation)(**of)[result])

    return look


def _untimed(found: Any) -> Any:
    quiet = ("createdAt", "modifiedAt", "clientRequestToken", "associatedAt", "platformVersion", "externalId")
    return {name: value for name, value in found.items() if name not in quiet}


def _identity(w: World, id: str) -> Any:
    api = w.api("eks")
    clusters = api.list_clusters()["clusters"]
    listed = [one for name in clusters for one in api.list_pod_identity_associations(clusterName=name)["associations"]]
    of = next(({"clusterName": one["clusterName"], "associationId": id} for one in listed if one["associationId"] == id), None)
    return of and _untimed(api.describe_pod_identity_association(**of)["association"])


def _addon(w: World, id: str) -> Any:
    cluster, name = id.split(":", 1)
    found = _untimed(w.api("eks").describe_addon(clusterName=cluster, addonName=name)["addon"])
    ids = [arn.rsplit("/", 1)[1] for arn in found.pop("podIdentityAssociations", [])]
    held = [_identity(w, one) for one in ids]
    return {**found, "identities": [[one["serviceAccount"], one["roleArn"]] for one in held]}


def _access_policy(w: World, id: str) -> Any:
    cluster, principal, policy = id.split("#", 2)
    of = {"clusterName": cluster, "principalArn": principal}
    found = w.api("eks").list_associated_access_policies(**of)["associatedAccessPolicies"]
    return [{**of, **_untimed(one)} for one in found if one["policyArn"] == policy]


WITNESSES: dict[str, Witness] = {
    **EVENTS,
    "aws:ec2/vpc:Vpc": _vpc,
    "aws:ec2/subnet:Subnet": _ec2("describe_subnets", "SubnetIds", "Subnets"),
    "aws:ec2/internetGateway:InternetGateway": _ec2("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
    "aws:ec2/eip:Eip": _ec2("describe_addresses", "AllocationIds", "Addresses"),
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:ec2/routeTable:RouteTable": _ec2("describe_route_tables", "RouteTableIds", "RouteTables"),
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
    "aws:ec2/flowLog:FlowLog": _flow_log,
    "aws:ec2/securityGroup:SecurityGroup": _ec2("describe_security_groups", "GroupIds", "SecurityGroups"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2(
        "describe_security_group_rules", "SecurityGroupRuleIds", "SecurityGroupRules"
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2(
        "describe_security_group_rules", "SecurityGroupRuleIds", "SecurityGroupRules"
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _template,
    "aws:ec2/placementGroup:PlacementGroup": _ec2("describe_placement_groups", "GroupNames", "PlacementGroups"),
    "aws:lb/loadBalancer:LoadBalancer": _balancing(
        "describe_load_balancers",
        "LoadBalancerArns",
        "LoadBalancers",
        "describe_load_balancer_attributes",
        "LoadBalancerArn",
    ),
    "aws:lb/targetGroup:TargetGroup": _balancing(
        "describe_target_groups", "TargetGroupArns", "TargetGroups", "describe_target_group_attributes", "TargetGroupArn"
    ),
    "aws:lb/listener:Listener": _balancing(
        "describe_listeners", "ListenerArns", "Listeners", "describe_listener_attributes", "ListenerArn"
    ),
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
    "aws:autoscaling/group:Group": _group,
    "aws:autoscaling/lifecycleHook:LifecycleHook": _of_group(
        "describe_lifecycle_hooks", "LifecycleHooks", "LifecycleHookNames"
    ),
    "aws:autoscaling/policy:Policy": _of_group("describe_policies", "ScalingPolicies", "PolicyNames"),
    "aws:autoscaling/schedule:Schedule": _of_group(
        "describe_scheduled_actions", "ScheduledUpdateGroupActions", "ScheduledActionNames"
    ),
    "aws:iam/role:Role": _api("iam", "get_role", "RoleName", "Role"),
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attached,
    "aws:iam/instanceProfile:InstanceProfile": _profile,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:kms/key:Key": _key,
    "aws:kms/keyPolicy:KeyPolicy": _key_policy,
    "aws:kms/alias:Alias": _alias,
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretPolicy:SecretPolicy": _secret_policy,
    "aws:secretsmanager/secretVersion:SecretVersion": _version,
    "aws:secretsmanager/secretRotation:SecretRotation": _rotation,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketVersioning:BucketVersioning": _setting("get_bucket_versioning", "Status"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _setting(
        "get_bucket_encryption", "ServerSideEncryptionConfiguration"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _setting(
        "get_public_access_block", "PublicAccessBlockConfiguration"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _setting("get_bucket_ownership_controls", "OwnershipControls"),
    "aws:s3/bucketPolicy:BucketPolicy": _setting("get_bucket_policy", "Policy"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _setting("get_bucket_lifecycle_configuration", "Rules"),
    "aws:ecr/repository:Repository": _repository,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _api("ecr", "get_lifecycle_policy", "repositoryName", "lifecyclePolicyText"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _api("ecr", "get_repository_policy", "repositoryName", "policyText"),
    "aws:acm/certificate:Certificate": _certificate,
    "aws:acm/certificateValidation:CertificateValidation": _issued,
    "aws:route53/record:Record": _record,
    "aws:wafv2/webAclAssociation:WebAclAssociation": _guarded,
    "aws:lambda/function:Function": _function,
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": _invocations,
    "aws:scheduler/schedule:Schedule": _schedule,
    "aws:eks/cluster:Cluster": _eks("describe_cluster", "cluster", "name"),
    "aws:eks/nodeGroup:NodeGroup": _eks("describe_nodegroup", "nodegroup", "clusterName", "nodegroupName"),
    "aws:eks/addon:Addon": _addon,
    "aws:eks/accessEntry:AccessEntry": _eks("describe_access_entry", "accessEntry", "clusterName", "principalArn"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _access_policy,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _identity,
}
