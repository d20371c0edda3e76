"""The queue from which Karpenter learns that nodes will go, so that it drains them before."""

import json
from typing import NotRequired, TypedDict

import pulumi
from pulumi_aws import cloudwatch, iam, sqs

from turnout_components import arguments

EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
}
"""Source and detail type of what Karpenter reads ("CloudFormation", Karpenter's documentation: Interruption Handling)."""
RETENTION = 300
"""Seconds: a notice is older than its use soon."""
RIGHTS = ("sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage")
"""What Karpenter's controller does with the queue (same page, AllowInterruptionQueueActions)."""


class KarpenterInterruptionsArgs(TypedDict):
    """Whose queue."""

    cluster_name: pulumi.Input[str]
    """The EKS cluster; a tag says it."""
    controller_role: NotRequired[pulumi.Input[str]]
    """Name of the role of Karpenter's controller, which may read the queue then. Default: nobody is given rights."""


class KarpenterInterruptions(pulumi.ComponentResource):
    """An encrypted queue that EventBridge alone fills. Karpenter takes its name as `settings.interruptionQueue`."""

    queue_name: pulumi.Output[str]
    queue_arn: pulumi.Output[str]

    def __init__(self, name: str, args: KarpenterInterruptionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:KarpenterInterruptions", name, {}, opts)
        args = arguments.taken(name, args, KarpenterInterruptionsArgs)
        child, tags = pulumi.ResourceOptions(parent=self), {"Name": name, "turnout:cluster": args["cluster_name"]}
        queue = sqs.Queue(
            f"{name}-queue", message_retention_seconds=RETENTION, sqs_managed_sse_enabled=True, tags=tags, opts=child
        )
        rules = {
            kind: cloudwatch.EventRule(
                f"{name}-{kind}",
                description=f"{detail}, for Karpenter",
                event_pattern=json.dumps({"source": [source], "detail-type": [detail]}),
                tags=tags,
                opts=child,
            )
            for kind, (source, detail) in EVENTS.items()
        }
        known = pulumi.Output.all(queue.arn, *(rule.arn for rule in rules.values()))
        filled = sqs.QueuePolicy(
            f"{name}-policy", queue_url=queue.url, policy=known.apply(lambda arns: queue_policy(arns[0], arns[1:])), opts=child
        )
        for kind, rule in rules.items():
            cloudwatch.EventTarget(
                f"{name}-{kind}-target",
                rule=rule.name,
                target_id="karpenter",
                arn=queue.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[filled]),
            )
        if args.get("controller_role") is not None:
            iam.RolePolicy(
                f"{name}-controller",
                role=args["controller_role"],
                policy=queue.arn.apply(
                    lambda arn: _document({"Effect": "Allow", "Action": list(RIGHTS), "Resource": arn}),
                ),
                opts=child,
            )
        self.queue_name, self.queue_arn = queue.name, queue.arn
        self.register_outputs({"queue_name": self.queue_name, "queue_arn": self.queue_arn})


def queue_policy(queue_arn: str, rule_arns: list[str]) -> str:
    """These rules of EventBridge may send, and nobody without TLS ("Amazon SQS permissions", Amazon EventBridge User Guide;
    "Amazon SQS security best practices", Amazon SQS Developer Guide)."""
    sends = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arns}},
    }
    plain = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return _document(sends, plain)


def _document(*statements: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
