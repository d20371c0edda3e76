"""Scaling policies, scheduled actions, lifecycle hooks and placement groups of auto scaling groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.providers.cases_group import GROUP, GROUPS
from tests.providers.conftest import World
from tests.providers.samples import RETAG, TAGS, Case, scaling_group
from turnout.engine.provider import Created, Properties

POLICY = "aws:autoscaling/policy:Policy"
SCHEDULE, HOOK = "aws:autoscaling/schedule:Schedule", "aws:autoscaling/lifecycleHook:LifecycleHook"
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
QUEUE = {"metricName": "PendingRequests", "namespace": "Turnout"}


def group(world: World) -> str:
    return world.make(GROUP, **scaling_group(world)).id


def of(name: str) -> list[Properties]:
    return [{"name": "AutoScalingGroupName", "value": name}]


def step_policy(world: World) -> Properties:
    return {
        "name": world.name("policy"),
        "autoscalingGroupName": group(world),
        "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        "metricAggregationType": "Average",
        "estimatedInstanceWarmup": 60,
        "stepAdjustments": [{"scalingAdjustment": 2, "metricIntervalLowerBound": "0"}],
    }


def policy_updates(_: World) -> list[Properties]:
    step = dict.fromkeys(("adjustmentType", "metricAggregationType", "stepAdjustments", "minAdjustmentMagnitude"))
    metric = {"metric": {**QUEUE, "dimensions": of("g")}, "stat": "Sum"}
    queries = [
        {"id": "each", "expression": "waiting / 2", "label": "Each", "returnData": True},
        {"id": "waiting", "metricStat": metric, "returnData": False},
    ]
    own = {**QUEUE, "statistic": "Average", "unit": "Count", "metricDimensions": of("g")}
    used = {"metricDataQueries": [{"id": "load", "metricStat": metric, "returnData": True}]}
    pair = {"targetValue": 60, "predefinedMetricPairSpecification": {"predefinedMetricType": "ASGCPUUtilization"}}
    both = {"targetValue": 6, "customizedLoadMetricSpecification": used, "customizedScalingMetricSpecification": used}
    return [
        {
            "stepAdjustments": [
                {"scalingAdjustment": 1, "metricIntervalLowerBound": "0", "metricIntervalUpperBound": "10"},
                {"scalingAdjustment": 3, "metricIntervalLowerBound": "10"},
            ]
        },
        {"estimatedInstanceWarmup": 120, "metricAggregationType": "Maximum"},
        {"adjustmentType": "PercentChangeInCapacity", "minAdjustmentMagnitude": 2},
        {"enabled": False},
        {"enabled": None},
        {
            **step,
            "policyType": "TargetTrackingScaling",
            "targetTrackingConfiguration": {
                "targetValue": 50,
                "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"},
            },
        },
        {"targetTrackingConfiguration": {"targetValue": 4, "disableScaleIn": True, "customizedMetricSpecification": own}},
        {"targetTrackingConfiguration": {"targetValue": 5, "customizedMetricSpecification": {"metrics": queries}}},
        {
            "policyType": "PredictiveScaling",
            "targetTrackingConfiguration": None,
            "estimatedInstanceWarmup": None,
            "predictiveScalingConfiguration": {"mode": "ForecastOnly", "metricSpecification": pair},
        },
        {"predictiveScalingConfiguration": {"schedulingBufferTime": "120", "metricSpecification": both}},
        {
            "policyType": None,
            "predictiveScalingConfiguration": None,
            "adjustmentType": "ExactCapacity",
            "scalingAdjustment": 2,
            "cooldown": 30,
        },
    ]


def weaken(world: World, made: Created) -> Any:
    """The steps of somebody else."""
    return world.api("autoscaling").put_scaling_policy(
        AutoScalingGroupName=made.outputs["autoscalingGroupName"],
        PolicyName=made.id,
        PolicyType="StepScaling",
        AdjustmentType="ChangeInCapacity",
        MetricAggregationType="Average",
        EstimatedInstanceWarmup=60,
        StepAdjustments=[{"ScalingAdjustment": 1, "MetricIntervalLowerBound": 0}],
    )


def disable(world: World, made: Created) -> Any:
    return world.api("autoscaling").put_scaling_policy(
        AutoScalingGroupName=made.outputs["autoscalingGroupName"],
        PolicyName=made.id,
        PolicyType="StepScaling",
        AdjustmentType="ChangeInCapacity",
        MetricAggregationType="Average",
        EstimatedInstanceWarmup=60,
        StepAdjustments=[{"ScalingAdjustment": 2, "MetricIntervalLowerBound": 0}],
        Enabled=False,
    )


def schedule(world: World) -> Properties:
    return {
        "scheduledActionName": world.name("morning"),
        "autoscalingGroupName": group(world),
        "recurrence": "0 8 * * MON-FRI",
        "timeZone": "Europe/Berlin",
        "minSize": 2,
        "maxSize": 3,
        "desiredCapacity": -1,
        "startTime": moment(2),
        "endTime": moment(9),
    }


def moment(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def schedule_updates(_: World) -> list[Properties]:
    return [
        {"recurrence": "30 7 * * 1-5"},
        {"timeZone": "Etc/UTC"},
        {"minSize": 1, "maxSize": 4, "desiredCapacity": 2, "recurrence": "0 9 * * *"},
        {"minSize": 0, "desiredCapacity": 0},
        {"endTime": moment(12)},
        {"startTime": moment(3)},
    ]


def reschedule(world: World, made: Created, **change: Any) -> None:
    world.api("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=made.outputs["autoscalingGroupName"], ScheduledActionName=made.id, **change
    )


def put_hook(world: World, made: Created, **change: Any) -> None:
    world.api("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=made.outputs["autoscalingGroupName"], LifecycleHookName=made.id, **change
    )


def hook(world: World) -> Properties:
    return {
        "name": world.name("hook"),
        "autoscalingGroupName": group(world),
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeatTimeout": 300,
        "defaultResult": "ABANDON",
    }


AUTO_SCALING = (
    *GROUPS,
    Case(
        POLICY,
        step_policy,
        policy_updates,
        {"stepAdjustments": weaken, "enabled": disable},
        ("arn",),
    ),
    Case(
        SCHEDULE,
        schedule,
        schedule_updates,
        {
            "recurrence": lambda w, m: reschedule(w, m, Recurrence="0 6 * * *"),
            "minSize": lambda w, m: reschedule(w, m, MinSize=0),
            "timeZone": lambda w, m: reschedule(w, m, TimeZone="Asia/Tokyo"),
        },
        ("arn",),
        kept=frozenset({"minSize", "maxSize", "desiredCapacity"}),
    ),
    Case(
        HOOK,
        hook,
        lambda _: [
            {"heartbeatTimeout": 30},
            {"defaultResult": "CONTINUE"},
            {"lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"},
            {"notificationMetadata": "of the pool"},
            {"notificationTargetArn": "arn:aws:sns:us-east-1:1:t", "roleArn": "arn:aws:iam::1:role/r"},
        ],
        {
            "heartbeatTimeout": lambda w, m: put_hook(w, m, HeartbeatTimeout=60),
            "defaultResult": lambda w, m: put_hook(w, m, DefaultResult="CONTINUE"),
        },
        kept=frozenset({"notificationMetadata", "notificationTargetArn", "roleArn"}),
    ),
    Case(
        PLACEMENT,
        lambda w: {"name": w.name("near"), "strategy": "cluster", "tags": TAGS},
        lambda _: RETAG,
        {
            "tags": lambda w, m: w.api("ec2").create_tags(
                Resources=[m.outputs["placementGroupId"]], Tags=[{"Key": "stranger", "Value": "1"}]
            )
        },
        ("arn", "placementGroupId"),
    ),
)
