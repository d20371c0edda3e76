"""Extends moto's auto scaling groups: their instances have a life (`fleets`), and their activities are told.

Sources: Amazon EC2 Auto Scaling API Reference, "CreateAutoScalingGroup", "UpdateAutoScalingGroup", "SetDesiredCapacity",
"DeleteAutoScalingGroup", "TerminateInstanceInAutoScalingGroup", "SetInstanceProtection", "DescribeScalingActivities".
"""

from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from turnout.cloud.activities import stamp
from turnout.cloud.fleet import Member, because, book_of, cause_or, everyone, fleet_of, members
from turnout.cloud.fleets import Fleets, register
from turnout.cloud.lifecycle import END


class ResourceInUse(AutoscalingClientError):
    """The group or the pool has instances."""

    code = "ResourceInUse"


def group_of(response: AutoScalingResponse) -> FakeAutoScalingGroup:
    """The group that a call names.

    Raises `ValidationError` where there is none."""
    name = response._get_param("AutoScalingGroupName")
    group = response.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group


def extend_groups(fleets: Fleets) -> None:
    """Lets groups launch, keep and end instances as AWS does."""
    models.InstanceState = Member  # type: ignore[misc]
    _extend_sizes(fleets)
    _extend_calls(fleets)
    _extend_losses(fleets)
    _extend_deletion(fleets)
    _extend_descriptions()


def _extend_sizes(fleets: Fleets) -> None:
    update = FakeAutoScalingGroup.update

    def set_desired_capacity(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
        known = self.name in self.autoscaling_backend.autoscaling_groups
        default = "a user request changed the group," if known else "a user request created an AutoScalingGroup"
        fleets.resize(self, int((self.min_size if new_capacity is None else new_capacity) or 0), cause_or(default))

    def updated(self: FakeAutoScalingGroup, *args: Any, **kwargs: Any) -> None:
        policy = self.mixed_instances_policy
        minimum, maximum, desired = (kwargs.get(name) for name in ("min_size", "max_size", "desired_capacity"))
        asked = ", ".join(f"{k}: {v}" for k, v in (("min", minimum), ("max", maximum), ("desired", desired)) if v is not None)
        fleet_of(self).held = True
        try:
            with because(cause_or(f"a user request update of AutoScalingGroup constraints to {asked or 'none'}")):
                update(self, *args, **kwargs)
        finally:
            fleet_of(self).held = False
            if not any(kwargs.get(name) for name in ("mixed_instances_policy", "launch_template", "launch_config_name")):
                self.mixed_instances_policy = policy
        fleets.balance(self)

    def replace(self: FakeAutoScalingGroup, *_: Any) -> None:
        fleets.balance(self)

    def update_attached_target_groups(self: AutoScalingBackend, group_name: str) -> None:
        register(self.autoscaling_groups[group_name])

    FakeAutoScalingGroup.set_desired_capacity = set_desired_capacity  # type: ignore[method-assign]
    FakeAutoScalingGroup.update = updated  # type: ignore[method-assign]
    FakeAutoScalingGroup.replace_autoscaling_group_instances = replace  # type: ignore[method-assign, assignment]
    AutoScalingBackend.update_attached_target_groups = update_attached_target_groups  # type: ignore[method-assign]


def _extend_calls(fleets: Fleets) -> None:
    def set_desired_capacity(self: AutoScalingResponse) -> Any:
        group, desired = group_of(self), self._get_int_param("DesiredCapacity")
        if desired > int(group.max_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is above max value {group.max_size} ...")
        if desired < int(group.min_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is below min value {group.min_size} ...")
        with because("a user request explicitly set group desired capacity"):
            group.set_desired_capacity(desired)
        return ActionResult({})

    def terminate_instance_in_auto_scaling_group(self: AutoScalingResponse) -> Any:
        name, decrement = self._get_param("InstanceId"), self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        groups = self.autoscaling_backend.autoscaling_groups.values()
        found = [(g, m) for g in groups for m in [*members(g), *fleet_of(g).warm] if m.instance_id == name]
        if not found:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {name}")
        ((group, member),) = found
        desired = int(group.desired_capacity or 0)
        if decrement and desired <= int(group.min_size or 0):
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({desired}). Terminating instance without replacement will violate "
                "group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min "
                "size."
            )
        if decrement and not member.step.warm:
            group.desired_capacity = desired - 1
        now = stamp(fleets.now())
        cause = f"At {now} instance {name} was taken out of service in response to a user request"
        cause += f", shrinking the capacity from {desired} to {desired - 1}." if decrement else "."
        activity = fleets.take_out(group, member, END, cause)
        fleet_of(group).why = ""
        fleets.balance(group)
        return ActionResult({"Activity": activity})

    def set_instance_protection(self: AutoScalingResponse) -> Any:
        group, names = group_of(self), self._get_param("InstanceIds", [])
        held = {item.instance_id: item for item in everyone(group)}
        for name in names:
            if name not in held:
                raise ValidationError(f"The instance {name} is not part of Auto Scaling group {group.name}.")
        for name in names:
            held[name].protected_from_scale_in = self._get_bool_param("ProtectedFromScaleIn")
        return ActionResult({})

    AutoScalingResponse.set_desired_capacity = set_desired_capacity  # type: ignore[method-assign]
    AutoScalingResponse.terminate_instance_in_auto_scaling_group = terminate_instance_in_auto_scaling_group  # type: ignore[method-assign]
    AutoScalingResponse.set_instance_protection = set_instance_protection  # type: ignore[method-assign]


def _extend_losses(fleets: Fleets) -> None:
    """An instance that somebody terminates in EC2 is replaced; it drains and stops first."""

    def notify_terminate_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
        for group in list(self.autoscaling_groups.values()):
            fleets.lost(group, instance_ids)

    AutoScalingBackend.notify_terminate_instances = notify_terminate_instances  # type: ignore[method-assign]


def _extend_deletion(fleets: Fleets) -> None:
    def delete_auto_scaling_group(self: AutoScalingResponse) -> Any:
        group = group_of(self)
        if everyone(group) and not self._get_bool_param("ForceDelete"):
            raise ResourceInUse("You cannot delete an AutoScalingGroup while there are instances still in the group.")
        fleets.remove(group)
        backend = self.autoscaling_backend
        del backend.autoscaling_groups[group.name]
        for table in (backend.lifecycle_hooks, backend.scheduled_actions):
            for key in [key for key, item in table.items() if item.auto_scaling_group_name == group.name]:
                del table[key]
        return ActionResult({})

    AutoScalingResponse.delete_auto_scaling_group = delete_auto_scaling_group  # type: ignore[method-assign]


def _extend_descriptions() -> None:
    def instances(self: FakeAutoScalingGroup) -> list[InstanceState]:
        return [*self.instance_states, *(item for item in fleet_of(self).leaving if not item.step.warm)]

    def describe_auto_scaling_instances(self: AutoScalingBackend, instance_ids: list[str]) -> list[InstanceState]:
        every = [item for group in self.autoscaling_groups.values() for item in everyone(group)]
        return [item for item in every if not instance_ids or item.instance_id in instance_ids]

    def describe_scaling_activities(self: AutoScalingResponse) -> Any:
        group, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        found = book_of(self.region).listed(group, ids)
        start, count = int(self._get_param("NextToken") or 0), self._get_int_param("MaxRecords") or 100
        page = found[start : start + count]
        return ActionResult({"Activities": page, "NextToken": str(start + count) if len(found) > start + count else None})

    FakeAutoScalingGroup.instances = property(instances)  # type: ignore[assignment, method-assign]
    AutoScalingBackend.describe_auto_scaling_instances = describe_auto_scaling_instances  # type: ignore[method-assign]
    AutoScalingResponse.describe_scaling_activities = describe_scaling_activities  # type: ignore[method-assign]
