import json
from typing import Any

import pytest
from recording import ACCOUNT, Recording, record
from turnout_components import karpenter_rules
from turnout_components.karpenter_pool import KarpenterPool

ARGS: dict[str, Any] = {
    "name": "gpu",
    "cluster_name": "models",
    "region": "us-east-1",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "security_group_ids": ["sg-cluster"],
    "gpus_at_most": 16,
}


def make(**changes: Any) -> Recording:
    def program():
        made = KarpenterPool("pool", {**ARGS, **changes})
        return {"name": made.name, "role": made.node_role_arn}

    return record(program)


def pool(**changes: Any) -> Any:
    return make(**changes).one(":NodePool").inputs["spec"]


def node_class(**changes: Any) -> Any:
    return make(**changes).one(":EC2NodeClass").inputs["spec"]


def test_consolidation_takes_empty_nodes_only():
    disruption = pool()["disruption"]
    assert (disruption["consolidationPolicy"], disruption["consolidateAfter"]) == ("WhenEmpty", "10m")


def test_no_budget_lets_a_node_with_pods_go():
    assert pool()["disruption"]["budgets"] == [{"nodes": "0", "reasons": ["Underutilized", "Drifted"]}, {"nodes": "1"}]
    drifting = pool(replace_drifted=True, disruptions="10%")["disruption"]["budgets"]
    assert drifting == [{"nodes": "0", "reasons": ["Underutilized"]}, {"nodes": "10%"}]


def test_nodes_do_not_expire_under_a_model_unless_told():
    assert pool()["template"]["spec"]["expireAfter"] == "Never"
    assert "terminationGracePeriod" not in pool()["template"]["spec"]
    told = pool(expire_after="720h", termination_grace="2h")["template"]["spec"]
    assert (told["expireAfter"], told["terminationGracePeriod"]) == ("720h", "2h")


def test_gpus_are_limited():
    assert pool()["limits"] == {"nvidia.com/gpu": "16"}


def test_gpu_nodes_say_so_and_take_nothing_that_asks_for_no_gpu():
    template = pool(labels={"tier": "a"})["template"]
    assert template["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert template["metadata"]["labels"] == {"nvidia.com/gpu.present": "true", "turnout.dev/pool": "gpu", "tier": "a"}


def test_a_reservation_is_named_and_taken():
    made = {"capacities": ["reserved", "on-demand"], "reservation_ids": ["cr-0a1b2c3d4e5f60718"]}
    needs = {one["key"]: one["values"] for one in pool(**made, zones=["us-east-1a"])["template"]["spec"]["requirements"]}
    assert needs["karpenter.sh/capacity-type"] == ["reserved", "on-demand"]
    assert needs["topology.kubernetes.io/zone"] == ["us-east-1a"]
    assert node_class(**made)["capacityReservationSelectorTerms"] == [{"id": "cr-0a1b2c3d4e5f60718"}]
    assert "capacityReservationSelectorTerms" not in node_class()
    assert pool(**made)["disruption"]["consolidateAfter"] == "Never"
    assert pool(**made, empty_for="1h")["disruption"]["consolidateAfter"] == "1h"


def test_nodes_are_private_and_their_disks_encrypted():
    made = node_class(image="bottlerocket", disk_gib=400, instance_store=True)
    assert made["associatePublicIPAddress"] is False
    assert made["metadataOptions"] == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
    assert [(disk["deviceName"], disk["ebs"]["volumeSize"]) for disk in made["blockDeviceMappings"]] == [
        ("/dev/xvda", "4Gi"),
        ("/dev/xvdb", "400Gi"),
    ]
    assert {disk["ebs"]["encrypted"] for disk in made["blockDeviceMappings"]} == {True}
    assert (made["instanceStorePolicy"], made["amiSelectorTerms"]) == ("RAID0", [{"alias": "bottlerocket@latest"}])


def test_nodes_join_by_an_entry_of_their_role():
    made = make()
    entry, role = made.one(":AccessEntry"), f"arn:aws:iam::{ACCOUNT}:role/pool-node-role"
    assert (entry.inputs["principalArn"], entry.inputs["type"]) == (role, "EC2_LINUX")
    assert entry.request.deleteBeforeReplace
    assert entry.name in made.one(":EC2NodeClass").dependencies
    assert made.one(":EC2NodeClass").name in made.one(":NodePool").dependencies
    assert made.one(":EC2NodeClass").inputs["spec"]["instanceProfile"] == "pool-profile-0a1b2c3"
    assert made.outputs == {"name": "gpu", "role": role}


def test_the_controller_may_give_ec2_the_nodes_role_and_nothing_else_before_the_first_node_starts():
    assert make().all("iam/rolePolicy:RolePolicy") == []
    made = make(controller_role="karpenter")
    (rights,) = made.all("iam/rolePolicy:RolePolicy")
    (statement,) = json.loads(rights.inputs["policy"])["Statement"]
    assert (rights.inputs["role"], statement["Action"]) == ("karpenter", "iam:PassRole")
    assert statement["Resource"] == f"arn:aws:iam::{ACCOUNT}:role/pool-node-role"
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}
    assert rights.name in made.one(":EC2NodeClass").dependencies


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "GPU"}, "name"),
        ({"image": "ubuntu"}, "image"),
        ({"image_version": "@1"}, "image_version"),
        ({"instance_types": ["m7i.large"]}, "instance_types"),
        ({"instance_types": ["g5.xlarge", "g5.xlarge"]}, "instance_types"),
        ({"capacities": ["capacity-block"]}, "capacities"),
        ({"capacities": []}, "capacities"),
        ({"capacities": ["reserved"]}, "reservation_ids"),
        ({"reservation_ids": ["cr-0a1b2c3d4e5f60718"]}, "reservation_ids"),
        ({"capacities": ["reserved"], "reservation_ids": ["r"]}, "reservation_ids"),
        ({"gpus_at_most": 0}, "gpus_at_most"),
        ({"weight": 101}, "weight"),
        ({"disk_gib": 5}, "disk_gib"),
        ({"expire_after": "30d"}, "expire_after"),
        ({"expire_after": "720h"}, "termination_grace"),
        ({"expire_after": "720h", "termination_grace": "30m"}, "termination_grace"),
        ({"empty_for": "soon"}, "empty_for"),
        ({"disruptions": "some"}, "disruptions"),
    ],
)
def test_what_would_evict_a_model_or_never_start_is_refused(changes: Any, field: str):
    with pytest.raises(ValueError, match=rf"(?m)^{field} = "):
        make(**changes)


def test_a_grace_may_be_shorter_where_answers_are():
    assert karpenter_rules.faults({**ARGS, "expire_after": "720h", "termination_grace": "30m", "drain": 600}) == []
    assert karpenter_rules.seconds("1h30m") == 5400
