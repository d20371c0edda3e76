"""What AWS refuses of an auto scaling group and its policies because of what else there is; each says the page."""

from typing import Any

import pytest

from tests.providers.cases_autoscaling import HOOK, POLICY, SCHEDULE, hook, moment, schedule, step_policy
from tests.providers.cases_group import GROUP, chosen, mixed, types
from tests.providers.conftest import TYPES, World
from tests.providers.samples import efa, scaling_group
from turnout.engine.provider import Properties, ProviderError

TEMPLATE, PLACEMENT = "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/placementGroup:PlacementGroup"
BLOCK_PAGE = "Use Capacity Blocks for machine learning workloads"
P5 = "p5.48xlarge"


def refused(world: World, text: str, **change: Any) -> None:
    """The group is not made, and for this reason."""
    inputs = {name: value for name, value in {**scaling_group(world), **change}.items() if value is not None}
    assert TYPES[GROUP].check(inputs) == []
    with pytest.raises(ProviderError, match=text):
        world.make(GROUP, **inputs)


def template(world: World, **data: Any) -> Properties:
    given = {"imageId": "ami-12c6146b", "instanceType": "g5.xlarge", **data}
    kept = {name: value for name, value in given.items() if value is not None}
    return {"launchTemplate": {"id": world.make(TEMPLATE, name=world.name("lt"), **kept).id}}


def block(world: World) -> str:
    """A Capacity Block of P5 instances in the region's first zone."""
    api = world.api("ec2")
    (offer,) = api.describe_capacity_block_offerings(InstanceType=P5, InstanceCount=1, CapacityDurationHours=24)[
        "CapacityBlockOfferings"
    ]
    bought = api.purchase_capacity_block(
        CapacityBlockOfferingId=offer["CapacityBlockOfferingId"], InstancePlatform="Linux/UNIX"
    )["CapacityReservation"]
    assert (bought["ReservationType"], bought["AvailabilityZone"]) == ("capacity-block", "us-east-1a")
    return str(bought["CapacityReservationId"])


def in_block(world: World, id: str, **data: Any) -> Properties:
    target = {"capacityReservationTarget": {"capacityReservationId": id}}
    market = {"marketType": "capacity-block"}
    return template(
        world, **{"instanceType": P5, "instanceMarketOptions": market, "capacityReservationSpecification": target, **data}
    )


def test_a_warm_pool_beside_a_template_that_wants_spot_is_refused(world: World) -> None:
    spot = template(world, instanceMarketOptions={"marketType": "spot"})
    refused(world, "Spot Instances.*PutWarmPool", **spot, warmPool={"minSize": 1})
    refused(world, "Spot Instances.*PutWarmPool", **spot, warmPool={"poolState": "Running"})


def test_hibernated_needs_a_type_that_can_and_an_encrypted_root_volume(world: World) -> None:
    page, pool = "Prerequisites for EC2 instance hibernation", {"poolState": "Hibernated"}
    small: Properties = {"instanceType": "m5.large"}
    refused(world, f"g5.xlarge does not support hibernation.*{page}", **template(world), warmPool=pool)
    refused(world, f"hibernationOptions.configured.*{page}", **template(world, **small), warmPool=pool)
    on: Properties = {**small, "hibernationOptions": {"configured": True}}
    plain = [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 30, "encrypted": "false"}}]
    refused(world, f"encrypted root volume.*{page}", **template(world, **on, blockDeviceMappings=plain), warmPool=pool)
    safe = [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 30, "encrypted": "true"}}]
    world.make(GROUP, **{**scaling_group(world), **template(world, **on, blockDeviceMappings=safe), "warmPool": pool})


def test_a_capacity_block_goes_alone_in_its_zone_and_its_type(world: World) -> None:
    id = block(world)
    here: Properties = {"vpcZoneIdentifiers": world.subnets[:1]}
    refused(world, f"warm pool.*{BLOCK_PAGE}", **in_block(world, id), **here, warmPool={"minSize": 1})
    launch = {"launchTemplateSpecification": {"launchTemplateId": in_block(world, id)["launchTemplate"]["id"]}}
    refused(
        world, f"mixed instances.*{BLOCK_PAGE}", launchTemplate=None, mixedInstancesPolicy={"launchTemplate": launch}, **here
    )
    refused(world, f"us-east-1a.*{BLOCK_PAGE}", **in_block(world, id))
    refused(world, f"is of p5.48xlarge.*{BLOCK_PAGE}", **in_block(world, id, instanceType="p4d.24xlarge"), **here)
    target = {"capacityReservationTarget": {"capacityReservationIds": [id]}}
    refused(world, f"is a Capacity Block.*{BLOCK_PAGE}", capacityReservationSpecification=target)
    usual = world.api("ec2").create_capacity_reservation(
        InstanceType=P5, InstancePlatform="Linux/UNIX", InstanceCount=1, AvailabilityZone="us-east-1a"
    )["CapacityReservation"]["CapacityReservationId"]
    refused(world, f"is no Capacity Block.*{BLOCK_PAGE}", **in_block(world, usual), **here)
    world.make(GROUP, **{**scaling_group(world), **in_block(world, id), **here})


def test_adapters_are_of_some_types_and_of_so_many_cards(world: World) -> None:
    page = "Elastic Fabric Adapter for AI/ML and HPC workloads on Amazon EC2"
    refused(world, f"g5.xlarge has no Elastic Fabric Adapter.*{page}", **template(world, networkInterfaces=[efa(world, 0)]))
    two = [efa(world, 0), efa(world, 1)]
    large: Properties = {"instanceType": "g5.48xlarge", "networkInterfaces": two}
    refused(world, f"g5.48xlarge has 1 Elastic Fabric Adapter.*{page}", **template(world, **large))
    beyond = {**efa(world, 0), "networkCardIndex": 4}
    refused(world, f"no network card 4.*{page}", **template(world, instanceType="p4d.24xlarge", networkInterfaces=[beyond]))
    world.make(GROUP, **{**scaling_group(world), **template(world, instanceType=P5, networkInterfaces=two)})


def test_a_cluster_placement_group_is_in_one_zone(world: World) -> None:
    near = world.make(PLACEMENT, name=world.name("near"), strategy="cluster").id
    wide = world.make(PLACEMENT, name=world.name("wide"), strategy="spread").id
    refused(world, "cluster placement group.*us-east-1a, us-east-1b", placementGroup=near)
    refused(world, "placement group nowhere does not exist", placementGroup="nowhere")
    world.make(GROUP, **{**scaling_group(world), "placementGroup": wide})
    world.make(GROUP, **{**scaling_group(world), "placementGroup": near, "vpcZoneIdentifiers": world.subnets[:1]})


def test_a_placement_group_with_instances_in_it_is_not_deleted(world: World) -> None:
    near = world.make(PLACEMENT, name=world.name("near"), strategy="cluster")
    one: Properties = {"placementGroup": near.id, "vpcZoneIdentifiers": world.subnets[:1]}
    world.make(GROUP, **{**scaling_group(world), **one})
    with pytest.raises(ProviderError, match="InUse"):
        TYPES[PLACEMENT].delete(world.config, near.id, {}, near.outputs, 0.2)


def test_an_update_is_refused_as_a_create_is(world: World) -> None:
    inputs = scaling_group(world)
    made, kind = world.make(GROUP, **inputs), TYPES[GROUP]
    spot = template(world, instanceMarketOptions={"marketType": "spot"})
    with pytest.raises(ProviderError, match="Spot Instances"):
        kind.update(world.config, made.id, inputs, {**inputs, **spot, "warmPool": {"minSize": 1}}, made.outputs)
    with pytest.raises(ProviderError, match="no such|does not exist"):
        kind.update(world.config, made.id, inputs, {**inputs, "placementGroup": "nowhere"}, made.outputs)
    found = kind.read(world.config, made.id, inputs, made.outputs)
    assert found is not None
    assert found.inputs == inputs


def test_types_and_attributes_need_no_type_in_the_template(world: World) -> None:
    bare = template(world, instanceType=None)["launchTemplate"]["id"]
    for policy in (mixed(world, *types("g5.xlarge")), chosen(world)):
        policy["launchTemplate"]["launchTemplateSpecification"] = {"launchTemplateId": bare}
        inputs = {**scaling_group(world), "mixedInstancesPolicy": policy}
        world.make(GROUP, **{name: value for name, value in inputs.items() if name != "launchTemplate"})


def test_requests_per_target_are_of_a_target_group_of_the_group(world: World) -> None:
    inputs = scaling_group(world)
    name = world.make(GROUP, **inputs).id
    balancer = world.balancer.partition(":loadbalancer/")[2]

    def tracked(target_group: str) -> Properties:
        label = f"{balancer}/{target_group.rpartition(':')[2]}"
        metric = {"predefinedMetricType": "ALBRequestCountPerTarget", "resourceLabel": label}
        return {
            "name": world.name("policy"),
            "autoscalingGroupName": name,
            "policyType": "TargetTrackingScaling",
            "targetTrackingConfiguration": {"targetValue": 100, "predefinedMetricSpecification": metric},
        }

    with pytest.raises(ProviderError, match=r"is not attached.*\(PredefinedMetricSpecification\)"):
        world.make(POLICY, **tracked(world.target_group()))
    world.make(POLICY, **tracked(inputs["targetGroupArns"][0]))


def test_a_schedule_in_the_past_or_at_anothers_time_is_refused(world: World) -> None:
    good = {name: value for name, value in schedule(world).items() if name not in ("startTime", "endTime")}
    with pytest.raises(ProviderError, match=r"in the past \(PutScheduledUpdateGroupAction\)"):
        world.make(SCHEDULE, **{**good, "startTime": moment(-1)})
    world.make(SCHEDULE, **good)
    with pytest.raises(ProviderError, match="has its time already"):
        world.make(SCHEDULE, **{**good, "scheduledActionName": "other"})
    world.make(SCHEDULE, **{**good, "scheduledActionName": "other", "timeZone": "Asia/Tokyo"})


def test_a_schedule_policy_or_hook_of_no_group_is_refused(world: World) -> None:
    for token, inputs in ((SCHEDULE, schedule(world)), (POLICY, step_policy(world)), (HOOK, hook(world))):
        with pytest.raises(ProviderError, match="not found"):
            world.make(token, **{**inputs, "autoscalingGroupName": "nobody"})
