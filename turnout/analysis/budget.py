"""The information budget: what a rollout's gates can see at this traffic, found before it starts by rehearsing it.

Windows are drawn at random (a seed makes the answer repeatable) and judged by the code that judges real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.counts import CountBound, CountComparison
from turnout.analysis.gates import ALPHA, MISS, SHARE_AT_MOST, decide, floor_of
from turnout.analysis.means import MeanBound, MeanComparison
from turnout.analysis.sequential import Array

POWER = 0.99
GOOD = 0.95
"""How often a good release has to pass for a budget to suffice."""
EFFECTS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Regressions that are tried: times the rate, or (of quality) margins below the mean."""
REHEARSALS = 150
WINDOWS_AT_MOST = 30
"""Longer steps are rehearsed in windows of several periods."""


@dataclass(frozen=True)
class Usual:
    """What is usual for a gate: `rate` of bad requests (errors, share over the threshold) or the mean score, with the score's
    standard deviation; `per_second`: requests (or scores) of the whole service."""

    rate: float
    per_second: float
    deviation: float = 0.0


@dataclass(frozen=True)
class Stage:
    """A weight in percent that is kept for `bake`, and for `deadline` at most."""

    weight: int
    bake: timedelta
    deadline: timedelta


@dataclass(frozen=True)
class Line:
    """What one gate sees at one weight. `smallest`: the least regression (times the rate; of quality a difference of means)
    that begins with this stage and is seen by its deadline with `POWER`, None where none of those tried is. `passes`: how
    often a good release passes by then; `minutes`: by when `GOOD` of them have, None if never."""

    gate: str
    weight: int
    smallest: float | None
    passes: float
    minutes: float | None
    margin: float
    alpha: float = ALPHA
    miss: float = MISS

    @property
    def suffices(self) -> bool:
        """Whether good releases pass often enough."""
        return self.passes >= GOOD

    def sees(self, effect: float) -> bool:
        """Whether a regression of this size (as `smallest` counts it) is seen."""
        return self.smallest is not None and self.smallest <= effect


def information_budget(
    gates: Sequence[tuple[Gate, Usual]],
    stages: Sequence[Stage],
    period: timedelta,
    critical_gates: int,
    seed: int = 0,
) -> tuple[Line, ...]:
    """Rehearse every gate at every stage; the last stage may have weight 100, which has only a bound to be judged by.

    Gates of kind health and burn are left out: the one is no statistic, the other asks nothing before something burns.
    """
    return tuple(
        _rehearse(gate, usual, stages, i, period, critical_gates, np.random.default_rng((seed, i)))
        for gate, usual in gates
        if gate.kind not in (GateKind.HEALTH, GateKind.BURN)
        for i in range(len(stages))
    )


def _rehearse(
    gate: Gate,
    usual: Usual,
    stages: Sequence[Stage],
    i: int,
    period: timedelta,
    critical: int,
    rng: np.random.Generator,
) -> Line:
    stage, following = stages[i], stages[min(i + 1, len(stages) - 1)].weight
    length = period * max(1, -(-(stage.deadline // period) // WINDOWS_AT_MOST))
    bake, deadline = max(1, -(-stage.bake // length)), max(1, stage.deadline // length)
    effects = np.repeat((1.0 if gate.kind is not GateKind.QUALITY else 0.0, *EFFECTS), REHEARSALS)
    good = slice(0, REHEARSALS)
    table = _Table(gate, usual, stage.weight, following, critical, effects, rng)
    for earlier in stages[:i] if stage.weight < 100 else ():
        for _ in range(max(1, -(-earlier.bake // length))):
            table.draw(length, earlier.weight, good)
    passed, failed = np.zeros(len(effects), int), np.zeros(len(effects), bool)
    for window in range(1, max(bake, deadline) + 1):
        table.draw(length, stage.weight)
        decided = table.verdicts()
        failed |= decided < 0
        first = (decided > 0) & ~failed & (passed == 0) & (window >= bake)
        passed[first] = window
    ended = np.where(failed | (passed == 0), 10**6, passed)[good]
    latest = float(np.quantile(ended, GOOD, method="higher"))
    seen = [effect for effect in EFFECTS if failed[effects == effect].mean() >= POWER]
    smallest = None if not seen else seen[0] * (gate.allowed if gate.kind is GateKind.QUALITY else 1.0)
    minutes = None if latest >= 10**6 else latest * length.total_seconds() / 60
    return Line(gate.name, stage.weight, smallest, float((ended < 10**6).mean()), minutes, gate.allowed)


class _Table:
    """One gate over all rehearsals of one stage."""

    def __init__(
        self, gate: Gate, usual: Usual, weight: int, following: int, critical: int, effects: Array, rng: np.random.Generator
    ) -> None:
        self.gate, self.usual, self.effects, self.following, self.critical, self.rng = (
            gate,
            usual,
            effects,
            following,
            critical,
            rng,
        )
        self.samples = np.zeros(len(effects))
        shape, margin = effects.shape, gate.allowed
        self.test: CountComparison | MeanComparison | CountBound | MeanBound
        if gate.kind is GateKind.QUALITY:
            bound, spread = gate.bound or usual.rate - margin, usual.deviation**2
            self.test = (
                MeanBound(bound, margin, shape, spread) if weight == 100 else MeanComparison(margin, (following,), shape)
            )
        else:
            given = gate.bound if gate.kind is GateKind.ERRORS else None
            bound = given or min(max(floor_of(gate), margin * usual.rate), SHARE_AT_MOST)
            compared = CountComparison(floor_of(gate), margin, (following,), shape)
            self.test = CountBound(bound, margin, shape) if weight == 100 else compared

    def draw(self, length: timedelta, weight: int, only: slice | None = None) -> None:
        """A window of both sides; of the rehearsals outside `only` an empty one."""
        total = self.usual.per_second * length.total_seconds()
        of_c, of_a = (self.rng.poisson(total * share, len(self.effects)) for share in (weight / 100, 1 - weight / 100))
        if only is not None:
            there = np.zeros(len(self.effects), int)
            there[only] = 1
            of_c, of_a = of_c * there, of_a * there
        self.samples = self.samples + of_c
        test = self.test
        if isinstance(test, MeanComparison | MeanBound):
            drop = self.effects * self.gate.allowed
            sides = [self._scores(of_c, self.usual.rate - drop), self._scores(of_a, np.full(drop.shape, self.usual.rate))]
            test.add(*sides[0]) if isinstance(test, MeanBound) else test.add(sides[0], sides[1])
            return
        bad = self.rng.binomial(of_c, np.minimum(self.usual.rate * self.effects, 0.95))
        if isinstance(test, CountBound):
            test.add(bad, of_c)
        else:
            test.add(bad, of_c, self.rng.binomial(of_a, self.usual.rate), of_a)

    def _scores(self, count: NDArray[np.int64], mean: Array) -> tuple[Array, Array, Array]:
        """Count, sum and squares of so many normal scores."""
        some = np.maximum(count, 1)
        deviation = self.usual.deviation
        average = self.rng.normal(mean, deviation / np.sqrt(some))
        around = deviation**2 * self.rng.chisquare(np.maximum(some - 1, 1)) * (some > 1)
        return count.astype(float), average * count, around * (count > 0) + average**2 * count

    def verdicts(self) -> Array:
        test = self.test
        if isinstance(test, CountBound | MeanBound):
            decided = decide(test.fail_log(), np.ones(len(self.effects)), test.pass_log(), self.critical, compared=False)
        else:
            beyond = test.beyond() if isinstance(test, MeanComparison) else test.beyond(test.estimate())
            decided = decide(test.fail_log(), beyond, test.pass_log(self.following), self.critical)
        return np.where(self.samples >= self.gate.minimum, decided, 0.0)
