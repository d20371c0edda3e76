"""What others judge a canary by: thresholds per window (seed 000), Argo Rollouts' limits, Kayenta's judge; each on the same
simulated rollouts, tuned to the same false alarms."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.gates_kayenta import CONFIDENCE, TOLERANCE, lower_bounds
from benchmarks.gates_rollouts import BAKE, HOUR, WEIGHTS, Bools
from benchmarks.gates_world import Array, Case, Ints, World

ERROR_MARGIN, P95_MARGIN = 1.5, 1.2
COMPARED = (len(WEIGHTS) - 1) * BAKE
"""Minutes in which there is an active side to compare with; none of the three has a rule for the time after it."""
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0, 60.0, np.inf)
LIMITS = (0, 1, 2, 3, 4, 5)
CONFIDENCES = (0.9, 0.95, CONFIDENCE, 0.99, 0.999)
ALLOWED = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, np.inf)
NEVER = 10**6


def healthy(error: tuple[ArrayLike, ArrayLike], p95: tuple[ArrayLike, ArrayLike], scale: float = 1.0) -> Array:
    """`check_canary_health` of seed 000, pairs being (canary, stable): 1 where neither its error rate nor its p95 is above the
    stable one's times the margin. `scale` stretches both margins, for tuning."""
    limits = [1 + (margin - 1) * scale for margin in (ERROR_MARGIN, P95_MARGIN)]
    with np.errstate(invalid="ignore"):
        bad = [
            np.asarray(c) > np.nan_to_num(np.asarray(s) * m, nan=np.inf) for (c, s), m in zip((error, p95), limits, strict=True)
        ]
    return np.where(bad[0] | bad[1], 0.0, 1.0)


class Phase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


@dataclass(frozen=True)
class Metric:
    """An Argo Rollouts metric's limits ("Analysis & Progressive Delivery"). `count` None: until it is stopped."""

    count: int | None = None
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4


@dataclass(frozen=True)
class Measured:
    """How many measurements of a metric there were, by outcome; errors in sequence do not count as measurements."""

    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    consecutive_errors: int = 0

    @property
    def count(self) -> int:
        return self.successful + self.failed + self.inconclusive


def assess(metric: Metric, measured: Measured, terminating: bool = False) -> Phase:
    """`assessMetricStatus` of analysis/analysis.go: limits first, then the count, then whether the run is stopped."""
    if not measured.count and not measured.consecutive_errors:
        return Phase.SUCCESSFUL if terminating else Phase.PENDING
    if measured.failed > metric.failure_limit:
        return Phase.FAILED
    if measured.inconclusive > metric.inconclusive_limit:
        return Phase.INCONCLUSIVE
    if measured.consecutive_errors > metric.consecutive_error_limit:
        return Phase.ERROR
    if metric.count is not None and measured.count >= metric.count:
        return Phase.SUCCESSFUL
    return Phase.SUCCESSFUL if terminating else Phase.RUNNING


@dataclass
class Path:
    """What a canary without judge sees: by rollout and minute, (candidate, active); `bad` adds up what users got by then."""

    error: tuple[Array, Array]
    p95: tuple[Array, Array]
    by_step: tuple[tuple[Array, Array], tuple[Array, Array]]
    bad: Array
    after: Array


def watch(case: Case, rollouts: int, seed: int) -> Path:
    """The whole canary, never taken back."""
    world = World(case, rollouts, seed + 1)
    totals, errors, p95s, bads = [], [], [], []
    for minute in range(COMPARED):
        at = np.full(rollouts, minute)
        seen = world.look(at, np.full(rollouts, WEIGHTS[minute // BAKE]))
        totals.append(seen.total)
        errors.append(seen.errors)
        p95s.append(seen.p95)
        bads.append((seen.errors[0], seen.slow[0]))
    total, error = (_stack(x) for x in (totals, errors))
    p95 = _stack(p95s)
    steps = [(x.reshape(rollouts, -1, BAKE)) for x in (*error, *total)]
    sums = [x.sum(axis=-1) for x in steps]
    with np.errstate(all="ignore"):
        rate = (error[0] / total[0], error[1] / total[1])
        step_rate = (sums[0] / sums[2], sums[1] / sums[3])
        step_p95 = tuple(np.nanmean(x.reshape(rollouts, -1, BAKE), axis=-1) for x in p95)
    bad = np.stack([np.stack([b[kind] for b in bads], axis=1) for kind in (0, 1)]).cumsum(axis=-1)
    return Path(rate, p95, (step_rate, (step_p95[0], step_p95[1])), bad, world.expected(np.full(rollouts, COMPARED), HOUR)[:2])


def _stack(pairs: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.stack([p[0] for p in pairs], axis=1), np.stack([p[1] for p in pairs], axis=1)


def seeds(path: Path) -> Iterator[tuple[str, Ints]]:
    """Minute in which each setting rolls back (or `NEVER`): checked at the end of every step, or every minute."""
    for scale in SCALES:
        yield f"every step, margins x {scale:g}", _first(healthy(*path.by_step, scale) == 0, BAKE)
        yield f"every minute, margins x {scale:g}", _first(healthy(path.error, path.p95, scale) == 0, 1)


def argo(path: Path) -> Iterator[tuple[str, Ints]]:
    """An analysis in the background of the whole rollout, a measurement a minute: failed more often than the limit."""
    for scale in SCALES:
        failures = (healthy(path.error, path.p95, scale) == 0).cumsum(axis=1)
        for limit in LIMITS:
            yield f"failureLimit {limit}, margins x {scale:g}", _first(failures > limit, 1)


def kayenta(path: Path) -> Iterator[tuple[str, Ints]]:
    """Judged on all minutes so far: errors and p95 in a group each, so that one High is a score of 50, below marginal."""
    for every, name in ((BAKE, "every step"), (1, "every minute")):
        looks = [t for t in range(BAKE, COMPARED + 1) if t % every == 0]
        judged = [[_high(pair, t) for pair in (path.error, path.p95)] for t in looks]
        for i, confidence in enumerate(CONFIDENCES):
            for allowed in ALLOWED:
                high = [(e[0][i] & (e[1] >= allowed)) | (p[0][i] & (p[1] >= allowed)) for e, p in judged]
                first = _first(np.stack(high, axis=1), 1)
                minutes = np.array([*looks, NEVER])[np.minimum(first - 1, len(looks))]
                yield f"{name}, confidence {confidence:g}, allowedIncrease {allowed:g}", minutes


def _high(pair: tuple[Array, Array], minutes: int) -> tuple[list[Bools], Array]:
    candidate, baseline = (np.nan_to_num(x[:, :minutes]) for x in pair)
    lows, estimate = lower_bounds(candidate, baseline, CONFIDENCES)
    mean = baseline.mean(axis=1)
    ratio = np.where(mean > 0, candidate.mean(axis=1) / np.where(mean > 0, mean, 1), 1.0)
    return [low > TOLERANCE * np.abs(estimate) for low in lows], ratio


def _first(failed: Bools, length: int) -> Ints:
    """Minutes until the first failed check, the checks being `length` minutes apart."""
    return np.where(failed.any(axis=1), (failed.argmax(axis=1) + 1) * length, NEVER)


def served(path: Path, minutes: Ints, kind: int) -> Array:
    """Bad answers of the first hour: those until the rollback, or all."""
    rows = np.arange(len(minutes))
    until = path.bad[kind][rows, np.minimum(minutes, COMPARED) - 1]
    return np.asarray(until + np.where(minutes >= NEVER, path.after[kind], 0.0), float)
