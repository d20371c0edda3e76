"""One environment of a service: its release, the pool that runs it, how it scales, and the alarms that watch it."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi
from pulumi_aws import cloudwatch

from turnout_components import arguments
from turnout_components.autoscaling_policy import AutoscalingPolicy, AutoscalingPolicyArgs, ScalingArgs
from turnout_components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs, NodeArgs


class EnvironmentArgs(NodeArgs):
    """The nodes, the release on them, and the load balancer whose metrics are watched."""

    load_balancer_arn: pulumi.Input[str]
    """The load balancer in front, for its metrics."""
    release: NotRequired[dict[str, Any] | None]
    """The release's manifest with its digest; None: no pool, no alarm."""
    alarm_topic_arns: NotRequired[Sequence[pulumi.Input[str]]]
    """SNS topics that hear of alarms. Default none: the alarms only show."""
    scaling: NotRequired[ScalingArgs | None]
    """How the pool follows its load. Default: it keeps its size."""
    protocol: NotRequired[str]
    """`HTTP`, or `TCP` behind a network load balancer: it counts no errors of one target group ("CloudWatch metrics for your
    Network Load Balancer", User Guide for Network Load Balancers), so there is no alarm on them. Default HTTP."""


class Alarm(TypedDict):
    """The inputs of a metric alarm in which the three differ."""

    alarm_description: str
    namespace: str
    metric_name: str
    statistic: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int


UNHEALTHY_HOSTS: Alarm = {
    "alarm_description": "A target has failed its health checks for three minutes",
    "namespace": "AWS/ApplicationELB",
    "metric_name": "UnHealthyHostCount",
    "statistic": "Maximum",
    "threshold": 1,
    "evaluation_periods": 3,
    "datapoints_to_alarm": 3,
}
SERVER_ERRORS: Alarm = {
    "alarm_description": "The servers answered ten requests a minute with 5xx, in three of five minutes",
    "namespace": "AWS/ApplicationELB",
    "metric_name": "HTTPCode_Target_5XX_Count",
    "statistic": "Sum",
    "threshold": 10,
    "evaluation_periods": 5,
    "datapoints_to_alarm": 3,
}
UNHEALTHY_TCP_HOSTS: Alarm = {**UNHEALTHY_HOSTS, "namespace": "AWS/NetworkELB"}
NOT_ALIVE: Alarm = {
    "alarm_description": "An instance or its host has failed EC2's status checks for two minutes",
    "namespace": "AWS/EC2",
    "metric_name": "StatusCheckFailed",
    "statistic": "Maximum",
    "threshold": 1,
    "evaluation_periods": 2,
    "datapoints_to_alarm": 2,
}


class Environment(pulumi.ComponentResource):
    """A pool for the release, if there is one, with its scaling and alarms on unhealthy targets, server errors and liveness.

    Resources in `opts.depends_on` come before the pool's auto scaling group.
    """

    target_group_arn: pulumi.Output[str]
    group_name: pulumi.Output[str | None]
    security_group_id: pulumi.Output[str | None]
    release: pulumi.Output[str | None]

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("turnout-components:index:Environment", name, {}, opts)
        arguments.refuse(name, args, EnvironmentArgs)
        release = args.get("release")
        self.target_group_arn = pulumi.Output.from_input(args["target_group_arn"])
        self.group_name = pulumi.Output.from_input(None)
        self.security_group_id = pulumi.Output.from_input(None)
        self.release = pulumi.Output.from_input(f"{release['name']}@{release['digest']}" if release else None)
        if release is not None:
            pool = self._pool(name, args, opts)
            self.group_name, self.security_group_id = pool.group_name, pool.security_group_id
        outputs = ("target_group_arn", "group_name", "security_group_id", "release")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _pool(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None) -> GpuNodePool:
        nodes = cast(GpuNodePoolArgs, {key: args[key] for key in GpuNodePoolArgs.__annotations__ if key in args})  # type: ignore[literal-required]
        after = opts.depends_on if opts is not None else None
        pool = GpuNodePool(f"{name}-pool", nodes, pulumi.ResourceOptions(parent=self, depends_on=after))
        target = pulumi.Output.all(args["load_balancer_arn"], args["target_group_arn"]).apply(
            lambda arns: {"LoadBalancer": metric_dimension(arns[0]), "TargetGroup": metric_dimension(arns[1])}
        )
        over_tcp = args.get("protocol", "HTTP") == "TCP"
        self._alarm(f"{name}-unhealthy-hosts", UNHEALTHY_TCP_HOSTS if over_tcp else UNHEALTHY_HOSTS, target, args)
        if not over_tcp:
            self._alarm(f"{name}-server-errors", SERVER_ERRORS, target, args)
        self._alarm(f"{name}-not-alive", NOT_ALIVE, {"AutoScalingGroupName": pool.group_name}, args)
        if (scaling := args.get("scaling")) is not None:
            followed: AutoscalingPolicyArgs = {
                **scaling,
                "service": args["service"],
                "environment": args["environment"],
                "group_name": pool.group_name,
                "target_group_arn": args["target_group_arn"],
                "load_balancer_arn": args["load_balancer_arn"],
            }
            AutoscalingPolicy(f"{name}-scaling", followed, pulumi.ResourceOptions(parent=self))
        return pool

    def _alarm(self, name: str, alarm: Alarm, dimensions: pulumi.Input[dict[str, Any]], args: EnvironmentArgs) -> None:
        cloudwatch.MetricAlarm(
            name,
            **alarm,
            comparison_operator="GreaterThanOrEqualToThreshold",
            period=60,
            treat_missing_data="notBreaching",
            dimensions=dimensions,
            alarm_actions=list(args.get("alarm_topic_arns", [])),
            tags={"turnout:service": args["service"], "turnout:environment": args["environment"]},
            opts=pulumi.ResourceOptions(parent=self),
        )


def metric_dimension(arn: str) -> str:
    """A load balancer's or target group's dimension, from its ARN: `app/…`, `net/…` or `targetgroup/<name>/<id>`
    ("CloudWatch metrics for your Application Load Balancer", User Guide for Application Load Balancers)."""
    return arn.rsplit(":", 1)[1].removeprefix("loadbalancer/")
