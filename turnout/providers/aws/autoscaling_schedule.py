"""Scheduled action (terraform-provider-aws internal/service/autoscaling/schedule.go)."""

import re
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, known
from turnout.providers.aws.clients import Cloud

SOURCE = "PutScheduledUpdateGroupAction"
LAYOUT = "%Y-%m-%dT%H:%M:%SZ"
UNSET = -1
"""A size that the action leaves as it is: 0 is a size too."""
SIZES = {"minSize": "MinSize", "maxSize": "MaxSize", "desiredCapacity": "DesiredCapacity"}
TIMES = {"startTime": "StartTime", "endTime": "EndTime"}
TEXTS = {"recurrence": "Recurrence", "timeZone": "TimeZone"}
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
NAMES = {
    "month": ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    "day of the week": ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}


class Schedule(AwsType):
    """aws_autoscaling_schedule. The id is the action's name. A size of -1 is not part of the action."""

    token = "aws:autoscaling/schedule:Schedule"
    inputs = frozenset({*SIZES, *TIMES, *TEXTS, "scheduledActionName", "autoscalingGroupName"})
    replace_on = frozenset({"scheduledActionName", "autoscalingGroupName"})
    defaults: ClassVar[Mapping[str, Any]] = {}

    def check(self, inputs: Properties) -> list[Fault]:
        """AWS "PutScheduledUpdateGroupAction"; validScheduleTimestamp."""
        faults = rules.required(inputs, "scheduledActionName", "autoscalingGroupName")
        name = "scheduledActionName"
        faults += rules.matches(inputs, name, r"[^\x00-\x1f:]{1,255}", "1 to 255 characters without a colon", SOURCE)
        for size in SIZES:
            faults += rules.between(inputs, size, UNSET, float("inf"), SOURCE)
        return faults + _check_sizes(inputs) + _check_times(inputs) + _check_recurrence(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        self._put(cloud, inputs)
        return str(inputs["scheduledActionName"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old and old != new:
            self._put(cloud, new)

    def _put(self, cloud: Cloud, inputs: Properties) -> None:
        """ "If you try to schedule your action in the past, Amazon EC2 Auto Scaling returns an error message"; a time of the
        group must be unique ("Scheduled scaling for Amazon EC2 Auto Scaling")."""
        group, name = inputs["autoscalingGroupName"], inputs["scheduledActionName"]
        start = inputs.get("startTime")
        if start is not None and time_of(start) <= datetime.now(UTC):
            raise ProviderError(
                f"autoscaling: ValidationError: scheduled action {name}: startTime {start} is in the past ({SOURCE}); "
                "write a later one, or leave it out where there is a recurrence"
            )
        for other in self._actions(cloud, group):
            if other["ScheduledActionName"] != name and _same_time(other, inputs):
                raise ProviderError(
                    f"autoscaling: AlreadyExists: scheduled action {name}: {other['ScheduledActionName']} has its time already "
                    "(Scheduled scaling for Amazon EC2 Auto Scaling); move one by a minute"
                )
        sizes = {member: inputs.get(size) for size, member in SIZES.items() if inputs.get(size) != UNSET}
        times = {member: time_of(inputs[moment]) for moment, member in TIMES.items() if inputs.get(moment)}
        texts = {member: inputs.get(text) for text, member in TEXTS.items()}
        cloud.call(
            "autoscaling",
            "put_scheduled_update_group_action",
            AutoScalingGroupName=group,
            ScheduledActionName=name,
            **sizes,
            **times,
            **texts,
        )

    @staticmethod
    def _actions(cloud: Cloud, group: str) -> list[dict[str, Any]]:
        operation, result = "describe_scheduled_actions", "ScheduledUpdateGroupActions"
        return cloud.pages("autoscaling", operation, result, AutoScalingGroupName=group)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = inputs["autoscalingGroupName"]
        action = next((item for item in self._actions(cloud, group) if item["ScheduledActionName"] == id), None)
        if action is None:
            return None
        return {
            **{size: action.get(member, UNSET) for size, member in SIZES.items()},
            **{moment: _said(action.get(member)) for moment, member in TIMES.items()},
            **{text: action.get(member) for text, member in TEXTS.items()},
            "scheduledActionName": id,
            "autoscalingGroupName": group,
            "arn": action.get("ScheduledActionARN"),
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        name = inputs["scheduledActionName"]
        return str(name) if self.look(cloud, name, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self.look(cloud, id, inputs) is not None:
            group = inputs["autoscalingGroupName"]
            cloud.call("autoscaling", "delete_scheduled_action", AutoScalingGroupName=group, ScheduledActionName=id)


def time_of(text: str) -> datetime:
    """A time in UTC as `2026-11-21T09:00:00Z`. Raises ValueError."""
    return datetime.strptime(text, LAYOUT).replace(tzinfo=UTC)


def _said(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime(LAYOUT) if moment else None


def _same_time(other: Mapping[str, Any], inputs: Properties) -> bool:
    if inputs.get("recurrence"):
        zone = inputs.get("timeZone") or "Etc/UTC"
        return other.get("Recurrence") == inputs["recurrence"] and (other.get("TimeZone") or "Etc/UTC") == zone
    start = inputs.get("startTime")
    return bool(start) and not other.get("Recurrence") and _said(other.get("StartTime")) == start


def _check_sizes(inputs: Properties) -> list[Fault]:
    given = {name: inputs.get(name) for name in SIZES}
    if all(value in (None, UNSET) for value in given.values()):
        return [Fault("minSize", f"give minSize, maxSize or desiredCapacity: the action changes nothing ({SOURCE})")]
    low, high, desired = ({None: None, UNSET: None}.get(value, value) if known(value) else None for value in given.values())
    faults = []
    for name, small, large, other in (
        ("minSize", low, high, f"above maxSize {high}"),
        ("desiredCapacity", desired, high, f"above maxSize {high}"),
        ("desiredCapacity", low, desired, f"below minSize {low}"),
    ):
        if small is not None and large is not None and float(small) > float(large):
            faults.append(Fault(name, f"{given[name]} is {other} ({SOURCE}: ValidationError)"))
    return faults


def _check_times(inputs: Properties) -> list[Fault]:
    faults, times = [], {}
    for name in TIMES:
        value = inputs.get(name)
        if not isinstance(value, str):
            continue
        try:
            times[name] = time_of(value)
        except ValueError:
            faults.append(Fault(name, f"{value!r} is no time such as 2026-11-21T09:00:00Z ({SOURCE})"))
    if len(times) == len(TIMES) and times["endTime"] <= times["startTime"]:
        faults.append(Fault("endTime", f"is not after startTime ({SOURCE})"))
    if inputs.get("startTime") is None and inputs.get("recurrence") is None:
        faults.append(Fault("startTime", f"give startTime or recurrence: the action has no time ({SOURCE})"))
    return faults


def _check_recurrence(inputs: Properties) -> list[Fault]:
    zone, expression = inputs.get("timeZone"), inputs.get("recurrence")
    faults = []
    if isinstance(zone, str) and zone not in zoneinfo.available_timezones():
        faults.append(Fault("timeZone", f"{zone!r} is no time zone of the IANA database ({SOURCE})"))
    if not isinstance(expression, str):
        return faults
    parts = expression.split()
    if len(parts) != len(FIELDS):
        return [*faults, Fault("recurrence", f"{expression!r} has {len(parts)} fields instead of 5 ({SOURCE})")]
    for (name, low, high), part in zip(FIELDS, parts, strict=True):
        if not all(_is_cron(item, NAMES.get(name, ()), low, high) for item in part.split(",")):
            faults.append(Fault("recurrence", f"{part!r} is no {name} of a cron expression ({SOURCE})"))
    return faults


def _is_cron(item: str, names: tuple[str, ...], low: int, high: int) -> bool:
    """`*`, a number or name, a range of them, each with an optional step."""
    span, _, step = item.partition("/")
    if "/" in item and not (step.isdigit() and int(step)):
        return False
    ends = span.upper().split("-")
    if ends == ["*"]:
        return True
    good = [end in names or (re.fullmatch(r"\d{1,2}", end) is not None and low <= int(end) <= high) for end in ends]
    return len(ends) <= 2 and all(good)


TYPES = (Schedule(),)
