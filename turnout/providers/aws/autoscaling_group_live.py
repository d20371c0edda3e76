"""What AWS refuses of an auto scaling group because of what else there is: launch templates, instance types, reservations,
placement groups, target groups. Each raises ProviderError as CreateAutoScalingGroup answers (moto takes them all)."""

from collections.abc import Iterable
from typing import Any

from turnout.engine.provider import NotFound, Properties, ProviderError
from turnout.providers.aws.autoscaling_mixed_rules import overrides
from turnout.providers.aws.clients import Cloud, error_code

BLOCK = "capacity-block"
BLOCK_PAGE = "Use Capacity Blocks for machine learning workloads"
FULLY = "You must use a valid fully-formed launch template"
EFA = ("efa", "efa-only")


def check_live(cloud: Cloud, inputs: Properties) -> None:
    """Raises ProviderError for the first rule that is broken."""
    mixed = inputs.get("mixedInstancesPolicy")
    if mixed:
        named = mixed["launchTemplate"]["launchTemplateSpecification"]
        block = {"id": named.get("launchTemplateId"), "name": named.get("launchTemplateName"), "version": named.get("version")}
    else:
        block = inputs["launchTemplate"]
    data = _template(cloud, block)
    types = [item["instanceType"] for item in overrides(inputs) if item.get("instanceType")]
    chosen = bool(types) or any(item.get("instanceRequirements") for item in overrides(inputs))
    if not data.get("ImageId"):
        _refuse(f"{FULLY}: it has no ImageId")
    if not (data.get("InstanceType") or chosen or (mixed and data.get("InstanceRequirements"))):
        _refuse(f"{FULLY}: it has no InstanceType")
    types = types or ([data["InstanceType"]] if data.get("InstanceType") and not chosen else [])
    _check_market(cloud, inputs, data)
    _check_pool(cloud, inputs, data, types)
    _check_adapters(cloud, data, types)
    _check_placement(cloud, inputs)
    for arn in inputs.get("targetGroupArns") or []:
        try:
            cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[arn])
        except NotFound:
            _refuse(f"target group {arn} does not exist")


def _refuse(reason: str) -> None:
    raise ProviderError(f"autoscaling: ValidationError: {reason}")


def _template(cloud: Cloud, block: Properties) -> dict[str, Any]:
    found = cloud.call(
        "ec2",
        "describe_launch_template_versions",
        LaunchTemplateId=block.get("id"),
        LaunchTemplateName=block.get("name"),
        Versions=[str(block.get("version") or "$Default")],
    )["LaunchTemplateVersions"]
    return dict(found[0]["LaunchTemplateData"]) if found else {}


def _zones(cloud: Cloud, inputs: Properties) -> set[str]:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=list(inputs["vpcZoneIdentifiers"]))["Subnets"]
    return {str(subnet["AvailabilityZone"]) for subnet in subnets}


def _check_market(cloud: Cloud, inputs: Properties, data: dict[str, Any]) -> None:
    """ "Use Capacity Blocks for machine learning workloads": the launch template says capacity-block, names the block and its
    type; neither a mixed instances group nor a warm pool; the block's zone only."""
    ids = (inputs.get("capacityReservationSpecification") or {}).get("capacityReservationTarget") or {}
    named = list(ids.get("capacityReservationIds") or [])
    market = (data.get("InstanceMarketOptions") or {}).get("MarketType")
    if market != BLOCK:
        for block in _reservations(cloud, named):
            if block.get("ReservationType") == BLOCK:
                _refuse(
                    f"{block['CapacityReservationId']} is a Capacity Block: the launch template must have "
                    f"InstanceMarketOptions.MarketType {BLOCK} and target it ({BLOCK_PAGE})"
                )
        return
    if inputs.get("mixedInstancesPolicy"):
        _refuse(f"a Capacity Block does not go with a mixed instances group ({BLOCK_PAGE})")
    if inputs.get("warmPool"):
        _refuse(f"a Capacity Block does not go with a warm pool ({BLOCK_PAGE})")
    target = (data.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget") or {}
    if not target.get("CapacityReservationId"):
        _refuse(f"{FULLY}: MarketType {BLOCK} needs CapacityReservationTarget.CapacityReservationId ({BLOCK_PAGE})")
    for block in _reservations(cloud, [target["CapacityReservationId"]]):
        id, zone = block["CapacityReservationId"], block["AvailabilityZone"]
        if block.get("ReservationType") != BLOCK:
            _refuse(f"{id} is no Capacity Block: take {BLOCK} out of the launch template ({BLOCK_PAGE})")
        if block["InstanceType"] != data["InstanceType"]:
            _refuse(f"{id} is of {block['InstanceType']}, the launch template of {data['InstanceType']} ({BLOCK_PAGE})")
        if _zones(cloud, inputs) != {zone}:
            _refuse(f"{id} is in {zone}: give the group the subnets of that zone only ({BLOCK_PAGE})")


def _reservations(cloud: Cloud, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Those that there are: a group may name others, and its launches fail then."""
    found: list[dict[str, Any]] = []
    for id in ids:
        try:
            answer = cloud.call("ec2", "describe_capacity_reservations", CapacityReservationIds=[id])
        except NotFound:
            continue
        found += answer["CapacityReservations"]
    return found


def _check_pool(cloud: Cloud, inputs: Properties, data: dict[str, Any], types: list[str]) -> None:
    """ "PutWarmPool": no Spot. Hibernation: "Prerequisites for EC2 instance hibernation"."""
    pool = inputs.get("warmPool")
    if not pool:
        return
    if (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
        _refuse("a warm pool cannot stand beside a launch template that requests Spot Instances (PutWarmPool)")
    if pool.get("poolState") != "Hibernated":
        return
    page = "Prerequisites for EC2 instance hibernation"
    for kind in _types(cloud, types):
        if not kind.get("HibernationSupported"):
            _refuse(f"{kind['InstanceType']} does not support hibernation: use Stopped or Running ({page})")
    if not (data.get("HibernationOptions") or {}).get("Configured"):
        _refuse(f"Hibernated needs hibernationOptions.configured in the launch template ({page})")
    volumes = [block.get("Ebs") or {} for block in data.get("BlockDeviceMappings") or []]
    if not any(volume.get("Encrypted") for volume in volumes):
        _refuse(f"Hibernated needs an encrypted root volume in the launch template ({page})")


def _types(cloud: Cloud, types: list[str]) -> list[dict[str, Any]]:
    if not types:
        return []
    try:
        found = cloud.call("ec2", "describe_instance_types", InstanceTypes=types)["InstanceTypes"]
    except ProviderError as error:
        if error_code(error) != "InvalidInstanceType":
            raise
        _refuse(f"{FULLY}: {error}")
    return list(found)


def _check_adapters(cloud: Cloud, data: dict[str, Any], types: list[str]) -> None:
    """DescribeInstanceTypes, `NetworkInfo`: which types have Elastic Fabric Adapters, and how many cards."""
    interfaces = data.get("NetworkInterfaces") or []
    adapters = [item for item in interfaces if item.get("InterfaceType") in EFA]
    cards = max((int(item.get("NetworkCardIndex") or 0) for item in interfaces), default=0)
    if not adapters and not cards:
        return
    page = "Elastic Fabric Adapter for AI/ML and HPC workloads on Amazon EC2"
    for kind in _types(cloud, types):
        name, network = kind["InstanceType"], kind.get("NetworkInfo") or {}
        most = int((network.get("EfaInfo") or {}).get("MaximumEfaInterfaces") or 0)
        if adapters and not network.get("EfaSupported"):
            _refuse(f"{FULLY}: {name} has no Elastic Fabric Adapter ({page})")
        if len(adapters) > most:
            _refuse(f"{FULLY}: {name} has {most} Elastic Fabric Adapter(s), not {len(adapters)} ({page})")
        if cards >= int(network.get("MaximumNetworkCards") or 1):
            _refuse(f"{FULLY}: {name} has no network card {cards} ({page})")


def _check_placement(cloud: Cloud, inputs: Properties) -> None:
    """ "You cannot specify multiple Availability Zones and a cluster placement group" ("CreateAutoScalingGroup")."""
    name = inputs.get("placementGroup")
    if not name:
        return
    try:
        groups = cloud.call("ec2", "describe_placement_groups", GroupNames=[name])["PlacementGroups"]
    except ProviderError as error:
        if error_code(error) != "InvalidPlacementGroup.Unknown":
            raise
        _refuse(f"placement group {name} does not exist")
    zones = _zones(cloud, inputs)
    if groups[0]["Strategy"] == "cluster" and len(zones) > 1:
        _refuse(f"the cluster placement group {name} is in one zone, the group's subnets in {', '.join(sorted(zones))}")
