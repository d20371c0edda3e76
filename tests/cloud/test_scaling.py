"""What policies make of alarms; the numbers are those of the user guide's examples where it has some."""

from dataclasses import replace

import pytest

from turnout.cloud.scaling import (
    CHANGE,
    EXACT,
    PERCENT,
    Adjustment,
    Proposal,
    Sizes,
    Step,
    by_amount,
    by_steps,
    chosen,
    inward,
    outward,
)

OUT = (Step(0, 0, 10), Step(10, 10, 20), Step(30, 20))
IN = (Step(0, -10, 0), Step(-10, -20, -10), Step(-30, None, -20))
TEN = Sizes(10, 1, 100, ready=10)
SHARE = Adjustment(PERCENT)


def test_the_guides_example_of_step_scaling_out() -> None:
    assert by_steps(SHARE, OUT, 59 - 50, TEN) is None
    assert by_steps(SHARE, OUT, 60 - 50, TEN) == 11
    warming = replace(TEN, desired=11, warming=1)
    assert by_steps(SHARE, OUT, 62 - 50, warming) is None, "the instance that warms up is the answer already"
    assert by_steps(SHARE, OUT, 70 - 50, warming) == 13, "3 for the larger breach, of which 1 is there"
    assert by_steps(SHARE, OUT, 70 - 50, replace(TEN, desired=11, ready=11)) == 14


def test_the_guides_example_of_step_scaling_in() -> None:
    fourteen = replace(TEN, desired=14, ready=14)
    assert by_steps(SHARE, IN, 41 - 50, fourteen) is None
    assert by_steps(SHARE, IN, 40 - 50, fourteen) == 13
    assert by_steps(SHARE, IN, 31 - 50, fourteen) == 13
    assert by_steps(SHARE, IN, 30 - 50, replace(TEN, desired=13, ready=13)) == 10


@pytest.mark.parametrize(
    ("capacity", "percent", "least", "expected"),
    [(127, 10, 0, 139), (10, 6, 0, 11), (10, -6, 0, 9), (10, -67, 0, 4), (4, 25, 2, 6), (4, -25, 2, 2), (0, 50, 2, 0)],
)
def test_parts_of_an_instance_are_rounded_towards_none_but_never_to_none(
    capacity: int, percent: int, least: int, expected: int
) -> None:
    assert Adjustment(PERCENT, least).applied(capacity, percent) == expected


def test_changes_and_exact_capacities() -> None:
    assert by_steps(Adjustment(CHANGE), (Step(2, 0),), 1, TEN) == 12
    assert by_steps(Adjustment(EXACT), (Step(5, 0),), 1, replace(TEN, desired=3, ready=3)) == 5
    assert by_steps(Adjustment(EXACT), (Step(5, 0),), 1, TEN) == 5


def test_no_step_no_change() -> None:
    assert by_steps(Adjustment(CHANGE), (Step(2, 0),), -1, TEN) is None


def test_minimum_and_maximum_hold() -> None:
    plus, minus = (Step(3, 0),), (Step(-2, None, 0),)
    assert by_steps(Adjustment(CHANGE), plus, 1, Sizes(2, 1, 3, ready=2)) == 3
    assert by_steps(Adjustment(CHANGE), plus, 1, Sizes(3, 1, 3, ready=3)) is None
    assert by_steps(Adjustment(CHANGE), minus, -1, Sizes(3, 2, 9, ready=3)) == 2
    assert by_steps(Adjustment(CHANGE), minus, -1, Sizes(2, 2, 9, ready=2)) is None


@pytest.mark.parametrize("sizes", [replace(TEN, warming=1), replace(TEN, desired=9, ready=9, leaving=1)])
def test_scaling_in_waits_for_what_warms_up_and_counts_what_is_leaving(sizes: Sizes) -> None:
    assert by_steps(Adjustment(CHANGE), (Step(-1, None, 0),), -1, TEN) == 9
    assert by_steps(Adjustment(CHANGE), (Step(-1, None, 0),), -1, sizes) is None


def test_simple_scaling_changes_the_desired_capacity() -> None:
    assert by_amount(Adjustment(CHANGE), 4, TEN) == 14
    assert by_amount(Adjustment(CHANGE), -20, TEN) == 1
    assert by_amount(Adjustment(CHANGE), 4, replace(TEN, maximum=10)) is None


def test_tracking_grows_in_proportion_and_rounds_up() -> None:
    two = Sizes(2, 1, 10, ready=2)
    assert outward(50, 60, two) == 3
    assert outward(50, 250, two) == 10
    assert outward(50, 500, two) == 10
    assert outward(50, 50, two) is None
    assert outward(50, 60, replace(two, desired=3, warming=1)) is None, "the third is on its way"


def test_tracking_shrinks_one_by_one_and_never_past_its_target() -> None:
    ten = Sizes(10, 1, 10, ready=10)
    assert inward(50, 0, ten) == 9
    assert inward(50, 45, ten) == 9
    assert inward(50, 46, ten) is None, "nine at 46 % of ten would run above 50 %"
    assert inward(50, 0, replace(ten, warming=1)) is None
    assert inward(50, 0, Sizes(1, 1, 10, ready=1)) is None
    assert inward(50, 0, Sizes(9, 1, 10, ready=9, leaving=1)) is None, "the tenth is still leaving"


def test_the_policy_with_the_largest_capacity_wins() -> None:
    eight = [Proposal("a", "x", 5), Proposal("b", "y", 6), Proposal("c", "z", 4)]
    best = chosen(eight)
    assert best is not None
    assert best.policy == "b"
    assert chosen([]) is None
