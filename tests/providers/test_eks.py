"""EKS: what AWS refuses, from the inputs and by the API; waiting for what is made; what an update sends."""

from typing import Any

import pytest
from moto.eks.models import Cluster as MotoCluster

from tests.providers.cases_eks import (
    ADDON,
    CLUSTER,
    ENTRY,
    IDENTITY,
    NODE_GROUP,
    OPEN,
    POLICY,
    PRIVATE,
    VIEW,
    cluster,
    network,
    node_group,
    plain_cluster,
    role_arn,
    template,
)
from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Properties, ProviderError

ROLE = "arn:aws:iam::123456789012:role/r"
_CLUSTER: Properties = {"name": "c", "roleArn": ROLE, "vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}
_GROUP: Properties = {
    "clusterName": "c",
    "nodeRoleArn": ROLE,
    "subnetIds": ["subnet-1"],
    "scalingConfig": {"minSize": 0, "desiredSize": 1, "maxSize": 2},
}
_ENTRY: Properties = {"clusterName": "c", "principalArn": ROLE}
_POLICY: Properties = {**_ENTRY, "policyArn": VIEW, "accessScope": {"type": "cluster"}}
_IDENTITY: Properties = {"clusterName": "c", "namespace": "n", "serviceAccount": "s", "roleArn": ROLE}
_ADDON: Properties = {"clusterName": "c", "addonName": "coredns"}
_POOL = {"poolState": "STOPPED"}

REFUSED: list[tuple[str, Properties, Properties, str]] = [
    (CLUSTER, _CLUSTER, {"name": "-c"}, "name"),
    (CLUSTER, _CLUSTER, {"name": "c" * 101}, "name"),
    (CLUSTER, _CLUSTER, {"version": "1.34.1"}, "version"),
    (CLUSTER, _CLUSTER, {"roleArn": None}, "roleArn"),
    (CLUSTER, _CLUSTER, {"vpcConfig": {"subnetIds": ["subnet-1"]}}, "vpcConfig.subnetIds"),
    (
        CLUSTER,
        _CLUSTER,
        {"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "endpointPublicAccess": False}},
        "vpcConfig.endpointPublicAccess",
    ),
    (
        CLUSTER,
        _CLUSTER,
        {"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], **PRIVATE, "publicAccessCidrs": ["192.0.2.0/24"]}},
        "vpcConfig.publicAccessCidrs",
    ),
    (
        CLUSTER,
        _CLUSTER,
        {"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "controlPlaneEgressMode": "CUSTOMER_ROUTED"}},
        "vpcConfig.controlPlaneEgressMode",
    ),
    (CLUSTER, _CLUSTER, {"enabledClusterLogTypes": ["api", "etcd"]}, "enabledClusterLogTypes"),
    (CLUSTER, _CLUSTER, {"accessConfig": {"authenticationMode": "RBAC"}}, "accessConfig.authenticationMode"),
    (
        CLUSTER,
        _CLUSTER,
        {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.0.0.0/8"}},
        "kubernetesNetworkConfig.serviceIpv4Cidr",
    ),
    (
        CLUSTER,
        _CLUSTER,
        {"encryptionConfig": {"resources": ["configmaps"], "provider": {"keyArn": "arn"}}},
        "encryptionConfig.resources",
    ),
    (CLUSTER, _CLUSTER, {"encryptionConfig": {"resources": ["secrets"]}}, "encryptionConfig.provider.keyArn"),
    (CLUSTER, _CLUSTER, {"upgradePolicy": {"supportType": "NONE"}}, "upgradePolicy.supportType"),
    (NODE_GROUP, _GROUP, {"scalingConfig": {"minSize": 2, "desiredSize": 1, "maxSize": 2}}, "scalingConfig.desiredSize"),
    (NODE_GROUP, _GROUP, {"scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 0}}, "scalingConfig.maxSize"),
    (NODE_GROUP, _GROUP, {"scalingConfig": {"minSize": 0, "maxSize": 1}}, "scalingConfig.desiredSize"),
    (NODE_GROUP, _GROUP, {"capacityType": "RESERVED"}, "capacityType"),
    (NODE_GROUP, _GROUP, {"nodeGroupName": "n" * 64}, "nodeGroupName"),
    (NODE_GROUP, _GROUP, {"taints": [{"key": "k", "effect": "NoSchedule"}]}, "taints[0].effect"),
    (NODE_GROUP, _GROUP, {"taints": [{"key": f"k{n}", "effect": "NO_SCHEDULE"} for n in range(51)]}, "taints"),
    (
        NODE_GROUP,
        _GROUP,
        {"updateConfig": {"maxUnavailable": 1, "maxUnavailablePercentage": 10}},
        "updateConfig.maxUnavailablePercentage",
    ),
    (NODE_GROUP, _GROUP, {"updateConfig": {"maxUnavailable": 101}}, "updateConfig.maxUnavailable"),
    (NODE_GROUP, _GROUP, {"updateConfig": {"maxUnavailable": 1, "updateStrategy": "FORCE"}}, "updateConfig.updateStrategy"),
    (NODE_GROUP, _GROUP, {"launchTemplate": {"id": "lt-1", "name": "n", "version": "1"}}, "launchTemplate"),
    (NODE_GROUP, _GROUP, {"launchTemplate": {"id": "lt-1"}}, "launchTemplate.version"),
    (NODE_GROUP, _GROUP, {"launchTemplate": {"id": "lt-1", "version": "1"}, "diskSize": 50}, "diskSize"),
    (NODE_GROUP, _GROUP, {"capacityType": "CAPACITY_BLOCK"}, "launchTemplate"),
    (NODE_GROUP, _GROUP, {"warmPoolConfig": _POOL, "amiType": "CUSTOM"}, "warmPoolConfig"),
    (NODE_GROUP, _GROUP, {"warmPoolConfig": _POOL, "capacityType": "SPOT"}, "warmPoolConfig"),
    (
        NODE_GROUP,
        _GROUP,
        {"warmPoolConfig": {"poolState": "HIBERNATED"}, "amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
        "warmPoolConfig.poolState",
    ),
    (
        NODE_GROUP,
        _GROUP,
        {"warmPoolConfig": {"reuseOnScaleIn": True}, "amiType": "BOTTLEROCKET_ARM_64_NVIDIA"},
        "warmPoolConfig.reuseOnScaleIn",
    ),
    (
        NODE_GROUP,
        _GROUP,
        {"warmPoolConfig": {"minSize": 3, "maxGroupPreparedCapacity": 2}},
        "warmPoolConfig.maxGroupPreparedCapacity",
    ),
    (ADDON, _ADDON, {"addonVersion": "1.20"}, "addonVersion"),
    (ADDON, _ADDON, {"configurationValues": "replicas: 2"}, "configurationValues"),
    (ADDON, _ADDON, {"resolveConflictsOnCreate": "PRESERVE"}, "resolveConflictsOnCreate"),
    (ADDON, _ADDON, {"podIdentityAssociations": [{"serviceAccount": "s"}]}, "podIdentityAssociations[0].roleArn"),
    (ENTRY, _ENTRY, {"principalArn": "admins"}, "principalArn"),
    (ENTRY, _ENTRY, {"principalArn": "arn:aws:iam::123456789012:role/aws-service-role/x/y"}, "principalArn"),
    (ENTRY, _ENTRY, {"type": "EC2_LINUX", "kubernetesGroups": ["g"]}, "kubernetesGroups"),
    (ENTRY, _ENTRY, {"userName": "system:admin"}, "userName"),
    (ENTRY, _ENTRY, {"kubernetesGroups": ["eks:masters"]}, "kubernetesGroups"),
    (POLICY, _POLICY, {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, "policyArn"),
    (POLICY, _POLICY, {"accessScope": {"type": "namespace"}}, "accessScope.namespaces"),
    (POLICY, _POLICY, {"accessScope": {"type": "cluster", "namespaces": ["n"]}}, "accessScope.namespaces"),
    (IDENTITY, _IDENTITY, {"policy": '{"Statement": []}'}, "policy"),
    (IDENTITY, _IDENTITY, {"targetRoleArn": "r"}, "targetRoleArn"),
]


@pytest.mark.parametrize(
    ("token", "base", "change", "where"), REFUSED, ids=[f"{r[0][8:]}-{r[3]}-{n}" for n, r in enumerate(REFUSED)]
)
def test_what_the_inputs_show_is_refused_by_name(token: str, base: Properties, change: Properties, where: str) -> None:
    assert TYPES[token].check(base) == []
    assert [fault.property for fault in TYPES[token].check({**base, **change})] == [where]


@pytest.mark.parametrize(
    ("data", "changes", "says"),
    [
        ({"iamInstanceProfile": {"name": "p"}}, {}, "should not specify IamInstanceProfile"),
        ({"networkInterfaces": [{"subnetId": "subnet-1"}]}, {}, "should not specify Subnet"),
        ({"instanceInitiatedShutdownBehavior": "terminate"}, {}, "InstanceInitiatedShutdownBehavior"),
        ({"instanceMarketOptions": {"marketType": "spot"}}, {}, "use the capacity type"),
        ({"imageId": "ami-12c6146b"}, {"warmPoolConfig": None}, "other than CUSTOM"),
        ({"imageId": "ami-12c6146b"}, {"amiType": None}, "Warm pools don't support custom AMIs"),
        ({}, {"instanceTypes": ["g5.xlarge"]}, "not both"),
        ({}, {"capacityType": "CAPACITY_BLOCK", "warmPoolConfig": None}, "needs market type capacity-block"),
        ({}, {"warmPoolConfig": {"poolState": "HIBERNATED"}}, "do not all support hibernation"),
        ({}, {"version": "1.33"}, "doesn't match the cluster's version"),
    ],
)
def test_what_a_launch_template_shows_is_refused_by_aws(life: World, data: Any, changes: Any, says: str) -> None:
    kind, inputs = TYPES[NODE_GROUP], node_group(life, launchTemplate={"id": template(life, **data).id, "version": "1"})
    given = {name: value for name, value in {**inputs, **changes}.items() if value is not None}
    assert kind.check(given) == []
    with pytest.raises(ProviderError, match=says):
        kind.create(life.config, given, "token")


def test_a_capacity_block_is_named_in_the_launch_template(life: World) -> None:
    target = {"capacityReservationTarget": {"capacityReservationId": "cr-0a1b2c3d4e5f60718"}}
    data = {"instanceMarketOptions": {"marketType": "capacity-block"}, "capacityReservationSpecification": target}
    used = {"id": template(life, instanceType="p5.48xlarge", **data).id, "version": "1"}
    made = life.make(
        NODE_GROUP, **_set(node_group(life, launchTemplate=used, capacityType="CAPACITY_BLOCK", warmPoolConfig=None))
    )
    assert made.outputs["capacityType"] == "CAPACITY_BLOCK"


def _set(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if value is not None}


def test_a_node_group_keeps_its_launch_template(life: World) -> None:
    inputs = node_group(life)
    made = life.make(NODE_GROUP, **inputs)
    wanted = {**inputs, "launchTemplate": {"id": template(life).id, "version": "1"}}
    with pytest.raises(ProviderError, match="make another node group"):
        TYPES[NODE_GROUP].update(life.config, made.id, inputs, wanted, made.outputs)


def test_a_protected_cluster_is_not_deleted(life: World) -> None:
    made = plain_cluster(life, deletionProtection=True)
    kind, inputs = TYPES[CLUSTER], life.made[-1][2]
    with pytest.raises(ProviderError, match="set deletionProtection to false and update before"):
        kind.delete(life.config, made.id, inputs, made.outputs, 5)
    kind.update(life.config, made.id, inputs, {**inputs, "deletionProtection": False}, made.outputs)


def test_a_cluster_with_node_groups_is_not_deleted(life: World) -> None:
    made = life.make(NODE_GROUP, **node_group(life))
    name = made.id.split(":")[0]
    with pytest.raises(ProviderError, match="Cluster has nodegroups attached"):
        TYPES[CLUSTER].delete(life.config, name, {"name": name}, {}, 5)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({"version": "1.33"}, {"version": "1.35"}, "Unsupported Kubernetes minor version update"),
        ({"version": "1.33"}, {"version": "1.32"}, "Unsupported Kubernetes minor version update"),
        ({}, {"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "is said when a cluster is made"),
        (
            {},
            {"accessConfig": {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}},
            "Unsupported authentication mode update from API",
        ),
    ],
)
def test_what_a_cluster_cannot_become_is_refused(life: World, before: Any, after: Any, says: str) -> None:
    made = plain_cluster(life, **before)
    inputs = life.made[-1][2]
    with pytest.raises(ProviderError, match=says):
        TYPES[CLUSTER].update(life.config, made.id, inputs, {**inputs, **after}, made.outputs)


def test_envelope_encryption_stays(life: World) -> None:
    key = life.make("aws:kms/key:Key", deletionWindowInDays=7).outputs["arn"]
    made = plain_cluster(life, encryptionConfig={"resources": ["secrets"], "provider": {"keyArn": key}})
    inputs = life.made[-1][2]
    with pytest.raises(ProviderError, match="neither changed nor taken away"):
        TYPES[CLUSTER].update(life.config, made.id, inputs, {**inputs, "encryptionConfig": None}, made.outputs)


def test_subnets_are_in_two_zones(life: World) -> None:
    zone = {"vpcId": life.vpc, "cidrBlock": "10.20.77.0/24", "availabilityZone": "us-east-1a"}
    twin = life.make("aws:ec2/subnet:Subnet", **zone).id
    with pytest.raises(ProviderError, match="two different AZs"):
        plain_cluster(life, vpcConfig=network(life, subnetIds=[life.subnets[0], twin]))


def test_one_kind_of_update_goes_out_at_a_time(life: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plain_cluster(life)
    inputs, sent = life.made[-1][2], list[list[str]]()
    api = life.api("eks")
    call = api.update_cluster_config

    def update_cluster_config(**given: Any) -> Any:
        sent.append(sorted(given.keys() - {"name"}))
        return call(**given)

    monkeypatch.setattr(api, "update_cluster_config", update_cluster_config)
    wanted = {**inputs, "vpcConfig": network(life, **OPEN, subnetIds=life.subnets), "enabledClusterLogTypes": ["audit"]}
    outputs = TYPES[CLUSTER].update(life.config, made.id, inputs, wanted, made.outputs)
    assert sent == [["logging"], ["resourcesVpcConfig"], ["resourcesVpcConfig"]]
    sent.clear()
    TYPES[CLUSTER].update(life.config, made.id, wanted, inputs, outputs)
    TYPES[CLUSTER].update(life.config, made.id, inputs, inputs, outputs)
    assert len(sent) == 3


def _statuses(monkeypatch: pytest.MonkeyPatch, *statuses: str) -> list[str]:
    """Lets moto's clusters have one status after the other, and the last for ever."""
    left = list(statuses)
    state = property(lambda _: left.pop(0) if len(left) > 1 else left[0], lambda _self, _value: None)
    monkeypatch.setattr(MotoCluster, "status", state, raising=False)
    return left


def test_a_cluster_is_made_when_it_is_active(life: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left = _statuses(monkeypatch, "CREATING", "CREATING", "CREATING", "ACTIVE")
    assert plain_cluster(life).outputs["status"] == "ACTIVE"
    assert left == ["ACTIVE"]


def test_a_cluster_that_fails_is_told_and_taken_away(life: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _statuses(monkeypatch, "CREATING", "FAILED")
    with pytest.raises(ProviderError, match=r"eks cluster cluster-\w+ is FAILED: no reason told"):
        plain_cluster(life)
    assert [name for name in life.api("eks").list_clusters()["clusters"] if name.startswith("cluster-")] == []


def test_an_add_on_of_pods_waits_for_nodes_that_take_them(life: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CoreDNS finds no node, as long as all are tainted: it is DEGRADED, and the create waits, tells why and gives up."""
    monkeypatch.setattr("turnout.providers.aws.eks_addon.SECONDS", 0.3)
    tainted = life.make(NODE_GROUP, **node_group(life))
    name = tainted.id.split(":")[0]
    with pytest.raises(ProviderError, match=r"is not ACTIVE after 0.3 s: InsufficientNumberOfReplicas"):
        life.make(ADDON, clusterName=name, addonName="coredns")
    small = {**node_group(life), "clusterName": name, "nodeGroupName": "system", "taints": []}
    life.make(NODE_GROUP, **small)
    assert life.make(ADDON, clusterName=name, addonName="coredns").id == f"{name}:coredns"


def test_access_entries_are_of_clusters_that_know_them(life: World) -> None:
    mode = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    name = plain_cluster(life, accessConfig=mode).id
    with pytest.raises(ProviderError, match="authentication mode must be set"):
        life.make(ENTRY, clusterName=name, principalArn=role_arn(life))


def test_access_policies_are_of_standard_entries(life: World) -> None:
    name, principal = cluster(life), role_arn(life)
    life.make(ENTRY, clusterName=name, principalArn=principal, type="EC2_LINUX")
    with pytest.raises(ProviderError, match="type STANDARD, not EC2_LINUX"):
        life.make(POLICY, clusterName=name, principalArn=principal, policyArn=VIEW, accessScope={"type": "cluster"})


def test_a_service_account_has_one_role_that_there_is(life: World) -> None:
    of = {"clusterName": cluster(life), "namespace": "n", "serviceAccount": "s"}
    with pytest.raises(ProviderError, match="could not be assumed"):
        life.make(IDENTITY, **of, roleArn=ROLE)
    life.make(IDENTITY, **of, roleArn=role_arn(life))
    with pytest.raises(ProviderError, match="already exists for the service account n/s"):
        life.make(IDENTITY, **of, roleArn=role_arn(life))


def test_an_add_on_takes_its_associations_with_it(life: World) -> None:
    name = cluster(life)
    account = [{"roleArn": role_arn(life), "serviceAccount": "aws-node"}]
    inputs = {"clusterName": name, "addonName": "vpc-cni", "podIdentityAssociations": account}
    made = life.make(ADDON, **inputs)
    (held,) = life.api("eks").list_pod_identity_associations(clusterName=name)["associations"]
    with pytest.raises(ProviderError, match="change it there"):
        TYPES[IDENTITY].delete(life.config, held["associationId"], {"clusterName": name}, {}, 5)
    TYPES[ADDON].delete(life.config, made.id, inputs, made.outputs, 5)
    assert life.api("eks").list_pod_identity_associations(clusterName=name)["associations"] == []
