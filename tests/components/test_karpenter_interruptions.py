"""The queue that tells Karpenter which nodes will go."""

import json
from typing import Any

from recording import ACCOUNT, Recording, record
from turnout_components.karpenter_interruptions import KarpenterInterruptions, queue_policy


def make(**changes: Any) -> Recording:
    args: Any = {"cluster_name": "models", **changes}
    return record(lambda: {"name": KarpenterInterruptions("events", args).queue_name})


def of(made: Recording, kind: str) -> list[Any]:
    return [one for one in made.registrations if one.type == f"aws:{kind}"]


def test_the_queue_is_encrypted_and_forgets_soon() -> None:
    (queue,) = of(make(), "sqs/queue:Queue")
    assert (queue.inputs["sqsManagedSseEnabled"], queue.inputs["messageRetentionSeconds"]) == (True, 300)


def test_every_notice_of_a_nodes_end_reaches_the_queue() -> None:
    made = make()
    patterns = [json.loads(rule.inputs["eventPattern"]) for rule in of(made, "cloudwatch/eventRule:EventRule")]
    assert {(one["source"][0], one["detail-type"][0]) for one in patterns} == {
        ("aws.health", "AWS Health Event"),
        ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
        ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
        ("aws.ec2", "EC2 Instance State-change Notification"),
    }
    targets = of(made, "cloudwatch/eventTarget:EventTarget")
    assert len({target.inputs["rule"] for target in targets}) == 4
    assert all("events-policy" in target.dependencies for target in targets), "a rule sends only what the policy lets through"


def test_eventbridges_rules_alone_fill_it_and_nobody_without_tls() -> None:
    sends, plain = json.loads(queue_policy("arn:q", ["arn:r1", "arn:r2"]))["Statement"]
    assert (sends["Effect"], sends["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    assert (sends["Action"], sends["Resource"]) == ("sqs:SendMessage", "arn:q")
    assert sends["Condition"] == {"ArnEquals": {"aws:SourceArn": ["arn:r1", "arn:r2"]}}
    assert (plain["Effect"], plain["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_controller_may_read_this_queue_and_no_other() -> None:
    assert of(make(), "iam/rolePolicy:RolePolicy") == []
    (rights,) = of(make(controller_role="karpenter"), "iam/rolePolicy:RolePolicy")
    (statement,) = json.loads(rights.inputs["policy"])["Statement"]
    assert statement["Action"] == ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
    assert statement["Resource"] == f"arn:aws:sqs:us-east-1:{ACCOUNT}:events-queue"
    assert rights.inputs["role"] == "karpenter"
