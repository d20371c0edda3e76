"""Functions, their asynchronous invocations, and schedules."""

import base64
import hashlib
import io
import zipfile
from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Created, Properties

FUNCTION = "aws:lambda/function:Function"
INVOCATIONS = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
SCHEDULE = "aws:scheduler/schedule:Schedule"
ACCOUNT = "123456789012"
BUCKET = "turnout-functions"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"


def archive(text: str) -> bytes:
    """A function's code as an archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr(zipfile.ZipInfo("main.py"), text)
    return made.getvalue()


def code(world: World, text: str = "one") -> Properties:
    """Code in S3, with the sum that Lambda tells of it."""
    content = archive(text)
    world.api("s3").create_bucket(Bucket=BUCKET)
    world.api("s3").put_object(Bucket=BUCKET, Key=f"{text}.zip", Body=content)
    sha = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"s3Bucket": BUCKET, "s3Key": f"{text}.zip", "codeSha256": sha}


def function(world: World) -> Properties:
    return {
        "name": world.name("runner"),
        "role": f"arn:aws:iam::{ACCOUNT}:role/{world.role()}",
        "handler": "main.handler",
        "runtime": "python3.12",
        "architectures": ["arm64"],
        "timeout": 60,
        "memorySize": 512,
        "environment": {"variables": {"TURNOUT_STACK": "dev"}},
        "reservedConcurrentExecutions": 2,
        "tags": TAGS,
        **code(world),
    }


def made_function(world: World) -> str:
    return world.make(FUNCTION, **function(world)).id


def schedule(world: World) -> Properties:
    target = {
        "arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:runner",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/invoke",
        "retryPolicy": {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 0},
    }
    return {
        "name": world.name("schedule"),
        "scheduleExpression": "rate(1 minute)",
        "flexibleTimeWindow": {"mode": "OFF"},
        "target": target,
    }


def put_back(world: World, made: Created, **changes: Any) -> None:
    """Changes a schedule as something else would: the whole of it is written."""
    group, _, name = made.id.partition("/")
    held = world.api("scheduler").get_schedule(Name=name, GroupName=group)
    kept = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")
    world.api("scheduler").update_schedule(**{**{member: held[member] for member in kept}, **changes})


FUNCTIONS = (
    Case(
        FUNCTION,
        function,
        lambda w: [
            {"timeout": 75},
            {"memorySize": 1024, "description": "drives rollouts"},
            {"description": None, "memorySize": None},
            {"environment": {"variables": {"TURNOUT_STACK": "prod", "TURNOUT_SERVICE": "svc"}}},
            {"environment": None},
            {"handler": "main.other"},
            {"architectures": ["x86_64"]},
            {"architectures": None, "role": f"arn:aws:iam::{ACCOUNT}:role/{w.role()}"},
            {"runtime": "python3.13"},
            code(w, "two"),
            {"reservedConcurrentExecutions": 1},
            {"reservedConcurrentExecutions": None},
            {"vpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]}},
            {"vpcConfig": None},
            *RETAG,
        ],
        {
            "timeout": lambda w, m: w.api("lambda").update_function_configuration(FunctionName=m.id, Timeout=9),
            "codeSha256": lambda w, m: w.api("lambda").update_function_code(FunctionName=m.id, ZipFile=archive("strange")),
            "environment": lambda w, m: w.api("lambda").update_function_configuration(
                FunctionName=m.id, Environment={"Variables": {"TURNOUT_STACK": "prod"}}
            ),
            "reservedConcurrentExecutions": lambda w, m: w.api("lambda").delete_function_concurrency(FunctionName=m.id),
            "vpcConfig": lambda w, m: w.api("lambda").update_function_configuration(
                FunctionName=m.id, VpcConfig={"SubnetIds": ["subnet-9"], "SecurityGroupIds": ["sg-9"]}
            ),
            "tags": lambda w, m: w.api("lambda").untag_resource(Resource=m.outputs["arn"], TagKeys=["team"]),
        },
        ("arn", "codeSha256"),
        computed=frozenset({"architectures"}),
    ),
    Case(
        INVOCATIONS,
        lambda w: {"functionName": made_function(w), "maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 0},
        lambda _: [{"maximumRetryAttempts": 2}, {"maximumEventAgeInSeconds": 3600}],
        {
            "maximumEventAgeInSeconds": lambda w, m: w.api("lambda").put_function_event_invoke_config(
                FunctionName=m.id, MaximumEventAgeInSeconds=90, MaximumRetryAttempts=0
            )
        },
    ),
    Case(
        SCHEDULE,
        schedule,
        lambda w: [
            {"scheduleExpression": "rate(5 minutes)"},
            {"scheduleExpressionTimezone": "Europe/Berlin"},
            {"scheduleExpressionTimezone": None},
            {"state": "DISABLED", "description": "rests"},
            {"state": None, "description": None},
            {
                "target": schedule(w)["target"]
                | {"retryPolicy": {"maximumRetryAttempts": 3}, "deadLetterConfig": {"arn": QUEUE}}
            },
            {"flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 5}},
        ],
        {
            "scheduleExpression": lambda w, m: put_back(w, m, ScheduleExpression="rate(1 hour)"),
            "state": lambda w, m: put_back(w, m, State="DISABLED"),
            "target": lambda w, m: put_back(
                w, m, Target={"Arn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:other", "RoleArn": "arn:aws:iam::1:role/x"}
            ),
        },
        ("arn",),
    ),
)
