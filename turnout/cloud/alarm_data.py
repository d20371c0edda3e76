"""The data points that an alarm of moto's looks at, and its rule, as the pure evaluator takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend

from turnout.cloud import metric_math
from turnout.cloud.alarms import MISSING, OPERATORS, AlarmRule
from turnout.cloud.metric_statistics import PLAIN, Bag, statistic
from turnout.cloud.moto_cloudwatch import Key, bag, recorded

Points = tuple[float | None, ...]


class NotEvaluated(ValueError):
    """An alarm that the local cloud cannot evaluate; the message says what in it."""


@dataclass(frozen=True)
class _Query:
    key: Key
    statistic: str
    period: int


class Data:
    """What CloudWatch holds, for evaluations at one moment. `speed` divides periods."""

    def __init__(self, backend: CloudWatchBackend, end: float, speed: float) -> None:
        self._backend, self._end, self._speed = backend, end, speed

    def points(self, alarm: Alarm, rule: AlarmRule) -> Points:
        """The alarm's evaluation range, oldest first. Raises `NotEvaluated`."""
        if not alarm.metric_data_queries:
            by = frozenset((str(item.name), str(item.value)) for item in alarm.dimensions)
            query = _Query((alarm.namespace, alarm.metric_name, by), alarm.statistic, int(alarm.period))
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
        asked = _Query((stat.metric.namespace, stat.metric.metric_name, by), stat.stat, int(stat.period or 60))
        return self._series(asked, length)

    def _series(self, query: _Query, length: int) -> Points:
        if query.statistic not in PLAIN:
            raise NotEvaluated(f"the statistic {query.statistic or 'of a percentile'} is not evaluated here")
        width = query.period / self._speed
        slots: list[list[Bag]] = [[] for _ in range(length)]
        for at, datum in recorded(self._backend, query.key, self._end - (length + 1) * width, self._end):
            age = int((self._end - at) // width)
            if age < length:
                slots[length - 1 - age].append(bag(datum))
        return tuple(statistic(query.statistic, slot) for slot in slots)


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
