"""CloudWatch's statistics: the examples and bounds of "CloudWatch statistics definitions"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.cloud.metric_statistics import Bag, UnknownStatistic, statistic

BAGS = [Bag.of([(0.005, 10), (0.010, 60)]), Bag.of([(0.030, 20), (0.200, 10)])]
"""100 response times in seconds, put in two parts."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SampleCount", 100),
        ("Sum", 0.05 + 0.6 + 0.6 + 2.0),
        ("Average", 0.0325),
        ("Minimum", 0.005),
        ("Maximum", 0.2),
        ("p0", 0.005),
        ("p10", 0.005),
        ("p50", 0.010),
        ("p90", 0.030),
        ("p90.1", 0.2),
        ("p99.9", 0.2),
        ("p100", 0.2),
        ("TC(0.005:0.030)", 80),  # above 0.005, up to and with 0.030
        ("TC(:0.005)", 10),
        ("TC(0.03:)", 10),
        ("TC(0.2:)", 0),
        ("PR(:0.01)", 70),
        ("PR(0.005:0.2)", 90),
    ],
)
def test_a_statistic_is_of_all_values_of_the_period(name: str, value: float) -> None:
    assert statistic(name, BAGS) == pytest.approx(value)


def test_a_distribution_is_known_of_a_statistic_set_only_when_all_its_values_are_one() -> None:
    same, mixed = Bag.of_set(4, 2.0, 0.5, 0.5), Bag.of_set(4, 2.0, 0.1, 0.9)
    assert statistic("p99", [same, *BAGS]) == 0.5
    assert statistic("TC(0.3:)", [same]) == 4
    for name in ("p50", "TC(:1)", "PR(:1)"):
        assert statistic(name, [mixed, *BAGS]) is None
    assert statistic("Sum", [mixed]) == 2.0


def test_a_negative_value_leaves_only_the_plain_statistics() -> None:
    bags = [Bag.of([(-1.0, 1), (1.0, 1)])]
    assert statistic("p50", bags) is None
    assert statistic("TC(0:)", bags) is None
    assert (statistic("Average", bags), statistic("Minimum", bags)) == (0, -1)


@pytest.mark.parametrize("name", ["TM(10%:90%)", "tc90", "TC(10%:90%)", "TC(:)", "IQM", "p101", "sum", "WM(1:2)", "PR(1)", ""])
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownStatistic, match="ask for SampleCount"):
        statistic(name, BAGS)


PAIRS = st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 1000)), min_size=1, max_size=20)


@given(PAIRS, st.floats(0.0001, 1e6).map(lambda value: round(value, 4)))
def test_both_sides_of_a_cut_are_all_values(pairs: list[tuple[float, float]], cut: float) -> None:
    bags = [Bag.of(pairs)]
    above, below, count = (statistic(name, bags) for name in (f"TC({cut:f}:)", f"TC(:{cut:f})", "SampleCount"))
    assert above is not None
    assert below is not None
    assert above + below == count
    assert statistic(f"PR(:{cut:f})", bags) == pytest.approx(100 * below / (count or 1))


@given(PAIRS, st.floats(0, 100).map(lambda value: round(value, 3)))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(pairs: list[tuple[float, float]], percent: float) -> None:
    bags, count = [Bag.of(pairs)], sum(number for _, number in pairs)
    value = statistic(f"p{percent:g}", bags)
    assert value is not None
    assert sum(number for each, number in pairs if each <= value) >= percent / 100 * count * (1 - 1e-9)
    assert sum(number for each, number in pairs if each < value) <= percent / 100 * count * (1 + 1e-9)
