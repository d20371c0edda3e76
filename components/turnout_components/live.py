"""The switch's view of what is live: the protocols of a router and of workloads, and what is read from both together.

`live_alb` and `live_groups` implement them for EC2, `live_gateway` and `live_workloads` for Kubernetes; `platforms` puts a
platform's two together.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from turnout_components.standby import Launch, time_back


@dataclass(frozen=True)
class Group:
    """A workload: its bounds, its instances (or pods) in service, and how many boot or drain."""

    name: str
    minimum: int
    maximum: int
    desired: int
    in_service: frozenset[str]
    moving: int = 0

    @property
    def present(self) -> int:
        """Instances that take a place: in service, booting or draining."""
        return len(self.in_service) + self.moving


@dataclass(frozen=True)
class Target:
    """A target's health under AWS's names (`healthy`, `unhealthy`, `initial`, `draining`, `unused`)."""

    id: str
    state: str
    reason: str = ""


class TrafficRouter(Protocol):
    """What divides requests among environments: a listener with weights by target group, and rules past them."""

    @property
    def unfollowed(self) -> str:
        """What an operator is told where `set_weights` answers False."""

    def weights(self, listener: str) -> dict[str, int] | None:
        """Weight by target group; None when the listener is gone."""

    def is_sticky(self, listener: str) -> bool:
        """Whether clients are kept where they were first sent, whatever the weights."""

    def listener_of(self, target_groups: Collection[str]) -> str | None:
        """The listener that forwards to just these target groups, or None."""

    def set_weights(self, listener: str, weights: Mapping[str, int], *, at_once: bool = False) -> bool:
        """Puts these weights (by target group) in force and leaves the rest as it is; `at_once`: as it was read last, which
        saves a call. False: they are written, and `unfollowed` says why not every client follows them.

        Raises `LookupError` when the listener is gone."""

    def refusal(self, listener: str, *, wait: bool = False) -> str | None:
        """Why what stands at the listener is not in force; None where it is. `wait`: for who puts it in force, some time."""

    def variants(self, listener: str) -> dict[str, str]:
        """Target group by variant, where an experiment's rules send them past the weights."""

    def put_variants(self, listener: str, targets: Mapping[str, str]) -> None:
        """Sends these variants to their target groups past the weights, and no others anywhere.

        Raises `LookupError` when there is no room for the rules."""

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:
        """Takes an experiment's rules out, those to the target group `first` before the others; whether there were any.
        `at_once`: as they were read last, which saves a call."""

    def targets(self, target_group: str) -> list[Target]:
        """Every registered target with its health."""


class Workloads(Protocol):
    """What runs an environment's release: something with a size between bounds, named as the switch record names it."""

    def group(self, name: str) -> Group | None:
        """The workload of that name, or None."""

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        """Sets its minimum; a size or maximum below it follows. The maximum becomes `maximum` at least."""

    def hold(self, name: str, size: int) -> None:
        """Holds it at just this size. What is too much drains before it ends."""

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        """Lets what was held scale between these bounds again."""

    def restore(self, before: Group) -> None:
        """Gives it its minimum back, and its size where that is still the one that `set_minimum` raised."""

    def warm(self, name: str) -> int:
        """Prepared instances that wait beside it."""

    def launches(self, name: str) -> list[Launch]:
        """Its launches that are remembered, the newest first."""

    def coming(self, name: str) -> list[bool]:
        """The launches under way: whether each is of a prepared instance."""

    def failed_launch(self, name: str) -> str | None:
        """Why its newest launch failed; None where it did not, or is still under way."""


class LiveCloud(TrafficRouter, Workloads, Protocol):
    """A platform's whole view: what gate, rollback and rollouts work with."""


def shares(weights: Mapping[str, int]) -> dict[str, int]:
    """Relative weights (an ALB's 0–999) as percent, rounded so that they sum to 100; all 0 stays all 0."""
    total = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    exact = {key: 100 * weight / total for key, weight in weights.items()}
    rounded = {key: int(share) for key, share in exact.items()}
    for key in sorted(exact, key=lambda k: rounded[k] - exact[k])[: 100 - sum(rounded.values())]:
        rounded[key] += 1
    return rounded


def ready_targets(cloud: LiveCloud, target_group: str, group: str | None) -> tuple[int, list[Target]]:
    """How many targets are healthy and belong to the group that was made for the release; and all targets."""
    return ready_members(cloud, target_group, cloud.group(group) if group else None)


def ready_members(cloud: LiveCloud, target_group: str, group: Group | None) -> tuple[int, list[Target]]:
    """The same of a group that was looked up already; None: there is none."""
    targets = cloud.targets(target_group)
    members = group.in_service if group else frozenset()
    return sum(t.state == "healthy" and t.id in members for t in targets), targets


def insist(cloud: LiveCloud, listener: str, weights: Mapping[str, int]) -> bool:
    """Puts the weights in force again where others are found: a driver that was about to move traffic may have done so after
    they were put. Whether that was so; once the record says no to it, it stops there."""
    found = cloud.weights(listener)
    if found is None or shares(found) == shares(weights):
        return False
    cloud.set_weights(listener, weights)
    return True


def way_back(cloud: LiveCloud, group: str | None, missing: int) -> str:
    """How long it takes until `missing` more instances of the group serve, in words."""
    if group is None or missing <= 0:
        return time_back(missing, 0, [])
    coming = cloud.coming(group)
    warm = min(cloud.warm(group) + coming.count(True), missing - coming.count(False))
    return time_back(missing, max(warm, 0), cloud.launches(group))


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
