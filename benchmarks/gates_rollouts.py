"""Simulated rollouts under our gates: the canary of the seeds, a look a minute, the code of turnout/analysis itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from turnout_components.rollout_spec import Gate, GateKind

from benchmarks.gates_world import Array, Case, Ints, Seen, World
from turnout.analysis.counts import CountBound, CountComparison
from turnout.analysis.gates import decide, floor_of
from turnout.analysis.history import worst_mean, worst_share
from turnout.analysis.means import MeanBound, MeanComparison

WEIGHTS = (5, 25, 50, 100)
BAKE = 5
LAST_BAKE = 10
DEADLINE = 30
"""Windows after which a step that did not pass goes back."""
HOUR = 60
PROMOTED, FAILED, UNDECIDED = 0, 1, 2
ERRORS = Gate(name="errors", kind=GateKind.ERRORS)
LATENCY = Gate(name="latency", kind=GateKind.LATENCY)
QUALITY = Gate.model_validate({"name": "quality", "kind": "quality", "metric": {"name": "right"}})

Bools = NDArray[np.bool_]


@dataclass
class Ended:
    """How each rollout ended, after how many minutes, at which step, and the failed, slow and wrong answers of its candidate
    in the first hour after the start."""

    how: Ints
    minutes: Ints
    step: Ints
    bad: Array

    def share(self, how: int) -> float:
        return float((self.how == how).mean())


class _Compared:
    """One gate of all rollouts while both sides carry weight."""

    def __init__(self, gate: Gate, rollouts: int, critical: int) -> None:
        self.gate, self.critical = gate, critical
        self.samples = np.zeros(rollouts)
        self.active: list[tuple[Array, Array]] = []
        self.test: CountComparison | MeanComparison
        if gate.kind is GateKind.QUALITY:
            self.test = MeanComparison(gate.allowed, WEIGHTS[1:], (rollouts,))
        else:
            self.test = CountComparison(floor_of(gate), gate.allowed, WEIGHTS[1:], (rollouts,))

    def look(self, seen: Seen, step: Ints) -> Array:
        """Verdicts, as `decide` gives them, before each rollout's next weight."""
        (k_c, n_c), (k_a, n_a) = _samples(self.gate, seen)
        self.samples = self.samples + n_c
        self.active.append((k_a, n_a))
        test = self.test
        if isinstance(test, MeanComparison):
            test.add((n_c, k_c, k_c), (n_a, k_a, k_a))
            beyond = test.beyond()
        else:
            test.add(k_c, n_c, k_a, n_a)
            beyond = test.beyond(test.estimate())
        in_favour = np.choose(np.minimum(step, 2), [test.pass_log(w) for w in WEIGHTS[1:]])
        decided = decide(test.fail_log(), beyond, in_favour, self.critical)
        return np.where(self.samples >= self.gate.minimum, decided, 0.0)

    def bound(self, on: Bools) -> Array:
        """As `derive_bound` has it, of the rollouts that are `on`."""
        made = np.ones(len(self.samples))
        for i in np.flatnonzero(on):
            history = [(float(k[i]), float(n[i])) for k, n in self.active if n[i] > 0]
            if self.gate.kind is GateKind.QUALITY:
                made[i] = worst_mean(history) - self.gate.allowed
            else:
                made[i] = max(floor_of(self.gate), self.gate.allowed * worst_share(history))
        return made


def _samples(gate: Gate, seen: Seen) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Bad (of quality: right) and total answers of the candidate, and of the active."""
    if gate.kind is GateKind.QUALITY:
        return (seen.right[0], seen.scored[0]), (seen.right[1], seen.scored[1])
    bad = seen.errors if gate.kind is GateKind.ERRORS else seen.slow
    return (bad[0], seen.total[0]), (bad[1], seen.total[1])


def simulate(case: Case, rollouts: int, seed: int, gates: tuple[Gate, ...] = (), deadline: int = DEADLINE) -> Ended:
    """Roll out `rollouts` times. Rollouts that ended are looked at no more."""
    gates = gates or ((ERRORS, LATENCY, QUALITY) if case.quality else (ERRORS, LATENCY))
    world = World(case, rollouts, seed)
    ended = Ended(np.full(rollouts, -1), np.zeros(rollouts, int), np.zeros(rollouts, int), np.zeros((3, rollouts)))
    bounds, variances, switched = _climb(world, ended, gates, deadline)
    _finish(world, ended, gates, deadline, bounds, variances, switched)
    ended.bad += world.expected(ended.minutes, HOUR) * (ended.how == PROMOTED)
    return ended


def _climb(world: World, ended: Ended, gates: tuple[Gate, ...], deadline: int) -> tuple[list[Array], Array, Bools]:
    """Through the weights below 100: the bounds at the end of it, the variance of scores, and who got that far."""
    rollouts = len(ended.how)
    judges = [_Compared(gate, rollouts, len(gates)) for gate in gates]
    step, windows = ended.step, np.zeros(rollouts, int)
    bounds = [np.ones(rollouts) for _ in gates]
    running = np.ones(rollouts, bool)
    weights = np.array(WEIGHTS)
    while running.any():
        seen = world.look(np.minimum(ended.minutes, world.load.shape[1] - 1), weights[step])
        ended.minutes += running
        windows += running
        _count_bad(ended, seen, running)
        verdicts = np.stack([judge.look(seen, step) for judge in judges])
        failed, passed = (verdicts < 0).any(axis=0), (verdicts > 0).all(axis=0)
        ended.how[running & failed] = FAILED
        on = running & ~failed & passed & (windows >= BAKE)
        late = running & ~failed & ~on & (windows >= deadline)
        ended.how[late] = UNDECIDED
        step += on
        windows[on] = 0
        there = on & (step == len(WEIGHTS) - 1)
        for bound, judge in zip(bounds, judges, strict=True):
            bound[there] = judge.bound(there)[there]
        running &= ~failed & ~late & (step < len(WEIGHTS) - 1)
    tests = [judge.test for judge in judges]
    variances = [test.active.seen for test in tests if isinstance(test, MeanComparison)]
    return bounds, variances[0] if variances else np.zeros(rollouts), step == len(WEIGHTS) - 1


def _finish(
    world: World, ended: Ended, gates: tuple[Gate, ...], deadline: int, bounds: list[Array], variances: Array, switched: Bools
) -> None:
    """After the full switch, with nothing to compare with."""
    at, rollouts = np.flatnonzero(switched), int(switched.sum())
    if not rollouts:
        return
    tests = [
        MeanBound(bound[at], gate.allowed, (rollouts,), variances[at])
        if gate.kind is GateKind.QUALITY
        else CountBound(bound[at], gate.allowed, (rollouts,))
        for gate, bound in zip(gates, bounds, strict=True)
    ]
    running, minutes = np.ones(rollouts, bool), ended.minutes[at]
    for window in range(1, deadline + 1):
        seen = world.look(np.minimum(minutes, world.load.shape[1] - 1), np.full(rollouts, 100), at)
        minutes += running
        verdicts = []
        for gate, test in zip(gates, tests, strict=True):
            (k, n), _ = _samples(gate, seen)
            test.add(n, k, k) if isinstance(test, MeanBound) else test.add(k, n)
            yes = np.ones(rollouts)
            verdicts.append(decide(test.fail_log(), yes, test.pass_log(), len(gates), False))
        failed, passed = (np.stack(verdicts) < 0).any(axis=0), (np.stack(verdicts) > 0).all(axis=0)
        on = running & ~failed & passed & (window >= LAST_BAKE)
        late = running & ~failed & ~on & (window >= deadline)
        for mask, how in ((running & failed, FAILED), (on, PROMOTED), (late, UNDECIDED)):
            ended.how[at[mask]] = how
        _count_bad(ended, seen, running, at, minutes)
        running &= ~failed & ~late & ~on
        if not running.any():
            break
    ended.minutes[at] = minutes


def _count_bad(ended: Ended, seen: Seen, running: Bools, at: Ints | None = None, minutes: Ints | None = None) -> None:
    rows = slice(None) if at is None else at
    early = running & ((ended.minutes if minutes is None else minutes) <= HOUR)
    wrong = seen.scored[0] - seen.right[0] if len(seen.scored[0]) else np.zeros(len(running))
    for kind, bad in enumerate((seen.errors[0], seen.slow[0], wrong)):
        ended.bad[kind, rows] += np.where(early, bad, 0)
