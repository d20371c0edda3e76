"""What the local cloud keeps beside moto's auto scaling groups: each instance's step, who leaves, the warm pool, activities."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState
from moto.ec2.models.instances import Instance

from turnout.cloud import lifecycle
from turnout.cloud.activities import Activity, Book
from turnout.cloud.lifecycle import Hook, Step
from turnout.cloud.placement import ON_DEMAND, SPOT, Placed, Shares


class Member(InstanceState):
    """An instance of a group or of its warm pool, with moto's members."""

    def __init__(
        self,
        instance: Instance,
        lifecycle_state: str = lifecycle.IN_SERVICE,
        health_status: str = "Healthy",
        protected_from_scale_in: bool | None = False,
        autoscaling_group: FakeAutoScalingGroup | None = None,
    ) -> None:
        self.step = Step(lifecycle_state, lifecycle.SERVICE)
        self.activity: Activity | None = None
        super().__init__(instance, lifecycle_state, health_status, protected_from_scale_in, autoscaling_group)
        template = getattr(autoscaling_group, "ec2_launch_template", None)
        self.version = int(template.get_version(autoscaling_group.launch_template_version).number) if template else 0  # type: ignore[union-attr]

    @property
    def lifecycle_state(self) -> str:
        """As the API says it."""
        return self.step.state

    @lifecycle_state.setter
    def lifecycle_state(self, state: str) -> None:
        self.step = Step(state, lifecycle.SERVICE)

    @property
    def launch_template(self) -> dict[str, Any] | None:
        """The template's version that the instance was launched with."""
        named: dict[str, Any] | None = super().launch_template
        return {**named, "Version": str(self.version)} if named and self.version else named

    def placed(self) -> Placed:
        """As the choice of who leaves sees it."""
        market = SPOT if self.instance.lifecycle == "spot" else ON_DEMAND
        launched = self.instance.launch_time.timestamp()
        return Placed(
            self.instance_id, str(self.availability_zone), market, self.version, launched, bool(self.protected_from_scale_in)
        )


@dataclass
class WarmPool:
    """A warm pool, with the API's members. `status`: `PendingDelete` while it is being deleted."""

    max_group_prepared_capacity: int | None
    min_size: int
    pool_state: str
    instance_reuse_policy: dict[str, bool] | None = None
    status: str | None = None

    @property
    def reused(self) -> bool:
        """Whether instances return to it on scale-in."""
        return bool((self.instance_reuse_policy or {}).get("ReuseOnScaleIn"))


@dataclass
class Fleet:
    """Beside a group's `instance_states` (launching, in service, on standby): who leaves, and the warm pool. `failures`:
    launches abandoned in a row, after which the next waits until `retry_at` on the clock of `Fleets`. `held`: its size is
    acted on later."""

    leaving: list[Member] = field(default_factory=list)
    warm: list[Member] = field(default_factory=list)
    why: str = ""
    failures: int = 0
    retry_at: float | None = None
    held: bool = False


_fleets: WeakKeyDictionary[FakeAutoScalingGroup, Fleet] = WeakKeyDictionary()
_books: dict[str, Book] = {}
_cause: ContextVar[str] = ContextVar("cause", default="")


def fleet_of(group: FakeAutoScalingGroup) -> Fleet:
    """What is kept beside the group."""
    return _fleets.setdefault(group, Fleet())


def book_of(region: str) -> Book:
    """The activities of a region's groups."""
    return _books.setdefault(region, Book())


@contextmanager
def because(cause: str) -> Iterator[None]:
    """Within it, changes of a group's size have this cause."""
    token = _cause.set(cause)
    try:
        yield
    finally:
        _cause.reset(token)


def cause_or(default: str) -> str:
    """The cause that `because` set."""
    return _cause.get() or default


def members(group: FakeAutoScalingGroup) -> list[Member]:
    """The instances that are the group's size, or will be."""
    return [state for state in group.instance_states if isinstance(state, Member)]


def everyone(group: FakeAutoScalingGroup) -> list[Member]:
    """The group's instances, those that leave, and the warm pool."""
    fleet = fleet_of(group)
    return [*members(group), *fleet.leaving, *fleet.warm]


def hooks_of(group: FakeAutoScalingGroup) -> list[Hook]:
    """The group's lifecycle hooks."""
    return [
        Hook(hook.name, str(hook.lifecycle_transition), float(hook.heartbeat_timeout), hook.default_result)
        for hook in group.autoscaling_backend.lifecycle_hooks.values()
        if hook.auto_scaling_group_name == group.name
    ]


def pool_of(group: FakeAutoScalingGroup) -> WarmPool | None:
    """The group's warm pool; None also while the group is being made."""
    pool: WarmPool | None = getattr(group, "warm_pool", None)
    return pool


def pool_state(group: FakeAutoScalingGroup) -> str:
    """What instances of the warm pool become; `Stopped` where there is none."""
    pool = pool_of(group)
    return pool.pool_state if pool is not None else "Stopped"


def shares_of(group: FakeAutoScalingGroup) -> Shares:
    """How the group's mixed instances policy divides On-Demand and Spot Instances."""
    distribution = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
    base, percent = distribution.get("OnDemandBaseCapacity"), distribution.get("OnDemandPercentageAboveBaseCapacity")
    return Shares(int(base or 0), 100 if percent is None else int(percent))


def suspended(group: FakeAutoScalingGroup, process: str) -> bool:
    """Whether the group's process is suspended."""
    return any(item["ProcessName"] == process for item in group.suspended_processes)
