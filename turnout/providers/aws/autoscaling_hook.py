"""Lifecycle hooks: of their own, and those that a group is created with (terraform-provider-aws
internal/service/autoscaling/lifecycle_hook.go; expandPutLifecycleHookInputs in group.go)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import AutoName, Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline
from turnout.providers.aws.clients import Cloud

MEMBERS = {
    "name": "LifecycleHookName",
    "lifecycleTransition": "LifecycleTransition",
    "defaultResult": "DefaultResult",
    "heartbeatTimeout": "HeartbeatTimeout",
    "notificationMetadata": "NotificationMetadata",
    "notificationTargetArn": "NotificationTargetARN",
    "roleArn": "RoleARN",
}
TRANSITIONS = {"autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"}


def put_hook(cloud: Cloud, group: str, hook: Properties) -> None:
    """Creates or updates; what is not given of an existing hook stays ("PutLifecycleHook")."""
    members = {member: hook.get(name) for name, member in MEMBERS.items()}
    cloud.call("autoscaling", "put_lifecycle_hook", AutoScalingGroupName=group, **members)


def check_hook(hook: Properties, source: str) -> list[Fault]:
    """What AWS refuses of one hook; a named notification target of a new one needs a role ("PutLifecycleHook")."""
    faults = rules.required(hook, "lifecycleTransition")
    meaning = "1 to 255 of letters, digits and - _ /"
    faults += rules.matches(hook, "name", r"[A-Za-z0-9\-_/]{1,255}", meaning, source)
    faults += rules.one_of(hook, "lifecycleTransition", TRANSITIONS, source)
    faults += rules.one_of(hook, "defaultResult", {"CONTINUE", "ABANDON"}, source)
    faults += rules.between(hook, "heartbeatTimeout", 30, 7200, source)
    for name in ("notificationTargetArn", "roleArn"):
        faults += rules.matches(hook, name, r"arn:.+", "it is no ARN", source)
    if hook.get("notificationTargetArn") is not None and hook.get("roleArn") is None:
        faults.append(Fault("roleArn", "is required for a notification target (PutLifecycleHook)"))
    return faults


class LifecycleHook(AwsType):
    """aws_autoscaling_lifecycle_hook. The id is the name. As there, another group is no replacement: the hook is put to the
    new group and stays at the old one."""

    token = "aws:autoscaling/lifecycleHook:LifecycleHook"
    inputs = frozenset(MEMBERS) | {"autoscalingGroupName"}
    replace_on = frozenset({"name"})
    auto_name = AutoName("name", 255)
    defaults: ClassVar[Mapping[str, Any]] = {"notificationMetadata": "", "notificationTargetArn": "", "roleArn": ""}

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "autoscalingGroupName") + check_hook(inputs, "PutLifecycleHook")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        put_hook(cloud, inputs["autoscalingGroupName"], inputs)
        return str(inputs["name"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if old != new:
            put_hook(cloud, new["autoscalingGroupName"], new)

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        group = inputs["autoscalingGroupName"]
        answer = cloud.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=group, LifecycleHookNames=[id])
        if not answer["LifecycleHooks"]:
            return None
        hook = answer["LifecycleHooks"][0]
        return {**{name: hook.get(member) for name, member in MEMBERS.items()}, "autoscalingGroupName": group}

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        return str(inputs["name"]) if self.look(cloud, inputs["name"], inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        if self.look(cloud, id, inputs) is not None:
            group = inputs["autoscalingGroupName"]
            cloud.call("autoscaling", "delete_lifecycle_hook", AutoScalingGroupName=group, LifecycleHookName=id)


TYPES = (LifecycleHook(),)
