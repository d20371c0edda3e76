import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from recording import ACCOUNT, Recording, record
from turnout_components import eks_rules
from turnout_components.eks_cluster import EksCluster
from turnout_components.eks_lookup import EksError, look_up

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/deployer"
NEW: dict[str, Any] = {
    "name": "models",
    "region": "us-east-1",
    "version": "1.34",
    "vpc_id": "vpc-1",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "admins": {"deployer": ADMIN},
}
TOLD = {"endpoint": "https://x", "certificate_authority": "Y2E=", "security_group_id": "sg-1"}
EXISTING: dict[str, Any] = {"name": "models", "region": "us-east-1", "exists": True, **TOLD}


def make(**changes: Any) -> Recording:
    return record_of({**NEW, **changes})


def record_of(args: Any) -> Recording:
    def program():
        made = EksCluster("k", {key: value for key, value in args.items() if value is not None})
        return {"kubeconfig": made.kubeconfig, "group": made.security_group_id, "name": made.name, "role": made.node_role_arn}

    return record(program)


def test_the_api_server_is_private_by_default():
    network = make().one(":Cluster").inputs["vpcConfig"]
    assert network == {"subnetIds": ["subnet-a", "subnet-b"], "endpointPrivateAccess": True, "endpointPublicAccess": False}


def test_it_is_public_to_the_networks_that_are_named_only():
    network = make(public_access_cidrs=["192.0.2.0/24"]).one(":Cluster").inputs["vpcConfig"]
    assert (network["endpointPrivateAccess"], network["endpointPublicAccess"]) == (True, True)
    assert network["publicAccessCidrs"] == ["192.0.2.0/24"]


def test_whoever_makes_it_is_no_administrator_by_that():
    made = make(admins={"deployer": ADMIN, "people": f"arn:aws:iam::{ACCOUNT}:role/people"})
    access = made.one(":Cluster").inputs["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    entries = {entry.name: entry.inputs["principalArn"] for entry in made.all(":AccessEntry")}
    assert entries == {"k-deployer": ADMIN, "k-people": f"arn:aws:iam::{ACCOUNT}:role/people"}
    policies = [
        (one.inputs["principalArn"], one.inputs["policyArn"], one.inputs["accessScope"])
        for one in made.all(":AccessPolicyAssociation")
    ]
    admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    assert sorted(policies) == sorted((arn, admin, {"type": "cluster"}) for arn in entries.values())


def test_a_new_scope_waits_for_the_old_association_to_be_gone():
    made = make()
    assert all(one.request.deleteBeforeReplace for one in (*made.all(":AccessEntry"), *made.all(":AccessPolicyAssociation")))


def test_what_it_stores_is_encrypted_with_a_key_of_its_own():
    made = make()
    key = made.one(":Key")
    assert key.inputs["enableKeyRotation"] is True
    encryption = made.one(":Cluster").inputs["encryptionConfig"]
    assert encryption == {"resources": ["secrets"], "provider": {"keyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k-key"}}


def test_all_five_logs_go_to_a_group_that_is_there_before_and_forgets():
    made = make(log_retention_days=30)
    cluster, group = made.one(":Cluster"), made.one(":LogGroup")
    assert sorted(cluster.inputs["enabledClusterLogTypes"]) == sorted(eks_rules.LOG_TYPES)
    assert len(eks_rules.LOG_TYPES) == 5
    assert (group.inputs["name"], group.inputs["retentionInDays"]) == ("/aws/eks/models/cluster", 30)
    assert group.name in cluster.dependencies


def test_it_is_protected_against_deletion_unless_told_otherwise():
    assert make().one(":Cluster").inputs["deletionProtection"] is True
    assert make(deletion_protection=False).one(":Cluster").inputs["deletionProtection"] is False


def test_every_add_on_is_there_and_eks_puts_none_by_itself():
    made = make()
    assert sorted(one.inputs["addonName"] for one in made.all(":Addon")) == sorted(eks_rules.ADDONS)
    assert len(eks_rules.ADDONS) == 7
    assert made.one(":Cluster").inputs["bootstrapSelfManagedAddons"] is False


def test_nodes_come_after_what_they_need_and_deployments_after_nodes():
    made = make()
    nodes = made.one(":NodeGroup")
    before = {f"k-{addon}" for addon in eks_rules.DAEMONS}
    assert before <= nodes.dependencies
    assert {"vpc-cni", "kube-proxy", "eks-pod-identity-agent"} == set(eks_rules.DAEMONS)
    after = {one.name for one in made.all(":Addon") if nodes.name in one.dependencies}
    assert after == {f"k-{addon}" for addon in eks_rules.WORKLOADS}
    assert {"coredns", "metrics-server", "aws-ebs-csi-driver"} <= set(eks_rules.WORKLOADS)


def test_the_cni_enforces_network_policies():
    assert json.loads(make().one(":Addon", "vpc-cni").inputs["configurationValues"]) == {"enableNetworkPolicy": "true"}


def test_a_version_of_an_add_on_is_taken_where_one_is_given():
    made = make(addon_versions={"coredns": "v1.12.1-eksbuild.2"})
    versions = {one.inputs["addonName"]: one.inputs.get("addonVersion") for one in made.all(":Addon")}
    assert versions.pop("coredns") == "v1.12.1-eksbuild.2"
    assert set(versions.values()) == {None}


def test_roles_have_the_managed_policies_that_aws_names_and_nothing_else():
    made = make()
    held: dict[str, set[str]] = {}
    for one in made.all(":RolePolicyAttachment"):
        held.setdefault(one.inputs["role"], set()).add(one.inputs["policyArn"].removeprefix("arn:aws:iam::aws:policy/"))
    assert {role.removesuffix("-role-0a1b2c3"): policies for role, policies in held.items()} == {
        "k-cluster": {"AmazonEKSClusterPolicy"},
        "k-node": {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"},
        "k-vpc-cni": {"AmazonEKS_CNI_Policy"},
        "k-aws-ebs-csi-driver": {"service-role/AmazonEBSCSIDriverPolicy"},
    }
    assert made.all(":RolePolicy") == []


def test_add_ons_get_their_roles_by_pod_identity():
    made = make()
    role = json.loads(made.one(":Role", "k-vpc-cni-role").inputs["assumeRolePolicy"])["Statement"][0]
    assert (role["Principal"], role["Action"]) == ({"Service": "pods.eks.amazonaws.com"}, ["sts:AssumeRole", "sts:TagSession"])
    (association,) = made.one(":Addon", "vpc-cni").inputs["podIdentityAssociations"]
    assert association == {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/k-vpc-cni-role", "serviceAccount": "aws-node"}
    assert "podIdentityAssociations" not in made.one(":Addon", "coredns").inputs


def test_system_nodes_have_no_gpu_no_taint_and_a_size_that_an_autoscaler_may_change():
    nodes = make(system_nodes={"minimum": 3, "instance_types": ["m7i.xlarge"]}).one(":NodeGroup")
    assert nodes.inputs["scalingConfig"] == {"minSize": 3, "desiredSize": 3, "maxSize": 3}
    assert (nodes.inputs["instanceTypes"], nodes.inputs["amiType"]) == (["m7i.xlarge"], "AL2023_x86_64_STANDARD")
    assert "taints" not in nodes.inputs
    assert list(nodes.request.ignoreChanges) == ["scalingConfig.desiredSize"]


def test_the_kubeconfig_asks_the_cli_and_holds_no_secret():
    config = json.loads(make().outputs["kubeconfig"])
    (user,) = config["users"]
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"][-6:] == ["eks", "get-token", "--cluster-name", "models", "--output", "json"]
    assert set(user["user"]) == {"exec"}
    (cluster,) = config["clusters"]
    assert cluster["cluster"] == {
        "server": "https://k-cluster.gr7.us-east-1.eks.amazonaws.com",
        "certificate-authority-data": "Y2VydGlmaWNhdGU=",
    }
    assert config["current-context"] == config["contexts"][0]["name"] == "models"


def test_a_cluster_that_exists_is_passed_on_and_nothing_is_made():
    made = record_of(EXISTING)
    assert [one.type for one in made.registrations if not one.type.startswith(("turnout", "pulumi:pulumi:Stack"))] == []
    assert (made.outputs["name"], made.outputs["group"], made.outputs["role"]) == ("models", "sg-1", None)
    assert json.loads(made.outputs["kubeconfig"])["clusters"][0]["cluster"]["server"] == "https://x"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "-models"}, "name = '-models'"),
        ({"version": "1.34.2"}, "version = '1.34.2'"),
        ({"version": None}, "version"),
        ({"subnet_ids": ["subnet-a"]}, "subnet_ids"),
        ({"admins": {}}, "no one could manage the cluster"),
        ({"admins": {"x": "deployer"}}, "admins.x = 'deployer'"),
        ({"admins": {"x": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks/x"}}, "service-linked"),
        ({"public_access_cidrs": ["0.0.0.0/0"]}, "is the internet"),
        ({"public_access_cidrs": ["192.0.2.1/24"]}, "write 192.0.2.0/24"),
        ({"log_retention_days": 45}, "log_retention_days = 45"),
        ({"service_cidr": "100.64.0.0/16"}, "service_cidr"),
        ({"service_cidr": "10.0.0.0/8"}, "service_cidr"),
        ({"system_nodes": {"minimum": 0}}, "leaves CoreDNS without a node"),
        ({"system_nodes": {"minimum": 4, "maximum": 3}}, "system_nodes.maximum = 3"),
        ({"addon_versions": {"cilium": "v1.0.0"}}, "addon_versions.cilium"),
        ({"addon_versions": {"coredns": "latest"}}, "addon_versions.coredns"),
        ({"endpoint": "https://x"}, "is told of a cluster that exists only"),
    ],
)
def test_what_cannot_be_is_refused_with_field_value_and_fix(changes: Any, says: str):
    with pytest.raises(ValueError, match="admins|name|version|subnet|cidr|log_|system|addon|endpoint") as refused:
        make(**changes)
    assert says in str(refused.value)


def test_everything_wrong_is_told_at_once():
    with pytest.raises(ValueError, match="version") as refused:
        make(version="2", subnet_ids=["a"], log_retention_days=2)
    assert [line.partition(" ")[0] for line in str(refused.value).splitlines()] == [
        "version",
        "subnet_ids",
        "log_retention_days",
    ]


def test_a_cluster_that_exists_takes_what_aws_tells_and_nothing_of_a_new_one():
    faults = eks_rules.faults({"name": "models", "exists": True, "endpoint": "https://x", "version": "1.34"})
    assert [fault.field for fault in faults] == ["certificate_authority", "security_group_id", "version"]


def looked_up(answer: dict[str, Any] | None, code: str = "") -> dict[str, str]:
    client = boto3.client("eks", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        if answer is None:
            stub.add_client_error("describe_cluster", code)
        else:
            stub.add_response("describe_cluster", {"cluster": answer}, {"name": "models"})
        return look_up(client, "models")


_FOUND: dict[str, Any] = {
    "status": "ACTIVE",
    "endpoint": "https://x",
    "certificateAuthority": {"data": "Y2E="},
    "resourcesVpcConfig": {"clusterSecurityGroupId": "sg-1"},
    "accessConfig": {"authenticationMode": "API"},
}


def test_a_look_up_gives_what_the_component_takes():
    assert looked_up(_FOUND) == TOLD
    assert eks_rules.faults({**EXISTING, **looked_up({**_FOUND, "status": "UPDATING"})}) == []


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (None, "ResourceNotFoundException", "there is none in the region"),
        (None, "AccessDeniedException", "check credentials and rights"),
        ({**_FOUND, "status": "CREATING"}, "", "wait until it is ACTIVE"),
        ({**_FOUND, "accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "", "access entries are not there"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_told(answer: Any, code: str, says: str):
    with pytest.raises(EksError, match=says):
        looked_up(answer, code)
