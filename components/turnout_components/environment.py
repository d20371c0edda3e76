"""One environment of a service: its release, the pool that runs it, how it scales, and the alarms that watch it."""

from collections.abc import Sequence
from typing import Any, NotRequired, cast

import pulumi

from turnout_components import arguments
from turnout_components.autoscaling_policy import AutoscalingPolicy, AutoscalingPolicyArgs, ScalingArgs
from turnout_components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs, NodeArgs
from turnout_components.target_alarms import Alarm, Owner, watch, watch_targets


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
        args = arguments.taken(name, args, EnvironmentArgs)
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
        owner: Owner = {
            "service": args["service"],
            "environment": args["environment"],
            "alarm_topic_arns": args.get("alarm_topic_arns", []),
        }
        protocol = args.get("protocol", "HTTP")
        watch_targets(self, name, args["load_balancer_arn"], args["target_group_arn"], owner, protocol)
        watch(self, f"{name}-not-alive", NOT_ALIVE, {"AutoScalingGroupName": pool.group_name}, owner)
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
