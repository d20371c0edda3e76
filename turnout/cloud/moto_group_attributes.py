"""Extends moto's auto scaling groups with the attributes that it drops, and with the end of metrics.

Sources: Amazon EC2 Auto Scaling API Reference, "CreateAutoScalingGroup", "UpdateAutoScalingGroup", "AutoScalingGroup",
"InstanceMaintenancePolicy", "EnableMetricsCollection", "DisableMetricsCollection".
"""

from collections.abc import Callable
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

METRICS = (
    *(f"Group{name}" for name in ("MinSize", "MaxSize", "DesiredCapacity")),
    *(
        f"Group{state}{unit}"
        for unit in ("Instances", "Capacity")
        for state in ("InService", "Pending", "Standby", "Terminating", "Total")
    ),
    *(f"WarmPool{state}Capacity" for state in ("Desired", "Warmed", "Pending", "Terminating", "Total")),
    *(f"GroupAndWarmPool{state}Capacity" for state in ("Desired", "Total")),
)
"""All that a group can report ("EnableMetricsCollection")."""


def _number(value: Any) -> int:
    return int(value)


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _unless(*cleared: int) -> Callable[[Any], int | None]:
    return lambda value: None if int(value) in cleared else int(value)


def _policy(value: Any) -> dict[str, int] | None:
    held = {name: int(percent) for name, percent in value.items()}
    return None if -1 in held.values() else held


_HELD: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "DefaultInstanceWarmup": ("default_instance_warmup", _unless(-1)),
    "MaxInstanceLifetime": ("max_instance_lifetime", _unless(0)),
    "InstanceMaintenancePolicy": ("instance_maintenance_policy", _policy),
    "CapacityReservationSpecification": ("capacity_reservation_specification", dict),
    "CapacityRebalance": ("capacity_rebalance", _true),
    "DefaultCooldown": ("default_cooldown", _number),
    "PlacementGroup": ("placement_group", lambda value: value or None),
    "TerminationPolicies": ("termination_policies", list),
}
"""Parameter, the group's attribute, and what its value means: some values clear what was set."""


def extend_group_attributes() -> None:
    """Lets groups keep what they are given."""
    create, update = AutoScalingResponse.create_auto_scaling_group, AutoScalingResponse.update_auto_scaling_group

    def create_auto_scaling_group(self: AutoScalingResponse) -> Any:
        answer = create(self)
        _hold(self)
        return answer

    def update_auto_scaling_group(self: AutoScalingResponse) -> Any:
        answer = update(self)
        _hold(self)
        return answer

    AutoScalingResponse.create_auto_scaling_group = create_auto_scaling_group  # type: ignore[method-assign]
    AutoScalingResponse.update_auto_scaling_group = update_auto_scaling_group  # type: ignore[method-assign]
    for attribute, _ in _HELD.values():
        if not hasattr(FakeAutoScalingGroup, attribute):
            setattr(FakeAutoScalingGroup, attribute, None)
    _extend_metrics()
    _extend_templates()


def _hold(response: AutoScalingResponse) -> None:
    given = response._get_params()
    group = response.autoscaling_backend.autoscaling_groups[str(given["AutoScalingGroupName"])]
    for parameter, (attribute, meaning) in _HELD.items():
        if given.get(parameter) is not None:
            setattr(group, attribute, meaning(given[parameter]))


def _extend_metrics() -> None:
    """Metrics join those that are enabled; none named means all. moto forgets the earlier ones and disables none."""

    def enable_metrics_collection(self: AutoScalingBackend, group_name: str, metrics: list[str]) -> None:
        group = self.autoscaling_groups[group_name]
        group.metrics = list(dict.fromkeys([*group.metrics, *(metrics or METRICS)]))

    def disable_metrics_collection(self: AutoScalingResponse) -> ActionResult:
        group = self.autoscaling_backend.autoscaling_groups[str(self._get_param("AutoScalingGroupName"))]
        named = self._get_param("Metrics", []) or METRICS
        group.metrics = [metric for metric in group.metrics if metric not in named]
        return ActionResult({})

    AutoScalingBackend.enable_metrics_collection = enable_metrics_collection  # type: ignore[method-assign]
    AutoScalingResponse.disable_metrics_collection = disable_metrics_collection  # type: ignore[attr-defined]


def _extend_templates() -> None:
    """A group with a mixed instances policy has its launch template in there, and no other ("AutoScalingGroup")."""

    def launch_template(self: FakeAutoScalingGroup) -> dict[str, Any] | None:
        template = self.ec2_launch_template
        if template is None or self.mixed_instances_policy:
            return None
        named = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
        return {**named, "Version": self.provided_launch_template_version}

    FakeAutoScalingGroup.launch_template = property(launch_template)  # type: ignore[assignment, method-assign]
