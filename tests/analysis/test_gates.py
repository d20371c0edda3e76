"""Verdicts of a gate on windows as a rollout has them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.gates import derive_bound, judge, judge_bound
from turnout.analysis.measurement import Count, Sample, Side, Verdict, Window

ERRORS = Gate(name="errors", kind=GateKind.ERRORS)
LATENCY = Gate(name="latency", kind=GateKind.LATENCY)


def windows(samples: Sequence[tuple[Sample | None, Sample | None]], gate: str = "errors", weight: int = 5) -> list[Window]:
    """Windows of a minute with the candidate's and the active's sample."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = []
    for i, (candidate, active) in enumerate(samples):
        sides = {Side.CANDIDATE: candidate, Side.ACTIVE: active}
        measured = {gate: {side: sample for side, sample in sides.items() if sample is not None}}
        begin = start + timedelta(minutes=i)
        made.append(Window(begin, begin + timedelta(minutes=1), weight, samples=measured))
    return made


def test_ten_times_the_errors_fail() -> None:
    judged = judge(ERRORS, windows([(Count(12, 300), Count(24, 5700))] * 3), 25, 2)
    assert judged.verdict is Verdict.FAIL
    assert judged.said == (
        "errors: worse for certain: 4 % of 900 candidate requests failed, active 0.42 % of 17,100 (9.5 times; 0.63 % allowed)"
    )


def test_a_hundred_times_as_many_are_not_told_in_powers_of_ten() -> None:
    judged = judge(LATENCY, windows([(Count(300, 300), Count(57, 5700))] * 3, "latency"), 25, 2)
    assert "100 % of 900 candidate requests were over the threshold" in judged.said
    assert "(100 times; 5 % allowed)" in judged.said


def test_the_same_errors_pass_with_enough_requests() -> None:
    judged = judge(ERRORS, windows([(Count(30, 3000), Count(570, 57000))] * 5), 25, 2)
    assert judged.verdict is Verdict.PASS
    assert judged.numbers["ratio"] == pytest.approx(1)


def test_a_service_without_any_error_passes() -> None:
    assert judge(ERRORS, windows([(Count(0, 3000), Count(0, 57000))] * 5), 100, 2).verdict is Verdict.PASS


def test_few_requests_decide_nothing() -> None:
    judged = judge(ERRORS, windows([(Count(33, 33), Count(0, 600))] * 3), 25, 2)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.said.startswith("errors: cannot tell yet, too few samples (minimum 100): ")


@pytest.mark.parametrize("sample", [(None, None), (Count(3, 10), None), (None, Count(3, 10)), (Count(0, 0), Count(0, 10))])
def test_what_was_not_measured_is_neither_good_nor_bad(sample: tuple[Sample | None, Sample | None]) -> None:
    judged = judge(ERRORS, windows([sample] * 3), 25, 2)
    assert (judged.verdict, judged.said) == (
        Verdict.INCONCLUSIVE,
        "errors: cannot tell yet: nothing was measured on both sides",
    )


def test_latency_counts_requests_over_the_threshold() -> None:
    slow = judge(LATENCY, windows([(Count(60, 300), Count(120, 5700))] * 3, "latency"), 25, 2)
    assert slow.verdict is Verdict.FAIL
    assert "20 % of 900 candidate requests were over the threshold" in slow.said
    assert judge(LATENCY, windows([(Count(60, 3000), Count(1140, 57000))] * 5, "latency"), 25, 2).verdict is Verdict.PASS


def test_after_the_switch_the_bound_that_the_active_left_judges() -> None:
    bound = derive_bound(ERRORS, windows([(None, Count(100, 10000))] * 9))
    assert bound == pytest.approx(0.015)
    assert judge_bound(ERRORS, windows([(Count(100, 10000), None)] * 10, weight=100), bound, 2).verdict is Verdict.PASS
    assert judge_bound(ERRORS, windows([(Count(300, 10000), None)] * 5, weight=100), bound, 2).verdict is Verdict.FAIL
    assert judge_bound(ERRORS, windows([(Count(300, 10000), None)] * 5, weight=50), bound, 2).verdict is Verdict.INCONCLUSIVE
