"""Placement groups, capacity reservations and Capacity Blocks, and the attributes that groups keep, as the API answers them."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_account import Account, running_cloud

from tests.cloud import prepared_cloud
from turnout.cloud.moto_group_attributes import METRICS


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running_cloud(tmp_path_factory.mktemp("home"), start=prepared_cloud.start) as cloud:
        made = Account(cloud)
        made.build()
        yield made


def refused(code: str, call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code


def test_placement_groups_are_kept_by_name_with_what_their_strategy_says(account: Account) -> None:
    ec2 = account.api("ec2")
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "team", "Value": "models"}]}]
    made = ec2.create_placement_group(GroupName="near", Strategy="cluster", TagSpecifications=tags)["PlacementGroup"]
    ec2.create_placement_group(GroupName="parts", Strategy="partition")
    ec2.create_placement_group(GroupName="apart", Strategy="spread")
    found = {group["GroupName"]: group for group in ec2.describe_placement_groups()["PlacementGroups"]}
    assert found["near"] == made
    assert (made["State"], made["Strategy"], made["Tags"]) == ("available", "cluster", [{"Key": "team", "Value": "models"}])
    assert made["GroupArn"].endswith(":placement-group/near")
    assert found["parts"]["PartitionCount"] == 2, "its default"
    assert found["apart"]["SpreadLevel"] == "rack", "its default"
    assert "PartitionCount" not in found["near"]
    (chosen,) = ec2.describe_placement_groups(GroupIds=[made["GroupId"]])["PlacementGroups"]
    assert chosen["GroupName"] == "near"
    wanted = [{"Name": "strategy", "Values": ["spread"]}]
    assert [group["GroupName"] for group in ec2.describe_placement_groups(Filters=wanted)["PlacementGroups"]] == ["apart"]
    refused("InvalidPlacementGroup.Duplicate", ec2.create_placement_group, GroupName="near", Strategy="spread")
    refused("InvalidPlacementGroup.Unknown", ec2.describe_placement_groups, GroupNames=["near", "far"])
    ec2.delete_placement_group(GroupName="near")
    refused("InvalidPlacementGroup.Unknown", ec2.delete_placement_group, GroupName="near")
    refused("InvalidPlacementGroup.Unknown", ec2.describe_placement_groups, GroupIds=[made["GroupId"]])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"GroupName": "n", "Strategy": "near"}, "InvalidParameterValue"),
        ({"GroupName": "n", "Strategy": "cluster", "PartitionCount": 2}, "InvalidParameterCombination"),
        ({"GroupName": "n", "Strategy": "partition", "PartitionCount": 8}, "InvalidParameterCombination"),
    ],
)
def test_placement_groups_that_aws_refuses(account: Account, given: dict[str, Any], code: str) -> None:
    refused(code, account.api("ec2").create_placement_group, **given)


def test_reservations_are_cancelled_and_still_described_and_blocks_are_not_cancelled(account: Account) -> None:
    ec2 = account.api("ec2")
    given = {"InstanceType": "g5.xlarge", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "us-east-1b"}
    made = ec2.create_capacity_reservation(**given, InstanceCount=3)["CapacityReservation"]
    assert (made["State"], made["TotalInstanceCount"], made["AvailabilityZone"]) == ("active", 3, "us-east-1b")
    (offer,) = ec2.describe_capacity_block_offerings(InstanceType="p5.48xlarge", InstanceCount=2, CapacityDurationHours=48)[
        "CapacityBlockOfferings"
    ]
    bought = ec2.purchase_capacity_block(
        CapacityBlockOfferingId=offer["CapacityBlockOfferingId"], InstancePlatform="Linux/UNIX"
    )["CapacityReservation"]
    assert (bought["InstanceType"], bought["TotalInstanceCount"], bought["EndDateType"]) == ("p5.48xlarge", 2, "limited")
    assert bought["ReservationType"] == "capacity-block"
    assert round((bought["EndDate"] - bought["StartDate"]).total_seconds() / 3600) == 48
    ec2.cancel_capacity_reservation(CapacityReservationId=made["CapacityReservationId"])
    refused("Unsupported", ec2.cancel_capacity_reservation, CapacityReservationId=bought["CapacityReservationId"])
    ids = [made["CapacityReservationId"], bought["CapacityReservationId"]]
    found = ec2.describe_capacity_reservations(CapacityReservationIds=ids)["CapacityReservations"]
    assert [item["State"] for item in found] == ["cancelled", "active"]
    unknown = "cr-00000000000000000"
    code = "InvalidCapacityReservationId.NotFound"
    refused(code, ec2.describe_capacity_reservations, CapacityReservationIds=[unknown])
    offering = {"CapacityBlockOfferingId": "cb-0", "InstancePlatform": "Linux/UNIX"}
    refused("InvalidCapacityBlockOfferingId.NotFound", ec2.purchase_capacity_block, **offering)


KEPT: dict[str, Any] = {
    "DefaultInstanceWarmup": 60,
    "MaxInstanceLifetime": 604800,
    "InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120},
    "CapacityRebalance": True,
    "DefaultCooldown": 10,
    "PlacementGroup": "parts",
    "TerminationPolicies": ["OldestInstance", "Default"],
    "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
}
CLEARED: dict[str, Any] = {
    "DefaultInstanceWarmup": -1,
    "MaxInstanceLifetime": 0,
    "InstanceMaintenancePolicy": {"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1},
    "PlacementGroup": "",
}


def test_a_group_keeps_its_attributes_until_they_are_cleared(account: Account) -> None:
    scaling = account.api("autoscaling")
    account.launch("blue", 0, **KEPT)

    def held() -> dict[str, Any]:
        (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["blue"])["AutoScalingGroups"]
        return {name: found[name] for name in KEPT if name in found}

    assert held() == KEPT
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", DefaultCooldown=20)
    assert held() == {**KEPT, "DefaultCooldown": 20}, "what is not named stays"
    scaling.update_auto_scaling_group(AutoScalingGroupName="blue", **CLEARED)
    assert held().keys() == KEPT.keys() - CLEARED.keys()
    scaling.delete_auto_scaling_group(AutoScalingGroupName="blue")


def test_metrics_join_those_that_are_enabled_and_leave_them(account: Account) -> None:
    scaling = account.api("autoscaling")
    account.launch("green", 0)

    def enabled() -> set[str]:
        (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["green"])["AutoScalingGroups"]
        return {metric["Metric"] for metric in found.get("EnabledMetrics", [])}

    for names in (["GroupMinSize"], ["GroupMaxSize"]):
        scaling.enable_metrics_collection(AutoScalingGroupName="green", Granularity="1Minute", Metrics=names)
    assert enabled() == {"GroupMinSize", "GroupMaxSize"}
    scaling.disable_metrics_collection(AutoScalingGroupName="green", Metrics=["GroupMinSize"])
    assert enabled() == {"GroupMaxSize"}
    scaling.enable_metrics_collection(AutoScalingGroupName="green", Granularity="1Minute")
    assert enabled() == set(METRICS)
    scaling.disable_metrics_collection(AutoScalingGroupName="green")
    assert enabled() == set()
