"""Extends moto, in its own shape, where its groups, targets and metrics differ from AWS's in what a flip depends on."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.cloudwatch.models import MetricDatumBase
from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.utils import parse_user_data
from moto.elbv2.exceptions import TargetGroupNotFoundError, TargetNotRunning
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus

from turnout.cloud.health import Target
from turnout.cloud.moto_scaling import extend_scaling


class _ResourceInUse(AutoscalingClientError):
    code = "ResourceInUse"


def extend_moto(health_of: Callable[[str], Mapping[str, Target]], is_alive: Callable[[str], bool]) -> None:
    """Lets moto's API answer as AWS does. `health_of` gives the states of a target group's targets by its ARN; `is_alive`
    says whether an instance that was terminated still drains or stops."""
    _extend_target_health(health_of)
    _extend_replacement()
    _extend_lifecycle(is_alive)
    _extend_deletion()
    _extend_desired_capacity()
    _extend_statistics()
    _extend_template_versions()
    _extend_rule_descriptions()
    extend_scaling()


def _extend_target_health(health_of: Callable[[str], Mapping[str, Target]]) -> None:
    """DescribeTargetHealth (Elastic Load Balancing API Reference): real states, and draining targets among them."""

    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        states = health_of(target_group_arn)
        wanted = [target["Id"] for target in targets] or list(states)
        return [
            FakeHealthStatus(name, group.port, group.health_check_port, found.state, found.reason, found.description)
            for name in wanted
            for found in [states.get(name) or Target.not_registered()]
        ]

    ELBv2Backend.describe_target_health = describe_target_health  # type: ignore[method-assign]


def _extend_replacement() -> None:
    """A replacement registers with the group's target groups ("Use Elastic Load Balancing to distribute incoming
    application traffic in your Auto Scaling group", Amazon EC2 Auto Scaling User Guide); moto only launches it."""
    launch = AutoScalingBackend.notify_terminate_instances

    def notify_terminate_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
        launch(self, instance_ids)
        for name in self.autoscaling_groups:
            with contextlib.suppress(TargetGroupNotFoundError, TargetNotRunning):
                self.update_attached_target_groups(name)

    AutoScalingBackend.notify_terminate_instances = notify_terminate_instances  # type: ignore[method-assign]


def _extend_lifecycle(is_alive: Callable[[str], bool]) -> None:
    """An instance that leaves stays in its group as `Terminating` until it has drained and stopped ("Amazon EC2 Auto Scaling
    instance lifecycle", Amazon EC2 Auto Scaling User Guide); in moto it is gone at once."""
    resize, replace_terminated = FakeAutoScalingGroup.set_desired_capacity, AutoScalingBackend.notify_terminate_instances
    leaving: WeakKeyDictionary[FakeAutoScalingGroup, list[InstanceState]] = WeakKeyDictionary()

    def note(group: FakeAutoScalingGroup, before: list[InstanceState]) -> None:
        gone = [item for item in before if item not in group.instance_states and item.instance.state == "terminated"]
        for item in gone:
            item.lifecycle_state = "Terminating"
        leaving[group] = [*leaving.get(group, []), *gone]

    def set_desired_capacity(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
        before = list(self.instance_states)
        resize(self, new_capacity)
        note(self, before)

    def notify_terminate_instances(self: AutoScalingBackend, instance_ids: list[str]) -> None:
        before = {name: list(group.instance_states) for name, group in self.autoscaling_groups.items()}
        replace_terminated(self, instance_ids)
        for name, group in self.autoscaling_groups.items():
            note(group, before[name])

    def instances(self: FakeAutoScalingGroup) -> list[InstanceState]:
        held = [item for item in leaving.get(self, []) if is_alive(item.instance_id)]
        leaving[self] = held
        return [*self.instance_states, *held]

    FakeAutoScalingGroup.set_desired_capacity = set_desired_capacity  # type: ignore[method-assign]
    AutoScalingBackend.notify_terminate_instances = notify_terminate_instances  # type: ignore[method-assign]
    FakeAutoScalingGroup.instances = property(instances)  # type: ignore[assignment, method-assign]


def _extend_deletion() -> None:
    """DeleteAutoScalingGroup (Amazon EC2 Auto Scaling API Reference) refuses a group with instances unless ForceDelete."""
    delete = AutoScalingResponse.delete_auto_scaling_group

    def delete_auto_scaling_group(self: AutoScalingResponse) -> Any:
        group = self.autoscaling_backend.autoscaling_groups.get(self._get_param("AutoScalingGroupName"))
        if group is not None and group.instances and not self._get_bool_param("ForceDelete"):
            raise _ResourceInUse("You cannot delete an AutoScalingGroup while there are instances still in the group.")
        return delete(self)

    AutoScalingResponse.delete_auto_scaling_group = delete_auto_scaling_group  # type: ignore[method-assign]


def _extend_desired_capacity() -> None:
    """SetDesiredCapacity (Amazon EC2 Auto Scaling API Reference) refuses a number outside minimum and maximum."""
    accept = AutoScalingResponse.set_desired_capacity

    def set_desired_capacity(self: AutoScalingResponse) -> Any:
        name, desired = self._get_param("AutoScalingGroupName"), self._get_int_param("DesiredCapacity")
        group = self.autoscaling_backend.autoscaling_groups.get(name)
        if group is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        if desired > int(group.max_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is above max value {group.max_size} ...")
        if desired < int(group.min_size or 0):
            raise ValidationError(f"New SetDesiredCapacity value {desired} is below min value {group.min_size} ...")
        return accept(self)

    AutoScalingResponse.set_desired_capacity = set_desired_capacity  # type: ignore[method-assign]


def _extend_statistics() -> None:
    """A metric is its name and all of its dimensions ("Metrics concepts", Amazon CloudWatch User Guide); moto's
    GetMetricStatistics for a load balancer would also add up what is filed under its target groups."""
    subset = MetricDatumBase.filter

    def matches(
        self: MetricDatumBase,
        namespace: str | None,
        name: str | None,
        dimensions: list[dict[str, str]],
        already_present_metrics: list[MetricDatumBase] | None = None,
    ) -> bool:
        statistics = already_present_metrics is None
        if statistics and dimensions and len(dimensions) != len(self.dimensions):
            return False
        return subset(self, namespace, name, dimensions, already_present_metrics)

    MetricDatumBase.filter = matches  # type: ignore[method-assign]


def _extend_template_versions() -> None:
    """CreateLaunchTemplateVersion (Amazon EC2 API Reference) takes user data as CreateLaunchTemplate does; moto 5.2.5 reads
    the first version's only, and a group of a later version fails."""
    create = LaunchTemplate.create_version

    def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
        given = data.get("UserData")
        user_data = given if isinstance(given, Base64EncodedString) else parse_user_data(given)
        return create(self, {**data, "UserData": user_data}, description)

    LaunchTemplate.create_version = create_version  # type: ignore[method-assign]


def _extend_rule_descriptions() -> None:
    """A rule keeps its description whatever its source is (SecurityGroupRule, Amazon EC2 API Reference); moto shows only
    that of an address range."""

    def description(self: SecurityGroupRule) -> str | None:
        return self.ip_range.get("Description") or self.source_group.get("Description")

    SecurityGroupRule.description = property(description)  # type: ignore[assignment]
