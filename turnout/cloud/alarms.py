"""CloudWatch's metric alarms: which state the data points of an evaluation range give. Pure.

Source: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" (Amazon CloudWatch User Guide); the
tests hold both of its tables.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
MISSING, IGNORE, BREACHING, NOT_BREACHING = "missing", "ignore", "breaching", "notBreaching"
EXTRA_PERIODS = 2
"""How many periods more than the evaluation periods are looked at. The guide's examples look at 5 for 3; it gives no other
number."""
Points = Sequence[float | None]
"""One value a period, oldest first; None where nothing was reported."""

OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
"""Comparisons with a static threshold; those with an anomaly band are not evaluated."""


@dataclass(frozen=True)
class AlarmRule:
    """When an alarm is in ALARM: `datapoints` of the last `periods` compare so with the threshold ("M out of N")."""

    comparison: str
    threshold: float
    periods: int = 1
    datapoints: int = 1
    missing: str = MISSING

    @property
    def range(self) -> int:
        """How many periods are looked at."""
        return self.periods + EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        """Whether a value counts towards the alarm."""
        return OPERATORS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Verdict:
    """The state, why, and the data points that gave it (oldest first)."""

    state: str
    reason: str
    values: tuple[float, ...] = ()


def evaluate(points: Points, rule: AlarmRule, state: str) -> Verdict:
    """The alarm's next state from the points of its evaluation range (`rule.range` of them). `state`: the one it has.

    Missing points are filled in only where fewer exist than evaluation periods. With `missing`, real points that all breach
    give ALARM once the oldest is as old as the data points to alarm, else INSUFFICIENT_DATA.
    """
    values = tuple(value for value in points if value is not None)[-rule.periods :]
    breaching = sum(map(rule.breaches, values))
    lacking = rule.periods - len(values)
    counted = breaching + (lacking if rule.missing == BREACHING else 0)
    if counted >= rule.datapoints:
        return Verdict(ALARM, _reason(values, rule, breaching, lacking), values)
    if lacking <= 0 or rule.missing in (BREACHING, NOT_BREACHING) or breaching < len(values):
        return Verdict(OK, _reason(values, rule, breaching, lacking), values)
    if rule.missing == IGNORE:
        return Verdict(state, f"Unchanged: {lacking} of {rule.periods} datapoints are missing and are ignored.", values)
    if values and _age_of_oldest(points) >= rule.datapoints:
        return Verdict(ALARM, _reason(values, rule, breaching, lacking), values)
    return Verdict(INSUFFICIENT_DATA, f"Insufficient Data: {lacking} datapoints were unknown.", values)


def _age_of_oldest(points: Points) -> int:
    """In periods; the newest point's age is 1."""
    return next(len(points) - index for index, value in enumerate(points) if value is not None)


def _reason(values: tuple[float, ...], rule: AlarmRule, breaching: int, lacking: int) -> str:
    shown = f"{len(values)} datapoint{'' if len(values) == 1 else 's'} {list(values)}"
    if lacking > 0:
        shown += f" and {lacking} missing, treated as {rule.missing},"
    crossed = breaching + (lacking if rule.missing == BREACHING else 0)
    words = OPERATORS[rule.comparison][1]
    return f"Threshold Crossed: of {shown} {crossed} were {words} the threshold ({rule.threshold}); {rule.datapoints} needed."
