"""The information budget, against simulated rollouts and itself."""

import time
from datetime import timedelta

import pytest
from turnout_components.rollout_spec import Gate, GateKind, Metric

from turnout.analysis.budget import POWER, Line, Stage, Usual, information_budget

MINUTE = timedelta(minutes=1)
STAGES = (*(Stage(weight, 5 * MINUTE, 30 * MINUTE) for weight in (5, 25, 50)), Stage(100, 10 * MINUTE, 30 * MINUTE))
ERRORS = Gate(name="errors", kind=GateKind.ERRORS)
LATENCY = Gate(name="latency", kind=GateKind.LATENCY)
QUALITY = Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(name="score"))


def errors(rps: float, rate: float = 0.01, seed: int = 0) -> tuple[Line, ...]:
    return information_budget([(ERRORS, Usual(rate, rps))], STAGES, MINUTE, 2, seed)


def test_little_traffic_sees_little_and_says_so() -> None:
    assert errors(1)[0].smallest is None
    assert not any(line.suffices or line.minutes for line in errors(1, 0.001))


def test_much_traffic_sees_twice_the_errors_within_the_bake() -> None:
    lines = errors(1000)
    assert [line.weight for line in lines] == [5, 25, 50, 100]
    assert all(line.suffices and line.sees(2.0) for line in lines)
    assert [line.minutes for line in lines] == [5.0, 5.0, 5.0, 10.0]
    assert (lines[0].alpha, lines[0].miss, lines[0].margin) == (0.01, 0.01, 1.5)


def test_more_traffic_never_sees_less() -> None:
    seen = [[line.smallest or 99 for line in errors(rps)] for rps in (3, 30, 300)]
    assert all(a >= b >= c for a, b, c in zip(*seen, strict=True))


def test_a_seed_gives_the_same_answer() -> None:
    assert errors(10, seed=3) == errors(10, seed=3)


@pytest.mark.parametrize("rps", [10.0, 100.0])
def test_what_it_promises_simulated_rollouts_keep(rps: float) -> None:
    from benchmarks.gates_rollouts import FAILED, PROMOTED, simulate
    from benchmarks.gates_world import Case

    lines = errors(rps, 0.05)
    assert all(line.suffices for line in lines)
    assert simulate(Case("good", rps, 0.05), 300, 1).share(PROMOTED) >= 0.95
    seen = lines[0].smallest
    assert seen is not None
    assert simulate(Case("seen", rps, 0.05, effect=seen), 300, 1).share(FAILED) >= POWER - 0.015


def test_quality_is_told_as_a_difference() -> None:
    (first, *_) = information_budget([(QUALITY, Usual(0.9, 300, 0.3))], STAGES, MINUTE, 3)
    assert first.smallest is not None
    assert 0.02 <= first.smallest <= 0.06
    assert first.suffices


def test_health_and_burn_are_left_out() -> None:
    gates = [(Gate(name=kind, kind=kind), Usual(0.01, 10)) for kind in (GateKind.HEALTH, GateKind.BURN)]
    assert information_budget(gates, STAGES, MINUTE, 2) == ()


def test_long_steps_are_rehearsed_in_longer_windows() -> None:
    day = (Stage(10, timedelta(hours=2), timedelta(hours=24)),)
    (line,) = information_budget([(ERRORS, Usual(0.01, 5))], day, MINUTE, 2)
    assert line.minutes is not None
    assert line.minutes >= 120


def test_it_is_there_before_anybody_grows_impatient() -> None:
    began = time.process_time()
    information_budget([(ERRORS, Usual(0.01, 10)), (LATENCY, Usual(0.02, 10))], STAGES, MINUTE, 2)
    assert time.process_time() - began < 3
