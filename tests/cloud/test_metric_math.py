"""Expressions over series, with the examples of "Using math expressions with CloudWatch metrics"."""

import pytest

from turnout.cloud.metric_math import MathError, evaluate

N = None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("metric1 < metric2", (0, 0, 1, 0)),
        ("metric1 >= 30", (1, 0, 0, 0)),
        ("metric1 > 15 AND metric2 > 15", (1, 0, 0, 0)),
        ("metric1 > 15 || metric2 > 15", (1, 1, 1, 0)),
        ("metric1 + metric2", (50, 20, 20, 0)),
        ("metric2 + 1", (21, N, 21, N)),
        ("metric2 / metric1", (20 / 30, 0, N, N)),
        ("-metric1 * 2 + 1", (-59, -39, 1, 1)),
        ("(metric1 + 10) / 2 ^ 2", (10, 7.5, 2.5, 2.5)),
        ("FILL(metric2, 0)", (20, 0, 20, 0)),
        ("FILL(metric2, REPEAT)", (20, 20, 20, 20)),
        ("FILL(metric2, metric1)", (20, 20, 20, 0)),
    ],
)
def test_operators_and_missing_values(expression: str, expected: tuple[float | None, ...]) -> None:
    assert evaluate(expression, {"metric1": (30, 20, 0, 0), "metric2": (20, N, 20, N)}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", (30, 0, 20, N, N)),
        ("IF(metric1, 5, metric3)", (5, 5, 20, N, N)),
        ("IF(metric1, metric2, 5)", (30, 0, 5, 5, N)),
        ("IF(metric1, metric2)", (30, 0, N, N, N)),
        ("IF(0, metric2, metric3)", (0, 0, 20, N, 20)),
        ("IF(metric3 > 15, 1, 0)", (0, 0, 1, N, 1)),
    ],
)
def test_if_as_the_guide_says(expression: str, expected: tuple[float | None, ...]) -> None:
    metrics = {"metric1": (1, 1, 0, 0, N), "metric2": (30, N, 0, 0, 30), "metric3": (0, 0, 20, N, 20)}
    assert evaluate(expression, metrics) == expected


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("SEARCH('x', 'Sum')", '"\'"'),
        ("RATE(m)", "RATE"),
        ("m + other", "other"),
        ("(m", r"\)"),
        ("m m", "'m' is not expected"),
        ("3 > 2", "scalar"),
        ("IF(1, 2, 3)", "scalar"),
        ("FILL(m, LINEAR)", "LINEAR"),
        ("m +", "more"),
    ],
)
def test_what_is_not_known_is_refused_by_name(expression: str, named: str) -> None:
    with pytest.raises(MathError, match=named):
        evaluate(expression, {"m": (1.0, N)})
