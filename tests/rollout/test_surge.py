"""Swapping nodes inside a surge: at every stage there is room for the nodes, and no node carries too much."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.rollout.surge import LOAD, Stage, SurgeRefused, fits, plan

WEIGHTS = st.lists(st.integers(1, 99), unique=True, max_size=5).map(lambda found: (*sorted(found), 100))


@given(st.integers(1, 120), st.integers(0, 130), WEIGHTS, st.sampled_from([1.0, 1.05, LOAD, 1.25, 2.0]))
def test_every_stage_has_room_and_overloads_no_node(total: int, surge: int, weights: tuple[int, ...], load: float) -> None:
    try:
        stages = plan(total, surge, weights, load)
    except SurgeRefused:
        assert surge < total, "with twice the nodes every rollout has a plan"
        return
    for stage in stages:
        assert stage.candidate + stage.active <= total + surge
        assert fits(stage, total, load)
    for before, after in pairwise(stages):
        changed = [a != b for a, b in zip((before.candidate, before.active, before.weight), _three(after), strict=True)]
        assert sum(changed) == 1
        assert after.candidate >= before.candidate
        assert after.active <= before.active
        assert after.weight >= before.weight
    assert stages[0] == Stage(0, total, 0)
    assert tuple(stage.weight for stage in stages if stage.declared) == weights
    assert _three(stages[-1])[::2] == (total, 100)


@given(st.integers(1, 60), st.integers(0, 60), WEIGHTS, st.sampled_from([1.0, LOAD]))
def test_a_refusal_names_a_surge_that_is_enough_and_no_larger_than_needed(
    total: int, surge: int, weights: tuple[int, ...], load: float
) -> None:
    try:
        plan(total, surge, weights, load)
    except SurgeRefused as refused:
        enough = int(str(refused).partition("max_surge: ")[2].split()[0])
        plan(total, enough, weights, load)
        with pytest.raises(SurgeRefused):
            plan(total, enough - 1, weights, load)


def _three(stage: Stage) -> tuple[int, int, int]:
    return stage.candidate, stage.active, stage.weight


def test_with_room_for_all_the_active_keeps_every_node() -> None:
    stages = plan(4, 4, (5, 25, 50, 100), 1.0)
    assert {stage.active for stage in stages} == {4}
    assert [_three(stage) for stage in stages if stage.declared] == [(1, 4, 5), (1, 4, 25), (2, 4, 50), (4, 4, 100)]


def test_inside_two_nodes_ten_are_swapped_two_by_two() -> None:
    stages = plan(10, 2, (50, 100), 1.0)
    assert [_three(stage) for stage in stages] == [
        (0, 10, 0),
        (2, 10, 0),
        (2, 10, 20),
        (2, 8, 20),
        (4, 8, 20),
        (4, 8, 40),
        (4, 7, 40),
        (5, 7, 40),
        (5, 7, 50),
        (5, 5, 50),
        (7, 5, 50),
        (7, 5, 70),
        (7, 3, 70),
        (9, 3, 70),
        (9, 3, 90),
        (9, 2, 90),
        (10, 2, 90),
        (10, 2, 100),
    ]


def test_no_node_is_given_up_earlier_than_its_place_is_needed() -> None:
    """At 20 % two nodes are enough and there is room for them: the active still has all of its own."""
    declared = next(stage for stage in plan(10, 2, (20, 100), 1.0) if stage.declared)
    assert _three(declared) == (2, 10, 20)


def test_without_a_surge_the_other_nodes_carry_one_more_share() -> None:
    with pytest.raises(SurgeRefused, match=r"max_surge: 1 or more, or let a node carry 1\.12 times"):
        plan(10, 0, (100,), 1.0)
    assert _three(plan(10, 0, (100,), 1.12)[1]) == (0, 9, 0)


@pytest.mark.parametrize(
    ("total", "surge", "weights", "load"),
    [(0, 1, (100,), 1.0), (1, -1, (100,), 1.0), (1, 1, (), 1.0), (1, 1, (50, 50), 1.0), (1, 1, (101,), 1.0), (1, 1, (1,), 0.9)],
)
def test_what_makes_no_sense_is_refused(total: int, surge: int, weights: tuple[int, ...], load: float) -> None:
    with pytest.raises(ValueError, match=r"no rollout is so|from 1 to 100"):
        plan(total, surge, weights, load)
