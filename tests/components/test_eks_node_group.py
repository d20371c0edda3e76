import base64
from typing import Any

import pytest
from recording import ACCOUNT, Recording, record
from turnout_components import eks_capacity
from turnout_components.eks_node_group import EksNodeGroup

ARGS: dict[str, Any] = {
    "cluster_name": "models",
    "region": "us-east-1",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "security_group_id": "sg-cluster",
}
BLOCK = {"capacity": "capacity-block", "capacity_block_id": "cr-0a1b2c3d4e5f60718", "subnet_ids": ["subnet-a"]}
BLOCK["instance_types"] = ["p5.48xlarge"]


def make(**changes: Any) -> Recording:
    def program():
        made = EksNodeGroup("gpu", {**ARGS, **changes})
        return {"name": made.node_group_name, "groups": made.group_names, "role": made.node_role_arn}

    return record(program)


def group(**changes: Any) -> Any:
    return make(**changes).one(":NodeGroup").inputs


def template(**changes: Any) -> Any:
    return make(**changes).one(":LaunchTemplate").inputs


def test_gpu_nodes_say_so_and_take_nothing_that_asks_for_no_gpu():
    made = group(labels={"tier": "a"})
    assert made["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    assert made["labels"] == {"nvidia.com/gpu.present": "true", "turnout.dev/pool": "gpu", "tier": "a"}


@pytest.mark.parametrize(
    ("image", "types", "kind"),
    [
        ("al2023", ["g6.xlarge"], "AL2023_x86_64_NVIDIA"),
        ("bottlerocket", ["g6.xlarge"], "BOTTLEROCKET_x86_64_NVIDIA"),
        ("al2023-arm", ["g5g.xlarge"], "AL2023_ARM_64_NVIDIA"),
        ("bottlerocket-arm", ["g5g.xlarge"], "BOTTLEROCKET_ARM_64_NVIDIA"),
    ],
)
def test_images_have_nvidias_driver(image: str, types: list[str], kind: str):
    assert group(image=image, instance_types=types)["amiType"] == kind


def test_the_metadata_service_asks_for_a_session_and_answers_the_host_only():
    options = template()["metadataOptions"]
    assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


@pytest.mark.parametrize(
    ("image", "devices"), [("al2023", {"/dev/xvda": 300}), ("bottlerocket", {"/dev/xvda": 4, "/dev/xvdb": 300})]
)
def test_the_disk_of_images_and_models_has_the_size_and_all_are_encrypted(image: str, devices: dict[str, int]):
    disks = template(image=image, disk_gib=300)["blockDeviceMappings"]
    assert {disk["deviceName"]: disk["ebs"]["volumeSize"] for disk in disks} == devices
    assert {disk["ebs"]["encrypted"] for disk in disks} == {"true"}


def test_nvme_disks_hold_images_and_pods_on_al2023():
    script = base64.b64decode(template(instance_store=True)["userData"]).decode()
    assert '"localStorage": {"strategy": "RAID0"}' in script
    assert "Content-Type: application/node.eks.aws" in script
    assert "userData" not in template(instance_store=True, image="bottlerocket")
    assert "userData" not in template()


def test_no_update_puts_back_what_an_autoscaler_has_done():
    made = make(minimum=0, maximum=8).one(":NodeGroup")
    assert made.inputs["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 8}
    assert list(made.request.ignoreChanges) == ["scalingConfig.desiredSize"]


def test_the_launch_template_holds_nothing_that_eks_refuses_in_it():
    made = template(efa=True, vpc_id="vpc-1", instance_types=["p5.48xlarge"], subnet_ids=["subnet-a"])
    assert not {"iamInstanceProfile", "instanceInitiatedShutdownBehavior", "hibernationOptions", "imageId"} & made.keys()
    assert all("subnetId" not in one for one in made["networkInterfaces"])


def test_efa_has_a_card_an_interface_one_placement_group_and_traffic_of_its_own():
    made = make(efa=True, vpc_id="vpc-1", instance_types=["p5.48xlarge"], subnet_ids=["subnet-a"])
    interfaces = made.one(":LaunchTemplate").inputs["networkInterfaces"]
    assert len(interfaces) == 32
    assert interfaces[0]["interfaceType"] == "efa"
    assert {one["interfaceType"] for one in interfaces[1:]} == {"efa-only"}
    assert interfaces[0]["securityGroups"] == ["sg-cluster", "gpu-efa-id"]
    assert made.one(":PlacementGroup").inputs["strategy"] == "cluster"
    assert made.one(":LaunchTemplate").inputs["placement"] == {"groupName": made.one(":PlacementGroup").name + "-0a1b2c3"}
    for rule in (made.one(":SecurityGroupIngressRule"), made.one(":SecurityGroupEgressRule")):
        assert (rule.inputs["securityGroupId"], rule.inputs["referencedSecurityGroupId"]) == ("gpu-efa-id", "gpu-efa-id")
    assert "networkInterfaces" not in template()


def test_a_capacity_block_stands_in_the_launch_template():
    made = make(**BLOCK)
    held, nodes = made.one(":LaunchTemplate").inputs, made.one(":NodeGroup").inputs
    assert (held["instanceType"], held["instanceMarketOptions"]) == ("p5.48xlarge", {"marketType": "capacity-block"})
    target = held["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationId": "cr-0a1b2c3d4e5f60718"}
    assert nodes["capacityType"] == "CAPACITY_BLOCK"
    assert "instanceTypes" not in nodes


def test_types_stand_at_the_group_for_on_demand_and_spot():
    made = make(capacity="spot", instance_types=["g5.xlarge", "g6.xlarge"])
    assert made.one(":NodeGroup").inputs["instanceTypes"] == ["g5.xlarge", "g6.xlarge"]
    assert made.one(":NodeGroup").inputs["capacityType"] == "SPOT"
    assert "instanceType" not in made.one(":LaunchTemplate").inputs


def test_a_warm_pool_is_the_node_groups_own():
    pool = group(warm_pool={"minimum": 2, "maximum_prepared": 6, "reuse": True}, maximum=4)["warmPoolConfig"]
    assert pool == {"poolState": "STOPPED", "minSize": 2, "maxGroupPreparedCapacity": 6, "reuseOnScaleIn": True}
    assert group(warm_pool={"state": "running"})["warmPoolConfig"]["maxGroupPreparedCapacity"] == -1
    assert "warmPoolConfig" not in group()


@pytest.mark.parametrize(
    ("update", "config"),
    [
        ({}, {"maxUnavailable": 1, "updateStrategy": "DEFAULT"}),
        ({"max_unavailable": 3, "strategy": "minimal"}, {"maxUnavailable": 3, "updateStrategy": "MINIMAL"}),
        ({"max_unavailable_percent": 33}, {"maxUnavailablePercentage": 33, "updateStrategy": "DEFAULT"}),
    ],
)
def test_updates_go_node_by_node(update: Any, config: Any):
    assert group(update=update)["updateConfig"] == config


def test_broken_nodes_are_repaired_unless_told_otherwise():
    assert group()["nodeRepairConfig"] == {"enabled": True}
    assert group(repair=False)["nodeRepairConfig"] == {"enabled": False}


def test_nodes_may_join_and_pull_images_and_nothing_else():
    made = make()
    policies = {one.inputs["policyArn"].rpartition("/")[2] for one in made.all(":RolePolicyAttachment")}
    assert policies == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
    assert {one.name for one in made.all(":RolePolicyAttachment")} <= made.one(":NodeGroup").dependencies
    assert made.outputs["role"] == f"arn:aws:iam::{ACCOUNT}:role/gpu-node-role"
    assert made.outputs["groups"] == ["eks-gpu-group"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"image": "ubuntu"}, "image"),
        ({"capacity": "reserved"}, "capacity"),
        ({"instance_types": ["m7i.large"]}, "instance_types"),
        ({"instance_types": ["g5g.xlarge"]}, "instance_types"),
        ({"instance_types": ["g5.xlarge", "g5.xlarge"]}, "instance_types"),
        ({"instance_types": [f"g5.{n}xlarge" for n in range(2, 23)]}, "instance_types"),
        ({"capacity": "capacity-block", "subnet_ids": ["a"]}, "capacity_block_id"),
        ({**BLOCK, "capacity_block_id": "block"}, "capacity_block_id"),
        ({"capacity_block_id": "cr-0a1b2c3d4e5f60718"}, "capacity_block_id"),
        ({**BLOCK, "subnet_ids": ["a", "b"]}, "subnet_ids"),
        ({**BLOCK, "instance_types": ["p5.48xlarge", "p4d.24xlarge"]}, "instance_types"),
        ({"warm_pool": {"state": "hibernated"}}, "warm_pool.state"),
        ({"warm_pool": {"state": "asleep"}}, "warm_pool.state"),
        ({"warm_pool": {"reuse": True}, "image": "bottlerocket"}, "warm_pool.reuse"),
        ({"warm_pool": {}, "capacity": "spot"}, "warm_pool"),
        ({"warm_pool": {}, **BLOCK}, "warm_pool"),
        ({"warm_pool": {"minimum": -1}}, "warm_pool.minimum"),
        ({"warm_pool": {"minimum": 3, "maximum_prepared": 2}}, "warm_pool.maximum_prepared"),
        ({"efa": True, "vpc_id": "vpc-1", "subnet_ids": ["a"], "instance_types": ["g5.xlarge"]}, "efa"),
        ({"efa": True, "vpc_id": "vpc-1", "instance_types": ["p5.48xlarge"]}, "subnet_ids"),
        ({"efa": True, "subnet_ids": ["a"], "instance_types": ["p5.48xlarge"]}, "vpc_id"),
        ({"minimum": -1}, "minimum"),
        ({"minimum": 3, "maximum": 2}, "maximum"),
        ({"disk_gib": 8}, "disk_gib"),
        ({"update": {"max_unavailable": 0}}, "update.max_unavailable"),
        ({"update": {"max_unavailable": 1, "max_unavailable_percent": 10}}, "update.max_unavailable"),
        ({"update": {"strategy": "rolling"}}, "update.strategy"),
    ],
)
def test_what_aws_refuses_is_refused_with_field_value_and_fix(changes: Any, field: str):
    with pytest.raises(ValueError, match=rf"(?m)^{field} = ?"):
        make(**changes)


def test_everything_wrong_is_told_at_once():
    wrong = {"image": "ubuntu", "warm_pool": {"state": "asleep"}, "disk_gib": 1}
    assert [fault.field for fault in eks_capacity.faults(wrong)] == ["image", "warm_pool.state", "disk_gib"]
