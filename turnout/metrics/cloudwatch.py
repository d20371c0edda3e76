"""A rollout's measurements from CloudWatch: the load balancer's metrics by target group, and metrics of one's own.

Source: "GetMetricData" (Amazon CloudWatch API Reference): at most 500 queries a call, pages, StatusCode.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from turnout_components.experiment_design import ExperimentDesign
from turnout_components.rollout_spec import Gate

from turnout.analysis.measurement import Moments, Side
from turnout.metrics import cloudwatch_measures as measures
from turnout.metrics.cloudwatch_measures import Measure, Statistic, Unmeasurable, Values
from turnout.metrics.provider import MetricsUnavailable, Place, Reading, Span
from turnout.metrics.variants import VariantMeasure, counted

QUERIES = 500
"""Of one call."""
LONGEST = timedelta(days=1)
"""The longest period that is asked for."""
_SHOWN = ("p50", "p95")
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CloudWatchMetrics:
    """Reads CloudWatch with a botocore client, whose configuration bounds retries and timeouts. `period`: whole seconds, which
    CloudWatch has values for (the load balancer's: 60 s); `delay`: after which they are whole.

    Raises `ValueError` for a period that is not of whole seconds."""

    def __init__(self, client: Any, period: timedelta, delay: timedelta) -> None:
        if period < timedelta(seconds=1) or period % timedelta(seconds=1):
            raise ValueError(f"metrics.period is {period.total_seconds():g} s; CloudWatch has whole seconds: write 60s")
        self._client, self.period, self.delay = client, period, delay

    def missing(self, gates: Sequence[Gate], places: Mapping[Side, Place], since: datetime, now: datetime) -> list[str]:
        """A line for each gate whose active side has no value between `since` and what is whole at `now`.

        Raises `MetricsUnavailable`."""
        place = places[Side.ACTIVE]
        region, asked_in = place.listener.split(":")[3], self._client.meta.region_name
        if region != asked_in:
            return [f"the load balancer is in {region} and CloudWatch is asked in {asked_in}: set the stack's region"]
        lines: list[str] = []
        named: dict[str, Measure] = {}
        for gate in gates:
            try:
                found = measures.measure(gate, 1.0, Side.ACTIVE, place)
            except Unmeasurable as error:
                lines.append(f"{gate.name}: {error}")
                continue
            if _shared(gate, places):
                lines.append(f"{gate.name}: both sides are one metric; tell them apart by $environment, $group or $release")
            elif found:
                named[gate.name] = found
        start, end = self._whole(since, now - self.delay)
        values = self._values({item for measure in named.values() for item in measure.statistics}, start, end, end - start)
        for name, measure in named.items():
            if not any(measure.sample(each) for each in values.values()):
                lines.append(f"{name}: {_unseen(measure, place, start, end)}")
        return lines

    def percentile(self, gate: Gate, place: Place, since: datetime, until: datetime) -> float | None:
        """The gate's percentile in seconds of all values of that time (of its last day, where it is longer); None without data.

        Raises `MetricsUnavailable`."""
        try:
            series = measures.response_time(gate, place)
        except Unmeasurable:
            return None
        count, wanted = series.stat("SampleCount"), series.stat(f"p{measures.decimal(gate.percentile)}")
        start, end = self._whole(since, until)
        values = self._values({count, wanted}, start, end, end - start)
        fullest = max(values.values(), key=lambda each: each.get(count, 0.0), default={})
        value = fullest.get(wanted)
        return value if value is not None and 0 < value < math.inf else None

    def read(
        self, gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        """The spans' readings, in order. CloudWatch reports nothing where nothing flows: a side without any value in a span in
        which the other had requests has `requests` 0. What `missing` tells of a gate it does not tell again: such a gate has
        no samples.

        Raises `MetricsUnavailable`."""
        if not spans:
            return []
        asked = {side: _Asked.of(gates, thresholds, side, place) for side, place in places.items()}
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        values = self._values({item for each in asked.values() for item in each.statistics}, start, end, self.period)
        return [_readings(asked, values.get(span.start, {})) for span in spans]

    def variants(
        self, design: ExperimentDesign, places: Mapping[str, Place], spans: Sequence[Span]
    ) -> list[Mapping[str, Moments] | None]:
        """What the metric, which has one value a user, says of each variant in each span. CloudWatch reports nothing where
        nothing flows: a variant without any value had no user then.

        Raises `MetricsUnavailable`."""
        asked = {name: VariantMeasure.of(design, name, place) for name, place in places.items()}
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        values = self._values({item for each in asked.values() for item in each.statistics}, start, end, self.period)
        return [counted(asked, values.get(span.start, {})) for span in spans]

    def _whole(self, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        """The whole periods of that time, at least one, of at most a day; whole minutes where it is longer than one."""
        end = until - (until - _EPOCH) % self.period
        length = min(end - since, LONGEST)
        length -= length % (_MINUTE if length > _MINUTE and not _MINUTE % self.period else self.period)
        return end - max(length, self.period), end

    def _values(
        self, wanted: Iterable[Statistic], start: datetime, end: datetime, period: timedelta
    ) -> dict[datetime, dict[Statistic, float]]:
        """The statistics' values by the start of their period."""
        ordered = sorted(wanted, key=repr)
        found: dict[datetime, dict[Statistic, float]] = {}
        for at in range(0, len(ordered), QUERIES):
            named = {f"q{number}": item for number, item in enumerate(ordered[at : at + QUERIES])}
            for result in self._results([_query(key, item, period) for key, item in named.items()], start, end):
                for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                    found.setdefault(moment.astimezone(UTC), {})[named[result["Id"]]] = float(value)
        return found

    def _results(self, queries: list[dict[str, Any]], start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The results of one call with all of its pages."""
        asked = {"MetricDataQueries": queries, "StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending"}
        results: list[dict[str, Any]] = []
        tokens: list[str] = []
        while True:
            try:
                page = self._client.get_metric_data(**asked, **({"NextToken": tokens[-1]} if tokens else {}))
            except (ClientError, BotoCoreError) as error:
                raise MetricsUnavailable(_told(error)) from error
            results += page["MetricDataResults"]
            token = page.get("NextToken")
            _refuse_broken(page["MetricDataResults"], last=not token)
            if not token:
                return results
            if token in tokens:
                raise MetricsUnavailable("CloudWatch repeats a page of GetMetricData; the next look asks again")
            tokens.append(token)


@dataclass(frozen=True)
class _Asked:
    """What is asked about one side."""

    measures: Mapping[str, Measure]
    requests: Statistic | None
    shown: Mapping[str, Statistic]

    @classmethod
    def of(cls, gates: Sequence[Gate], thresholds: Mapping[str, float], side: Side, place: Place) -> "_Asked":
        named: dict[str, Measure] = {}
        for gate in gates:
            try:
                found = measures.measure(gate, thresholds.get(gate.name), side, place)
            except Unmeasurable:
                continue
            named |= {gate.name: found} if found else {}
        try:
            times = measures.balancer(place, "TargetResponseTime")
            return cls(named, measures.requests(place), {name: times.stat(name) for name in _SHOWN})
        except Unmeasurable:
            return cls(named, None, {})

    @property
    def statistics(self) -> set[Statistic]:
        """All of it."""
        own = {item for measure in self.measures.values() for item in measure.statistics}
        return own | set(self.shown.values()) | ({self.requests} if self.requests else set())

    def reading(self, values: Values) -> Reading:
        """One period's reading."""
        samples = {name: sample for name, measure in self.measures.items() if (sample := measure.sample(values)) is not None}
        shown = {name: values[item] for name, item in self.shown.items() if 0 <= values.get(item, -1.0) < math.inf}
        return Reading(measures.whole(values.get(self.requests)) if self.requests else None, samples, shown)


def _shared(gate: Gate, places: Mapping[Side, Place]) -> bool:
    """Whether the gate's own metric is the same for both sides: there would be nothing to compare."""
    return gate.metric is not None and len(places) > 1 and len({measures.custom(gate, place) for place in places.values()}) == 1


def _readings(asked: Mapping[Side, _Asked], values: Values) -> Mapping[Side, Reading]:
    readings = {side: each.reading(values) for side, each in asked.items() if each.statistics & values.keys()}
    if any(reading.requests for reading in readings.values()):
        readings |= {side: Reading(requests=0) for side, each in asked.items() if side not in readings and each.requests}
    return readings


def _query(key: str, statistic: Statistic, period: timedelta) -> dict[str, Any]:
    series = statistic.series
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    metric = {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": int(period.total_seconds()), "Stat": statistic.name}}


def _refuse_broken(results: Iterable[Mapping[str, Any]], last: bool) -> None:
    """Raises `MetricsUnavailable` for results that say themselves that they are not whole."""
    broken = {str(result.get("StatusCode")) for result in results} - {"Complete", "None"} - (set() if last else {"PartialData"})
    if "Forbidden" in broken:
        raise MetricsUnavailable("CloudWatch forbids a metric: allow cloudwatch:GetMetricData to this role")
    if broken:
        raise MetricsUnavailable(f"CloudWatch's answer is not whole ({', '.join(sorted(broken))}); the next look asks again")


def _told(error: Exception) -> str:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    if "AccessDenied" in code:
        return f"CloudWatch refuses ({code}): allow cloudwatch:GetMetricData to this role"
    return f"CloudWatch does not answer GetMetricData: {error}"


def _unseen(measure: Measure, place: Place, start: datetime, end: datetime) -> str:
    series = measure.statistics[0].series
    where = ", ".join(f"{name}={value}" for name, value in series.dimensions)
    return (
        f"{series.namespace} {series.name} ({where}) has no usable value of {place.environment} between {start:%H:%M:%S} and "
        f"{end:%H:%M:%S} UTC; send {place.environment} traffic, or correct the gate's metric"
    )
