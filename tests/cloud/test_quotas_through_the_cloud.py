"""Quotas, Spot placement scores and fitting types as the API answers them, and a pool's capacity read from there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_account import Account, running_cloud

from tests.cloud import prepared_cloud
from turnout.cloud.moto_quotas import GRANTED, NAMES
from turnout.rollout.capacity import Market, check, quota_of
from turnout.rollout.capacity_reader import NoGroup, read

G, G_SPOT, P, P5_SPOT = "L-DB2E81BA", "L-3819A6DF", "L-417A185B", "L-C4BD4855"
NOW, HOUR = datetime.now(UTC), timedelta(hours=1)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running_cloud(tmp_path_factory.mktemp("home"), start=prepared_cloud.start) as cloud:
        made = Account(cloud)
        made.build()
        yield made


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def group(account: Account, name: str, data: dict[str, Any], **settings: Any) -> None:
    """A group without instances."""
    template = {"ImageId": "ami-1", "InstanceType": "g5.xlarge", **data}
    account.api("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
    named = {"LaunchTemplateName": name, "Version": "$Latest"}
    kind: dict[str, Any] = {"LaunchTemplate": named}
    if "mixed" in settings:
        mixed = settings.pop("mixed")
        template = {**mixed["LaunchTemplate"], "LaunchTemplateSpecification": named}
        kind = {"MixedInstancesPolicy": {**mixed, "LaunchTemplate": template}}
    account.api("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=settings.pop("maximum", 6),
        VPCZoneIdentifier=",".join(account.subnets),
        **kind,
        **settings,
    )


def test_the_gpu_families_have_quotas_that_can_be_raised(account: Account) -> None:
    quotas = account.api("service-quotas")
    listed = {quota["QuotaCode"]: quota for quota in quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]}
    assert {code: quota["QuotaName"] for code, quota in listed.items()} == NAMES
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"] == listed[P]
    assert listed[P]["Value"] == GRANTED
    assert quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"]["Value"] == 0
    asked = quotas.request_service_quota_increase(ServiceCode="ec2", QuotaCode=P, DesiredValue=1000)["RequestedQuota"]
    assert (asked["Status"], asked["DesiredValue"], asked["QuotaCode"]) == ("APPROVED", 1000, P)
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"]["Value"] == 1000
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=G)["Quota"]["Value"] == GRANTED


def test_what_service_quotas_refuses(account: Account) -> None:
    quotas = account.api("service-quotas")
    for call in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        assert refused(call, ServiceCode="ec2", QuotaCode="L-00000000") == "NoSuchResourceException"
    assert refused(quotas.list_service_quotas, ServiceCode="nothing") == "NoSuchResourceException"
    given = {"ServiceCode": "ec2", "QuotaCode": G_SPOT, "DesiredValue": GRANTED}
    assert refused(quotas.request_service_quota_increase, **given) == "IllegalArgumentException"
    vpc = quotas.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE")["Quota"]
    assert vpc["QuotaName"] == "VPCs per Region", "moto's own"


def test_the_names_of_the_quotas_are_those_that_turnout_asks_for() -> None:
    found = {
        quota_of(name, market) for name in ("g5.xlarge", "gr6.4xlarge", "p4d.24xlarge", "p5.48xlarge") for market in Market
    }
    assert {quota.code: quota.name for quota in found if quota} == NAMES


def test_placement_scores_are_low_for_few_types(account: Account) -> None:
    ask = account.api("ec2").get_spot_placement_scores
    assert ask(TargetCapacity=4, InstanceTypes=["g5.xlarge"], RegionNames=["us-east-1"])["SpotPlacementScores"] == [
        {"Region": "us-east-1", "Score": 3}
    ]
    three = ask(TargetCapacity=4, InstanceTypes=["g5.xlarge", "g6.xlarge", "g6e.xlarge"])["SpotPlacementScores"]
    assert [(score["Region"], score["Score"]) for score in three] == [("us-east-1", 9)]
    assert refused(ask, TargetCapacity=1) == "MissingParameter"
    wanted = {"InstanceRequirements": {"VCpuCount": {"Min": 4}, "MemoryMiB": {"Min": 1024}}}
    both = {"InstanceTypes": ["g5.xlarge"], "InstanceRequirementsWithMetadata": wanted}
    assert refused(ask, TargetCapacity=1, **both) == "InvalidParameterCombination"
    assert ask(TargetCapacity=1, InstanceRequirementsWithMetadata=wanted)["SpotPlacementScores"][0]["Score"] == 9


def test_types_fit_by_vcpus_memory_and_nvidia_gpus(account: Account) -> None:
    ask = account.api("ec2").get_instance_types_from_instance_requirements
    kinds = {"ArchitectureTypes": ["x86_64"], "VirtualizationTypes": ["hvm"]}
    needs = {"VCpuCount": {"Min": 4, "Max": 4}, "MemoryMiB": {"Min": 1024}, "AcceleratorCount": {"Min": 1}}
    found = {item["InstanceType"] for item in ask(**kinds, InstanceRequirements=needs)["InstanceTypes"]}
    assert {"g4dn.xlarge", "g5.xlarge", "g6.xlarge"} <= found
    assert not {name for name in found if name.startswith(("m5", "g4ad", "g5.2"))}
    named = {**needs, "AcceleratorNames": ["t4"]}
    only = {item["InstanceType"] for item in ask(**kinds, InstanceRequirements=named)["InstanceTypes"]}
    assert only == {"g4dn.xlarge"}


def test_a_pool_is_read_with_what_runs_beside_it(account: Account) -> None:
    ec2 = account.api("ec2")
    before = read(account.api, _made(account, "plain"), 2).quotas[0].used
    ec2.run_instances(ImageId="ami-1", InstanceType="g6.12xlarge", MinCount=2, MaxCount=2)
    ec2.run_instances(ImageId="ami-1", InstanceType="m5.large", MinCount=1, MaxCount=1)
    ec2.create_capacity_reservation(
        InstanceType="g5.2xlarge", InstancePlatform="Linux/UNIX", AvailabilityZone="us-east-1a", InstanceCount=3
    )
    pool = read(account.api, "plain", 2)
    (quota,) = pool.quotas
    assert (quota.of.code, quota.limit, quota.node) == (G, GRANTED, 4)
    assert quota.used - before == 2 * 48 + 3 * 8
    assert (pool.serving, pool.maximum, pool.types, pool.unknown, pool.score) == (0, 6, ("g5.xlarge",), (), None)
    assert check(pool, 6, NOW, HOUR).missing == 0
    assert check(pool, 7, NOW, HOUR).missing == 1


def _made(account: Account, name: str) -> str:
    group(account, name, {})
    return name


def test_large_nodes_do_not_fit_until_the_quota_is_raised(account: Account) -> None:
    group(account, "large", {"InstanceType": "p5.48xlarge"}, maximum=8)
    limit = account.api("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=P)["Quota"]["Value"]
    wanted = int(limit // 192) + 1
    short = check(read(account.api, "large", wanted), wanted, NOW, HOUR)
    assert short.missing == 1
    (line,) = (shortage.said for shortage in short.shortages)
    asked = float(line.partition("--desired-value ")[2].partition("`")[0])
    account.api("service-quotas").request_service_quota_increase(ServiceCode="ec2", QuotaCode=P, DesiredValue=asked)
    assert check(read(account.api, "large", wanted), wanted, NOW, HOUR).missing == 0


def test_a_mixed_group_has_two_markets_and_a_score(account: Account) -> None:
    overrides = [{"InstanceType": name} for name in ("g5.xlarge", "g6.2xlarge", "p5.48xlarge")]
    shares = {"OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 50}
    group(account, "mixed", {}, mixed={"LaunchTemplate": {"Overrides": overrides}, "InstancesDistribution": shares})
    pool = read(account.api, "mixed", 4)
    assert {(quota.market, quota.of.code, quota.node) for quota in pool.quotas} == {
        (Market.ON_DEMAND, G, 8),
        (Market.SPOT, G_SPOT, 8),
        (Market.ON_DEMAND, P, 192),
        (Market.SPOT, P5_SPOT, 192),
    }
    assert (pool.base, pool.percent, pool.score, pool.unknown) == (1, 50, 9, ())


def test_attributes_are_the_types_that_fit_them(account: Account) -> None:
    wanted = {
        "VCpuCount": {"Min": 4, "Max": 8},
        "MemoryMiB": {"Min": 1024},
        "AcceleratorCount": {"Min": 1},
        "AcceleratorNames": ["t4"],
    }
    mixed = {"LaunchTemplate": {"Overrides": [{"InstanceRequirements": wanted}]}, "InstancesDistribution": {}}
    group(account, "fitting", {}, mixed=mixed)
    pool = read(account.api, "fitting", 1)
    assert pool.types == ("g4dn.2xlarge", "g4dn.xlarge")
    assert [(quota.of.code, quota.node) for quota in pool.quotas] == [(G, 8)]


def test_a_block_is_read_with_its_places_and_its_end(account: Account) -> None:
    ec2 = account.api("ec2")
    ((offer),) = ec2.describe_capacity_block_offerings(InstanceType="p5.48xlarge", InstanceCount=2, CapacityDurationHours=24)[
        "CapacityBlockOfferings"
    ]
    bought = ec2.purchase_capacity_block(
        CapacityBlockOfferingId=offer["CapacityBlockOfferingId"], InstancePlatform="Linux/UNIX"
    )["CapacityReservation"]
    data = {
        "InstanceType": "p5.48xlarge",
        "InstanceMarketOptions": {"MarketType": "capacity-block"},
        "CapacityReservationSpecification": {
            "CapacityReservationTarget": {"CapacityReservationId": bought["CapacityReservationId"]}
        },
    }
    group(account, "block", data)
    pool = read(account.api, "block", 3)
    assert pool.reservation is not None
    assert (pool.reservation.block, pool.reservation.free, pool.reservation.ends) == (True, 2, bought["EndDate"])
    assert check(pool, 2, NOW, HOUR).missing == 0
    assert check(pool, 3, NOW, HOUR).missing == 1
    assert check(pool, 2, NOW, timedelta(hours=24)).missing == 2


def test_a_group_that_is_not_there_is_an_error(account: Account) -> None:
    with pytest.raises(NoGroup, match="nowhere does not exist"):
        read(account.api, "nowhere", 1)
