"""How one environment's pool follows its load: target tracking, a step rule, schedules, a forecast."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import autoscaling, cloudwatch

from turnout_components import arguments, scaling_rules
from turnout_components.user_data import METRICS_NAMESPACE

PERIOD = 60
"""Seconds between two reports of a node, and of an alarm's data points."""
IDLE = "IF(FILL(waiting_reports, 0) > 0 AND FILL(gpu_reports, 0) > 0 AND waiting < 1 AND gpu < {gpu}, 1, 0)"
"""1 in a minute in which nodes reported that nothing waits and the GPUs idle. Metric math may take a missing value for 0,
which would be idle: so a minute counts only where both metrics were reported, and without reports it is 0 and not missing."""


class Tracking(TypedDict):
    """Averages that the group is kept at, by AWS's target tracking. It grows when any is above, shrinks when all are below."""

    requests_per_target: NotRequired[float]
    """Requests a minute and target."""
    gpu_utilization: NotRequired[float]
    """Percent of the GPUs, averaged over the nodes."""
    queue_length: NotRequired[float]
    """Requests that wait, averaged over the nodes."""


class StepRule(TypedDict):
    """More instances when requests queue or the GPUs are busy, fewer when neither for a while."""

    pending: NotRequired[float]
    """Above so many waiting requests in the whole group instances are added. Default 50."""
    gpu: NotRequired[float]
    """Above this percent of the GPUs, averaged over the nodes, too. Default 80."""
    add: NotRequired[int]
    """Instances added at a time; the next are added when these have warmed up. Default 2."""
    idle_gpu: NotRequired[float]
    """Below this percent, with nothing waiting, a minute is idle. Default 30."""
    idle_minutes: NotRequired[int]
    """So many idle minutes in a row take instances away. Default 5."""
    remove: NotRequired[int]
    """Instances taken away at a time. Default 1."""
    missing_data: NotRequired[str]
    """What an alarm makes of data that is missing. Default notBreaching; `breaching` is refused: no data never scales in."""


class Schedule(TypedDict):
    """A recurring change of the group's limits or size. Give at least one number."""

    name: str
    """Unique in the group."""
    cron: str
    """Minute, hour, day of the month, month, day of the week, such as `0 8 * * MON-FRI`."""
    time_zone: NotRequired[str]
    """IANA name. Default Etc/UTC."""
    minimum: NotRequired[int]
    maximum: NotRequired[int]
    desired: NotRequired[int]


class Predictive(TypedDict):
    """Capacity ahead of daily and weekly patterns. It never takes instances away. Give one metric."""

    mode: NotRequired[str]
    """`forecast_only` (default: look at the forecast first) or `forecast_and_scale`."""
    requests_per_target: NotRequired[float]
    cpu_utilization: NotRequired[float]
    gpu_utilization: NotRequired[float]
    launch_ahead: NotRequired[int]
    """Seconds by which instances are launched before the forecast wants them. Default 300."""


class ScalingArgs(TypedDict):
    """Rules by which a pool scales. They are plain values: they decide which resources there are."""

    target_tracking: NotRequired[Tracking]
    step: NotRequired[StepRule]
    """Default, where no `target_tracking` is given: the rule with its defaults. Beside target tracking of requests it is the
    only one that takes instances away."""
    schedules: NotRequired[Sequence[Schedule]]
    predictive: NotRequired[Predictive]
    warmup: NotRequired[int]
    """Seconds until a new instance counts. Default: the group's default instance warm-up."""


class AutoscalingPolicyArgs(ScalingArgs):
    """What scales, and by which rules."""

    service: pulumi.Input[str]
    """The service's name."""
    environment: pulumi.Input[str]
    """`blue` or `green`."""
    group_name: pulumi.Input[str]
    """The pool's auto scaling group. Its minimum and maximum bound every rule."""
    target_group_arn: NotRequired[pulumi.Input[str]]
    """The environment's target group, for requests per target."""
    load_balancer_arn: NotRequired[pulumi.Input[str]]
    """Its load balancer."""


class AutoscalingPolicy(pulumi.ComponentResource):
    """Scaling policies with their alarms, and scheduled actions. Refuses rules that would fight each other.

    Nodes publish PendingRequests and GPUUtilization once a minute. Where they do not, nothing is added and nothing taken away.
    """

    policy_names: pulumi.Output[list[str]]

    def __init__(self, name: str, args: AutoscalingPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:AutoscalingPolicy", name, {}, opts)
        args = arguments.taken(name, args, AutoscalingPolicyArgs)
        scaling_rules.refuse(args)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._by = {"AutoScalingGroupName": args["group_name"]}
        self._tags = {"turnout:service": args["service"], "turnout:environment": args["environment"]}
        policies = self._tracking(args.get("target_tracking") or {})
        if scaling_rules.uses_step(args):
            policies += self._step(scaling_rules.step_of(args))
        if predictive := args.get("predictive"):
            policies.append(self._predictive(predictive))
        for schedule in args.get("schedules") or ():
            self._schedule(schedule)
        self.policy_names = pulumi.Output.all(*(policy.name for policy in policies)).apply(list)
        self.register_outputs({"policy_names": self.policy_names})

    def _policy(self, suffix: str, kind: str, **inputs: Any) -> autoscaling.Policy:
        warmup = None if kind == "PredictiveScaling" else self._args.get("warmup")
        return autoscaling.Policy(
            f"{self._name}-{suffix}",
            autoscaling_group_name=self._args["group_name"],
            policy_type=kind,
            estimated_instance_warmup=warmup,
            opts=self._child,
            **inputs,
        )

    def _tracking(self, targets: Tracking) -> list[autoscaling.Policy]:
        metrics: dict[str, dict[str, Any]] = {}
        if "requests_per_target" in targets:
            counted = {"predefined_metric_type": "ALBRequestCountPerTarget", "resource_label": self._label()}
            metrics["requests"] = {"target_value": targets["requests_per_target"], "predefined_metric_specification": counted}
        if "gpu_utilization" in targets:
            metrics["gpu"] = {"target_value": targets["gpu_utilization"], **self._customized("GPUUtilization", "Percent")}
        if "queue_length" in targets:
            metrics["queue"] = {"target_value": targets["queue_length"], **self._customized("PendingRequests", "Count")}
        # One rule takes instances away: beside the step rule, target tracking would do it for another reason.
        out_only = {"disable_scale_in": True} if scaling_rules.uses_step(self._args) else {}
        return [
            self._policy(suffix, "TargetTrackingScaling", target_tracking_configuration={**metric, **out_only})
            for suffix, metric in metrics.items()
        ]

    def _customized(self, metric: str, unit: str) -> dict[str, Any]:
        dimensions = [{"name": name, "value": value} for name, value in self._by.items()]
        named = {"namespace": METRICS_NAMESPACE, "metric_name": metric, "statistic": "Average", "unit": unit}
        return {"customized_metric_specification": {**named, "metric_dimensions": dimensions}}

    def _label(self) -> pulumi.Output[str]:
        """`app/<name>/<id>/targetgroup/<name>/<id>` ("PredefinedMetricSpecification", EC2 Auto Scaling API Reference)."""
        return pulumi.Output.all(self._args.get("load_balancer_arn"), self._args.get("target_group_arn")).apply(
            lambda arns: "/".join([arns[0].partition(":loadbalancer/")[2], arns[1].rpartition(":")[2]])
        )

    def _step(self, rule: dict[str, Any]) -> list[autoscaling.Policy]:
        missing, gpu = rule["missing_data"], f"{rule['gpu']:g}"
        above = [{"scaling_adjustment": rule["add"], "metric_interval_lower_bound": "0"}]
        below = [{"scaling_adjustment": -rule["remove"], "metric_interval_lower_bound": "0"}]
        kind = {"adjustment_type": "ChangeInCapacity", "metric_aggregation_type": "Average"}
        out = self._policy("out", "StepScaling", step_adjustments=above, **kind)
        inward = self._policy("in", "StepScaling", step_adjustments=below, **kind)
        # Either alarm adds: two alarms with one policy. Both together would need a composite alarm, which cannot scale.
        for suffix, metric, statistic, threshold, said in (
            ("pending", "PendingRequests", "Sum", rule["pending"], f"More than {rule['pending']:g} requests wait"),
            ("busy", "GPUUtilization", "Average", rule["gpu"], f"The GPUs are busier than {gpu} %"),
        ):
            cloudwatch.MetricAlarm(
                f"{self._name}-{suffix}",
                alarm_description=f"{said}: {rule['add']} more",
                namespace=METRICS_NAMESPACE,
                metric_name=metric,
                statistic=statistic,
                dimensions=self._by,
                comparison_operator="GreaterThanThreshold",
                threshold=threshold,
                period=PERIOD,
                evaluation_periods=1,
                datapoints_to_alarm=1,
                treat_missing_data=missing,
                alarm_actions=[out.arn],
                tags=self._tags,
                opts=self._child,
            )
        cloudwatch.MetricAlarm(
            f"{self._name}-idle",
            alarm_description=(
                f"Nothing waits and the GPUs are below {rule['idle_gpu']:g} % for {rule['idle_minutes']} min: "
                f"{rule['remove']} less"
            ),
            metric_queries=[
                {"id": "idle", "expression": IDLE.format(gpu=f"{rule['idle_gpu']:g}"), "label": "Idle", "return_data": True},
                self._query("waiting", "PendingRequests", "Sum"),
                self._query("gpu", "GPUUtilization", "Average"),
                self._query("waiting_reports", "PendingRequests", "SampleCount"),
                self._query("gpu_reports", "GPUUtilization", "SampleCount"),
            ],
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            evaluation_periods=rule["idle_minutes"],
            datapoints_to_alarm=rule["idle_minutes"],
            treat_missing_data=missing,
            alarm_actions=[inward.arn],
            tags=self._tags,
            opts=self._child,
        )
        return [out, inward]

    def _query(self, id: str, metric: str, statistic: str) -> Any:
        asked = {"namespace": METRICS_NAMESPACE, "metric_name": metric, "period": PERIOD, "stat": statistic}
        return {"id": id, "metric": {**asked, "dimensions": self._by}, "return_data": False}

    def _schedule(self, schedule: Schedule) -> None:
        autoscaling.Schedule(
            f"{self._name}-{schedule['name']}",
            autoscaling_group_name=self._args["group_name"],
            scheduled_action_name=schedule["name"],
            recurrence=schedule["cron"],
            time_zone=schedule.get("time_zone", "Etc/UTC"),
            # terraform-provider-aws, aws_autoscaling_schedule: -1 leaves a number as it is.
            min_size=schedule.get("minimum", -1),
            max_size=schedule.get("maximum", -1),
            desired_capacity=schedule.get("desired", -1),
            opts=self._child,
        )

    def _predictive(self, rule: Predictive) -> autoscaling.Policy:
        metric: dict[str, Any]
        if "requests_per_target" in rule:
            pair = {"predefined_metric_type": "ALBRequestCount", "resource_label": self._label()}
            metric = {"target_value": rule["requests_per_target"], "predefined_metric_pair_specification": pair}
        elif "cpu_utilization" in rule:
            pair = {"predefined_metric_type": "ASGCPUUtilization"}
            metric = {"target_value": rule["cpu_utilization"], "predefined_metric_pair_specification": pair}
        else:
            metric = {
                "target_value": rule["gpu_utilization"],
                "customized_load_metric_specification": self._forecast("load", "Sum"),
                "customized_scaling_metric_specification": self._forecast("use", "Average"),
            }
        return self._policy(
            "predictive",
            "PredictiveScaling",
            predictive_scaling_configuration={
                "metric_specification": metric,
                "mode": scaling_rules.MODES[rule.get("mode", "forecast_only")],
                "scheduling_buffer_time": str(rule.get("launch_ahead", 300)),
            },
        )

    def _forecast(self, id: str, statistic: str) -> dict[str, Any]:
        dimensions = [{"name": name, "value": value} for name, value in self._by.items()]
        metric = {"namespace": METRICS_NAMESPACE, "metric_name": "GPUUtilization", "dimensions": dimensions}
        return {"metric_data_queries": [{"id": id, "metric_stat": {"metric": metric, "stat": statistic}, "return_data": True}]}
