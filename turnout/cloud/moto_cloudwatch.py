"""Extends moto's CloudWatch: distributions with percentiles and trimmed counts, and GetMetricData with expressions and pages.

Sources: "PutMetricData", "GetMetricData", "GetMetricStatistics" (Amazon CloudWatch API Reference): limits, rounding of the
start, order, periods; "Metrics concepts" (Amazon CloudWatch User Guide): a metric is its name and all of its dimensions.
Statistics: `metric_statistics`; expressions: `metric_math`.
"""

import re
import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.exceptions import CloudWatchException, InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricAggregatedDatum, MetricDatum, MetricDatumBase
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from turnout.cloud import metric_math, metric_statistics
from turnout.cloud.metric_statistics import Bag, UnknownStatistic

VALUES = 150
"""Values of one datum."""
QUERIES = 500
"""Of one GetMetricData."""
POINTS = 100_800
"""Values in one answer of GetMetricData, unless it asks for fewer."""
STATISTICS_POINTS = 1_440
"""Values in an answer of GetMetricStatistics; it has no pages."""
_MINUTE = 60
_SHORT = (1, 5, 10, 20, 30)
_ID = re.compile(r"[a-z][A-Za-z0-9_]*")

Key = tuple[str, str, frozenset[tuple[str, str]]]
Recorded = tuple[float, Any]
"""A datum after its time in seconds since 1970."""
Points = dict[float, float]
"""Values by the start of their period, in seconds since 1970."""


_lock = threading.Lock()


class InvalidNextToken(CloudWatchException):
    """A token that no page gave out."""

    code = "InvalidNextToken"
    message = "The next token is not one that GetMetricData gave."


class MetricDistribution(MetricDatumBase):
    """Values with how often each came: `Values` and `Counts` of PutMetricData."""

    def __init__(self, pairs: Iterable[tuple[float, float]], *args: Any) -> None:
        super().__init__(*args)
        self.bag = Bag.of(pairs)


def bag(datum: Any) -> Bag:
    """The values of one of moto's data."""
    if isinstance(datum, MetricDistribution):
        return datum.bag
    if isinstance(datum, MetricAggregatedDatum):
        return Bag.of_set(float(datum.sample_count), float(datum.sum), float(datum.min), float(datum.max))
    assert isinstance(datum, MetricDatum)
    return Bag.of([(float(datum.value), 1.0)])


def extend_cloudwatch(period: float = _MINUTE) -> None:
    """Lets moto's CloudWatch answer as AWS's. `period`: the seconds between two reports of the local cloud's metrics; multiples
    of it may be asked for, as those of a minute."""

    def allowed(asked: Any) -> int:
        seconds = int(asked)
        if seconds > 0 and (seconds in _SHORT or seconds % _MINUTE == 0 or seconds % period == 0):
            return seconds
        raise ValidationError(f"The period {asked} is not 1, 5, 10, 20, 30, 60 or a multiple of 60 seconds.")

    def get_metric_data(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        queries = asked.get("MetricDataQueries", [])
        start, end = seconds_of(asked["StartTime"]), seconds_of(asked["EndTime"])
        _check_queries(queries, start, end)
        series: dict[str, Points] = {}
        for query in queries:
            if "MetricStat" in query:
                stat = query["MetricStat"]
                width = allowed(stat["Period"])
                metric = stat["Metric"]
                key = _key(metric["Namespace"], metric["MetricName"], metric.get("Dimensions", []))
                first = _rounded(start, width, period)
                kept = _of_unit(recorded(self.cloudwatch_backend, key, first, end), stat.get("Unit"))
                series[query["Id"]] = _points(kept, stat["Stat"], first, width)
        for query in queries:
            if "Expression" in query:
                series[query["Id"]] = _evaluated(query["Expression"], series)
        shown = [(query, series[query["Id"]]) for query in queries if query.get("ReturnData", True)]
        newest_first = asked.get("ScanBy") != "TimestampAscending"
        return ActionResult(_page(shown, newest_first, asked.get("NextToken"), int(asked.get("MaxDatapoints") or POINTS)))

    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        asked = self._get_params()
        names = [*asked.get("Statistics", []), *asked.get("ExtendedStatistics", [])]
        if not names:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        start, end, width = seconds_of(asked["StartTime"]), seconds_of(asked["EndTime"]), allowed(asked["Period"])
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        points = (end - start) / width
        if points > STATISTICS_POINTS:
            raise InvalidParameterCombination(
                f"You have requested up to {points:.0f} datapoints, which exceeds the limit of {STATISTICS_POINTS}."
            )
        first = _rounded(start, width, period)
        key = _key(asked["Namespace"], asked["MetricName"], asked.get("Dimensions", []))
        kept = _of_unit(recorded(self.cloudwatch_backend, key, first, end), asked.get("Unit"))
        by_name = {name: _points(kept, name, first, width) for name in names}
        units = {_slot(at, first, width): datum.unit for at, datum in kept}
        return ActionResult({"Label": asked["MetricName"], "Datapoints": [_datapoint(at, by_name, units[at]) for at in units]})

    CloudWatchBackend.put_metric_data = put_metric_data  # type: ignore[method-assign]
    CloudWatchBackend.get_alarms_by_alarm_names = get_alarms_by_alarm_names  # type: ignore[method-assign]
    CloudWatchResponse.get_metric_data = get_metric_data  # type: ignore[method-assign]
    CloudWatchResponse.get_metric_statistics = get_metric_statistics  # type: ignore[method-assign]


def get_alarms_by_alarm_names(self: CloudWatchBackend, alarm_names: list[str]) -> Iterable[Alarm]:
    """DescribeAlarms by name. moto looks through all alarms for them, and fails where another call makes one meanwhile."""
    return [alarm for name in dict.fromkeys(alarm_names) if (alarm := self.alarms.get(name)) is not None]


def put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    """PutMetricData; nothing is kept of a call with a datum that is refused."""
    for number, metric in enumerate(metric_data, 1):
        self._validate_parameters_put_metric_data(metric, number)
    data = [_datum(namespace, metric) for metric in metric_data]
    self.metric_data += data
    for datum in data:
        at = seconds_of(datum.timestamp)
        by = frozenset((str(item.name), str(item.value)) for item in datum.dimensions)
        with _lock:
            insort(_index(self).setdefault((namespace, datum.name, by), []), (at, datum), key=_at)


def recorded(backend: CloudWatchBackend, key: Key, start: float, end: float) -> list[Recorded]:
    """What was put of a metric with times from `start` up to `end`, in order of time."""
    data = _index(backend).get(key, [])
    return data[bisect_left(data, start, key=_at) : bisect_left(data, end, key=_at)]


def _index(backend: CloudWatchBackend) -> dict[Key, list[Recorded]]:
    """The data by metric; a backend that is reset forgets it with all else."""
    index: dict[Key, list[Recorded]] = vars(backend).setdefault("turnout_by_metric", {})
    return index


def _at(item: Recorded) -> float:
    return item[0]


def _datum(namespace: str, metric: Mapping[str, Any]) -> MetricDatumBase:
    name, dimensions = metric["MetricName"], metric.get("Dimensions", [])
    about = (dimensions, metric.get("Timestamp"), metric.get("Unit"))
    if metric.get("Values"):
        values = [float(value) for value in metric["Values"]]
        counts = [float(count) for count in metric.get("Counts") or [1.0] * len(values)]
        if len(values) > VALUES:
            raise InvalidParameterValue(
                f"The collection MetricData.member.1.Values must not have a size greater than {VALUES}."
            )
        if len(counts) != len(values) or min(counts) < 0 or not any(counts):
            raise InvalidParameterValue("Counts must have as many values as Values, none below 0 and not all of them 0.")
        pairs = [(value, count) for value, count in zip(values, counts, strict=True) if count]
        return MetricDistribution(pairs, namespace, name, *about)
    sets = metric.get("StatisticValues")
    if sets:
        low, high, count, total = (float(sets[part]) for part in ("Minimum", "Maximum", "SampleCount", "Sum"))
        return MetricAggregatedDatum(namespace, name, low, high, count, total, *about)
    return MetricDatum(namespace, name, float(metric.get("Value", 0)), *about)


def seconds_of(moment: datetime) -> float:
    """Seconds since 1970; moto's times are UTC and mostly do not say so."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _key(namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> Key:
    return namespace, name, frozenset((item["Name"], item["Value"]) for item in dimensions)


def _of_unit(data: Iterable[Recorded], unit: str | None) -> list[Recorded]:
    return [item for item in data if unit in (None, item[1].unit)]


def _rounded(start: float, width: int, period: float) -> float:
    """The start, down to a whole minute, or to a period that is shorter."""
    step = min(width, _MINUTE, max(period, 1.0))
    return start // step * step


def _slot(at: float, first: float, width: int) -> float:
    return first + (at - first) // width * width


def _points(data: Iterable[Recorded], name: str, first: float, width: int) -> Points:
    """The statistic of each period that has data, oldest first."""
    try:
        metric_statistics.check(name)
    except UnknownStatistic as error:
        raise ValidationError(f"The value {name} for parameter Stat is not supported: {error}") from None
    slots: dict[float, list[Bag]] = {}
    for at, datum in data:
        slots.setdefault(_slot(at, first, width), []).append(bag(datum))
    values = {at: metric_statistics.statistic(name, bags) for at, bags in slots.items()}
    return {at: value for at, value in values.items() if value is not None}


def _check_queries(queries: Sequence[Mapping[str, Any]], start: float, end: float) -> None:
    if start >= end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    if not queries or len(queries) > QUERIES:
        raise ValidationError(f"MetricDataQueries has {len(queries)} members; a call takes 1 to {QUERIES}.")
    names = [str(query.get("Id")) for query in queries]
    for name in names:
        if not _ID.fullmatch(name) or names.count(name) > 1:
            raise ValidationError(f"The value {name!r} for parameter Id is not unique or no lower-case name.")
    for number, query in enumerate(queries, 1):
        if ("MetricStat" in query) == ("Expression" in query):
            raise ValidationError(f"MetricDataQueries.member.{number} must have either MetricStat or Expression.")


def _evaluated(expression: str, series: Mapping[str, Points]) -> Points:
    """A math expression over what stands before it; periods without any value are left out."""
    moments = sorted({at for points in series.values() for at in points})
    try:
        values = metric_math.evaluate(expression, {name: [points.get(at) for at in moments] for name, points in series.items()})
    except metric_math.MathError as error:
        raise ValidationError(f"Error in expression {expression!r}: {error}") from None
    return {at: value for at, value in zip(moments, values, strict=True) if value is not None}


def _page(
    shown: Sequence[tuple[Mapping[str, Any], Points]], newest_first: bool, token: str | None, size: int
) -> dict[str, Any]:
    """One page of results; a token is the number of values on the pages before it."""
    if token is not None and not token.isdigit():
        raise InvalidNextToken()
    skip, left = int(token or 0), size
    results = []
    for query, points in shown:
        ordered = sorted(points, reverse=newest_first)
        rest = ordered[skip:]
        on_page, whole = rest[:left], len(rest) <= left
        if on_page or (not ordered and token is None):
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or _label(query),
                    "Timestamps": [_moment(at) for at in on_page],
                    "Values": [points[at] for at in on_page],
                    "StatusCode": "Complete" if whole else "PartialData",
                }
            )
        skip, left = max(0, skip - len(ordered)), left - len(on_page)
    total = sum(len(points) for _, points in shown)
    after = int(token or 0) + size
    return {"MetricDataResults": results, **({"NextToken": str(after)} if after < total else {})}


def _label(query: Mapping[str, Any]) -> str:
    stat = query.get("MetricStat")
    return str(query["Id"] if stat is None else f"{stat['Metric']['MetricName']} {stat['Stat']}")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _datapoint(at: float, by_name: Mapping[str, Points], unit: str | None) -> dict[str, Any]:
    """One of GetMetricStatistics' data points."""
    values = {name: points[at] for name, points in by_name.items() if at in points}
    plain = {name: value for name, value in values.items() if name in metric_statistics.PLAIN}
    extended = {name: value for name, value in values.items() if name not in plain}
    return {"Timestamp": _moment(at), "Unit": unit or "None", **plain, **({"ExtendedStatistics": extended} if extended else {})}
