"""Queues, their policies, and the rules that fill them."""

import json
from typing import Any

from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case
from turnout.engine.provider import Created, Properties

QUEUE, POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"


def queue(w: World) -> Created:
    return w.make(QUEUE, name=w.name("events"))


def policy(service: str = "events.amazonaws.com") -> str:
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def pattern(detail: str) -> str:
    return json.dumps({"source": ["aws.ec2"], "detail-type": [detail]})


def rule(w: World) -> Properties:
    return {"name": w.name("rule"), "eventPattern": pattern("EC2 Spot Instance Interruption Warning"), "tags": TAGS}


def of_queue(**attributes: str) -> Any:
    return lambda w, m: w.api("sqs").set_queue_attributes(QueueUrl=m.id, Attributes=attributes)


def target(w: World) -> Properties:
    return {"rule": w.make(RULE, **rule(w)).id, "targetId": "queue", "arn": queue(w).outputs["arn"]}


EVENTS = (
    Case(
        QUEUE,
        lambda w: {"name": w.name("events"), "messageRetentionSeconds": 300, "sqsManagedSseEnabled": True, "tags": TAGS},
        lambda w: [
            {"messageRetentionSeconds": 600},
            {"visibilityTimeoutSeconds": 60},
            {"sqsManagedSseEnabled": False},
            {"sqsManagedSseEnabled": None},
            {"messageRetentionSeconds": None, "visibilityTimeoutSeconds": None},
            *RETAG,
        ],
        {
            "messageRetentionSeconds": of_queue(MessageRetentionPeriod="900"),
            "visibilityTimeoutSeconds": of_queue(VisibilityTimeout="90"),
            "sqsManagedSseEnabled": of_queue(SqsManagedSseEnabled="false"),
            "tags": lambda w, m: w.api("sqs").tag_queue(QueueUrl=m.id, Tags={"stranger": "1"}),
        },
        outputs=("arn", "url"),
    ),
    Case(
        POLICY,
        lambda w: {"queueUrl": queue(w).id, "policy": policy()},
        lambda w: [{"policy": policy("sns.amazonaws.com")}],
        {"policy": lambda w, m: of_queue(Policy=policy("s3.amazonaws.com"))(w, m)},
    ),
    Case(
        RULE,
        rule,
        lambda w: [
            {"eventPattern": pattern("EC2 Instance State-change Notification")},
            {"description": "for Karpenter"},
            {"description": None},
            {"state": "DISABLED"},
            {"state": None},
            *RETAG,
        ],
        {
            "eventPattern": lambda w, m: w.api("events").put_rule(Name=m.id, EventPattern=pattern("other")),
            "state": lambda w, m: w.api("events").disable_rule(Name=m.id),
        },
        outputs=("arn",),
    ),
    Case(
        TARGET,
        target,
        lambda w: [{"arn": queue(w).outputs["arn"]}],
        {
            "arn": lambda w, m: w.api("events").put_targets(
                Rule=m.outputs["rule"], Targets=[{"Id": "queue", "Arn": queue(w).outputs["arn"]}]
            )
        },
    ),
)
