"""What a scaling policy makes of an alarm: the group's next desired capacity. Pure.

Sources, all of the Amazon EC2 Auto Scaling User Guide: "Step and simple scaling policies for Amazon EC2 Auto Scaling" (SS),
"Target tracking scaling policies for Amazon EC2 Auto Scaling" (TT), "Dynamic scaling for Amazon EC2 Auto Scaling" (DS),
"Set the default instance warmup for an Auto Scaling group" (WU).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CHANGE, EXACT, PERCENT = "ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"
HIGH_PERIODS, LOW_PERIODS = 3, 15
"""Minutes above the target, and below its neighbourhood, before target tracking acts. No page names them: they are what the
alarms of accounts hold (`InvokingAlarms` of DescribeScalingActivities shows them)."""
LOW_SHARE = 0.9
"""Scale-in usually starts more than a tenth below the target ("How target tracking scaling for Application Auto Scaling
works", Application Auto Scaling User Guide)."""
GRADUAL = 1
"""Instances that target tracking takes out at a time: it "scales in more gradually" (TT), no page says by how many."""


@dataclass(frozen=True)
class Sizes:
    """A group's numbers. `ready`: in service and warmed up; `warming`: launching or not yet warmed up; `leaving`: on their way
    out."""

    desired: int
    minimum: int
    maximum: int
    ready: int
    warming: int = 0
    leaving: int = 0

    def clamp(self, capacity: int) -> int:
        """Never outside of minimum and maximum (DS)."""
        return max(self.minimum, min(self.maximum, capacity))


@dataclass(frozen=True)
class Step:
    """A step adjustment; bounds are relative to the alarm's threshold, None is infinite."""

    adjustment: int
    lower: float | None = None
    upper: float | None = None

    def holds(self, breach: float) -> bool:
        """Above the threshold the lower bound is inclusive and the upper exclusive, below it the other way round (SS)."""
        lower, upper = (-math.inf if self.lower is None else self.lower), (math.inf if self.upper is None else self.upper)
        return lower <= breach < upper if breach >= 0 else lower < breach <= upper


@dataclass(frozen=True)
class Adjustment:
    """How a policy changes a capacity. `least`: fewest instances of a change in percent."""

    kind: str
    least: int = 0

    def applied(self, capacity: int, amount: int) -> int:
        """The new capacity; parts of an instance are rounded towards 0, but never to 0 (SS)."""
        if self.kind == EXACT:
            return amount
        if self.kind == CHANGE:
            return capacity + amount
        share = capacity * amount / 100
        change = math.trunc(share) if abs(share) >= 1 else int(math.copysign(math.ceil(abs(share)), share))
        if change:
            change = int(math.copysign(max(abs(change), self.least), change))
        return capacity + change


def by_steps(adjustment: Adjustment, steps: Sequence[Step], breach: float, sizes: Sizes) -> int | None:
    """Step scaling. `breach`: the metric less the threshold.

    Scaling out counts instances that warm up as not yet there, so that one breach is answered once; scaling in counts those
    that are leaving as still there, and waits for those that warm up (SS, WU)."""
    step = next((step for step in steps if step.holds(breach)), None)
    if step is None:
        return None
    if adjustment.applied(sizes.desired, step.adjustment) >= sizes.desired:
        capacity = sizes.clamp(adjustment.applied(sizes.ready, step.adjustment))
        return capacity if capacity > sizes.desired else None
    return _smaller(adjustment.applied(sizes.ready + sizes.leaving, step.adjustment), sizes)


def by_amount(adjustment: Adjustment, amount: int, sizes: Sizes) -> int | None:
    """Simple scaling: one adjustment of the desired capacity. The caller keeps the cooldown."""
    capacity = sizes.clamp(adjustment.applied(sizes.desired, amount))
    return None if capacity == sizes.desired else capacity


def outward(target: float, metric: float, sizes: Sizes) -> int | None:
    """Target tracking above its target: in proportion, rounded up (TT)."""
    capacity = sizes.clamp(math.ceil(sizes.ready * metric / target))
    return capacity if capacity > sizes.desired else None


def inward(target: float, metric: float, sizes: Sizes) -> int | None:
    """Target tracking below its target: rounded so that the target is not exceeded, and gradually (TT)."""
    present = sizes.ready + sizes.leaving
    surplus = math.floor(present - present * metric / target)
    return _smaller(present - min(surplus, GRADUAL), sizes) if surplus > 0 else None


def _smaller(capacity: int, sizes: Sizes) -> int | None:
    """A scale-in cannot start while instances launch or warm up (SS, WU)."""
    if sizes.warming:
        return None
    capacity = sizes.clamp(capacity)
    return capacity if capacity < sizes.desired else None


@dataclass(frozen=True)
class Proposal:
    """What one policy asks for, because of one alarm."""

    policy: str
    alarm: str
    capacity: int


def chosen(proposals: Sequence[Proposal]) -> Proposal | None:
    """Of policies that act at once the one with the largest capacity, for scale-out and scale-in (DS)."""
    return max(proposals, key=lambda proposal: proposal.capacity, default=None)
