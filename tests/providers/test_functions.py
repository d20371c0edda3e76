"""Functions and schedules: what AWS refuses of them."""

from typing import Any

import pytest

from tests.providers.cases_functions import ACCOUNT, FUNCTION, INVOCATIONS, SCHEDULE
from tests.providers.conftest import TYPES
from turnout.engine.provider import Properties

ROLE = f"arn:aws:iam::{ACCOUNT}:role/runner"
GOOD_FUNCTION: Properties = {
    "name": "runner",
    "role": ROLE,
    "handler": "turnout.rollout.handler.handler",
    "runtime": "python3.12",
    "s3Bucket": "models",
    "s3Key": "runner.zip",
}
TARGET = {"arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:runner", "roleArn": ROLE}
GOOD_SCHEDULE: Properties = {
    "name": "svc-dev",
    "scheduleExpression": "rate(1 minute)",
    "flexibleTimeWindow": {"mode": "OFF"},
    "target": TARGET,
}


def variables(**given: Any) -> Properties:
    return {"environment": {"variables": given}}


REFUSED: tuple[tuple[str, Properties, str], ...] = (
    *((FUNCTION, {**GOOD_FUNCTION, name: None}, name) for name in ("role", "handler", "runtime", "s3Bucket", "s3Key")),
    *((FUNCTION, {**GOOD_FUNCTION, "name": name}, "name") for name in ("", "a b", "a" * 65, "a.b")),
    (FUNCTION, {**GOOD_FUNCTION, "role": "runner"}, "role"),
    (FUNCTION, {**GOOD_FUNCTION, "timeout": 0}, "timeout"),
    (FUNCTION, {**GOOD_FUNCTION, "timeout": 901}, "timeout"),
    (FUNCTION, {**GOOD_FUNCTION, "memorySize": 127}, "memorySize"),
    (FUNCTION, {**GOOD_FUNCTION, "memorySize": 10_241}, "memorySize"),
    (FUNCTION, {**GOOD_FUNCTION, "reservedConcurrentExecutions": -2}, "reservedConcurrentExecutions"),
    (FUNCTION, {**GOOD_FUNCTION, "architectures": ["arm"]}, "architectures"),
    (FUNCTION, {**GOOD_FUNCTION, "architectures": ["arm64", "x86_64"]}, "architectures"),
    (FUNCTION, {**GOOD_FUNCTION, **variables(AWS_REGION="x")}, "environment.variables"),
    (FUNCTION, {**GOOD_FUNCTION, **variables(A="x" * 4096)}, "environment.variables"),
    (INVOCATIONS, {"maximumRetryAttempts": 0}, "functionName"),
    (INVOCATIONS, {"functionName": "f", "maximumRetryAttempts": 3}, "maximumRetryAttempts"),
    (INVOCATIONS, {"functionName": "f", "maximumEventAgeInSeconds": 59}, "maximumEventAgeInSeconds"),
    (INVOCATIONS, {"functionName": "f", "maximumEventAgeInSeconds": 21_601}, "maximumEventAgeInSeconds"),
    *((SCHEDULE, {**GOOD_SCHEDULE, name: None}, name) for name in ("scheduleExpression", "flexibleTimeWindow", "target")),
    *(
        (SCHEDULE, {**GOOD_SCHEDULE, "scheduleExpression": said}, "scheduleExpression")
        for said in ("rate(0 minutes)", "rate(30 seconds)", "every minute", "at(2026-11-21)", "rate(1)")
    ),
    (SCHEDULE, {**GOOD_SCHEDULE, "name": "a" * 65}, "name"),
    (SCHEDULE, {**GOOD_SCHEDULE, "name": "a/b"}, "name"),
    (SCHEDULE, {**GOOD_SCHEDULE, "state": "PAUSED"}, "state"),
    (SCHEDULE, {**GOOD_SCHEDULE, "flexibleTimeWindow": {"mode": "NEVER"}}, "flexibleTimeWindow.mode"),
    (SCHEDULE, {**GOOD_SCHEDULE, "target": {"arn": "x"}}, "target.roleArn"),
    (
        SCHEDULE,
        {**GOOD_SCHEDULE, "target": {**TARGET, "retryPolicy": {"maximumRetryAttempts": 186}}},
        "target.retryPolicy.maximumRetryAttempts",
    ),
    (
        SCHEDULE,
        {**GOOD_SCHEDULE, "target": {**TARGET, "retryPolicy": {"maximumEventAgeInSeconds": 59}}},
        "target.retryPolicy.maximumEventAgeInSeconds",
    ),
)
GOOD: tuple[tuple[str, Properties], ...] = (
    (FUNCTION, {**GOOD_FUNCTION, "timeout": 900, "memorySize": 128, "architectures": ["arm64"], **variables(A="b")}),
    (INVOCATIONS, {"functionName": "f", "maximumRetryAttempts": 0, "maximumEventAgeInSeconds": 60}),
    *(
        (SCHEDULE, {**GOOD_SCHEDULE, "scheduleExpression": said})
        for said in ("rate(1 minute)", "rate(2 hours)", "at(2026-11-21T12:00:00)", "cron(0 12 * * ? *)")
    ),
)


@pytest.mark.parametrize(("token", "inputs", "property"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_aws_refuses_of_functions_and_schedules_is_a_fault(token: str, inputs: Properties, property: str) -> None:
    given = {name: value for name, value in inputs.items() if value is not None}
    assert [fault.property for fault in TYPES[token].check(given)] == [property]


@pytest.mark.parametrize(("token", "inputs"), GOOD, ids=lambda value: str(value)[:60])
def test_good_functions_and_schedules_have_no_fault(token: str, inputs: Properties) -> None:
    assert TYPES[token].check(inputs) == []
