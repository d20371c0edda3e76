"""The data points that an alarm of moto's looks at, and its rule, as the pure evaluator takes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import Alarm, MetricAggregatedDatum, MetricDatum

from turnout.cloud import metric_math
from turnout.cloud.alarms import MISSING, OPERATORS, AlarmRule

Points = tuple[float | None, ...]
STATISTICS = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")


class NotEvaluated(ValueError):
    """An alarm that the local cloud cannot evaluate; the message says what in it."""


@dataclass(frozen=True)
class _Query:
    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    period: int


class Data:
    """Values by metric, for evaluations at one moment. `speed` divides periods."""

    def __init__(self, metric_data: Iterable[Any], end: float, speed: float) -> None:
        self._end, self._speed = end, speed
        self._values: dict[tuple[str, str, frozenset[tuple[str, str]]], list[tuple[float, Any]]] = {}
        for datum in metric_data:
            by = frozenset((str(item.name), str(item.value)) for item in datum.dimensions)
            self._values.setdefault((datum.namespace, datum.name, by), []).append((_seconds(datum.timestamp), datum))

    def points(self, alarm: Alarm, rule: AlarmRule) -> Points:
        """The alarm's evaluation range, oldest first. Raises `NotEvaluated`."""
        if not alarm.metric_data_queries:
            by = frozenset((str(item.name), str(item.value)) for item in alarm.dimensions)
            query = _Query(alarm.namespace, alarm.metric_name, by, alarm.statistic, int(alarm.period))
            return self._series(query, rule.range)
        known: dict[str, Points] = {}
        shown: Points | None = None
        for item in sorted(alarm.metric_data_queries, key=lambda item: item.metric_stat is None):
            known[item.id] = self._of(item, known, rule.range)
            if str(item.return_data).lower() == "true" or len(alarm.metric_data_queries) == 1:
                shown = known[item.id]
        if shown is None:
            raise NotEvaluated("no metric of it returns data")
        return shown

    def _of(self, query: Any, known: Mapping[str, Points], length: int) -> Points:
        if query.metric_stat is None:
            try:
                return metric_math.evaluate(query.expression, known)
            except metric_math.MathError as error:
                raise NotEvaluated(str(error)) from None
        stat = query.metric_stat
        by = frozenset((str(item.name), str(item.value)) for item in stat.metric.dimensions)
        asked = _Query(stat.metric.namespace, stat.metric.metric_name, by, stat.stat, int(stat.period or 60))
        return self._series(asked, length)

    def _series(self, query: _Query, length: int) -> Points:
        if query.statistic not in STATISTICS:
            raise NotEvaluated(f"the statistic {query.statistic or 'of a percentile'} is not evaluated here")
        width = query.period / self._speed
        slots: list[list[Any]] = [[] for _ in range(length)]
        for at, datum in self._values.get((query.namespace, query.name, query.dimensions), ()):
            age = int((self._end - at) // width) if at < self._end else -1
            if 0 <= age < length:
                slots[length - 1 - age].append(datum)
        return tuple(_statistic(slot, query.statistic) if slot else None for slot in slots)


def rule_of(alarm: Alarm) -> AlarmRule:
    """The alarm's rule. Raises `NotEvaluated` for a comparison with an anomaly band."""
    if alarm.comparison_operator not in OPERATORS or alarm.threshold is None:
        raise NotEvaluated(f"the comparison {alarm.comparison_operator} is not evaluated here")
    periods = int(alarm.evaluation_periods)
    return AlarmRule(
        alarm.comparison_operator,
        float(alarm.threshold),
        periods,
        int(alarm.datapoints_to_alarm or periods),
        alarm.treat_missing_data or MISSING,
    )


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _statistic(data: list[MetricDatum | MetricAggregatedDatum], statistic: str) -> float:
    single = [datum.value for datum in data if isinstance(datum, MetricDatum)]
    sets = [datum for datum in data if isinstance(datum, MetricAggregatedDatum)]
    count = len(single) + sum(float(item.sample_count) for item in sets)
    total = sum(single) + sum(float(item.sum) for item in sets)
    match statistic:
        case "Sum":
            return float(total)
        case "SampleCount":
            return float(count)
        case "Minimum":
            return float(min([*single, *(item.min for item in sets)]))
        case "Maximum":
            return float(max([*single, *(item.max for item in sets)]))
    return total / count if count else 0.0
