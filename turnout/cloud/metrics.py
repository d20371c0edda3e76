"""Envoy's and the processes' numbers in CloudWatch, under AWS's names.

Sources: "CloudWatch metrics for your Application Load Balancer" (names, dimensions, reported only while requests flow);
"Amazon CloudWatch metrics for Amazon EC2 Auto Scaling" (only metrics that the group has enabled); "List the available
CloudWatch metrics for your instances" (CPUUtilization).
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil
from moto.cloudwatch.models import cloudwatch_backends

from turnout.cloud.envoy_routes import cluster_name, listener_name
from turnout.cloud.health import HEALTHY, UNHEALTHY
from turnout.cloud.moto_state import ACCOUNT
from turnout.cloud.world import Balancer, Group, World

PERIOD = 60.0
"""Seconds between two reports."""
_ELB = "AWS/ApplicationELB"
_SCALING = "AWS/AutoScaling"
_EC2 = "AWS/EC2"
_LOCAL_FAILURES = ("upstream_cx_none_healthy", "upstream_rq_pending_failure_eject", "upstream_cx_destroy_remote_with_active_rq")
"""Counters of requests that Envoy answered in a target's place; it counts those answers as the cluster's 5xx too."""


@dataclass(frozen=True)
class Datum:
    """One value for CloudWatch. `dimensions`: name to value."""

    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str = "Count"


@dataclass(frozen=True)
class Reading:
    """Envoy's counters and each cluster's response-time sum (milliseconds) and count, all since its start."""

    counters: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, tuple[float, int]] = field(default_factory=dict)


def put(data: list[Datum], moment: float) -> None:
    """Enters the values in moto's CloudWatch as those of `moment` (seconds since 1970)."""
    timestamp = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    for datum in data:
        dimensions = [{"Name": name, "Value": value} for name, value in datum.dimensions.items()]
        metric = {"MetricName": datum.name, "Value": datum.value, "Unit": datum.unit, "Dimensions": dimensions}
        cloudwatch_backends[ACCOUNT][datum.region].put_metric_data(datum.namespace, [{**metric, "Timestamp": timestamp}])


def balancing(world: World, states: Mapping[str, Mapping[str, str]], before: Reading, now: Reading) -> list[Datum]:
    """The load balancers' metrics for the time between two readings. `states`: target states by target group."""
    return [datum for balancer in world.balancers for datum in _balancer(world, balancer, states, before, now)]


def _balancer(
    world: World, balancer: Balancer, states: Mapping[str, Mapping[str, str]], before: Reading, now: Reading
) -> list[Datum]:
    own = {"LoadBalancer": balancer.arn.partition(":loadbalancer/")[2]}
    data: list[Datum] = []
    total: dict[str, float] = {}

    def add(name: str, dimensions: Mapping[str, str], value: float, unit: str = "Count") -> None:
        data.append(Datum(balancer.region, _ELB, name, dimensions, value, unit))

    used = {arn for listener in balancer.listeners for rule in listener.rules for arn in _arns(rule.action)}
    for group in (group for group in world.target_groups if group.arn in used):
        dimensions = {"TargetGroup": group.arn.rpartition(":")[2], **own}
        targets = list(states.get(group.arn, {}).values())
        if targets:
            add("HealthyHostCount", dimensions, targets.count(HEALTHY))
            add("UnHealthyHostCount", dimensions, targets.count(UNHEALTHY))
        cluster = cluster_name(group.arn)
        counts = _targets_answers(cluster, before, now)
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
            if value:
                add(name, dimensions, value)
        if HEALTHY in targets:  # "emits zeros": "Target tracking scaling policies for Amazon EC2 Auto Scaling"
            add("RequestCountPerTarget", dimensions, counts["RequestCount"] / targets.count(HEALTHY))
        mean = _mean_seconds(cluster, before, now)
        if mean is not None:
            add("TargetResponseTime", dimensions, mean, "Seconds")
    total["HTTPCode_ELB_5XX_Count"] = _answers(balancer, before, now) - total.get("HTTPCode_Target_5XX_Count", 0)
    for name, value in total.items():
        if value > 0:
            add(name, own, value)
    return data


def _arns(action: Any) -> list[str]:
    return [arn for arn, _ in getattr(action, "weights", ())]


def _targets_answers(cluster: str, before: Reading, now: Reading) -> dict[str, float]:
    """What a group's targets answered; Envoy's own answers in their place are taken out."""
    prefix = f"cluster.{cluster}."
    failed = sum(_delta(prefix + name, before, now) for name in _LOCAL_FAILURES)
    answers = {f"HTTPCode_Target_{code}XX_Count": _delta(f"{prefix}upstream_rq_{code}xx", before, now) for code in (2, 3, 4)}
    fifth = max(0, _delta(f"{prefix}upstream_rq_5xx", before, now) - failed)
    return {
        "RequestCount": float(_delta(f"{prefix}upstream_rq_total", before, now)),
        **answers,
        "HTTPCode_Target_5XX_Count": float(fifth),
    }


def _answers(balancer: Balancer, before: Reading, now: Reading) -> int:
    """5xx answers of any origin that the balancer's clients got."""
    names = [f"http.{listener_name(listener.arn)}.downstream_rq_5xx" for listener in balancer.listeners]
    return sum(_delta(name, before, now) for name in names)


def _mean_seconds(cluster: str, before: Reading, now: Reading) -> float | None:
    old_sum, old_count = before.times.get(cluster, (0.0, 0))
    new_sum, new_count = now.times.get(cluster, (0.0, 0))
    return None if new_count <= old_count else (new_sum - old_sum) / (new_count - old_count) / 1000


def _delta(name: str, before: Reading, now: Reading) -> int:
    return now.counters.get(name, 0) - before.counters.get(name, 0)


def scaling(groups: tuple[Group, ...]) -> list[Datum]:
    """The auto scaling groups' metrics, those that the group has enabled."""
    return [
        Datum(group.region, _SCALING, name, {"AutoScalingGroupName": group.name}, value, "None")
        for group in groups
        for name, value in (
            ("GroupMinSize", group.minimum),
            ("GroupMaxSize", group.maximum),
            ("GroupDesiredCapacity", group.desired),
            ("GroupInServiceInstances", len(group.instances)),
            ("GroupTotalInstances", len(group.instances)),
        )
        if name in group.metrics
    ]


def processor_shares(processes: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Each model server's CPU since the last call, in percent of one processor; those that have ended are left out."""
    shares = {}
    for instance, process in processes.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            shares[instance] = process.cpu_percent()
    return shares


def processors(groups: tuple[Group, ...], shares: Mapping[str, float]) -> list[Datum]:
    """CPUUtilization by instance and averaged over its group."""
    data = []
    for group in groups:
        own = {instance: shares[instance] for instance in group.instances if instance in shares}
        for instance, share in own.items():
            data.append(Datum(group.region, _EC2, "CPUUtilization", {"InstanceId": instance}, share, "Percent"))
        if own:
            mean = sum(own.values()) / len(own)
            data.append(Datum(group.region, _EC2, "CPUUtilization", {"AutoScalingGroupName": group.name}, mean, "Percent"))
    return data
