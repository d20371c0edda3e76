"""Puts a standby's step-downs in force without anybody present: scheduled actions of its auto scaling group, and one-time
schedules of EventBridge Scheduler that delete its warm pool, which no scheduled action can.

They are made after a move and never declared: a program that declared them would make them again at every update.
"""

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from turnout_components.live import utc_now
from turnout_components.naming import arn_partition, shorten
from turnout_components.resolve import SwitchRefused
from turnout_components.standby import NAMES, Keep, StandbyPolicy, StepDown, step_downs
from turnout_components.standby_plan import StepDowns

DELETE_WARM_POOL = "arn:aws:scheduler:::aws-sdk:autoscaling:deleteWarmPool"
"""The universal target that calls DeleteWarmPool ("Using universal targets in EventBridge Scheduler")."""
SCHEDULE_NAME_LIMIT = 64
ASSUME_BY_SCHEDULER = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}},
    ],
}
"""The trust policy of a role that schedules run as ("Setting up Amazon EventBridge Scheduler")."""


def step_down_policy(service: str, stack: str, region: str) -> dict[str, Any]:
    """What a schedule may do: delete the warm pools of this service's groups in this stack, and nothing else."""
    groups = f"arn:{arn_partition(region)}:autoscaling:{region}:*:autoScalingGroup:*:autoScalingGroupName/{service}-{stack}-*"
    statement = {"Effect": "Allow", "Action": ["autoscaling:DeleteWarmPool"], "Resource": [groups]}
    return {"Version": "2012-10-17", "Statement": [statement]}


class GroupStepDowns(StepDowns):
    """The step-downs of auto scaling groups. `client` makes botocore's clients of AWS's services, on first use; schedules run
    as `role_arn` (default: what the record names)."""

    def __init__(
        self, client: Callable[[str], Any], role_arn: str | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(role_arn)
        self._client = functools.cache(client)
        self._clock = clock

    def arrange(self, group: str, policy: StandbyPolicy, flipped_at: datetime, at_flip: int, *, due: bool = True) -> list[str]:
        found = self._group(group)
        if found is None:
            return []
        now = self._clock()
        steps = step_downs(policy, flipped_at)
        pending = self._pending(group)
        done = [self._drop(group, name) for name in pending if name not in {step.name for step in steps if step.at > now}]
        for step in steps:
            sizes = _sizes(step.level, policy, at_flip)
            if step.at <= now:
                continue
            if pending.get(step.name) != (step.at, sizes) and self._put(group, step, sizes):
                done.append(f"{group} becomes {step.level} at {step.at:%Y-%m-%d %H:%M:%S} UTC")
        now = self._clock()
        past = [step for step in steps if step.at <= now]
        if not past:
            self._hold(found, at_flip)
        elif due:
            done += self._apply(found, past[-1], _sizes(past[-1].level, policy, at_flip))
        cold = next((step for step in steps if step.level is Keep.COLD and step.at > now), None)
        self._schedule(group, cold.at if cold and found.get("WarmPoolConfiguration") else None)
        return done

    def clear(self, group: str) -> None:
        for name in self._pending(group):
            self._drop(group, name)
        self._schedule(group, None)
        left = self._pending(group)
        if left:
            raise SwitchRefused(f"step-downs of {group} cannot be taken back: {', '.join(sorted(left))}")

    def pending(self, groups: Sequence[str]) -> dict[str, dict[str, datetime]]:
        return {group: {name: at for name, (at, _) in self._pending(group).items()} for group in groups}

    def _group(self, name: str) -> dict[str, Any] | None:
        found = self._client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(found[0]) if found else None

    def _pending(self, group: str) -> dict[str, tuple[datetime, dict[str, int]]]:
        if self._group(group) is None:
            return {}
        found = self._client("autoscaling").describe_scheduled_actions(
            AutoScalingGroupName=group, ScheduledActionNames=list(NAMES)
        )
        return {
            action["ScheduledActionName"]: (
                action["StartTime"].astimezone(UTC).replace(microsecond=0),
                {key: action[key] for key in ("MinSize", "MaxSize", "DesiredCapacity") if action.get(key) is not None},
            )
            for action in found["ScheduledUpdateGroupActions"]
            if action["ScheduledActionName"] in NAMES
        }

    def _put(self, group: str, step: StepDown, sizes: dict[str, int]) -> bool:
        """Whether it is arranged; not when its time has come meanwhile, which AWS refuses: then it is past."""
        try:
            self._client("autoscaling").put_scheduled_update_group_action(
                AutoScalingGroupName=group, ScheduledActionName=step.name, StartTime=step.at, **sizes
            )
        except Exception:
            if self._clock() < step.at:
                raise
            return False
        return True

    def _drop(self, group: str, name: str) -> str:
        try:
            self._client("autoscaling").delete_scheduled_action(AutoScalingGroupName=group, ScheduledActionName=name)
        except Exception:
            if name in self._pending(group):
                raise
        return f"{name} of {group} is taken back"

    def _hold(self, group: dict[str, Any], size: int) -> None:
        """At least this minimum; a size or maximum below it follows, which AWS demands."""
        if group["MinSize"] < size:
            sizes = {"MinSize": size} | {key: max(group[key], size) for key in ("MaxSize", "DesiredCapacity")}
            self._client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], **sizes)

    def _apply(self, group: dict[str, Any], step: StepDown, sizes: dict[str, int]) -> list[str]:
        """What has been missed is done now. A standby that is smaller already is left alone."""
        name, done = group["AutoScalingGroupName"], []
        if any(group[key] > size for key, size in sizes.items()):
            self._client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **sizes)
            done.append(f"{name} became {step.level}, which was due at {step.at:%Y-%m-%d %H:%M:%S} UTC")
        if step.level is Keep.COLD and group.get("WarmPoolConfiguration"):
            self._client("autoscaling").delete_warm_pool(AutoScalingGroupName=name, ForceDelete=True)
            done.append(f"the warm pool of {name} is deleted")
        return done

    def _schedule(self, group: str, at: datetime | None) -> None:
        """One schedule a group, for the deletion of its warm pool; None: there is to be none."""
        name = shorten(f"{group}-warm-pool", SCHEDULE_NAME_LIMIT)
        wanted = at and f"at({at:%Y-%m-%dT%H:%M:%S})"
        scheduler = self._client("scheduler")
        try:
            found = scheduler.get_schedule(Name=name).get("ScheduleExpression")
        except scheduler.exceptions.ResourceNotFoundException:
            found = None
        if found == wanted:
            return
        if found is not None:
            scheduler.delete_schedule(Name=name)
        if wanted is None:
            return
        if self.role_arn is None:
            raise SwitchRefused(f"no role is known that may delete the warm pool of {group}")
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=wanted,
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": DELETE_WARM_POOL,
                "RoleArn": self.role_arn,
                "Input": f'{{"AutoScalingGroupName": "{group}", "ForceDelete": true}}',
            },
        )


def _sizes(level: Keep, policy: StandbyPolicy, at_flip: int) -> dict[str, int]:
    if level is Keep.COLD:
        return {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}
    warm = min(policy.warm_minimum, at_flip)
    return {"MinSize": warm, "DesiredCapacity": warm}
