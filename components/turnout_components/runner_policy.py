"""What the function that drives rollouts may do, and how it may be set: pure functions.

Actions and the resources that they take: the services' pages of the Service Authorization Reference ("Actions, resources, and
condition keys for …"). `tests/access/test_rollout_runner_access.py` holds the list against the calls that a driver makes.
"""

import json
from collections.abc import Mapping
from typing import Any

from turnout_components.checks import Fault
from turnout_components.mirror_setting import parameter as mirror_parameter
from turnout_components.naming import arn_partition
from turnout_components.network_rules import RETENTIONS
from turnout_components.node_policy import allow, secrets
from turnout_components.step_down import ASSUME_BY_SCHEDULER, SCHEDULE_NAME_LIMIT

ASSUME_BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}
"""The trust policy of a function's role ("Defining Lambda function permissions with an execution role")."""
RATES = range(1, 61)
TIMEOUTS = range(30, 901)
"""Seconds. A function has at most 900 ("Lambda quotas"); below 30 there is no time for two looks."""
MEMORIES = range(256, 10_241)
"""MB. Lambda's quota, and what numpy and scipy need at least."""
_SEEN_OF_GROUPS = ("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScheduledActions", "ec2:DescribeInstances")
_INTERFACES = (
    *("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface"),
    *("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"),
)
"""What Lambda needs in a function's name to put it into a VPC ("Giving Lambda functions access to resources in an Amazon VPC",
AWS Lambda Developer Guide)."""
_HASHED = 7
"""What `naming.shorten` puts in the place of a name's end."""


def runner_policy(
    *,
    service: str,
    stack: str,
    region: str,
    table: str,
    listener_arn: str,
    step_down_role_arn: str,
    log_group: str,
    topic_arn: str | None = None,
    topic_key_arn: str | None = None,
    webhook: str | None = None,
    cluster: str | None = None,
    in_vpc: bool = False,
) -> dict[str, Any]:
    """The inline policy of the function's role.

    What describes load balancers, groups and instances, and GetMetricData, name no resource. All else is held to this service
    in this stack: its items of the table, its production listener with its rules, its groups, their step-downs and mirrors,
    its environments' logs, its topic and the webhook's secret. With the EKS `cluster` of that name in place of groups: what it
    may do there, the cluster says. `in_vpc`: Lambda makes its network interfaces.
    """
    place = f"arn:{arn_partition(region)}"
    rules = listener_arn.replace(":listener/", ":listener-rule/", 1)
    log = f"{place}:logs:{region}:*:log-group:{log_group}"
    # ForAllValues holds where the key is missing too ("Single-valued vs. multivalued context keys", IAM User Guide).
    keys = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{service}/{stack}", f"{service}/{stack}/*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    if cluster:
        workloads = [allow("FindCluster", ["eks:DescribeCluster"], [f"{place}:eks:{region}:*:cluster/{cluster}"])]
    else:
        workloads = _on_groups(service, stack, region, step_down_role_arn)
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow(
                "KeepOwnRecordAndRollouts",
                ["dynamodb:GetItem", "dynamodb:PutItem"],
                [f"{place}:dynamodb:{region}:*:table/{table}"],
                keys,
            ),
            allow(
                "See",
                [
                    *(() if cluster else _SEEN_OF_GROUPS),
                    "cloudwatch:GetMetricData",
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                ["*"],
            ),
            allow("MoveTraffic", ["elasticloadbalancing:ModifyListener"], [listener_arn]),
            allow("SendVariants", ["elasticloadbalancing:CreateRule"], [listener_arn]),
            allow("EndVariants", ["elasticloadbalancing:DeleteRule"], [f"{rules}/*"]),
            *workloads,
            allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log}:*"]),
            *([allow("StandInNetwork", [f"ec2:{action}" for action in _INTERFACES], ["*"])] if in_vpc else []),
            *([allow("TellPeople", ["sns:Publish"], [topic_arn])] if topic_arn else []),
            *([_encrypt(topic_arn, topic_key_arn)] if topic_arn and topic_key_arn else []),
            *secrets([webhook] if webhook else [], region, None, ""),
        ],
    }


def _on_groups(service: str, stack: str, region: str, step_down_role_arn: str) -> list[dict[str, Any]]:
    """What holds servers where they are instances."""
    place = f"arn:{arn_partition(region)}"
    own_groups = f"{service}-{stack}-*"
    groups = f"{place}:autoscaling:{region}:*:autoScalingGroup:*:autoScalingGroupName/{own_groups}"
    mirrors = f"{place}:ssm:{region}:*:parameter{mirror_parameter(own_groups)}"
    # A log group's ARN ends with :* or does not ("Overview of managing access permissions to your CloudWatch Logs resources").
    requests = f"{place}:logs:{region}:*:log-group:/turnout/{service}/{stack}/*"
    schedules = f"{place}:scheduler:{region}:*:schedule/default/{_schedule_prefix(service, stack)}*"
    passed = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    sized = ("UpdateAutoScalingGroup", "PutScheduledUpdateGroupAction", "DeleteScheduledAction", "DeleteWarmPool")
    scheduled = ("CreateSchedule", "DeleteSchedule", "GetSchedule")
    mirrored = ("DeleteParameter", "GetParameter", "PutParameter")
    return [
        allow("SizeOwnGroups", [f"autoscaling:{action}" for action in sized], [groups]),
        allow("ScheduleStepDowns", [f"scheduler:{action}" for action in scheduled], [schedules]),
        allow("LetSchedulesStepDown", ["iam:PassRole"], [step_down_role_arn], passed),
        allow("AskForMirrors", [f"ssm:{action}" for action in mirrored], [mirrors]),
        allow("ReadMirroredRequests", ["logs:FilterLogEvents"], [requests]),
    ]


def _encrypt(topic_arn: str, key_arn: str) -> dict[str, Any]:
    """What a publisher needs of the key of an encrypted topic ("Key management", Amazon SNS Developer Guide), through SNS and
    for this topic only: the encryption context names it ("Setting up Amazon SNS topic encryption with server-side
    encryption", same guide)."""
    region = topic_arn.split(":")[3]
    through = f"sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    only = {"kms:ViaService": through, "kms:EncryptionContext:aws:sns:topicArn": topic_arn}
    return allow("EncryptForTopic", ["kms:Decrypt", "kms:GenerateDataKey*"], [key_arn], {"StringEquals": only})


def _schedule_prefix(service: str, stack: str) -> str:
    """What the names of the service's schedules begin with: the end of long ones is a hash."""
    prefix, room = f"{service}-{stack}-", SCHEDULE_NAME_LIMIT - _HASHED
    return prefix if len(prefix) <= room else prefix[:room].rstrip("-")


def invoke_policy(function_arn: str, queue_arn: str | None) -> dict[str, Any]:
    """The inline policy of the schedule's role: this function, and the queue for what could not be delivered."""
    statements = [allow("InvokeRunner", ["lambda:InvokeFunction"], [function_arn])]
    if queue_arn:
        statements.append(allow("KeepUndelivered", ["sqs:SendMessage"], [queue_arn]))
    return {"Version": "2012-10-17", "Statement": statements}


def assume_by_schedules_of(function_arn: str) -> str:
    """The trust policy of the schedule's role, for schedules of the function's account only (aws:SourceAccount, "AWS global
    condition context keys", IAM User Guide)."""
    condition = {"StringEquals": {"aws:SourceAccount": function_arn.split(":")[4]}}
    (statement,) = ASSUME_BY_SCHEDULER["Statement"]
    return json.dumps({**ASSUME_BY_SCHEDULER, "Statement": [{**statement, "Condition": condition}]})  # type: ignore[dict-item]


def faults(given: Mapping[str, Any]) -> list[Fault]:
    """What Lambda and EventBridge Scheduler refuse, and what would leave a rollout without its driver, of what is given."""
    bounds = {
        "rate_minutes": (RATES, "minutes"),
        "timeout": (TIMEOUTS, "seconds"),
        "memory": (MEMORIES, "MB"),
        "concurrency": (range(1, 3), "invocations at once"),
    }
    found = [
        Fault(field, given[field], f"is outside {allowed[0]}..{allowed[-1]} {unit}", f"write {allowed[0]} to {allowed[-1]}")
        for field, (allowed, unit) in bounds.items()
        if field in given and (isinstance(given[field], bool) or given[field] not in allowed)
    ]
    if "look" in given and not 1 <= given["look"] <= 30:
        found.append(Fault("look", given["look"], "is outside 1..30 seconds", "write 1 to 30"))
    days = given.get("log_retention_days")
    if isinstance(days, int) and days not in RETENTIONS:
        fix = f"write one of {', '.join(map(str, RETENTIONS))}"
        found.append(Fault("log_retention_days", days, "is no time for which logs are kept", fix))
    return found
