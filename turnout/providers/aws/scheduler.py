"""Schedule of EventBridge Scheduler (terraform-provider-aws internal/service/scheduler/schedule.go)."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import from_members

DEFAULT_GROUP = "default"
TEXTS = {
    "description": "Description",
    "scheduleExpression": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "state": "State",
}
_EXPRESSION = re.compile(
    r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)|rate\((?P<value>\d+) (?P<unit>minutes?|hours?|days?)\)|cron\(.+\)"
)
_POLICY = {"maximumEventAgeInSeconds": (60, 86_400), "maximumRetryAttempts": (0, 185)}


class Schedule(AwsType):
    """aws_scheduler_schedule: the id is `<group>/<name>`."""

    token = "aws:scheduler/schedule:Schedule"
    inputs = frozenset({*TEXTS, "flexibleTimeWindow", "groupName", "name", "target"})
    replace_on = frozenset({"name", "groupName"})
    auto_name = AutoName("name", 64)
    defaults: ClassVar[Mapping[str, Any]] = {
        "description": "",
        "groupName": DEFAULT_GROUP,
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
    }

    def check(self, inputs: Properties) -> list[Fault]:
        """ "CreateSchedule", "Target", "RetryPolicy", "FlexibleTimeWindow" (Amazon EventBridge Scheduler API Reference)."""
        source = "CreateSchedule"
        faults = rules.required(inputs, "flexibleTimeWindow", "scheduleExpression", "target")
        faults += rules.matches(inputs, "name", r"[0-9a-zA-Z-_.]{1,64}", "1 to 64 letters, digits and - _ .", source)
        faults += rules.one_of(inputs, "state", {"ENABLED", "DISABLED"}, source)
        faults += rules.one_of(inputs, "flexibleTimeWindow.mode", {"OFF", "FLEXIBLE"}, "FlexibleTimeWindow")
        for field, (low, high) in _POLICY.items():
            faults += rules.between(inputs, f"target.retryPolicy.{field}", low, high, "RetryPolicy")
        target = inputs.get("target")
        if isinstance(target, dict):
            faults += [Fault(f"target.{name}", "is required") for name in ("arn", "roleArn") if target.get(name) is None]
        return faults + _check_expression(inputs)

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        cloud.call("scheduler", "create_schedule", **self._members(inputs))
        return f"{_group(inputs)}/{inputs['name']}"

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """ "UpdateSchedule": what a call leaves out becomes its default."""
        if old and old != new:
            cloud.call("scheduler", "update_schedule", **self._members(new))

    def _members(self, inputs: Properties) -> Properties:
        target, window = inputs["target"], inputs["flexibleTimeWindow"]
        policy, letters = target.get("retryPolicy"), target.get("deadLetterConfig")
        members = {"Arn": target["arn"], "RoleArn": target["roleArn"], "Input": target.get("input")}
        if policy:
            members["RetryPolicy"] = {name[:1].upper() + name[1:]: int(value) for name, value in policy.items()}
        if letters:
            members["DeadLetterConfig"] = {"Arn": letters["arn"]}
        flexible = {"Mode": window["mode"]}
        if window.get("maximumWindowInMinutes"):
            flexible["MaximumWindowInMinutes"] = int(window["maximumWindowInMinutes"])
        return {
            "Name": inputs["name"],
            "GroupName": _group(inputs),
            **{member: text for name, member in TEXTS.items() if (text := inputs.get(name) or self.defaults.get(name))},
            "FlexibleTimeWindow": flexible,
            "Target": {member: value for member, value in members.items() if value is not None},
        }

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group, _, name = id.partition("/")
        found = cloud.call("scheduler", "get_schedule", Name=name, GroupName=group)
        return {
            "name": name,
            "groupName": group,
            **{text: found.get(member) or self.defaults.get(text) for text, member in TEXTS.items()},
            "flexibleTimeWindow": from_members(found["FlexibleTimeWindow"]),
            "target": from_members(found["Target"]),
            "arn": found["Arn"],
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = f"{_group(inputs)}/{inputs['name']}"
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        group, _, name = id.partition("/")
        cloud.call("scheduler", "delete_schedule", Name=name, GroupName=group)


def _group(inputs: Properties) -> str:
    return str(inputs.get("groupName") or DEFAULT_GROUP)


def _check_expression(inputs: Properties) -> list[Fault]:
    """ "Schedule types in EventBridge Scheduler": at(…), cron(…), or a rate whose value is positive."""
    expression = inputs.get("scheduleExpression")
    if not isinstance(expression, str):
        return []
    found, source = _EXPRESSION.fullmatch(expression), "Schedule types in EventBridge Scheduler"
    if found is None:
        return [Fault("scheduleExpression", f"{expression!r} is none of at(…), rate(… minutes), cron(…) ({source})")]
    if found["value"] is not None and int(found["value"]) < 1:
        return [Fault("scheduleExpression", f"{expression!r}: a rate's value is positive ({source})")]
    return []


TYPES = (Schedule(),)
