"""Extends moto's scheduled actions with what AWS checks, and carries out what is due: scheduled actions of groups, and one-time
schedules of EventBridge Scheduler that delete a warm pool. Nobody needs to be present.

Sources: "PutScheduledUpdateGroupAction", "DeleteScheduledAction" (Amazon EC2 Auto Scaling API Reference), "Scheduled scaling
for Amazon EC2 Auto Scaling" (its User Guide); "Using universal targets in EventBridge Scheduler", "Deleting a schedule" (Amazon
EventBridge Scheduler User Guide).
"""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.scheduler.models import Schedule, scheduler_backends
from turnout_components import cron

from turnout.cloud import schedules
from turnout.cloud.fleet import because, suspended
from turnout.cloud.fleets import Fleets
from turnout.cloud.moto_state import ACCOUNT, api_lock
from turnout.cloud.moto_warm_pools import delete_pool
from turnout.cloud.schedules import Plan

logger = logging.getLogger(__name__)

DELETE_WARM_POOL = "arn:aws:scheduler:::aws-sdk:autoscaling:deleteWarmPool"
_SIZES = ("min_size", "max_size", "desired_capacity")


@dataclass
class ScheduledAction:
    """A scheduled action, with the API's members. `start_time` is the next time, which `plan` gives."""

    auto_scaling_group_name: str
    scheduled_action_name: str
    min_size: int | None
    max_size: int | None
    desired_capacity: int | None
    plan: Plan
    start_time: datetime
    scheduled_action_arn: str

    @property
    def end_time(self) -> datetime | None:
        """Until when it recurs."""
        return self.plan.end

    @property
    def recurrence(self) -> str | None:
        """How it recurs."""
        return self.plan.recurrence

    @property
    def time_zone(self) -> str | None:
        """The recurrence's time zone."""
        return self.plan.time_zone


def extend_schedules(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Lets scheduled actions be a group's own, checked and kept as AWS does."""

    def put(self: AutoScalingBackend, name: str, **given: Any) -> ScheduledAction:
        if name not in self.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        key = f"{name}_{given['scheduled_action_name']}"
        arn = f"arn:aws:autoscaling:{self.region_name}:{ACCOUNT}:scheduledUpdateGroupAction:{uuid.uuid4()}:"
        arn += f"autoScalingGroupName/{name}:scheduledActionName/{given['scheduled_action_name']}"
        action = _action(name, self.scheduled_actions.get(key), given, now(), arn)
        self.scheduled_actions[key] = action  # type: ignore[assignment]
        return action

    def delete(self: AutoScalingBackend, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
        if self.scheduled_actions.pop(f"{auto_scaling_group_name}_{scheduled_action_name}", None) is None:
            raise ValidationError("Scheduled action name not found")

    AutoScalingBackend.put_scheduled_update_group_action = put  # type: ignore[method-assign, assignment]
    AutoScalingBackend.delete_scheduled_action = delete  # type: ignore[method-assign]


def _action(group: str, held: Any, given: dict[str, Any], now: datetime, arn: str) -> ScheduledAction:
    """What is left out of an update stays."""
    start, end = _time(given.get("start_time")), _time(given.get("end_time"))
    if start is not None and start < now:
        raise ValidationError("Given start time is in the past")
    if end is not None and (end < now or (start is not None and end < start)):
        raise ValidationError("Given end time is in the past or before the start time")
    sizes = {name: int(given[name]) if given.get(name) is not None else getattr(held, name, None) for name in _SIZES}
    if all(value is None for value in sizes.values()):
        raise ValidationError("At least one of MinSize, MaxSize and DesiredCapacity is required")
    plan = Plan(
        given.get("recurrence") or (held.plan.recurrence if held else None),
        given.get("timezone") or (held.plan.time_zone if held else None),
        start or (held.plan.start if held else None),
        end or (held.plan.end if held else None),
    )
    fault = cron.fault(plan.recurrence) if plan.recurrence else None
    if fault:
        raise ValidationError(f"Given recurrence string {plan.recurrence!r} {fault}")
    try:
        due = plan.next(now)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if due is None:
        raise ValidationError("Either a start time or a recurrence that comes is required")
    kept = held.scheduled_action_arn if held else arn
    return ScheduledAction(group, given["scheduled_action_name"], **sizes, plan=plan, start_time=due, scheduled_action_arn=kept)


def _time(given: Any) -> datetime | None:
    if given is None or given == "":
        return None
    when = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


class Timekeeper:
    """Carries out what is due. `now`: wall-clock; the cloud's speed does not touch it."""

    def __init__(self, fleets: Fleets, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._fleets = fleets
        self._now = now
        self._said: set[str] = set()

    def run_due(self) -> bool:
        """Whether something was due."""
        with api_lock:
            due = [
                (backend, action)
                for backend in list(autoscaling_backends[ACCOUNT].values())
                for action in cast("list[ScheduledAction]", list(backend.scheduled_actions.values()))
                if action.start_time <= self._now()
            ]
            for backend, action in sorted(due, key=lambda found: found[1].start_time):
                self._act(backend, action)
        calls = self._due_schedules()
        for region, group, schedule in calls:
            self._call(region, group, schedule)
        return bool(due or calls)

    def _act(self, backend: AutoScalingBackend, action: ScheduledAction) -> None:
        group = backend.autoscaling_groups[action.auto_scaling_group_name]
        after = action.plan.next(self._now())
        if after is None:
            backend.delete_scheduled_action(group.name, action.scheduled_action_name)
        else:
            action.start_time = after
        if suspended(group, "ScheduledActions"):
            return
        sizes = {"min": action.min_size, "max": action.max_size, "desired": action.desired_capacity}
        asked = ", ".join(f"{name}: {value}" for name, value in sizes.items() if value is not None)
        with because(f"a scheduled action update of AutoScalingGroup constraints to {asked}"):
            group.update([], sizes["desired"], sizes["max"], sizes["min"], "", {}, "", None, None)  # type: ignore[arg-type]

    def _due_schedules(self) -> list[tuple[str, Any, Schedule]]:
        return [
            (region, group, schedule)
            for region, backend in list(scheduler_backends[ACCOUNT].items())
            for group in list(backend.schedule_groups.values())
            for schedule in list(group.schedules.values())
            if self._is_due(schedule)
        ]

    def _is_due(self, schedule: Schedule) -> bool:
        if schedule.state != "ENABLED" or getattr(schedule, "ran", None) == schedule.schedule_expression:
            return False
        try:
            when = schedules.at(schedule.schedule_expression, schedule.schedule_expression_timezone)
        except ValueError as error:
            self._say(f"schedule {schedule.name} is not carried out: {error}")
            return False
        return when is not None and when <= self._now()

    def _call(self, region: str, group: Any, schedule: Schedule) -> None:
        schedule.ran = schedule.schedule_expression  # type: ignore[attr-defined]
        target = schedule.target
        if target.get("Arn") != DELETE_WARM_POOL:
            self._say(f"schedule {schedule.name} is not carried out: the local cloud knows the target {DELETE_WARM_POOL} only")
            return
        try:
            given = json.loads(target.get("Input") or "{}")
            with api_lock:
                found = autoscaling_backends[ACCOUNT][region].autoscaling_groups[given["AutoScalingGroupName"]]
                delete_pool(self._fleets, found, force=bool(given.get("ForceDelete")))
        except (AutoscalingClientError, KeyError, ValueError, TypeError) as error:
            self._say(f"schedule {schedule.name} failed: {error!r}")
        if schedule.action_after_completion == "DELETE":
            group.schedules.pop(schedule.name, None)

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.warning(text)
