"""EKS: cluster, node group, add-on, access entry and policy, pod identity."""

import json
from typing import Any

from tests.providers.cases_storage import key
from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Created, Properties

CLUSTER, NODE_GROUP, ADDON = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"
ENTRY, POLICY = "aws:eks/accessEntry:AccessEntry", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
VIEW, ADMIN = (f"arn:aws:eks::aws:cluster-access-policy/AmazonEKS{kind}Policy" for kind in ("View", "ClusterAdmin"))
PRIVATE = {"endpointPrivateAccess": True, "endpointPublicAccess": False}
OPEN = {"endpointPrivateAccess": True, "endpointPublicAccess": True, "publicAccessCidrs": ["192.0.2.0/24"]}


def role_arn(w: World) -> str:
    return f"arn:aws:iam::123456789012:role/{w.role()}"


def network(w: World, **changes: Any) -> Properties:
    return {"subnetIds": w.subnets[:2], "securityGroupIds": [], **PRIVATE, **changes}


def plain_cluster(w: World, **changes: Any) -> Created:
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    given = {"name": w.name("cluster"), "roleArn": role_arn(w), "vpcConfig": network(w), "accessConfig": access}
    return w.make(CLUSTER, **{**given, **changes})


def cluster(w: World) -> str:
    return plain_cluster(w).id


def of_cluster(operation: str, **change: Any) -> Any:
    return lambda w, m: getattr(w.api("eks"), operation)(name=m.id, **change)


def template(w: World, **data: Any) -> Created:
    return w.make(TEMPLATE, name=w.name("lt"), **{"instanceType": "g5.xlarge", **data})


def node_group(w: World, **changes: Any) -> Properties:
    made = {
        "clusterName": cluster(w),
        "nodeGroupName": w.name("gpu"),
        "nodeRoleArn": role_arn(w),
        "subnetIds": w.subnets[:2],
        "scalingConfig": {"minSize": 1, "desiredSize": 2, "maxSize": 4},
        "amiType": "AL2023_x86_64_NVIDIA",
        "capacityType": "ON_DEMAND",
        "launchTemplate": {"id": template(w).id, "version": "1"},
        "labels": {"turnout.dev/pool": "gpu", "tier": "a"},
        "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
        "updateConfig": {"maxUnavailable": 1},
        "nodeRepairConfig": {"enabled": True},
        "warmPoolConfig": {"poolState": "STOPPED", "minSize": 1, "maxGroupPreparedCapacity": 6},
        "tags": TAGS,
    }
    return {**made, **changes}


def node_group_updates(w: World) -> list[Properties]:
    used = next(made.id for kind, made, _ in reversed(w.made) if kind.token == TEMPLATE)
    w.api("ec2").create_launch_template_version(LaunchTemplateId=used, LaunchTemplateData={"InstanceType": "g6.xlarge"})
    more = [{"key": "nvidia.com/gpu", "effect": "NO_EXECUTE"}, {"key": "team", "value": "b", "effect": "PREFER_NO_SCHEDULE"}]
    return [
        {"labels": {"turnout.dev/pool": "gpu", "tier": "b", "zone": "c"}},
        {"labels": {"zone": "c"}},
        {"labels": None},
        {"taints": more},
        {"taints": None},
        {"taints": more[:1]},
        {"scalingConfig": {"minSize": 0, "desiredSize": 3, "maxSize": 8}},
        {"updateConfig": {"maxUnavailablePercentage": 33}},
        {"updateConfig": {"maxUnavailable": 2, "updateStrategy": "MINIMAL"}},
        {"nodeRepairConfig": {"enabled": False}},
        {"nodeRepairConfig": {"enabled": True, "maxUnhealthyNodeThresholdPercentage": 20, "maxParallelNodesRepairedCount": 1}},
        {"warmPoolConfig": {"poolState": "RUNNING", "reuseOnScaleIn": True, "minSize": 2}},
        {"warmPoolConfig": None},
        {"warmPoolConfig": {"poolState": "STOPPED"}},
        {"launchTemplate": {"id": used, "version": "2"}},
        {"releaseVersion": "1.34.2-20260202"},
        {"version": "1.34"},
        *RETAG,
    ]


def of_group(**change: Any) -> Any:
    def drift(w: World, made: Created) -> None:
        cluster, group = made.id.split(":", 1)
        w.api("eks").update_nodegroup_config(clusterName=cluster, nodegroupName=group, **change)

    return drift


def addon(w: World) -> Properties:
    return {
        "clusterName": cluster(w),
        "addonName": "vpc-cni",
        "addonVersion": "v1.20.0-eksbuild.1",
        "configurationValues": json.dumps({"enableNetworkPolicy": "true"}),
        "resolveConflictsOnCreate": "OVERWRITE",
        "resolveConflictsOnUpdate": "OVERWRITE",
        "podIdentityAssociations": [{"roleArn": role_arn(w), "serviceAccount": "aws-node"}],
        "tags": TAGS,
    }


def addon_updates(w: World) -> list[Properties]:
    return [
        {"addonVersion": "v1.20.1-eksbuild.3"},
        {"configurationValues": json.dumps({"enableNetworkPolicy": "false"})},
        {"podIdentityAssociations": [{"roleArn": role_arn(w), "serviceAccount": "aws-node"}]},
        {"podIdentityAssociations": None},
        {"addonVersion": None},
        {"configurationValues": None},
        *RETAG,
    ]


def entry(w: World) -> Properties:
    return {
        "clusterName": cluster(w),
        "principalArn": role_arn(w),
        "kubernetesGroups": ["operators"],
        "userName": "ops:{{SessionName}}",
        "tags": TAGS,
    }


def of_entry(made: Created) -> dict[str, str]:
    cluster, principal = made.id.split(":", 1)
    return {"clusterName": cluster, "principalArn": principal}


def association(w: World) -> Properties:
    name, principal = cluster(w), role_arn(w)
    w.make(ENTRY, clusterName=name, principalArn=principal)
    scope = {"type": "namespace", "namespaces": ["digits"]}
    return {"clusterName": name, "principalArn": principal, "policyArn": VIEW, "accessScope": scope}


def another_principal(w: World) -> Properties:
    """A principal that has its entry in the case's cluster already."""
    name = next(made.id for kind, made, _ in reversed(w.made) if kind.token == CLUSTER)
    return {"principalArn": w.make(ENTRY, clusterName=name, principalArn=role_arn(w)).outputs["principalArn"]}


def another_cluster(w: World) -> Properties:
    principal = next(made.outputs["principalArn"] for kind, made, _ in reversed(w.made) if kind.token == ENTRY)
    name = cluster(w)
    w.make(ENTRY, clusterName=name, principalArn=principal)
    return {"clusterName": name}


def identity(w: World) -> Properties:
    return {
        "clusterName": cluster(w),
        "namespace": "digits",
        "serviceAccount": "digits-blue",
        "roleArn": role_arn(w),
        "disableSessionTags": True,
        "policy": _reads("s3:GetObject"),
        "tags": TAGS,
    }


def _reads(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def rebind(w: World, made: Created) -> None:
    of = {"clusterName": made.outputs["clusterName"], "associationId": made.id}
    w.api("eks").update_pod_identity_association(**of, roleArn=role_arn(w))


def strange(member: str) -> Any:
    return lambda w, m: w.api("eks").tag_resource(resourceArn=m.outputs[member], tags={"stranger": "1"})


EKS = (
    Case(
        CLUSTER,
        lambda w: {
            "name": w.name("cluster"),
            "roleArn": role_arn(w),
            "version": "1.33",
            "vpcConfig": network(w, securityGroupIds=[w.group()]),
            "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False},
            "bootstrapSelfManagedAddons": False,
            "enabledClusterLogTypes": ["api", "audit"],
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16"},
            "upgradePolicy": {"supportType": "STANDARD"},
            "tags": TAGS,
        },
        lambda w: [
            {"enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"]},
            {"enabledClusterLogTypes": None},
            {"vpcConfig": network(w, **OPEN)},
            {"vpcConfig": network(w, **OPEN, subnetIds=w.subnets, securityGroupIds=[w.group()])},
            {"zonalShiftConfig": {"enabled": True}},
            {"zonalShiftConfig": None},
            {"upgradePolicy": {"supportType": "EXTENDED"}},
            {"upgradePolicy": None},
            {"deletionProtection": True},
            {"deletionProtection": None},
            {"accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}},
            {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": key(w)}}},
            {"version": "1.34"},
            *RETAG,
        ],
        {
            "enabledClusterLogTypes": of_cluster(
                "update_cluster_config", logging={"clusterLogging": [{"types": ["audit"], "enabled": False}]}
            ),
            "vpcConfig": of_cluster("update_cluster_config", resourcesVpcConfig={"endpointPublicAccess": True}),
            "upgradePolicy": of_cluster("update_cluster_config", upgradePolicy={"supportType": "EXTENDED"}),
            "zonalShiftConfig": of_cluster("update_cluster_config", zonalShiftConfig={"enabled": True}),
            "deletionProtection": of_cluster("update_cluster_config", deletionProtection=True),
            "tags": strange("arn"),
        },
        ("arn", "endpoint", "certificateAuthority", "identities", "platformVersion", "status", "createdAt"),
        computed=frozenset({"upgradePolicy"}),
        onward=frozenset({"version", "accessConfig", "encryptionConfig"}),
    ),
    Case(
        NODE_GROUP,
        node_group,
        node_group_updates,
        {
            "labels": of_group(labels={"addOrUpdateLabels": {"tier": "z"}, "removeLabels": ["turnout.dev/pool"]}),
            "taints": of_group(taints={"addOrUpdateTaints": [{"key": "stranger", "effect": "NO_SCHEDULE"}]}),
            "scalingConfig": of_group(scalingConfig={"desiredSize": 4}),
            "updateConfig": of_group(updateConfig={"maxUnavailable": 3}),
            "nodeRepairConfig": of_group(nodeRepairConfig={"enabled": False}),
            "warmPoolConfig": of_group(warmPoolConfig={"enabled": False}),
            "tags": strange("arn"),
        },
        ("arn", "resources", "status"),
        computed=frozenset({"releaseVersion", "version"}),
    ),
    Case(
        ADDON,
        addon,
        addon_updates,
        {
            "addonVersion": lambda w, m: w.api("eks").update_addon(
                clusterName=m.outputs["clusterName"], addonName="vpc-cni", addonVersion="v1.19.0-eksbuild.1"
            ),
            "configurationValues": lambda w, m: w.api("eks").update_addon(
                clusterName=m.outputs["clusterName"], addonName="vpc-cni", configurationValues="{}"
            ),
            "podIdentityAssociations": lambda w, m: w.api("eks").update_addon(
                clusterName=m.outputs["clusterName"], addonName="vpc-cni", podIdentityAssociations=[]
            ),
            "tags": strange("arn"),
        },
        ("arn", "createdAt"),
        computed=frozenset({"addonVersion", "configurationValues"}),
    ),
    Case(
        ENTRY,
        entry,
        lambda _: [
            {"kubernetesGroups": ["operators", "readers"]},
            {"userName": "people:{{SessionNameRaw}}"},
            {"kubernetesGroups": None},
            {"userName": None},
            *RETAG,
        ],
        {
            "kubernetesGroups": lambda w, m: w.api("eks").update_access_entry(**of_entry(m), kubernetesGroups=["masters"]),
            "userName": lambda w, m: w.api("eks").update_access_entry(**of_entry(m), username="stranger"),
            "tags": strange("accessEntryArn"),
        },
        ("accessEntryArn", "createdAt"),
        computed=frozenset({"kubernetesGroups", "userName"}),
    ),
    Case(
        POLICY,
        association,
        drifts={
            "accessScope": lambda w, m: w.api("eks").associate_access_policy(
                **dict(zip(("clusterName", "principalArn", "policyArn"), m.id.split("#"), strict=True)),
                accessScope={"type": "cluster"},
            )
        },
        outputs=("associatedAt",),
    ),
    Case(
        IDENTITY,
        identity,
        lambda w: [
            {"roleArn": role_arn(w)},
            {"policy": _reads("s3:ListBucket")},
            {"policy": None},
            {"disableSessionTags": None},
            {"targetRoleArn": role_arn(w)},
            {"targetRoleArn": None},
            *RETAG,
        ],
        {"roleArn": rebind, "tags": strange("associationArn")},
        ("associationArn", "associationId"),
    ),
)
