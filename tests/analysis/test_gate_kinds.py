"""Quality, burn rate, bounds and what is refused."""

import pytest
from turnout_components.rollout_spec import Gate, GateKind, Metric

from tests.analysis.test_gates import ERRORS, LATENCY, windows
from turnout.analysis.counts import CountComparison
from turnout.analysis.gates import ALPHA, decide, derive_bound, fail_at, floor_of, judge, judge_bound
from turnout.analysis.history import worst_mean, worst_share
from turnout.analysis.measurement import Count, Moments, Verdict

QUALITY = Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(name="score"))
BURN = Gate(name="burn", kind=GateKind.BURN)


def scores(count: int, mean: float, deviation: float = 0.3) -> Moments:
    return Moments(count, count * mean, count * (mean**2 + deviation**2))


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.9, Verdict.PASS), (0.95, Verdict.PASS), (0.85, Verdict.FAIL), (0.885, Verdict.INCONCLUSIVE)]
)
def test_quality_compares_mean_scores(mean: float, verdict: Verdict) -> None:
    judged = judge(QUALITY, windows([(scores(1000, mean), scores(3000, 0.9))] * 5, "quality", 25), 100, 3)
    assert judged.verdict is verdict
    assert judged.numbers["difference"] == pytest.approx(mean - 0.9)


def test_labelled_answers_are_scores_of_0_and_1() -> None:
    judged = judge(QUALITY, windows([(Count(200, 1000), Count(300, 3000))] * 5, "quality", 25), 100, 3)
    assert judged.verdict is Verdict.FAIL
    assert judged.said == (
        "quality: worse for certain: candidate 0.8 in 5,000 scores, active 0.9 in 15,000 (-0.1; -0.02 allowed)"
    )


def test_a_hundred_perfect_scores_do_not_pass() -> None:
    few = windows([(Count(0, 25), Count(0, 1000))] * 4, "quality", 5)
    assert judge(QUALITY, few, 100, 3).verdict is Verdict.INCONCLUSIVE
    many = windows([(Count(0, 250), Count(0, 1000))] * 8, "quality", 5)
    assert judge(QUALITY, many, 100, 3).verdict is Verdict.PASS


def test_quality_after_the_switch_is_held_to_what_the_active_scored() -> None:
    before = windows([(None, scores(1000, 0.9))] * 10, "quality")
    bound = derive_bound(QUALITY, before)
    assert bound == pytest.approx(0.88)
    for mean, verdict in ((0.9, Verdict.PASS), (0.84, Verdict.FAIL)):
        after = windows([(scores(4000, mean), None)] * 10, "quality", 100)
        assert judge_bound(QUALITY, [*before, *after], bound, 3).verdict is verdict


def test_the_budget_burns_fourteen_times_too_fast() -> None:
    assert judge(BURN, windows([(Count(30, 1000), Count(19, 19000))] * 5, "burn"), 25, 3).verdict is Verdict.FAIL
    fine = judge(BURN, windows([(Count(1, 1000), Count(19, 19000))] * 5, "burn"), 25, 3)
    assert fine.verdict is Verdict.PASS
    assert "1 times the error budget" in fine.said


def test_a_budget_that_both_sides_burn_takes_nobody_back() -> None:
    judged = judge(BURN, windows([(Count(30, 1000), Count(570, 19000))] * 5, "burn"), 25, 3)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "the active burns as well" in judged.said
    alone = windows([(Count(30, 1000), None)] * 8, "burn", 100)
    assert judge_bound(BURN, alone, derive_bound(BURN, []) or 0, 3).verdict is Verdict.FAIL


def test_a_burn_that_is_over_takes_nobody_back() -> None:
    over = [(Count(300, 1000), Count(1, 19000))] * 4 + [(Count(0, 1000), Count(1, 19000))] * 5
    assert judge(BURN, windows(over, "burn"), 25, 3).verdict is not Verdict.FAIL


def test_bounds_need_the_minimum_of_samples() -> None:
    assert derive_bound(ERRORS, windows([(None, Count(1, 50))])) is None
    assert derive_bound(ERRORS, []) is None
    assert derive_bound(Gate(name="health", kind=GateKind.HEALTH), windows([(None, Count(1, 5000))])) is None


def test_a_bound_is_at_least_what_the_objective_and_the_percentile_allow() -> None:
    assert derive_bound(ERRORS, windows([(None, Count(0, 10000))] * 5)) == pytest.approx(0.0015)
    assert derive_bound(LATENCY, windows([(None, Count(200, 10000))] * 5, "latency")) == pytest.approx(0.05)
    assert floor_of(ERRORS.model_copy(update={"bound": 0.001})) == 0.001


def test_a_bound_leaves_room_for_the_worst_time_but_not_for_a_bad_minute() -> None:
    calm, busy, blip = (100.0, 10000.0), (200.0, 10000.0), (5000.0, 10000.0)
    assert worst_share([calm] * 15) == pytest.approx(0.01)
    assert worst_share([*[busy] * 5, *[calm] * 10]) == pytest.approx(0.02)
    assert worst_share([*[calm] * 7, blip, *[calm] * 7]) == pytest.approx(0.01)
    assert worst_mean([(900.0, 1000.0)] * 5 + [(800.0, 1000.0)] * 5) == pytest.approx(0.8)


def test_a_bound_in_seconds_is_the_threshold_that_the_samples_were_counted_by() -> None:
    gate = LATENCY.model_copy(update={"bound": 2.5})
    for over, verdict in ((100, Verdict.PASS), (2000, Verdict.FAIL)):
        after = windows([(Count(over, 10000), None)] * 10, "latency", 100)
        assert judge_bound(gate, after, 2.5, 2).verdict is verdict


def test_few_bad_requests_make_one_long_run() -> None:
    assert worst_share([(0.0, 100.0), (3.0, 100.0)] * 10) == pytest.approx(27 / 1800)


def test_a_regression_that_begins_late_is_found_and_told() -> None:
    good, bad = (Count(30, 3000), Count(90, 9000)), (Count(120, 3000), Count(90, 9000))
    judged = judge(ERRORS, windows([good] * 10 + [bad] * 4, weight=25), 50, 2)
    assert judged.verdict is Verdict.FAIL
    assert "lately 4 % of 12,000, active 1 %" in judged.said


def test_a_bad_minute_takes_nobody_back_and_spoils_nothing() -> None:
    good, blip = (Count(30, 3000), Count(90, 9000)), (Count(900, 3000), Count(90, 9000))
    assert judge(ERRORS, windows([good] * 4 + [blip], weight=25), 50, 2).verdict is not Verdict.FAIL
    assert judge(ERRORS, windows([good] * 4 + [blip] + [good] * 4, weight=25), 50, 2).verdict is Verdict.PASS


def test_worse_within_the_margin_is_no_reason_to_go_back() -> None:
    test = windows([(Count(1450, 100000), Count(1000, 100000))] * 15, weight=50)
    judged = judge(ERRORS, test, 100, 2)
    assert judged.numbers["against"] > judged.numbers["against_needed"]
    assert judged.verdict is Verdict.INCONCLUSIVE


def test_being_right_by_ratio_and_by_share_counts_once() -> None:
    test = CountComparison(0.05, 1.5, (100,))
    assert float(test.pass_log(100)) == pytest.approx(0)


def test_a_small_next_step_needs_less_than_the_last() -> None:
    few = windows([(Count(6, 600), Count(114, 11400))] * 5)
    evidence = [judge(ERRORS, few, weight, 2).numbers["in_favour"] for weight in (10, 25, 50, 100)]
    assert evidence == sorted(evidence, reverse=True)
    assert judge(ERRORS, few, 10, 2).verdict is Verdict.PASS
    assert judge(ERRORS, few, 100, 2).verdict is Verdict.INCONCLUSIVE


def test_gates_share_what_may_be_wrong() -> None:
    assert fail_at(4) > fail_at(2) > fail_at(1) == fail_at(0)
    assert sum(2.718281828 ** -fail_at(2, compared) * 2 for compared in (True, False)) <= ALPHA + 1e-9


def test_doubt_keeps_a_gate_from_passing() -> None:
    assert [float(decide(doubt, True, 50.0, 1)) for doubt in (0.0, 3.0, 50.0)] == [1.0, 0.0, -1.0]
    assert float(decide(50.0, False, 50.0, 1)) == 0.0


def test_health_and_scores_where_counts_are_due_are_refused() -> None:
    with pytest.raises(ValueError, match="judge it by the targets"):
        judge(Gate(name="health", kind=GateKind.HEALTH), [], 25, 1)
    with pytest.raises(ValueError, match="needs counts of bad requests"):
        judge(ERRORS, windows([(scores(100, 0.9), scores(100, 0.9))]), 25, 1)
