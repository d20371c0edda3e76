"""The standby's levels: when it steps down from full to warm or cold, to which size, and how long it takes to come back.

Pure: `step_down` puts the plan in force, `resolve` declares the same sizes, so that neither undoes the other.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Keep(StrEnum):
    """How the standby is kept after the bake."""

    FULL = "full"
    """As it was at the flip: a rollback is one call."""
    WARM = "warm"
    """A small in-service minimum, and its warm pool."""
    COLD = "cold"
    """No instance and no warm pool."""


@dataclass(frozen=True)
class StandbyPolicy:
    """How the environment that traffic has left is kept for rollback."""

    keep: Keep = Keep.FULL
    retain_for: timedelta = timedelta(hours=24)
    bake: timedelta = timedelta(minutes=10)
    warm_minimum: int = 1
    discard: str | None = None
    """The retained release (name or id) that may be thrown away before `retain_for` is over."""
    drain: timedelta = timedelta(0)
    """How long the longest stream may last: before that the standby does not step down."""


STEP_DOWN, RETAIN_END = "turnout-step-down", "turnout-retain-end"
NAMES = (STEP_DOWN, RETAIN_END)
"""Scheduled actions that a switch makes on the standby's group."""


@dataclass(frozen=True)
class StepDown:
    """At `at` the standby becomes `level`."""

    name: str
    at: datetime
    level: Keep


def step_downs(policy: StandbyPolicy, flipped_at: datetime) -> tuple[StepDown, ...]:
    """What becomes of a standby that traffic left at `flipped_at`, in order; cold at the end of retention at the latest.

    Times are whole seconds, as schedules are, and none is before its second is full."""
    settled = _whole_second(flipped_at + max(policy.bake, policy.drain))
    end = max(_whole_second(flipped_at + policy.retain_for), settled)
    if policy.keep is Keep.COLD:
        return (StepDown(STEP_DOWN, settled, Keep.COLD),)
    last = StepDown(RETAIN_END, end, Keep.COLD)
    if policy.keep is Keep.WARM and settled < end:
        return (StepDown(STEP_DOWN, settled, Keep.WARM), last)
    return (last,)


def _whole_second(at: datetime) -> datetime:
    return at + timedelta(microseconds=-at.microsecond % 1_000_000)


def level(policy: StandbyPolicy, flipped_at: datetime, now: datetime) -> Keep:
    """What a standby that traffic left at `flipped_at` is now."""
    reached = [step.level for step in step_downs(policy, flipped_at) if step.at <= now]
    return reached[-1] if reached else Keep.FULL


@dataclass(frozen=True)
class Launch:
    """A launch of an instance, from its beginning until it was in service."""

    seconds: float
    from_warm_pool: bool


def time_back(missing: int, warm: int, launches: Sequence[Launch]) -> str:
    """How long it takes until `missing` more instances serve, in words, from the group's own past launches.

    `warm`: instances in its warm pool. Instances come up side by side, so the slowest kind that is needed counts."""
    if missing <= 0:
        return "at once"
    kinds = ([True] if warm else []) + ([False] if missing > warm else [])
    known = {kind: [launch.seconds for launch in launches if launch.from_warm_pool is kind] for kind in kinds}
    sides = f"{min(missing, warm)} from the warm pool" if warm else ""
    sides += f"{', ' if sides else ''}{missing - warm} from nothing" if missing > warm else ""
    for kind, times in known.items():
        if not times:
            missed = "from the warm pool" if kind else "from nothing"
            return f"after a time not known yet ({sides}; no launch {missed} is on record)"
    slowest = max(known.values(), key=statistics.median)
    return f"in about {statistics.median(slowest):.0f} s ({sides}; median of {len(slowest)})"
