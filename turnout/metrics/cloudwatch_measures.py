"""What to ask CloudWatch for a gate, and what a gate's sample is in its answers. Pure.

Sources: "CloudWatch metrics for your Application Load Balancer" (RequestCount counts what reached a target's choice, so also
requests whose target refused; TargetConnectionErrorCount counts connections; metrics with nothing to say are not reported);
"CloudWatch statistics definitions" (TC(a:b): values above a, up to b); "PutMetricData" (which data have percentiles).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Protocol

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Count, Moments, Sample, Side
from turnout.metrics.provider import Place, names_of

BALANCER = "AWS/ApplicationELB"
_DIGITS = 10
"""Decimal places of a bound in a statistic ("up to 10 decimal places")."""


@dataclass(frozen=True)
class Series:
    """One metric of CloudWatch."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    def stat(self, name: str) -> "Statistic":
        """A statistic of it."""
        return Statistic(self, name)


@dataclass(frozen=True)
class Statistic:
    """One value a period."""

    series: Series
    name: str


Values = Mapping[Statistic, float]
"""A period's values; what CloudWatch did not report is not there."""


class Unmeasurable(ValueError):
    """A gate that CloudWatch cannot measure; the message says what to write."""


class Measure(Protocol):
    """Asks for `statistics` and makes a sample of them."""

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What is needed of each period."""

    def sample(self, values: Values) -> Sample | None:
        """The period's sample; None when it was not measured, or when the numbers contradict each other."""


def balancer(place: Place, name: str) -> Series:
    """A load balancer's metric about a place's target group.

    Raises `Unmeasurable` for a load balancer that is no Application Load Balancer."""
    loadbalancer = "/".join(place.listener.partition(":listener/")[2].split("/")[:3])
    if not loadbalancer.startswith("app/"):
        raise Unmeasurable("a network load balancer counts no requests; give the gate a metric of the servers")
    group = place.target_group.rpartition(":")[2]
    return Series(BALANCER, name, (("TargetGroup", group), ("LoadBalancer", loadbalancer)))


def response_time(gate: Gate, place: Place) -> Series:
    """Seconds to the first byte: the gate's metric, or the load balancer's TargetResponseTime. Raises `Unmeasurable`."""
    return balancer(place, "TargetResponseTime") if gate.metric is None else custom(gate, place)


def custom(gate: Gate, place: Place) -> Series:
    """The gate's own metric with the place's names filled in. Raises `Unmeasurable`."""
    metric = gate.metric
    if metric is None or metric.namespace is None or metric.name is None:
        raise Unmeasurable("CloudWatch needs metric.namespace and metric.name; total, bad, score and histogram are PromQL")
    names = names_of(place)
    filled = {key: Template(value).substitute(names) for key, value in metric.dimensions.items()}
    return Series(metric.namespace, metric.name, tuple(sorted(filled.items())))


def requests(place: Place) -> Statistic:
    """How many requests the load balancer sent to a place. Raises `Unmeasurable`."""
    return balancer(place, "RequestCount").stat("Sum")


def measure(gate: Gate, threshold: float | None, side: Side, place: Place) -> Measure | None:
    """How to measure a gate on one side; None for health, which is not in any metric. `threshold`: the frozen seconds.

    Raises `Unmeasurable`."""
    match gate.kind:
        case GateKind.HEALTH:
            return None
        case GateKind.LATENCY:
            return None if threshold is None else SlowShare(response_time(gate, place), threshold, side)
        case GateKind.QUALITY:
            return Scores(custom(gate, place))
        case GateKind.ERRORS | GateKind.BURN:
            return BalancerErrors.of(place) if gate.metric is None else Failures(custom(gate, place))


@dataclass(frozen=True)
class BalancerErrors:
    """5xx answers and refused connections of a target group's requests.

    A request whose target refuses was sent to a target, so RequestCount holds it. Of connections, one request may lose
    several: what they have above the requests is cut off. More 5xx answers than requests is no sample."""

    requests: Statistic
    failed: Statistic
    refused: Statistic

    @classmethod
    def of(cls, place: Place) -> "BalancerErrors":
        """Raises `Unmeasurable`."""
        names = ("HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount")
        return cls(requests(place), *(balancer(place, name).stat("Sum") for name in names))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        return self.requests, self.failed, self.refused

    def sample(self, values: Values) -> Sample | None:
        total = whole(values.get(self.requests))
        failed, refused = whole(values.get(self.failed, 0.0)), whole(values.get(self.refused, 0.0))
        if not total or failed is None or refused is None or failed > total:
            return None
        return Count(min(failed + refused, total), total)


@dataclass(frozen=True)
class Failures:
    """A metric that has a value a request: 1 for one that failed, else 0."""

    series: Series

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        return tuple(map(self.series.stat, ("SampleCount", "Sum", "Minimum", "Maximum")))

    def sample(self, values: Values) -> Sample | None:
        found = moments(self.series, values)
        if found is None or values[self.series.stat("Minimum")] < 0 or values[self.series.stat("Maximum")] > 1:
            return None
        return Count(math.ceil(found.total - 1e-6), found.count)


@dataclass(frozen=True)
class SlowShare:
    """Requests slower than the frozen threshold.

    CloudWatch's distributions are approximate: both sides of the cut are asked for, and what they leave open counts against
    the candidate."""

    series: Series
    threshold: float
    side: Side

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        return self.series.stat("SampleCount"), self._above, self._below

    @property
    def _above(self) -> Statistic:
        return self.series.stat(f"TC({decimal(self.threshold)}:)")

    @property
    def _below(self) -> Statistic:
        return self.series.stat(f"TC(:{decimal(self.threshold)})")

    def sample(self, values: Values) -> Sample | None:
        total = whole(values.get(self.series.stat("SampleCount")))
        cuts = [value for value in (values.get(self._above), values.get(self._below)) if value is not None]
        if not total or not cuts or not all(0 <= value < math.inf for value in cuts):
            return None
        above = values.get(self._above, total - values.get(self._below, 0.0))
        below = values.get(self._below, total - above)
        if above > total + 0.5 or below > total + 0.5:
            return None
        if self.side is Side.CANDIDATE:
            slow = math.ceil(max(above, total - below) - 1e-6)
        else:
            slow = math.floor(min(above, total - below) + 1e-6)
        return Count(min(max(slow, 0), total), total)


@dataclass(frozen=True)
class Scores:
    """A numeric metric: its count, its sum, and its squares as far as the smallest and the largest value bound them.

    Of n values in [a, b] with the sum s the squares add up to at most (a + b) s - n a b (Bhatia and Davis, "A better bound on
    the variance"), and to exactly that where every value is a or b, as with 0 and 1. A variance that is bounded from above
    makes a gate slower, never wrong."""

    series: Series

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        return tuple(map(self.series.stat, ("SampleCount", "Sum", "Minimum", "Maximum")))

    def sample(self, values: Values) -> Sample | None:
        return moments(self.series, values)


def moments(series: Series, values: Values) -> Moments | None:
    """The moments of a metric's values in one period; None where they are missing or contradict each other."""
    count = whole(values.get(series.stat("SampleCount")))
    names = ("Sum", "Minimum", "Maximum")
    known = [values[series.stat(name)] for name in names if series.stat(name) in values]
    if not count or len(known) < len(names) or not all(map(math.isfinite, known)):
        return None
    total, low, high = known
    slack = 1e-6 * max(1.0, abs(low), abs(high)) * count
    if not count * low - slack <= total <= count * high + slack:
        return None
    return Moments(count, total, max((low + high) * total - count * low * high, total**2 / count))


def whole(value: float | None) -> int | None:
    """A count; None when there is none, or no sensible one."""
    return round(value) if value is not None and 0 <= value < math.inf else None


def decimal(value: float) -> str:
    """A bound as a statistic's name holds it."""
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
