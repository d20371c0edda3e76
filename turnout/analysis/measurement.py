"""What was measured of both sides of a rollout, window by window: the input of every gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Side(StrEnum):
    """The environment that users know, and the one that is tried."""

    ACTIVE = "active"
    CANDIDATE = "candidate"


@dataclass(frozen=True)
class Count:
    """So many of `total` requests were bad: failed, or slower than the frozen threshold."""

    bad: int
    total: int


@dataclass(frozen=True)
class Moments:
    """`count` scores with their sum and the sum of their squares."""

    count: int
    total: float
    squares: float


Sample = Count | Moments


@dataclass(frozen=True)
class Window:
    """One period. `weight` is the candidate's declared share in percent; `requests` by side; `samples` by gate and side: a
    gate or side that is missing was not measured, which is not 0. `shown` (such as p95 seconds, by name and side) is for
    people and judges nothing."""

    start: datetime
    end: datetime
    weight: int
    requests: Mapping[Side, int] = field(default_factory=dict)
    samples: Mapping[str, Mapping[Side, Sample]] = field(default_factory=dict)
    shown: Mapping[str, Mapping[Side, float]] = field(default_factory=dict)
    mirrored: bool = False
    """The candidate answered copies of requests, which users did not see."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def merged(self, later: "Window") -> "Window":
        """This window and a later one of the same weight as one; `shown` is the later's."""
        samples = {}
        for gate in self.samples.keys() | later.samples.keys():
            both = [window.samples.get(gate, {}) for window in (self, later)]
            samples[gate] = {side: _sum([one[side] for one in both if side in one]) for side in both[0].keys() | both[1].keys()}
        sides = self.requests.keys() | later.requests.keys()
        requests = {side: self.requests.get(side, 0) + later.requests.get(side, 0) for side in sides}
        return Window(self.start, later.end, self.weight, requests, samples, {**self.shown, **later.shown}, self.mirrored)


def _sum(samples: list[Sample]) -> Sample:
    counts = [sample for sample in samples if isinstance(sample, Count)]
    moments = [sample for sample in samples if isinstance(sample, Moments)]
    if counts and moments:
        raise TypeError(f"{counts[0]} and {moments[0]} are samples of different kinds")
    if counts:
        return Count(sum(each.bad for each in counts), sum(each.total for each in counts))
    return Moments(*(sum(getattr(each, name) for each in moments) for name in ("count", "total", "squares")))


class Verdict(StrEnum):
    """What a gate says. Pass: not worse by the margin for certain. Fail: worse for certain. Inconclusive: cannot tell yet."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Judgement:
    """A gate's verdict with the numbers behind it (names to values) and one line for people."""

    gate: str
    verdict: Verdict
    said: str
    numbers: Mapping[str, float] = field(default_factory=dict)
