"""What others judge by, against the examples of their own sources."""

import numpy as np
import pytest

from benchmarks.gates_baselines import Measured, Metric, Phase, assess, healthy
from benchmarks.gates_kayenta import Class, classify, interval, lower_bounds, outliers, score

# ClassifierSuite.scala of spinnaker/kayenta, to four decimals.
PASSING = (
    "9.7767 10.5871 7.8375 9.3243 8.3775 8.9359 8.2708 9.7484 11.6237 9.2753 8.1538 10.5620 13.4981 11.0544 6.9539 "
    "12.5210 9.0216 4.9235 11.2514 11.5984 8.4352 11.1102 10.7006 8.9213 10.0862 11.4211 9.3793 7.7980 10.6234 11.9096"
)
CONTROL = (
    "11.1454 9.9618 7.0686 7.3013 9.7945 9.6038 6.1868 12.3456 10.3719 8.6094 9.9132 10.3614 14.2068 10.9462 10.2159 "
    "11.7398 10.9076 12.8234 8.1019 8.4982 12.1134 13.2722 10.1146 6.9464 6.2105 10.1604 8.3458 8.3838 7.0020 10.7558"
)
HIGH = (
    "20.8784 21.7855 19.7083 15.8599 19.5101 19.3920 22.9265 17.1565 18.6551 23.4226 24.0558 22.6269 21.9795 21.6593 "
    "20.0677 22.1196 16.4404 21.5596 21.0002 17.7794 17.8060 18.5372 20.5556 19.5529 21.7711 21.8096 20.9618 20.9776 "
    "19.1063 16.9769"
)


def values(text: str) -> list[float]:
    return [float(word) for word in text.split()]


@pytest.mark.parametrize(
    ("experiment", "control", "direction", "expected"),
    [
        (PASSING, CONTROL, "either", Class.PASS),
        (HIGH, CONTROL, "either", Class.HIGH),
        (PASSING, HIGH, "either", Class.LOW),
        (PASSING, HIGH, "increase", Class.PASS),
        (HIGH, CONTROL, "decrease", Class.PASS),
        (HIGH, CONTROL, "increase", Class.HIGH),
        (PASSING, HIGH, "decrease", Class.LOW),
    ],
)
def test_kayenta_classifies_its_own_examples(experiment: str, control: str, direction: str, expected: Class) -> None:
    """ClassifierSuite: tolerance 0.10, confidence 0.95."""
    assert classify(values(experiment), values(control), 0.10, 0.95, direction) is expected


def test_kayenta_finds_the_interval_of_its_own_example() -> None:
    """MannWhitneySuite, "returns expected values"."""
    low, high, estimate = interval([10, 20, 30, 40], [1, 2, 3, 4], 0.95)
    assert (low, high) == (6.0, 39.0)
    assert estimate == pytest.approx(22.5, abs=1)


@pytest.mark.parametrize(
    ("data", "factor", "reduced", "expected"),
    [
        ([21, 23, 24, 25, 50, 29, 23, 21], 1.5, False, [4]),
        ([1, 1, 1, 5, -1, -1, -1, -5], 1.5, False, [3, 7]),
        ([1, 1, 1, 1, 1, 20, 1, 1, 1, 1, 1], 3.0, True, []),
        ([], 1.5, False, []),
    ],
)
def test_kayenta_finds_its_own_outliers(data: list[float], factor: float, reduced: bool, expected: list[int]) -> None:
    """NetflixJudgeSuite: IQR Detection, Two Sided, Reduce Sensitivity, Empty Data."""
    assert [i for i, out in enumerate(outliers(data, factor, reduced)) if out] == expected


@pytest.mark.parametrize(
    ("groups", "weights", "expected"),
    [
        ({"test": [Class.PASS]}, {}, 100.0),
        ({"test": [Class.HIGH]}, {}, 0.0),
        ({"test": [Class.PASS, Class.HIGH]}, {}, 50.0),
        ({"test": [Class.PASS, Class.HIGH, Class.LOW]}, {}, 33.33),
        ({"1": [Class.PASS, Class.PASS], "2": [Class.HIGH]}, {"1": 75.0, "2": 25.0}, 75.0),
        ({"1": [Class.PASS, Class.HIGH], "2": [Class.HIGH]}, {"1": 50.0, "2": 50.0}, 25.0),
        ({"test": [Class.NODATA]}, {}, 0.0),
    ],
)
def test_kayenta_scores_its_own_examples(groups: dict[str, list[Class]], weights: dict[str, float], expected: float) -> None:
    """ScorerSuite."""
    assert score(groups, weights) == pytest.approx(expected, abs=0.01)


def test_many_intervals_at_once_are_those_found_one_by_one() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(1, 1, (20, 8)), rng.normal(0, 1, (20, 8))
    lows, _ = lower_bounds(x, y, [0.9, 0.98])
    for low, confidence in zip(lows, (0.9, 0.98), strict=True):
        assert low == pytest.approx([interval(a, b, confidence)[0] for a, b in zip(x, y, strict=True)], abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "measured", "terminating", "expected"),
    [
        (Metric(), Measured(), False, Phase.PENDING),
        (Metric(), Measured(), True, Phase.SUCCESSFUL),
        (Metric(failure_limit=2), Measured(failed=3), False, Phase.FAILED),
        (Metric(failure_limit=2), Measured(failed=3), True, Phase.FAILED),
        (Metric(failure_limit=3), Measured(failed=3), False, Phase.RUNNING),
        (Metric(failure_limit=3), Measured(failed=3), True, Phase.SUCCESSFUL),
        (Metric(inconclusive_limit=2), Measured(inconclusive=3), False, Phase.INCONCLUSIVE),
        (Metric(inconclusive_limit=2), Measured(inconclusive=3), True, Phase.INCONCLUSIVE),
        (Metric(inconclusive_limit=3), Measured(inconclusive=3), False, Phase.RUNNING),
        (Metric(inconclusive_limit=3), Measured(inconclusive=3), True, Phase.SUCCESSFUL),
        (Metric(), Measured(consecutive_errors=5), False, Phase.ERROR),
        (Metric(), Measured(consecutive_errors=5), True, Phase.ERROR),
        (Metric(), Measured(consecutive_errors=4), False, Phase.RUNNING),
        (Metric(), Measured(consecutive_errors=4), True, Phase.SUCCESSFUL),
        (Metric(count=10), Measured(successful=10), False, Phase.SUCCESSFUL),
        (Metric(count=10), Measured(successful=5, inconclusive=5), False, Phase.INCONCLUSIVE),
    ],
)
def test_argo_assesses_its_own_examples(metric: Metric, measured: Measured, terminating: bool, expected: Phase) -> None:
    """analysis_test.go: TestAssessMetricStatusNoMeasurements, …FailureLimit, …InconclusiveLimit, …ConsecutiveErrors and
    …CountReached."""
    assert assess(metric, measured, terminating) is expected


@pytest.mark.parametrize(
    ("error", "p95", "expected"),
    [
        ((0.015, 0.01), (1.2, 1.0), 1.0),
        ((0.0151, 0.01), (1.0, 1.0), 0.0),
        ((0.01, 0.01), (1.21, 1.0), 0.0),
        ((0.001, 0.0), (1.0, 1.0), 0.0),
        ((0.0, 0.0), (1.0, 1.0), 1.0),
        ((np.nan, np.nan), (np.nan, np.nan), 1.0),
    ],
)
def test_the_seeds_rule_is_above_one_and_a_half_times_or_above_one_point_two(
    error: tuple[float, float], p95: tuple[float, float], expected: float
) -> None:
    """`check_canary_health` of "Deployment Patterns for AI Systems"."""
    assert float(healthy(error, p95)) == expected
