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
_VALUES = 150
"""Values of one datum of PutMetricData."""
_PARTS = 10
"""Into how many values a bin's answers are spread: Envoy keeps two digits, CloudWatch all of them."""
_LOCAL_FAILURES = ("upstream_cx_none_healthy", "upstream_rq_pending_failure_eject", "upstream_cx_destroy_remote_with_active_rq")
"""Counters of requests that Envoy answered in a target's place; it counts those answers as the cluster's 5xx too."""


Bin = tuple[float, float]
"""Lower bound and width of a histogram's bin, in microseconds."""


@dataclass(frozen=True)
class Datum:
    """One value for CloudWatch, or a distribution: `counts` by value. `dimensions`: name to value."""

    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str = "Count"
    counts: Mapping[float, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """Envoy's counters, and how many answers of each cluster came in which bin of time, all since its start."""

    counters: Mapping[str, int] = field(default_factory=dict)
    times: Mapping[str, Mapping[Bin, int]] = field(default_factory=dict)


def put(data: list[Datum], moment: float) -> None:
    """Enters the values in moto's CloudWatch as those of `moment` (seconds since 1970)."""
    timestamp = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    for datum in data:
        dimensions = [{"Name": name, "Value": value} for name, value in datum.dimensions.items()]
        metric = {"MetricName": datum.name, "Unit": datum.unit, "Dimensions": dimensions, "Timestamp": timestamp}
        pairs = sorted(datum.counts.items())
        parts = [pairs[at : at + _VALUES] for at in range(0, len(pairs), _VALUES)]
        values: list[dict[str, Any]] = [
            {"Values": [value for value, _ in part], "Counts": [count for _, count in part]} for part in parts
        ]
        entered = [{**metric, **each} for each in values or [{"Value": datum.value}]]
        cloudwatch_backends[ACCOUNT][datum.region].put_metric_data(datum.namespace, entered)


def balancing(world: World, states: Mapping[str, Mapping[str, str]], before: Reading, now: Reading) -> list[Datum]:
    """The load balancers' metrics for the time between two readings. `states`: target states by target group."""
    return [datum for balancer in world.balancers for datum in _balancer(world, balancer, states, before, now)]


def _balancer(
    world: World, balancer: Balancer, states: Mapping[str, Mapping[str, str]], before: Reading, now: Reading
) -> list[Datum]:
    own = {"LoadBalancer": balancer.arn.partition(":loadbalancer/")[2]}
    data: list[Datum] = []
    total: dict[str, float] = {}

    def add(name: str, dimensions: Mapping[str, str], value: float) -> None:
        data.append(Datum(balancer.region, _ELB, name, dimensions, value))

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
        times = response_times(before.times.get(cluster, {}), now.times.get(cluster, {}))
        for by in (dimensions, own) if times else ():
            data.append(Datum(balancer.region, _ELB, "TargetResponseTime", by, 0.0, "Seconds", times))
    total["HTTPCode_ELB_5XX_Count"] = _answers(balancer, before, now) - total.get("HTTPCode_Target_5XX_Count", 0)
    for name, value in total.items():
        if value > 0:
            add(name, own, value)
    return data


def _arns(action: Any) -> list[str]:
    return [arn for arn, _ in getattr(action, "weights", ())]


def _targets_answers(cluster: str, before: Reading, now: Reading) -> dict[str, float]:
    """What a group's targets answered; Envoy's own answers in their place are taken out. Each request that was refused is a
    connection that was not established: requests that wait for the same connection fail with it, and Envoy counts it once."""
    prefix = f"cluster.{cluster}."
    failed = sum(_delta(prefix + name, before, now) for name in _LOCAL_FAILURES)
    answers = {f"HTTPCode_Target_{code}XX_Count": _delta(f"{prefix}upstream_rq_{code}xx", before, now) for code in (2, 3, 4)}
    fifth = max(0, _delta(f"{prefix}upstream_rq_5xx", before, now) - failed)
    refused = _delta(f"{prefix}upstream_rq_pending_failure_eject", before, now)
    return {
        "RequestCount": float(_delta(f"{prefix}upstream_rq_total", before, now) + refused),
        **answers,
        "HTTPCode_Target_5XX_Count": float(fifth),
        "TargetConnectionErrorCount": float(max(refused, _delta(f"{prefix}upstream_cx_connect_fail", before, now))),
    }


def _answers(balancer: Balancer, before: Reading, now: Reading) -> int:
    """5xx answers of any origin that the balancer's clients got."""
    names = [f"http.{listener_name(listener.arn)}.downstream_rq_5xx" for listener in balancer.listeners]
    return sum(_delta(name, before, now) for name in names)


def response_times(before: Mapping[Bin, int], now: Mapping[Bin, int]) -> dict[float, int]:
    """How often each response time (seconds) came between two readings: a bin's answers are spread evenly over it."""
    counts: dict[float, int] = {}
    for (low, width), number in now.items():
        new = _since(before.get((low, width), 0), number)
        parts = min(new, _PARTS if width else 1)
        for part in range(parts):
            middle = low + width * (part + 0.5) / parts
            counts[middle / 1e6] = new * (part + 1) // parts - new * part // parts
    return counts


def _delta(name: str, before: Reading, now: Reading) -> int:
    return _since(before.counters.get(name, 0), now.counters.get(name, 0))


def _since(before: int, now: int) -> int:
    """What a counter has counted; one that is smaller than before began again with Envoy."""
    return now - before if now >= before else now


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
