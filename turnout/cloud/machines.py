"""Launches one instance for an auto scaling group, in the zone and as what its policy says."""

from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup
from turnout_components.user_data import read_release

from turnout.cloud.fleet import Member, everyone, shares_of
from turnout.cloud.lifecycle import Step
from turnout.cloud.placement import SPOT, zone_for_next


def launch(group: FakeAutoScalingGroup, step: Step, protected: bool) -> Member:
    """A new instance of the group's template, at `step`."""
    present = [item for item in everyone(group) if item.instance.state != "terminated"]
    market = _market(group, present)
    subnets = _subnets(group)
    zone = zone_for_next([zone for zone, _ in subnets], [str(item.availability_zone) for item in present])
    reservation = group.ec2_backend.run_instances(
        group.image_id,
        1,
        group.user_data,
        group.security_groups,
        instance_type=_instance_type(group),
        tags={"instance": {**group.get_propagated_tags(), ASG_NAME_TAG: group.name, **group.instance_tags}},
        placement=zone,
        launch_config=group.launch_config,
        launch_template=_template(group),
        is_instance_type_default=False,
        associate_public_ip=group.launch_config.associate_public_ip_address if group.launch_config else None,
        subnet_id=dict(subnets)[zone],
        lifecycle=market,
    )
    (instance,) = reservation.instances
    instance.autoscaling_group = group  # type: ignore[attr-defined]
    member = Member(instance, protected_from_scale_in=protected, autoscaling_group=group)
    member.step = step
    return member


def machine_seconds(group: FakeAutoScalingGroup) -> float:
    """What a machine of the group takes until it runs, by its user data; 0 where that is another's or malformed."""
    data = group.user_data
    try:
        node = read_release(data.decode()) if data else None
        return float(node.get("boot", {}).get("machine", 0.0)) if node else 0.0
    except (ValueError, TypeError, AttributeError):
        return 0.0


def wants_spot(group: FakeAutoScalingGroup) -> bool:
    """Whether the group's template or policy asks for Spot Instances."""
    if group.mixed_instances_policy:
        return shares_of(group).spot
    data = _data(group)
    return bool(data.get("InstanceMarketOptions", {}).get("MarketType") == "spot")


def _market(group: FakeAutoScalingGroup, present: list[Member]) -> str | None:
    if group.mixed_instances_policy:
        counted = [item.placed().market for item in present if not item.step.warm]
        return SPOT if shares_of(group).market_for_next(counted) == SPOT else None
    return SPOT if wants_spot(group) else None


def _data(group: FakeAutoScalingGroup) -> dict[str, Any]:
    template = group.ec2_launch_template
    return dict(template.get_version(group.launch_template_version).data) if template else {}


def _template(group: FakeAutoScalingGroup) -> dict[str, str] | None:
    template = group.ec2_launch_template
    if template is None:
        return None
    return {"LaunchTemplateId": template.id, "Version": str(template.get_version(group.launch_template_version).number)}


def _instance_type(group: FakeAutoScalingGroup) -> str:
    overrides = ((group.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    named = [str(item["InstanceType"]) for item in overrides if item.get("InstanceType")]
    return named[0] if named else str(group.instance_type)


def _subnets(group: FakeAutoScalingGroup) -> list[tuple[str, str | None]]:
    """(zone, subnet) of each zone, in the group's order."""
    if not group.vpc_zone_identifier:
        return [(zone, None) for zone in group.availability_zones]
    subnets = group.ec2_backend.describe_subnets(subnet_ids=[part.strip() for part in group.vpc_zone_identifier.split(",")])
    order = {name.strip(): place for place, name in enumerate(group.vpc_zone_identifier.split(","))}
    found = sorted(subnets, key=lambda subnet: order[subnet.id], reverse=True)
    zones = {str(subnet.availability_zone): str(subnet.id) for subnet in found}
    return [(zone, subnet) for zone, subnet in reversed(zones.items())]
