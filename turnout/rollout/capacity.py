"""Whether a candidate can have the nodes that it needs, before the first step: how many are missing, and why. Pure.

What AWS lets run is bounded by vCPUs, by purchase option and family of types; a Capacity Reservation's free places are already
counted there, a Capacity Block has places and an end. What is in a quota's way is said with the command that asks for more.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

BLOCK_ENDS_EARLY = timedelta(minutes=30)
"""EC2 begins to end a Capacity Block's instances so long before the block's end ("Use Capacity Blocks for machine learning
workloads", Amazon EC2 Auto Scaling User Guide)."""
LOW_SCORE = 5
"""Of 10. AWS names no threshold, and no score promises anything ("Spot placement score", Amazon EC2 User Guide)."""
TYPES_FOR_A_SCORE = 3
"""With fewer types a score is always low ("GetSpotPlacementScores", Amazon EC2 API Reference)."""


class Market(StrEnum):
    """How a node is paid for; each has its own quotas."""

    ON_DEMAND = "On-Demand"
    SPOT = "Spot"


@dataclass(frozen=True)
class QuotaName:
    """A quota of Service Quotas."""

    code: str
    name: str


_G = {
    Market.ON_DEMAND: QuotaName("L-DB2E81BA", "Running On-Demand G and VT instances"),
    Market.SPOT: QuotaName("L-3819A6DF", "All G and VT Spot Instance Requests"),
}
_ALL_P = QuotaName("L-417A185B", "Running On-Demand P instances")
_P2_TO_4 = {Market.ON_DEMAND: _ALL_P, Market.SPOT: QuotaName("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests")}
_P5 = {Market.ON_DEMAND: _ALL_P, Market.SPOT: QuotaName("L-C4BD4855", "All P5 Spot Instance Requests")}
_QUOTAS: tuple[tuple[str, Mapping[Market, QuotaName]], ...] = (
    (r"(g|gr|vt)\d", _G),
    (r"p[234]", _P2_TO_4),
    (r"p5", _P5),
    (r"p\d", {Market.ON_DEMAND: _ALL_P}),
)
"""By the beginning of a type's name ("Amazon EC2 instance type quotas", Amazon EC2 Instance Types): vCPUs, a region. The page
has no quota of Spot Instances for later P families."""


def quota_of(instance_type: str, market: Market) -> QuotaName | None:
    """The quota that a type's vCPUs count toward; None where none is known."""
    return next((names.get(market) for start, names in _QUOTAS if re.match(start, instance_type)), None)


@dataclass(frozen=True)
class Quota:
    """A quota that the pool's nodes count toward. `limit` and `used` are vCPUs in the region, `node` those of the largest type
    of the pool that counts here. `limit` None: it cannot be read, and `unread` says why."""

    of: QuotaName
    market: Market
    limit: float | None
    used: int
    node: int
    unread: str = ""

    @property
    def free(self) -> float:
        return max(0.0, (self.limit or 0.0) - self.used)


@dataclass(frozen=True)
class Reservation:
    """A Capacity Reservation or Capacity Block that the pool's nodes go to. `free`: places that are not taken."""

    id: str
    block: bool
    state: str
    free: int
    ends: datetime | None = None


@dataclass(frozen=True)
class Pool:
    """The candidate's pool. `serving`: its nodes that run or boot; `warm`: ready in its warm pool, of which those that are
    kept running (`warm_runs`) have their vCPUs already; `base` and `percent`: On-Demand nodes, and their share above;
    `score`: the Spot placement score from 1 to 10."""

    group: str
    serving: int
    maximum: int
    types: tuple[str, ...]
    quotas: tuple[Quota, ...]
    warm: int = 0
    warm_runs: bool = False
    base: int = 0
    percent: int = 100
    reservation: Reservation | None = None
    score: int | None = None
    unknown: tuple[str, ...] = ()
    """What could not be read, a line each."""

    def bought(self, market: Market, nodes: int) -> int:
        """Nodes of this market among so many; On-Demand's share is rounded up ("InstancesDistribution", Amazon EC2 Auto Scaling
        API Reference)."""
        on_demand = min(nodes, self.base) + math.ceil(max(0, nodes - self.base) * self.percent / 100)
        return on_demand if market is Market.ON_DEMAND else nodes - on_demand


@dataclass(frozen=True)
class Shortage:
    """With this in the way the candidate can have `possible` nodes. `said`: why, and what to do."""

    possible: int
    said: str


@dataclass(frozen=True)
class Capacity:
    """The answer. `unknown`: what could not be checked, which is not enough to refuse a rollout; `told`: what is good to
    know."""

    wanted: int
    shortages: tuple[Shortage, ...] = ()
    unknown: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def possible(self) -> int:
        """Nodes that the candidate can have."""
        return min([self.wanted, *(shortage.possible for shortage in self.shortages)])

    @property
    def missing(self) -> int:
        """Nodes that it cannot have."""
        return self.wanted - self.possible


def check(pool: Pool, wanted: int, now: datetime, lasts: timedelta, active_missing: int = 0) -> Capacity:
    """Whether the candidate can have `wanted` nodes for as long as the rollout `lasts`, while the active side starts
    `active_missing` nodes of the same kind to have its own number again."""
    shortages = [*_maximum(pool, wanted), *_reservation(pool, wanted, now, lasts)]
    in_block = pool.reservation is not None and pool.reservation.block
    for quota in () if in_block else pool.quotas:
        shortages += _quota(pool, quota, wanted, active_missing)
    unread = [f"{q.of.name} ({q.of.code}) cannot be read: {q.unread}" for q in pool.quotas if q.limit is None and not in_block]
    short = tuple(shortage for shortage in shortages if shortage.possible < wanted)
    return Capacity(wanted, short, (*pool.unknown, *unread), tuple(_told(pool, wanted)))


def _maximum(pool: Pool, wanted: int) -> Iterator[Shortage]:
    if wanted > pool.maximum:
        said = f"{pool.group} may have {pool.maximum} nodes and needs {wanted}: raise turnout:pool.maximum to {wanted} or more"
        yield Shortage(pool.maximum, said)


def _reservation(pool: Pool, wanted: int, now: datetime, lasts: timedelta) -> Iterator[Shortage]:
    """A block is all that its nodes can be in; from a reservation the group goes on with On-Demand
    ("CapacityReservationSpecification", Amazon EC2 Auto Scaling API Reference)."""
    held = pool.reservation
    if held is None:
        return
    kind = "Capacity Block" if held.block else "Capacity Reservation"
    if held.state != "active":
        fix = "put another id into the pool's capacity, or wait until it is active"
        if held.block:
            yield Shortage(pool.serving, f"{kind} {held.id} is {held.state} and not active: {fix}")
        return
    if not held.block:
        return
    if held.ends is not None and now + lasts > held.ends - BLOCK_ENDS_EARLY:
        last = held.ends - BLOCK_ENDS_EARLY
        said = (
            f"{kind} {held.id} ends its instances from {last:%Y-%m-%d %H:%M} UTC on and the rollout lasts until "
            f"{now + lasts:%Y-%m-%d %H:%M}: extend the block, or begin earlier"
        )
        yield Shortage(0, said)
    if pool.serving + held.free < wanted:
        said = (
            f"{kind} {held.id} has {held.free} free places and the candidate needs {wanted - pool.serving} more nodes: "
            "buy a larger block, or set max_surge and swap nodes"
        )
        yield Shortage(pool.serving + held.free, said)


def _quota(pool: Pool, quota: Quota, wanted: int, active_missing: int) -> Iterator[Shortage]:
    if quota.limit is None:
        return
    free = quota.free - quota.node * pool.bought(quota.market, active_missing)
    possible = next((n for n in range(wanted, pool.serving, -1) if _new(pool, quota, n) * quota.node <= free), pool.serving)
    new = _new(pool, quota, wanted)
    if possible >= wanted:
        return
    ask = math.ceil(quota.limit + new * quota.node - free)
    yield Shortage(
        possible,
        f"{quota.of.name} ({quota.of.code}): {max(0, free):g} of {quota.limit:g} vCPUs are free, and {new} nodes of "
        f"{quota.node} vCPUs need {new * quota.node}: ask for {ask} by `aws service-quotas request-service-quota-increase "
        f"--service-code ec2 --quota-code {quota.of.code} --desired-value {ask}`, or set max_surge and swap nodes",
    )


def _new(pool: Pool, quota: Quota, nodes: int) -> int:
    """Nodes that take more of the quota when the pool has `nodes`: without those that run warm, and those whose place in a
    reservation is counted already."""
    new = pool.bought(quota.market, nodes) - pool.bought(quota.market, pool.serving)
    if quota.market is Market.SPOT:
        return max(0, new)
    held = pool.reservation
    reserved = held.free if held is not None and held.state == "active" else 0
    return max(0, new - (pool.warm if pool.warm_runs else 0) - reserved)


def _told(pool: Pool, wanted: int) -> Iterator[str]:
    new = wanted - pool.serving
    if new > 0 and pool.warm:
        yield f"{min(new, pool.warm)} of {new} new nodes come from the warm pool"
    held = pool.reservation
    if held is not None and not held.block and held.state != "active":
        yield f"Capacity Reservation {held.id} is {held.state}: nodes are On-Demand without it"
    if pool.score is None or not pool.bought(Market.SPOT, wanted):
        return
    if 0 < len(pool.types) < TYPES_FOR_A_SCORE:
        few = f"with fewer than {TYPES_FOR_A_SCORE} types it is always low: name more types"
        yield f"Spot placement score {pool.score} of 10; {few}"
    elif pool.score < LOW_SCORE:
        yield f"Spot placement score {pool.score} of 10: Spot may not give them; name more types, or raise on_demand_base"
    else:
        yield f"Spot placement score {pool.score} of 10"
