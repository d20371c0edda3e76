"""How a pool's capacity reaches its launch template and its auto scaling group, with arguments unset and extreme."""

import base64
import hashlib
import json
from typing import Any

import pulumi
import pytest
from component_args import SERVICE, manifest, pool_args
from pulumi_aws import secretsmanager
from recording import AUTO_SUFFIX, Recording, Unknown, record
from turnout_components import capacity, node_document
from turnout_components.gpu_node_pool import GpuNodePool
from turnout_components.user_data import read_release

NAME = f"{SERVICE}-green-pool"
BLOCK = "cr-02168da1478b509e0"
IDENTITY = node_document.named("prod", {"service": "svc", "environment": "green", "region": "us-east-1", "release": manifest()})
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:svc/green/hf-AbCdEf"


def pool(**changes: Any) -> Recording:
    return record(lambda: {"group": GpuNodePool(NAME, pool_args(**changes)).group_name})


def group(**changes: Any) -> Any:
    return pool(**changes).one(":Group").inputs


def template(**changes: Any) -> Any:
    return pool(**changes).one(":LaunchTemplate").inputs


def node(**changes: Any) -> dict[str, Any]:
    found = read_release(base64.b64decode(template(**changes)["userData"]).decode())
    assert found is not None
    return found


def test_unset_arguments_give_one_type_on_demand_with_hooks_and_no_warm_pool() -> None:
    made = pool()
    found = made.one(":Group").inputs
    assert found["launchTemplate"] == {"id": f"{NAME}-template-id", "version": "7"}
    absent = (
        "mixedInstancesPolicy",
        "warmPool",
        "capacityRebalance",
        "placementGroup",
        "capacityReservationSpecification",
    )
    assert [key for key in absent if key in found] == []
    assert found["forceDeleteWarmPool"] is True
    assert (found["minSize"], found["maxSize"]) == (1, 1)
    launch = made.one(":LaunchTemplate").inputs
    assert launch["instanceType"] == "g5.xlarge"
    assert launch["imageId"].startswith("resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/")
    assert "instanceMarketOptions" not in launch
    assert "capacityReservationSpecification" not in launch
    assert made.all(":PlacementGroup") == []


def test_hooks_are_declared_with_the_group_and_told_to_the_node() -> None:
    hooks = {hook["name"]: hook for hook in group()["initialLifecycleHooks"]}
    launch, terminate = hooks["turnout-launch"], hooks["turnout-terminate"]
    assert (launch["lifecycleTransition"], launch["defaultResult"]) == ("autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON")
    assert (terminate["lifecycleTransition"], terminate["defaultResult"]) == (
        "autoscaling:EC2_INSTANCE_TERMINATING",
        "CONTINUE",
    )
    assert {hook["heartbeatTimeout"] for hook in hooks.values()} == {300}
    assert node()["hooks"] == {"launch": "turnout-launch", "terminate": "turnout-terminate"}


def test_the_node_is_told_its_group_its_log_and_all_that_is_set() -> None:
    said = node(
        health_path="/health",
        launch_timeout=60,
        protect_streams=True,
        secrets={"HF": ARN},
        boot={"machine": 5.0},
        drain=900,
        port=9000,
    )
    stack = pulumi.get_stack()
    assert said["group"] == f"{SERVICE}-{stack}-green-{'cd' * 6}"
    assert said["log_group"] == f"/turnout/{SERVICE}/{stack}/green"
    assert (said["health"], said["launch_timeout"], said["protect_streams"]) == ("/health", 60, True)
    assert (said["secrets"], said["boot"]) == ({"HF": ARN}, {"machine": 5.0})
    assert (said["region"], said["drain"], said["port"]) == ("us-east-1", 900, 9000)


def test_the_log_group_is_there_before_the_group_and_is_not_kept_for_ever() -> None:
    made = pool(log_key_arn="arn:aws:kms:us-east-1:123456789012:key/1")
    log = made.one(":LogGroup").inputs
    assert log["retentionInDays"] == 30
    assert log["kmsKeyId"] == "arn:aws:kms:us-east-1:123456789012:key/1"
    assert log["name"] == f"/turnout/{SERVICE}/{pulumi.get_stack()}/green"
    assert f"{NAME}-log" in made.one(":Group").dependencies
    assert "kmsKeyId" not in pool().one(":LogGroup").inputs


def test_several_types_on_demand_are_taken_in_their_order() -> None:
    found = group(instance_types=["g6.xlarge", "g5.xlarge"])
    assert "launchTemplate" not in found
    policy = found["mixedInstancesPolicy"]
    assert policy["launchTemplate"]["overrides"] == [{"instanceType": "g6.xlarge"}, {"instanceType": "g5.xlarge"}]
    specification = policy["launchTemplate"]["launchTemplateSpecification"]
    assert specification == {"launchTemplateId": f"{NAME}-template-id", "version": "7"}
    assert policy["instancesDistribution"] == {
        "onDemandAllocationStrategy": "prioritized",
        "onDemandBaseCapacity": 0,
        "onDemandPercentageAboveBaseCapacity": 100,
    }
    assert "capacityRebalance" not in found


def test_spot_takes_the_pools_with_most_capacity_and_is_rebalanced() -> None:
    found = group(instance_types=["g6.xlarge", "g5.xlarge"], on_demand_base=2, on_demand_percent=0, minimum=3, maximum=9)
    assert found["mixedInstancesPolicy"]["instancesDistribution"] == {
        "onDemandAllocationStrategy": "prioritized",
        "onDemandBaseCapacity": 2,
        "onDemandPercentageAboveBaseCapacity": 0,
        "spotAllocationStrategy": "price-capacity-optimized",
    }
    assert found["capacityRebalance"] is True


def test_one_type_with_spot_is_a_mixed_group_too() -> None:
    policy = group(on_demand_percent=99)["mixedInstancesPolicy"]
    assert policy["launchTemplate"]["overrides"] == [{"instanceType": "g5.xlarge"}]


def test_attributes_choose_the_types() -> None:
    wanted = {"gpus_min": 2, "gpu_memory_gib_min": 48, "gpu_names": ["l4"], "vcpus_min": 8, "memory_gib_min": 64}
    found = group(requirements=wanted)["mixedInstancesPolicy"]
    assert found["launchTemplate"]["overrides"] == [
        {
            "instanceRequirements": {
                "acceleratorTypes": ["gpu"],
                "acceleratorManufacturers": ["nvidia"],
                "acceleratorCount": {"min": 2},
                "acceleratorNames": ["l4"],
                "acceleratorTotalMemoryMib": {"min": 49152},
                "vcpuCount": {"min": 8},
                "memoryMib": {"min": 65536},
            }
        }
    ]
    assert found["instancesDistribution"]["onDemandAllocationStrategy"] == "lowest-price"
    assert "instanceType" not in template(requirements=wanted)


def test_attributes_say_at_least_what_the_api_demands() -> None:
    (override,) = group(requirements={"gpus_min": 1})["mixedInstancesPolicy"]["launchTemplate"]["overrides"]
    assert set(override["instanceRequirements"]) == {
        "acceleratorTypes",
        "acceleratorManufacturers",
        "acceleratorCount",
        "vcpuCount",
        "memoryMib",
    }


def test_a_warm_pool_is_declared_in_the_group() -> None:
    found = group(warm_pool={"state": "running", "minimum": 1, "maximum_prepared": 5, "reuse": True}, maximum=8)
    assert found["warmPool"] == {
        "poolState": "Running",
        "minSize": 1,
        "maxGroupPreparedCapacity": 5,
        "instanceReusePolicy": {"reuseOnScaleIn": True},
    }
    assert found["forceDeleteWarmPool"] is True
    assert group(warm_pool={})["warmPool"] == {
        "poolState": "Stopped",
        "minSize": 0,
        "instanceReusePolicy": {"reuseOnScaleIn": False},
    }
    assert "warmPool" not in group(warm_pool=None)


def test_a_capacity_block_is_the_template_s_market_and_target() -> None:
    found = template(instance_type="p5.48xlarge", capacity_block_id=BLOCK)
    assert found["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert found["capacityReservationSpecification"] == {"capacityReservationTarget": {"capacityReservationId": BLOCK}}


def test_a_capacity_reservation_is_filled_first() -> None:
    assert group(capacity_reservation_id=BLOCK)["capacityReservationSpecification"] == {
        "capacityReservationPreference": "capacity-reservations-first",
        "capacityReservationTarget": {"capacityReservationIds": [BLOCK]},
    }


def test_efa_has_an_interface_a_card_a_placement_group_and_an_open_group_among_nodes() -> None:
    made = pool(instance_type="p4d.24xlarge", efa=True, subnet_ids=["subnet-a"])
    interfaces = made.one(":LaunchTemplate").inputs["networkInterfaces"]
    kinds = [(i["networkCardIndex"], i["deviceIndex"], i["interfaceType"]) for i in interfaces]
    assert kinds == [(0, 0, "efa"), (1, 1, "efa-only"), (2, 1, "efa-only"), (3, 1, "efa-only")]
    assert not [i for i in interfaces if "associatePublicIpAddress" in i]
    assert made.one(":PlacementGroup").inputs["strategy"] == "cluster"
    assert made.one(":Group").inputs["placementGroup"] == made.one(":PlacementGroup").name + AUTO_SUFFIX
    for rule in (made.one(":SecurityGroupIngressRule", "-from-nodes"), made.one(":SecurityGroupEgressRule", "-between-nodes")):
        assert rule.inputs["ipProtocol"] == "-1"
        assert (rule.inputs["securityGroupId"], rule.inputs["referencedSecurityGroupId"]) == (f"{NAME}-nodes-id",) * 2
        assert "cidrIpv4" not in rule.inputs


def test_without_efa_nothing_is_open_among_nodes() -> None:
    assert [rule.name for rule in pool().all(":SecurityGroupIngressRule")] == [f"{NAME}-from-balancer"]


@pytest.mark.parametrize("image", ["ssm:/aws/service/x", "resolve:ssm:/aws/service/x"])
def test_an_image_may_be_a_public_parameter(image: str) -> None:
    assert template(image_id=image)["imageId"] == "resolve:ssm:/aws/service/x"
    assert template(image_id="ami-0abc")["imageId"] == "ami-0abc"


def test_what_aws_refuses_is_refused_at_once_where_it_is_known() -> None:
    with pytest.raises(ValueError, match=r"warm_pool.state = 'hibernated': is not there for instances with GPUs"):
        pool(warm_pool={"state": "hibernated"})


def test_what_aws_refuses_is_refused_when_it_becomes_known() -> None:
    """What applies run when outputs are known."""
    with pytest.raises(ValueError, match="holds no Spot Instances"):
        capacity.with_defaults({"warm_pool": {"state": "stopped"}, "on_demand_percent": 50})
    with pytest.raises(ValueError, match="is no reference to a secret"):
        node_document.node(IDENTITY, capacity.with_defaults({}), {"secrets": {"HF": "hf_value"}})


def test_a_secret_that_is_made_in_the_same_update_leaves_the_rest_known() -> None:
    def program() -> dict[str, pulumi.Output[Any]]:
        made = secretsmanager.Secret("svc-hf", description="of this update")
        return {"group": GpuNodePool(NAME, pool_args(secrets={"HF": made.arn})).group_name}

    found = record(program, preview=True).one(":Group").inputs
    assert found["minSize"] == 1
    assert found["name"].endswith("cd" * 6)
    with pytest.raises(Unknown):
        record(program, preview=True).one(":LaunchTemplate").inputs["userData"]


def test_user_data_that_no_instance_takes_is_refused() -> None:
    adapters = [f"s3://models/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(500)]
    identity = {**IDENTITY, "release": manifest(adapters=adapters)}
    with pytest.raises(ValueError, match=r"user data of green: \d+ bytes is more user data than the 16384 bytes"):
        node_document.user_data(node_document.node(identity, capacity.with_defaults({}), {}))


def test_a_role_reads_the_secrets_that_it_is_given() -> None:
    policy = json.loads(pool(secrets={"HF": pulumi.Output.from_input(ARN)}).one(":RolePolicy").inputs["policy"])
    assert [s["Resource"] for s in policy["Statement"] if s["Sid"] == "ReadOwnSecrets"] == [[ARN]]


def test_a_role_decrypts_its_environment_s_secrets_with_their_key_only() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    own = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:turnout/{SERVICE}/test/green/HF-AbCdEf"
    policy = json.loads(pool(secrets={"HF": own}, secrets_key_arn=key).one(":RolePolicy").inputs["policy"])
    assert [s["Resource"] for s in policy["Statement"] if "Decrypt" in s["Sid"] and "Secret" in s["Sid"]] == [[key]]


def test_a_warm_pool_that_is_not_known_yet_leaves_no_doubt_whether_instances_are_mixed() -> None:
    def program() -> None:
        later = secretsmanager.Secret("later").arn.apply(lambda _: {"state": "stopped"})
        GpuNodePool(NAME, pool_args(warm_pool=later))

    found = record(program, preview=True).one(":Group").inputs
    with pytest.raises(Unknown):
        found["warmPool"]
    assert "mixedInstancesPolicy" not in found
