"""When the standby steps down, to what, and how long it takes to come back."""

from datetime import timedelta

import pytest
from fakes import START
from hypothesis import given
from hypothesis import strategies as st
from turnout_components.standby import RETAIN_END, STEP_DOWN, Keep, Launch, StandbyPolicy, level, step_downs, time_back

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("keep", "planned"),
    [
        (Keep.FULL, [(RETAIN_END, DAY, Keep.COLD)]),
        (Keep.WARM, [(STEP_DOWN, 10 * MINUTE, Keep.WARM), (RETAIN_END, DAY, Keep.COLD)]),
        (Keep.COLD, [(STEP_DOWN, 10 * MINUTE, Keep.COLD)]),
    ],
)
def test_each_level_has_its_plan(keep, planned):
    found = step_downs(StandbyPolicy(keep), START)
    assert [(step.name, step.at - START, step.level) for step in found] == planned


@pytest.mark.parametrize("keep", [Keep.WARM, Keep.COLD])
def test_nothing_steps_down_before_the_longest_stream_is_over(keep):
    first = step_downs(StandbyPolicy(keep, drain=HOUR), START)[0]
    assert first.at - START == HOUR


def test_a_stream_longer_than_the_retention_is_still_waited_for():
    (only,) = step_downs(StandbyPolicy(Keep.WARM, retain_for=20 * MINUTE, drain=HOUR), START)
    assert (only.level, only.at - START) == (Keep.COLD, HOUR)


minutes = st.integers(0, 3000).map(lambda n: n * MINUTE)


@given(st.builds(StandbyPolicy, st.sampled_from(Keep), minutes, minutes, drain=minutes), minutes)
def test_the_level_only_sinks_and_ends_cold(policy, later):
    order = [Keep.FULL, Keep.WARM, Keep.COLD]
    before, after = (order.index(level(policy, START, START + at)) for at in (later, later + MINUTE))
    assert before <= after
    assert level(policy, START, START + timedelta(days=10)) is Keep.COLD
    assert level(policy, START, START + max(policy.bake, policy.drain) - timedelta(seconds=1)) is Keep.FULL


COLD = [Launch(90, False), Launch(110, False), Launch(100, False)]
WARM = [Launch(20, True), Launch(30, True), Launch(25, True)]


@pytest.mark.parametrize(
    ("missing", "warm", "launches", "said"),
    [
        (0, 0, [], "at once"),
        (2, 0, COLD, "in about 100 s (2 from nothing; median of 3)"),
        (2, 2, COLD + WARM, "in about 25 s (2 from the warm pool; median of 3)"),
        (3, 2, COLD + WARM, "in about 100 s (2 from the warm pool, 1 from nothing; median of 3)"),
        (2, 2, COLD, "after a time not known yet (2 from the warm pool; no launch from the warm pool is on record)"),
        (1, 0, WARM, "after a time not known yet (1 from nothing; no launch from nothing is on record)"),
    ],
)
def test_the_time_back_is_told_from_past_launches(missing, warm, launches, said):
    assert time_back(missing, warm, launches) == said
