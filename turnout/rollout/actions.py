"""What a rollout's decision sees, and what it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from turnout.analysis.measurement import Side
from turnout.rollout.status import RolloutStatus


@dataclass(frozen=True)
class Seen:
    """One look. `weight`: the candidate's share at the load balancer in percent, None when the listener is gone; `rollout`:
    the rollout that the switch record names; `serving` and `ready`: instances in service, and healthy targets of the right
    release; `minimum` and `maximum`: the candidate's group's; `smoke`: the outcome of a smoke test that has just run."""

    weight: int | None
    rollout: str | None
    serving: Mapping[Side, int]
    ready: Mapping[Side, int]
    minimum: int
    maximum: int
    smoke: str | None = None
    claimed: str = ""
    """Who else is moving traffic."""
    present: Mapping[Side, int] = field(default_factory=dict)
    """Nodes that take a place: in service, booting or draining."""
    draining: Mapping[Side, int] = field(default_factory=dict)
    """Those of them that are to end."""
    held: int = 0
    """The stable side's minimum."""
    mirror: int = 0
    """The share that is mirrored to all of the candidate's instances, in percent."""
    variants: Mapping[str, str] = field(default_factory=dict)
    """Of an experiment: the environment (or target group of none of ours) by variant, as rules send them past the weights."""


@dataclass(frozen=True)
class Raise:
    """Raise the candidate's minimum, in the record and in its group."""

    minimum: int


@dataclass(frozen=True)
class Hold:
    """Hold this side at just so many nodes, in the record and in its group: what is too much drains."""

    side: Side
    size: int


@dataclass(frozen=True)
class PutWeight:
    """Put the candidate's share in force."""

    weight: int


@dataclass(frozen=True)
class TakeBack:
    """Give traffic back to the stable environment: the load balancer first, then the status, then the record. `weight`: what
    the candidate keeps for now, in percent, where the stable side has too few nodes for all of it."""

    weight: int = 0


@dataclass(frozen=True)
class RunSmokeTest:
    """Run the command against the candidate."""

    command: str
    timeout: timedelta


@dataclass(frozen=True)
class Finish:
    """The record's part of a promotion."""


@dataclass(frozen=True)
class PutMirror:
    """Send the candidate's instances a copy of this share of live requests, in percent; 0: of none."""

    share: int


@dataclass(frozen=True)
class PutVariants:
    """Send each variant's users to this environment past the weights, and no others; none: everybody follows the weights."""

    variants: Mapping[str, str]


Action = Raise | Hold | PutWeight | PutMirror | PutVariants | TakeBack | RunSmokeTest | Finish


@dataclass(frozen=True)
class Decision:
    """The status as it is to be kept, and what is to be done. With neither an action nor `goes_on`: look again later."""

    status: RolloutStatus
    action: Action | None = None
    waits: str = ""
    """What it waits for."""
    goes_on: bool = False
    """A step is over: the next one can be decided now."""
