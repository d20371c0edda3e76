"""States of metric alarms: both tables of "Configuring how CloudWatch alarms treat missing data", and what is around them."""

import pytest

from turnout.cloud.alarms import (
    ALARM,
    BREACHING,
    IGNORE,
    INSUFFICIENT_DATA,
    MISSING,
    NOT_BREACHING,
    OK,
    OPERATORS,
    AlarmRule,
    evaluate,
)

KEPT = "the state before"
TREATMENTS = (MISSING, IGNORE, BREACHING, NOT_BREACHING)


def state(points: str, datapoints: int, missing: str, periods: int = 3) -> str:
    """`0` does not breach, `X` does, `-` is missing; oldest first."""
    values = [{"0": 0.0, "X": 9.0, "-": None}[sign] for sign in points.split()]
    rule = AlarmRule("GreaterThanThreshold", 3, periods, datapoints, missing)
    assert len(values) == rule.range
    return evaluate(values, rule, KEPT).state


@pytest.mark.parametrize(
    ("points", "states"),
    [
        ("0 - X - X", (OK, OK, OK, OK)),
        ("0 - - - -", (OK, OK, OK, OK)),
        ("- - - - -", (INSUFFICIENT_DATA, KEPT, ALARM, OK)),
        ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("- - - - X", (INSUFFICIENT_DATA, KEPT, ALARM, OK)),
        ("X - - - -", (ALARM, KEPT, ALARM, OK)),
    ],
)
def test_three_of_three_as_the_guide_says(points: str, states: tuple[str, ...]) -> None:
    assert tuple(state(points, 3, missing) for missing in TREATMENTS) == states


@pytest.mark.parametrize(
    ("points", "states"),
    [
        ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        ("0 - X - -", (OK, OK, ALARM, OK)),
        ("- - - - 0", (OK, OK, ALARM, OK)),
        ("- - - - X", (INSUFFICIENT_DATA, KEPT, ALARM, OK)),
    ],
)
def test_two_of_three_as_the_guide_says(points: str, states: tuple[str, ...]) -> None:
    assert tuple(state(points, 2, missing) for missing in TREATMENTS) == states


def test_only_the_last_periods_count() -> None:
    assert state("X X X 0 0", 3, MISSING) == OK
    assert state("X X 0 X X", 2, MISSING) == ALARM
    assert state("X X 0 0 X", 2, MISSING) == OK


def test_after_the_data_stopped_the_last_points_are_looked_at_again_for_a_while() -> None:
    assert [state(points, 3, NOT_BREACHING) for points in ("X X X X -", "X X X - -", "X X - - -")] == [ALARM, ALARM, OK]


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", (False, True, True)),
        ("GreaterThanThreshold", (False, False, True)),
        ("LessThanThreshold", (True, False, False)),
        ("LessThanOrEqualToThreshold", (True, True, False)),
    ],
)
def test_each_comparison_at_its_threshold(comparison: str, breaching: tuple[bool, ...]) -> None:
    rule = AlarmRule(comparison, 5)
    assert tuple(evaluate([None, None, value], rule, OK).state == ALARM for value in (4.0, 5.0, 6.0)) == breaching
    assert comparison in OPERATORS


def test_the_reason_names_the_points_and_the_threshold() -> None:
    verdict = evaluate([1.0, 61.0, None], AlarmRule("GreaterThanThreshold", 50.0), OK)
    assert verdict.values == (61.0,)
    assert verdict.reason == "Threshold Crossed: of 1 datapoint [61.0] 1 were greater than the threshold (50.0); 1 needed."
