"""A secret's rotation and policy (terraform-provider-aws internal/service/secretsmanager)."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties
from turnout.providers.aws import rules
from turnout.providers.aws.base import AwsType, Deadline, changed, known
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.secretsmanager import policy_of, put_policy

_RATE = re.compile(r"rate\((\d+) (hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(\S+(?: \S+){5}\)")
_LEAST_HOURS = 4
_OWNING_ACTIONS = {"*", "secretsmanager:*", "secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy"}


class SecretRotation(AwsType):
    """aws_secretsmanager_secret_rotation: the id is the secret's. A rotation that was cancelled counts as gone."""

    token = "aws:secretsmanager/secretRotation:SecretRotation"
    inputs = frozenset({"secretId", "rotationLambdaArn", "rotationRules", "rotateImmediately"})
    replace_on = frozenset({"secretId"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "RotateSecret", "RotationRulesType" (AWS Secrets Manager API Reference); "Schedule expressions in Secrets Manager
        rotation" (AWS Secrets Manager User Guide); resourceSecretRotation: ExactlyOneOf."""
        faults = rules.required(inputs, "secretId", "rotationRules")
        schedule = inputs.get("rotationRules")
        if not isinstance(schedule, dict):
            return faults
        days, expression = schedule.get("automaticallyAfterDays"), schedule.get("scheduleExpression")
        if (days is None) == (expression is None):
            reason = "needs one of automaticallyAfterDays and scheduleExpression, not both (RotationRulesType)"
            faults.append(Fault("rotationRules", reason))
        faults += rules.between(inputs, "rotationRules.automaticallyAfterDays", 1, 1000, "RotationRulesType")
        meaning = "hours, as 3h, at most 24 because a window ends with its day in UTC"
        source = "RotationRulesType: Duration"
        faults += rules.matches(inputs, "rotationRules.duration", r"(?:[1-9]|1\d|2[0-4])h", meaning, source)
        return faults + _expression(expression, schedule.get("duration"))

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return str(inputs["secretId"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """RotateSecret. `rotateImmediately` says how, and is no reason of its own (resourceSecretRotationUpdate)."""
        if not changed(old, new, "rotationLambdaArn", "rotationRules"):
            return
        schedule = new["rotationRules"]
        days = schedule.get("automaticallyAfterDays")
        wanted = {
            "AutomaticallyAfterDays": None if days is None else int(days),
            "Duration": schedule.get("duration"),
            "ScheduleExpression": schedule.get("scheduleExpression"),
        }
        cloud.call(
            "secretsmanager",
            "rotate_secret",
            SecretId=id,
            RotationLambdaARN=new.get("rotationLambdaArn"),
            RotationRules={name: value for name, value in wanted.items() if value is not None},
            RotateImmediately=new.get("rotateImmediately"),
        )

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        secret = cloud.call("secretsmanager", "describe_secret", SecretId=id)
        if secret.get("DeletedDate") or not secret.get("RotationEnabled"):
            return None
        found = secret.get("RotationRules") or {}
        names = {"duration": "Duration", "scheduleExpression": "ScheduleExpression"}
        schedule = {name: found[member] for name, member in names.items() if found.get(member)}
        if "scheduleExpression" not in schedule:  # AWS calculates the days from an expression
            schedule["automaticallyAfterDays"] = found.get("AutomaticallyAfterDays")
        return {
            "secretId": id,
            "rotationLambdaArn": secret.get("RotationLambdaARN"),
            "rotationRules": schedule,
            "rotationEnabled": True,
        }

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["secretId"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceSecretRotationDelete: CancelRotateSecret."""
        if self.look(cloud, id, inputs) is not None:
            cloud.call("secretsmanager", "cancel_rotate_secret", SecretId=id)


def _expression(expression: Any, duration: Any) -> list[Fault]:
    """A rotation window opens on the hour, at most every four hours, and ends before the next one opens."""
    where, source = "rotationRules.scheduleExpression", "Schedule expressions in Secrets Manager rotation"
    if not isinstance(expression, str):
        return []
    rate = _RATE.fullmatch(expression)
    if rate is None:
        if not _CRON.fullmatch(expression):
            return [Fault(where, f"{expression!r} is neither rate(n hours|days) nor cron() of six fields ({source})")]
        minutes, *_, year = expression.removeprefix("cron(").removesuffix(")").split()
        if minutes != "0" or year != "*":
            return [Fault(where, f"{expression!r}: a window opens on the hour (minutes 0) and every year (*) ({source})")]
        return []
    hours = int(rate[1]) * (24 if rate[2].startswith("day") else 1)
    if not _LEAST_HOURS <= hours <= 999 * 24:
        return [Fault(where, f"{expression!r} is outside {_LEAST_HOURS} hours..999 days ({source})")]
    if isinstance(duration, str) and duration.removesuffix("h").isdigit() and int(duration.removesuffix("h")) > hours:
        return [Fault("rotationRules.duration", f"{duration} reaches into the next window of {expression} ({source})")]
    return []


class SecretPolicy(AwsType):
    """aws_secretsmanager_secret_policy: the id is the secret's ARN."""

    token = "aws:secretsmanager/secretPolicy:SecretPolicy"
    inputs = frozenset({"secretArn", "policy", "blockPublicPolicy"})
    replace_on = frozenset({"secretArn"})
    documents: ClassVar[frozenset[str]] = frozenset({"policy"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "PutResourcePolicy" and "ValidateResourcePolicy" (AWS Secrets Manager API Reference)."""
        faults = rules.required(inputs, "secretArn", "policy")
        policy = inputs.get("policy")
        broken = rules.document(inputs, "policy", "PutResourcePolicy")
        if broken or not isinstance(policy, str):
            return faults + broken
        if locks_out(policy):
            reason = "denies everybody to change the policy again: it would lock out the caller (ValidateResourcePolicy)"
            faults.append(Fault("policy", reason))
        if inputs.get("blockPublicPolicy") is True and is_public(policy):
            reason = "allows everybody, and blockPublicPolicy is set (PutResourcePolicy: PublicPolicyException)"
            faults.append(Fault("policy", reason))
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        return str(inputs["secretArn"])

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        if changed(old, new, "policy", "blockPublicPolicy"):
            put_policy(cloud, id, new["policy"], new.get("blockPublicPolicy"))

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        policy = policy_of(cloud, id)
        return {"secretArn": id, "policy": policy} if policy else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["secretArn"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        cloud.call("secretsmanager", "delete_resource_policy", SecretId=id)


def _statements(policy: str) -> list[dict[str, Any]]:
    found = json.loads(policy)["Statement"]
    return [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _everybody(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return "*" in _listed(principal.get("AWS") if isinstance(principal, dict) else principal)


def is_public(policy: str) -> bool:
    """Whether a statement allows every principal without a condition."""
    return any(
        statement.get("Effect") == "Allow" and _everybody(statement) and not known(statement.get("Condition"))
        for statement in _statements(policy)
    )


def locks_out(policy: str) -> bool:
    """Whether a statement denies every principal, without a condition, what takes the policy back."""
    return any(
        statement.get("Effect") == "Deny"
        and _everybody(statement)
        and not known(statement.get("Condition"))
        and not _OWNING_ACTIONS.isdisjoint(_listed(statement.get("Action")))
        for statement in _statements(policy)
    )


TYPES = (SecretRotation(), SecretPolicy())
