"""What holds of every verdict, whatever was measured."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnout_components.rollout_spec import Gate, GateKind

from tests.analysis.test_gates import ERRORS, windows
from turnout.analysis.counts import WORSE
from turnout.analysis.gates import judge, judge_bound
from turnout.analysis.measurement import Count, Side, Verdict, Window
from turnout.analysis.sequential import ratio_gain

ORDER = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
Pair = tuple[Count, Count]
Unmeasured = tuple[Count | None, Count | None]


@st.composite
def counts(draw: st.DrawFn, least: int = 20, most: int = 3000) -> Count:
    total = draw(st.integers(least, most))
    return Count(min(total, round(total * draw(st.floats(0, 0.3)))), total)


PAIRS = st.lists(st.tuples(counts(), counts(100, 20000)), min_size=1, max_size=12)


def verdict(pairs: list[Pair], weight: int = 100) -> Verdict:
    return judge(ERRORS, windows(pairs), weight, 2).verdict


@given(PAIRS, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_more_bad_requests_everywhere_never_make_a_fail_a_pass(pairs: list[Pair], more: int) -> None:
    worse = [(Count(min(c.total, c.bad * 2 + more), c.total), a) for c, a in pairs]
    assert (verdict(pairs), verdict(worse)) != (Verdict.FAIL, Verdict.PASS)


@given(counts(), counts(100, 20000), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_of_two_sides_that_stay_as_they_are_at_most_one_is_worse(one: Count, other: Count, length: int) -> None:
    assert {verdict([(one, other)] * length), verdict([(other, one)] * length)} != {Verdict.FAIL}


@given(PAIRS, st.integers(0, 12), st.sampled_from([(None, None), (Count(0, 0), Count(0, 0)), (None, Count(5, 900))]))
@settings(max_examples=40, deadline=None)
def test_windows_that_measured_nothing_change_nothing(
    pairs: list[Pair], at: int, empty: tuple[Count | None, Count | None]
) -> None:
    full, gaps = windows(pairs), windows([*pairs[:at], empty, *pairs[at:]])
    assert judge(ERRORS, full, 100, 2) == judge(ERRORS, gaps, 100, 2)


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_only_the_gates_own_samples_and_its_phase_count(pairs: list[Pair]) -> None:
    mine = windows(pairs)
    others = [Window(w.start, w.end, w.weight, samples={**w.samples, "latency": {Side.CANDIDATE: Count(9, 9)}}) for w in mine]
    after = [Window(w.start + timedelta(days=1), w.end + timedelta(days=1), 100, samples=w.samples) for w in mine]
    assert judge(ERRORS, mine, 50, 2) == judge(ERRORS, [*others, *after], 50, 2)
    assert judge_bound(ERRORS, after, 0.05, 2) == judge_bound(ERRORS, [*mine, *after], 0.05, 2)


@given(counts(100, 5000), counts(100, 20000))
@settings(max_examples=60, deadline=None)
def test_one_window_decides_nothing(candidate: Count, active: Count) -> None:
    assert verdict([(candidate, active)]) is Verdict.INCONCLUSIVE


@given(st.integers(0, 50), st.integers(1, 900), st.integers(0, 50), st.integers(1, 900), st.integers(2, 5))
def test_windows_of_equal_shares_gain_together_what_each_gains(k: int, n: int, k_a: int, n_a: int, parts: int) -> None:
    alone = ratio_gain((k, k_a), (n, n_a), 1.5, WORSE)
    merged = ratio_gain((k * parts, k_a * parts), (n * parts, n_a * parts), 1.5, WORSE)
    assert merged == pytest.approx(alone * parts)


@given(PAIRS, st.sampled_from([10, 25, 50, 100]))
@settings(max_examples=30, deadline=None)
def test_every_judgement_can_be_told_and_stored(pairs: list[Pair], weight: int) -> None:
    for kind in (GateKind.ERRORS, GateKind.LATENCY, GateKind.BURN):
        gate = Gate(name="errors", kind=kind, objective=0.5 if kind is GateKind.ERRORS else 0.999)
        judged = judge(gate, windows(pairs), weight, 2)
        assert np.isfinite(list(judged.numbers.values())).all()
        assert judged.said.startswith("errors: ")
        assert "\n" not in judged.said
        assert len(judged.said) < 260


@given(PAIRS, st.floats(0.001, 2))
@settings(max_examples=30, deadline=None)
def test_a_higher_bound_never_judges_harder(pairs: list[Pair], bound: float) -> None:
    after = windows(pairs, weight=100)
    low, high = (judge_bound(ERRORS, after, b, 2).verdict for b in (bound, bound * 3))
    assert not (ORDER[low] == 2 and ORDER[high] == 0)
