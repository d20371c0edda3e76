"""Drives rollouts where nobody runs a command: a schedule that invokes a Lambda function every minute."""

import json
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import cloudwatch, iam, lambda_, scheduler

from turnout_components import arguments, checks, runner_policy
from turnout_components.items import DEFAULT_TABLE
from turnout_components.naming import ROLE_NAME_ROOM, shorten
from turnout_components.platforms import EKS
from turnout_components.runner_reach import RunnerClusterArgs, admitted, connected

HANDLER = "turnout.rollout.handler.handler"
RUNTIME = "python3.12"
ARCHITECTURE = "arm64"
"""What the archive is built for (`tools/runner_archive.py`)."""
FUNCTION_NAME_LIMIT = 64
EVENT_AGE = 60
"""Seconds, the least there is: the next event comes in a minute anyway ("PutFunctionEventInvokeConfig")."""
SILENT_AFTER = 5
"""Invocations that did not come before people are told."""


class RolloutRunnerArgs(TypedDict):
    """What is driven, and where the function's code is. Times in seconds unless said otherwise."""

    service: pulumi.Input[str]
    """With the stack's name the key of the switch record."""
    region: pulumi.Input[str]
    """AWS region."""
    listener_arn: pulumi.Input[str]
    """The production listener, the only one whose weights the function may change (`TrafficSwitch.listener_arn`)."""
    step_down_role_arn: pulumi.Input[str]
    """What a standby's schedules run as (`TrafficSwitch.step_down_role_arn`); on EKS there are none."""
    code_bucket: pulumi.Input[str]
    """Bucket of the archive. It is larger than the 50 MB that Lambda takes without one ("Lambda quotas")."""
    code_key: pulumi.Input[str]
    """The archive's key; another archive needs another key or version."""
    code_version: NotRequired[pulumi.Input[str | None]]
    """The archive's version, in a bucket that has versions. Default: the newest at the time."""
    record_table: NotRequired[pulumi.Input[str]]
    """DynamoDB table of the switch record and the rollouts. Default turnout-switch."""
    cluster: NotRequired[RunnerClusterArgs | None]
    """The EKS cluster that the service runs on. Default: it runs on instances."""
    topic_arn: NotRequired[pulumi.Input[str | None]]
    """SNS topic of the rollouts' alerts (`turnout:rollout.alerts.topic`). Default: none may be published to."""
    topic_key_arn: NotRequired[pulumi.Input[str | None]]
    """KMS key that the topic is encrypted with, where it is one of your own; its policy must let IAM policies allow its use.
    Default: none may be used."""
    webhook: NotRequired[pulumi.Input[str | None]]
    """Where the webhook's address is kept: `ssm:/path` or a secret's ARN (`turnout:rollout.alerts.webhook`). Default none."""
    alarm_topic_arn: NotRequired[pulumi.Input[str | None]]
    """SNS topic that hears of invocations that fail or do not come. Default: alarms tell nobody."""
    dead_letter_queue_arn: NotRequired[pulumi.Input[str | None]]
    """SQS queue of events that could not be delivered. Default none."""
    rate_minutes: NotRequired[int]
    """Minutes between two invocations. Default 1."""
    timeout: NotRequired[int]
    """How long an invocation may last. Above a rate's length the next one waits beside it and goes on at once. Default 75."""
    memory: NotRequired[int]
    """MB. Default 512."""
    concurrency: NotRequired[int]
    """Invocations at once: two, so that one takes over from the other without a gap, or one. Default 2."""
    look: NotRequired[float]
    """Seconds between two looks at a rollout. Default 5."""
    log_retention_days: NotRequired[pulumi.Input[int]]
    """Days for which the log is kept. Default 30."""


class RolloutRunner(pulumi.ComponentResource):
    """A function that drives the stack's rollouts, and the schedule that invokes it. Nothing else may invoke it.

    Raises `ValueError` for settings that AWS refuses."""

    function_arn: pulumi.Output[str]
    function_name: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: RolloutRunnerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:RolloutRunner", name, {}, opts)
        args = arguments.taken(name, args, RolloutRunnerArgs)
        checks.refuse(runner_policy.faults(args))
        rate = args.get("rate_minutes", 1)
        self._name, self._own = name, pulumi.ResourceOptions(parent=self)
        self._tags = pulumi.Output.from_input(args["service"]).apply(lambda service: {"turnout:service": service})
        self.function_name = pulumi.Output.from_input(args["service"]).apply(_function_name)
        log = cloudwatch.LogGroup(
            f"{name}-log",
            name=pulumi.Output.concat("/aws/lambda/", self.function_name),
            retention_in_days=args.get("log_retention_days", 30),
            tags=self._tags,
            opts=self._own,
        )
        role, may = self._role(args, log.name)
        cluster = args.get("cluster")
        place = cluster.get("vpc") if cluster else None
        reach = admitted(self, name, args["service"], cluster, role.arn) if cluster else []
        network, rules = connected(self, name, place, self._tags) if place else (None, [])
        function = lambda_.Function(
            f"{name}-function",
            name=self.function_name,
            description="Drives the rollouts of one service (turnout.rollout.handler)",
            role=role.arn,
            handler=HANDLER,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            s3_bucket=args["code_bucket"],
            s3_key=args["code_key"],
            s3_object_version=args.get("code_version"),
            timeout=args.get("timeout", 75),
            memory_size=args.get("memory", 512),
            reserved_concurrent_executions=args.get("concurrency", 2),
            environment={"variables": _variables(args)},
            vpc_config=cast(Any, network),
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log, may, *reach, *rules]),
        )
        invocations = lambda_.FunctionEventInvokeConfig(
            f"{name}-invocations",
            function_name=function.name,
            maximum_event_age_in_seconds=EVENT_AGE,
            maximum_retry_attempts=0,
            opts=self._own,
        )
        self._schedule(args, function, rate, invocations)
        self._alarms(args.get("alarm_topic_arn"), rate)
        self.function_arn = function.arn
        self.role_arn = role.arn
        self.log_group_name = log.name
        outputs = ("function_arn", "function_name", "role_arn", "log_group_name")
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _role(self, args: RolloutRunnerArgs, log_group: pulumi.Output[str]) -> tuple[iam.Role, iam.RolePolicy]:
        """What the function runs as."""
        cluster = args.get("cluster")
        known = pulumi.Output.all(
            service=args["service"],
            region=args["region"],
            table=args.get("record_table", DEFAULT_TABLE),
            listener_arn=args["listener_arn"],
            step_down_role_arn=args["step_down_role_arn"],
            log_group=log_group,
            topic_arn=args.get("topic_arn"),
            topic_key_arn=args.get("topic_key_arn"),
            webhook=args.get("webhook"),
            cluster=cluster["name"] if cluster else None,
            in_vpc=bool(cluster and cluster.get("vpc")),
        )
        policy = known.apply(lambda k: json.dumps(runner_policy.runner_policy(stack=pulumi.get_stack(), **k)))
        trust = json.dumps(runner_policy.ASSUME_BY_LAMBDA)
        return self._identity("runner", "Drives the rollouts of one service", trust, policy)

    def _identity(
        self, part: str, description: str, trust: pulumi.Input[str], policy: pulumi.Output[str]
    ) -> tuple[iam.Role, iam.RolePolicy]:
        role = iam.Role(
            shorten(f"{self._name}-{part}", ROLE_NAME_ROOM),
            description=description,
            assume_role_policy=trust,
            tags=self._tags,
            opts=self._own,
        )
        return role, iam.RolePolicy(f"{self._name}-{part}-policy", role=role.name, policy=policy, opts=self._own)

    def _schedule(self, args: RolloutRunnerArgs, function: lambda_.Function, rate: int, invocations: pulumi.Resource) -> None:
        """Every `rate` minutes, exactly; an event that cannot be delivered is not tried again, since the next one comes."""
        queue = args.get("dead_letter_queue_arn")
        trust = function.arn.apply(runner_policy.assume_by_schedules_of)
        policy = pulumi.Output.all(function.arn, queue).apply(lambda k: json.dumps(runner_policy.invoke_policy(*k)))
        role, may = self._identity("invoke", "EventBridge Scheduler: invoke the function that drives rollouts", trust, policy)
        target: Any = {
            "arn": function.arn,
            "role_arn": role.arn,
            "retry_policy": {"maximum_event_age_in_seconds": EVENT_AGE, "maximum_retry_attempts": 0},
        }
        if queue is not None:
            target["dead_letter_config"] = {"arn": queue}
        scheduler.Schedule(
            f"{self._name}-schedule",
            name=function.name,
            description="Invokes the function that drives rollouts",
            schedule_expression=f"rate({rate} minute{'' if rate == 1 else 's'})",
            flexible_time_window={"mode": "OFF"},
            target=target,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[may, invocations]),
        )

    def _alarms(self, topic: pulumi.Input[str | None] | None, rate: int) -> None:
        """Three failed invocations one after the other, and none at all for a while: a rollout would stand still."""
        actions = pulumi.Output.from_input(topic).apply(lambda arn: [arn] if arn else [])
        common: Any = {
            "namespace": "AWS/Lambda",
            "dimensions": {"FunctionName": self.function_name},
            "statistic": "Sum",
            "threshold": 1,
            "period": rate * 60,
            "alarm_actions": actions,
            "ok_actions": actions,
            "tags": self._tags,
            "opts": self._own,
        }
        cloudwatch.MetricAlarm(
            f"{self._name}-runner-fails",
            alarm_description="The function that drives rollouts fails: read its log. `turnout rollout run` drives meanwhile",
            metric_name="Errors",
            comparison_operator="GreaterThanOrEqualToThreshold",
            evaluation_periods=3,
            treat_missing_data="notBreaching",
            **common,
        )
        cloudwatch.MetricAlarm(
            f"{self._name}-runner-silent",
            alarm_description="Nothing invokes the function that drives rollouts: look at its schedule and the schedule's role",
            metric_name="Invocations",
            comparison_operator="LessThanThreshold",
            evaluation_periods=SILENT_AFTER,
            treat_missing_data="breaching",
            **common,
        )


def _variables(args: RolloutRunnerArgs) -> dict[str, pulumi.Input[str]]:
    """The handler's settings."""
    found: dict[str, pulumi.Input[str]] = {
        "TURNOUT_SERVICE": args["service"],
        "TURNOUT_STACK": pulumi.get_stack(),
        "TURNOUT_TABLE": args.get("record_table", DEFAULT_TABLE),
        "TURNOUT_LOOK": f"{args.get('look', 5):g}",
    }
    if cluster := args.get("cluster"):
        found |= {"TURNOUT_PLATFORM": EKS, "TURNOUT_CLUSTER": cluster["name"]}
        steps: dict[str, Any] = {
            f"TURNOUT_STEP_DOWN_{part.upper()}": cluster.get(f"step_down_{part}") for part in ("image", "account")
        }
        found |= {name: value for name, value in steps.items() if value is not None}
    return found


def _function_name(service: str) -> str:
    return shorten(f"{service}-{pulumi.get_stack()}-rollout-runner", FUNCTION_NAME_LIMIT)
