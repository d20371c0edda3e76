"""Alarms on an environment's target group, as children of the component that fills it: with instances or with pods."""

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
from pulumi_aws import cloudwatch


class Alarm(TypedDict):
    """The inputs of a metric alarm in which an environment's alarms differ."""

    alarm_description: str
    namespace: str
    metric_name: str
    statistic: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int


class Owner(TypedDict):
    """Whose alarms, and who hears of them."""

    service: pulumi.Input[str]
    environment: pulumi.Input[str]
    alarm_topic_arns: Sequence[pulumi.Input[str]]


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


def watch_targets(
    parent: pulumi.Resource,
    name: str,
    balancer_arn: pulumi.Input[str],
    target_group_arn: pulumi.Input[str],
    owner: Owner,
    protocol: str = "HTTP",
) -> None:
    """Alarms on unhealthy targets and, of HTTP, on server errors."""
    target = pulumi.Output.all(balancer_arn, target_group_arn).apply(
        lambda arns: {"LoadBalancer": metric_dimension(arns[0]), "TargetGroup": metric_dimension(arns[1])}
    )
    over_tcp = protocol == "TCP"
    watch(parent, f"{name}-unhealthy-hosts", UNHEALTHY_TCP_HOSTS if over_tcp else UNHEALTHY_HOSTS, target, owner)
    if not over_tcp:
        watch(parent, f"{name}-server-errors", SERVER_ERRORS, target, owner)


def watch(parent: pulumi.Resource, name: str, alarm: Alarm, dimensions: pulumi.Input[dict[str, Any]], owner: Owner) -> None:
    """One alarm; what is not measured is not wrong."""
    cloudwatch.MetricAlarm(
        name,
        **alarm,
        comparison_operator="GreaterThanOrEqualToThreshold",
        period=60,
        treat_missing_data="notBreaching",
        dimensions=dimensions,
        alarm_actions=list(owner["alarm_topic_arns"]),
        tags={"turnout:service": owner["service"], "turnout:environment": owner["environment"]},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def metric_dimension(arn: str) -> str:
    """A load balancer's or target group's dimension, from its ARN: `app/…`, `net/…` or `targetgroup/<name>/<id>`
    ("CloudWatch metrics for your Application Load Balancer", User Guide for Application Load Balancers)."""
    return arn.rsplit(":", 1)[1].removeprefix("loadbalancer/")
