"""Where instances of a group are launched, what they are, how many are kept warm and which leave: pure.

Sources, all of the Amazon EC2 Auto Scaling User Guide: "Distribute instances across Availability Zones" (zones), "Auto Scaling
groups with multiple instance types and purchase options" (shares), "Configure termination policies for Amazon EC2 Auto
Scaling", "Use instance scale-in protection", "Decrease latency for applications with long boot times using warm pools"; and
`PutWarmPool` in the Amazon EC2 Auto Scaling API Reference.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ON_DEMAND, SPOT = "on-demand", "spot"


@dataclass(frozen=True)
class Placed:
    """An instance as the choice sees it. `version`: of its launch template; `launched`: seconds since the epoch."""

    id: str
    zone: str
    market: str = ON_DEMAND
    version: int = 0
    launched: float = 0.0
    protected: bool = False


def zone_for_next(zones: Sequence[str], present: Sequence[str]) -> str:
    """The zone with the fewest instances; of equal ones the first that the group names."""
    counts = Counter(present)
    return min(zones, key=lambda zone: (counts[zone], zones.index(zone)))


@dataclass(frozen=True)
class Shares:
    """A mixed instances policy's distribution: `base` On-Demand instances, then `percent` of what is above."""

    base: int = 0
    percent: int = 100

    def on_demand(self, total: int) -> int:
        """On-Demand instances of `total`; a share is rounded up."""
        above = max(0, total - self.base)
        return min(total, self.base) + math.ceil(above * self.percent / 100)

    def market_for_next(self, present: Sequence[str]) -> str:
        """What the next instance beside `present` is bought as."""
        return ON_DEMAND if present.count(ON_DEMAND) < self.on_demand(len(present) + 1) else SPOT

    @property
    def spot(self) -> bool:
        """Whether Spot Instances can be asked for."""
        return self.percent < 100


def to_leave(instances: Sequence[Placed], count: int, policies: Sequence[str], shares: Shares) -> list[str]:
    """The `count` instances that scale-in takes; fewer where the others are protected.

    One at a time: from the zone with the most instances (unless it has only protected ones), then by the group's policies."""
    left, gone = list(instances), []
    for _ in range(count):
        free = [item for item in left if not item.protected]
        if not free:
            break
        zones = Counter(item.zone for item in left)
        fullest = max(zones[item.zone] for item in free)
        chosen = _by_policies([item for item in free if zones[item.zone] == fullest], left, policies, shares)
        left.remove(chosen)
        gone.append(chosen.id)
    return gone


def _by_policies(free: list[Placed], all_: Sequence[Placed], policies: Sequence[str], shares: Shares) -> Placed:
    on_demand = sum(item.market == ON_DEMAND for item in all_)
    surplus = ON_DEMAND if on_demand > shares.on_demand(len(all_) - 1) else SPOT
    for policy in policies or ("Default",):
        match policy:
            case "OldestInstance":
                return min(free, key=lambda item: item.launched)
            case "NewestInstance":
                return max(free, key=lambda item: item.launched)
            case "OldestLaunchTemplate" | "OldestLaunchConfiguration":
                oldest = min(item.version for item in free)
                free = [item for item in free if item.version == oldest]
            case "AllocationStrategy":
                free = [item for item in free if item.market == surplus] or free
            case _:
                free = [item for item in free if item.market == surplus] or free
                return min(free, key=lambda item: (item.version, item.launched))
    return min(free, key=lambda item: item.launched)


def warm_size(minimum: int, prepared: int | None, maximum: int, desired: int) -> int:
    """Instances that the warm pool is to hold. `prepared`: MaxGroupPreparedCapacity, None or -1 where the group's maximum
    counts; a minimum equal to it makes the size absolute."""
    most = maximum if prepared is None or prepared < 0 else prepared
    return max(minimum, most - desired, 0)
