"""A rollout's measurements from Prometheus: counters and histograms that a gate's selectors name.

Source: "HTTP API" (Prometheus documentation): an instant query for a range vector gives raw samples.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from string import Template
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential
from turnout_components.experiment_design import ExperimentDesign
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.measurement import Moments, Sample, Side
from turnout.metrics import prometheus_series as series
from turnout.metrics import variants
from turnout.metrics.prometheus_series import Bounds, Counted, Series
from turnout.metrics.provider import MetricsUnavailable, Place, Reading, Span, names_of

LOOKBACK = timedelta(minutes=5)
"""How long before a span a series' last sample may lie; Prometheus's own lookback."""
USERS_LOOKBACK = timedelta(hours=2)
"""The same of an experiment's counters: after a longer absence of Prometheus a server's users would all count once more."""
STRETCH = timedelta(hours=1)
"""The longest time of one query."""
ATTEMPTS, PATIENCE = 3, 5.0
"""How often a query is tried, and seconds after which it is not tried again: a look goes on to targets' health afterwards."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRITE = {
    GateKind.ERRORS: "metric.total and metric.bad",
    GateKind.BURN: "metric.total and metric.bad",
    GateKind.QUALITY: "metric.total and metric.score (scores from 0 to 1)",
    GateKind.LATENCY: "metric.histogram (the _bucket series)",
}


class _Again(Exception):
    """Worth another attempt."""


class _Refused(MetricsUnavailable):
    """A query that Prometheus does not understand; another attempt does not help."""


class PrometheusMetrics:
    """Reads a Prometheus at `url` with a client, whose configuration bounds each attempt. `period`: a multiple of the scrape
    interval; `delay`: how late samples are stored; `sleep`: waits so many seconds between attempts."""

    def __init__(
        self, client: httpx.Client, url: str, period: timedelta, delay: timedelta, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client, self._url, self.period, self.delay = client, url.rstrip("/"), period, delay
        self._attempts = Retrying(
            sleep=sleep,
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(PATIENCE),
            wait=wait_random_exponential(0.2, max=2.0),
            reraise=True,
        )

    def missing(self, gates: Sequence[Gate], places: Mapping[Side, Place], since: datetime, now: datetime) -> list[str]:
        """A line for each gate without a metric, with a query that is refused, without a series of the active side, or whose
        histogram has no bound between the percentile and the margin times it.

        Raises `MetricsUnavailable`."""
        end = now - self.delay
        lines = []
        for gate in (gate for gate in gates if gate.kind is not GateKind.HEALTH):
            if not _selectors(gate):
                lines.append(f"{gate.name}: Prometheus does not know the load balancer; write {_WRITE[gate.kind]}")
                continue
            if (
                len(places) > 1
                and len({tuple(_filled(text, names_of(each)) for text in _selectors(gate)) for each in places.values()}) == 1
            ):
                lines.append(
                    f"{gate.name}: both sides are the same series; tell them apart by $environment, $group or $release"
                )
                continue
            try:
                told = self._unmeasured(gate, places[Side.ACTIVE], self._stretch(since, end))
            except _Refused as error:
                told = str(error)
            lines += [f"{gate.name}: {told}"] if told else []
        return lines

    def _stretch(self, since: datetime, until: datetime) -> Span:
        """That time: at least a period, at most its last hour."""
        return Span(min(max(since, until - STRETCH), until - self.period), until)

    def _unmeasured(self, gate: Gate, place: Place, span: Span) -> str | None:
        """Why a gate has no sample of the active side, or None."""
        counted = self._counted(gate, place, [_seconds(span)])
        if counted.sample(gate, Side.ACTIVE, math.inf, 0) is None:
            selectors = " and ".join(_filled(text, names_of(place)) for text in _selectors(gate))
            return (
                f"{selectors} counted nothing of {place.environment}; correct the selector, or send {place.environment} traffic"
            )
        if gate.kind is not GateKind.LATENCY:
            return None
        value = series.percentile(counted.buckets, gate.percentile, 0)
        if value is None or any(value <= bound <= gate.allowed * value for bound in counted.buckets):
            return None
        return (
            f"no bucket bound lies between p{gate.percentile:g} ({value:.3g} s) and {gate.allowed:g} times it: give the "
            "histogram one there, or the gate a larger margin"
        )

    def percentile(self, gate: Gate, place: Place, since: datetime, until: datetime) -> float | None:
        """The gate's percentile in seconds over that time (its last hour, where it is longer); None without data.

        Raises `MetricsUnavailable`."""
        if gate.kind is not GateKind.LATENCY or not _selectors(gate):
            return None
        counted = self._counted(gate, place, [_seconds(self._stretch(since, until))])
        return series.percentile(counted.buckets, gate.percentile, 0)

    def read(
        self, gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        """The spans' readings, in order. `requests` are those of the first gate with a `total`. A latency gate counts at the
        bucket bound that `shown` says: the largest up to the threshold that both sides have.

        Raises `MetricsUnavailable`."""
        readings: list[Mapping[Side, Reading]] = []
        known = [gate for gate in gates if gate.kind is not GateKind.HEALTH and _selectors(gate)]
        for part in _stretches(spans):
            bounds = list(map(_seconds, part))
            counted = {
                gate.name: {side: self._counted(gate, place, bounds) for side, place in places.items()} for gate in known
            }
            cuts = {
                gate.name: series.cut(
                    thresholds[gate.name], [each.buckets for each in counted[gate.name].values() if each.buckets]
                )
                for gate in known
                if gate.name in thresholds
            }
            readings += [_readings(known, counted, cuts, places, number) for number in range(len(part))]
        return readings

    def variants(
        self, design: ExperimentDesign, places: Mapping[str, Place], spans: Sequence[Span]
    ) -> list[Mapping[str, Moments] | None]:
        """What the counters of users, of the sum and of the squares of their values say of each variant in each span.

        Raises `MetricsUnavailable`."""
        metric = design.metric
        selectors = [text for text in (metric.users, metric.sum, metric.squares) if text]
        found: list[Mapping[str, Moments] | None] = []
        for part in _stretches(spans):
            bounds = list(map(_seconds, part))
            counters = {
                name: [self._total(_filled(text, variants.names(design, name, place)), bounds) for text in selectors]
                for name, place in places.items()
            }
            found += [variants.grown(design, counters, number) for number in range(len(part))]
        return found

    def _total(self, selector: str, bounds: Bounds) -> Counted:
        return series.total(self._samples(selector, bounds[0][0], bounds[-1][1], USERS_LOOKBACK), bounds)

    def _counted(self, gate: Gate, place: Place, bounds: Bounds) -> "_Counted":
        metric = gate.metric
        assert metric is not None

        def found(text: str | None) -> list[Series]:
            return self._samples(_filled(text, names_of(place)), bounds[0][0], bounds[-1][1]) if text else []

        if gate.kind is GateKind.LATENCY:
            return _Counted(buckets=series.buckets(found(metric.histogram), bounds))
        part = metric.score if gate.kind is GateKind.QUALITY else metric.bad
        return _Counted(series.total(found(metric.total), bounds), series.total(found(part), bounds))

    def _samples(self, selector: str, start: float, end: float, lookback: timedelta = LOOKBACK) -> list[Series]:
        """The selector's raw samples of that time and of the lookback before it."""
        query = f"{selector}[{math.ceil(end - start + lookback.total_seconds())}s]"
        try:
            data = self._attempts(self._asked, query, end)
        except _Again as error:
            raise MetricsUnavailable(f"{self._url} does not answer: {error}") from error
        if data.get("resultType") != "matrix":
            raise _Refused(f'{selector} is no selector of series; write one such as requests_total{{env="$environment"}}')
        try:
            return [
                Series(item["metric"], [(float(moment), float(value)) for moment, value in item["values"]])
                for item in data["result"]
            ]
        except (KeyError, TypeError, ValueError):
            fix = "write a selector of a counter or of a histogram's _bucket series"
            raise _Refused(f"{selector} has samples that are no numbers, as a native histogram's: {fix}") from None

    def _asked(self, query: str, at: float) -> dict[str, Any]:
        """One attempt. Raises `_Again`, `_Refused` or `MetricsUnavailable`."""
        try:
            answer = self._client.post(f"{self._url}/api/v1/query", data={"query": query, "time": f"{at:.3f}"})
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _Again(str(error) or type(error).__name__) from error
        if not isinstance(body, dict) or answer.status_code == 429 or answer.status_code >= 500:
            raise _Again(f"status {answer.status_code}")
        if answer.status_code == 400:
            raise _Refused(f"Prometheus refuses {query}: {body.get('error')}; write a selector of a counter or histogram")
        if answer.status_code != 200 or body.get("status") != "success":
            raise MetricsUnavailable(f"{self._url} cannot answer {query}: {body.get('error') or answer.status_code}")
        if body.get("warnings"):
            raise MetricsUnavailable(f"{self._url} answers {query} in part: {body['warnings'][0]}")
        data = body.get("data")
        return data if isinstance(data, dict) else {}


@dataclass(frozen=True)
class _Counted:
    """What one gate's series of one side counted, by span."""

    total: Counted = field(default_factory=list)
    part: Counted = field(default_factory=list)
    buckets: Mapping[float, Counted] = field(default_factory=dict)

    def requests(self, number: int) -> int | None:
        """The requests of the span of that number."""
        value = self.total[number] if self.total else None
        return round(value) if value is not None and 0 <= value < math.inf else None

    def sample(self, gate: Gate, side: Side, bound: float | None, number: int) -> Sample | None:
        """The sample of the span of that number; of a latency gate at that bound."""
        match gate.kind:
            case GateKind.LATENCY:
                return series.slow(self.buckets, bound, number) if bound is not None and bound in self.buckets else None
            case GateKind.QUALITY:
                return series.scored(self.part[number], self.total[number])
        return series.failed(self.part[number], self.total[number], side)


def _readings(
    gates: Sequence[Gate],
    counted: Mapping[str, Mapping[Side, _Counted]],
    cuts: Mapping[str, float | None],
    places: Mapping[Side, Place],
    number: int,
) -> Mapping[Side, Reading]:
    readings = {}
    for side in places:
        samples: dict[str, Sample] = {}
        shown: dict[str, float] = {}
        requests: int | None = None
        for gate in gates:
            own, cut = counted[gate.name][side], cuts.get(gate.name)
            sample = own.sample(gate, side, cut, number)
            samples |= {} if sample is None else {gate.name: sample}
            if requests is None and gate.kind is not GateKind.QUALITY:
                requests = own.requests(number)
            if gate.kind is GateKind.LATENCY:
                percentiles = {f"p{percent}": series.percentile(own.buckets, percent, number) for percent in (50, 95)}
                told = {**percentiles, f"{gate.name} bound": cut if sample else None}
                shown = {**{name: value for name, value in told.items() if value is not None}, **shown}
        if samples or requests is not None:
            readings[side] = Reading(requests, samples, shown)
    return readings


def _selectors(gate: Gate) -> list[str]:
    """The selectors that the gate's kind needs, or nothing when one of them is missing."""
    metric = gate.metric or Metric()
    match gate.kind:
        case GateKind.LATENCY:
            needed = [metric.histogram]
        case GateKind.QUALITY:
            needed = [metric.total, metric.score]
        case _:
            needed = [metric.total, metric.bad]
    given = [text for text in needed if text]
    return given if len(given) == len(needed) else []


def _filled(text: str, names: Mapping[str, str]) -> str:
    """The selector with these names, escaped as a label's value is ("Querying basics": string literals)."""
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("'", r"\'").replace("\n", r"\n")
        for name, value in names.items()
    }
    return Template(text).safe_substitute(escaped)


def _seconds(span: Span) -> tuple[float, float]:
    return (span.start - _EPOCH).total_seconds(), (span.end - _EPOCH).total_seconds()


def _stretches(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans in order, in parts of at most an hour."""
    parts: list[list[Span]] = []
    for span in spans:
        if parts and span.start >= parts[-1][-1].end and span.end - parts[-1][0].start <= STRETCH:
            parts[-1].append(span)
        else:
            parts.append([span])
    return parts
