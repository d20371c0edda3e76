"""Keeps auto scaling groups at their size: launches, takes from the warm pool, terminates, and leads every instance along its
way (`lifecycle`). All of it runs under `api_lock`; the daemon calls `progress`, the API the rest.

Sources: Amazon EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling instance lifecycle", "Decrease latency for applications
with long boot times using warm pools", "Use Elastic Load Balancing to distribute incoming application traffic in your Auto
Scaling group".
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from moto.autoscaling.models import FakeAutoScalingGroup, autoscaling_backends
from moto.elbv2.exceptions import InvalidTargetError, TargetGroupNotFoundError, TargetNotRunning

from turnout.cloud import activities, lifecycle, machines, placement
from turnout.cloud.activities import stamp
from turnout.cloud.fleet import (
    Member,
    book_of,
    everyone,
    fleet_of,
    hooks_of,
    members,
    pool_of,
    pool_state,
    shares_of,
    suspended,
)
from turnout.cloud.lifecycle import END, LAUNCHING, POOL, REUSE, SERVICE
from turnout.cloud.moto_state import ACCOUNT, api_lock
from turnout.cloud.world import Machine

_RETRY, _LONGEST_RETRY = 5.0, 300.0
"""Seconds before a launch is tried again after one that was abandoned; doubled each time. No page says what AWS waits."""
_DIFFERENCE = "in response to a difference between desired and actual capacity"


class Compute(Protocol):
    """What the groups ask of machines and balancers, by instance."""

    def machine_is_up(self, instance: str) -> bool:
        """Whether EC2 would call it running."""

    def has_ended(self, instance: str) -> bool:
        """Whether no server of it runs."""

    def is_held(self, instance: str) -> bool:
        """Whether a target group still has it, registered or draining."""


class Fleets:
    """All auto scaling groups of the account. `speed` divides what it waits before a launch is tried again; `clock`: monotonic
    seconds, for the hooks' timeouts; `wall`: for activities."""

    def __init__(
        self,
        compute: Compute,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._compute = compute
        self._speed = speed
        self._clock = clock
        self._wall = wall

    def now(self) -> datetime:
        """The time that activities are told with."""
        return self._wall()

    def resize(self, group: FakeAutoScalingGroup, desired: int, cause: str) -> None:
        """Sets the desired capacity and acts on it. `cause` completes "At <time> "."""
        before, group.desired_capacity = getattr(group, "desired_capacity", None) or 0, desired
        fleet_of(group).why = f"At {stamp(self._wall())} {cause} changing the desired capacity from {before} to {desired}.  "
        if not fleet_of(group).held:
            self.balance(group)

    def balance(self, group: FakeAutoScalingGroup) -> None:
        """Launches or terminates until the group and its warm pool have their size."""
        with api_lock:
            counted = [item for item in members(group) if item.lifecycle_state != lifecycle.STANDBY]
            missing = int(group.desired_capacity or 0) - len(counted)
            if missing > 0 and self._may_launch(group):
                self._grow(group, missing, len(counted))
            elif missing < 0 and not suspended(group, "Terminate"):
                self._shrink(group, counted, -missing)
            self._refill(group)

    def _may_launch(self, group: FakeAutoScalingGroup) -> bool:
        at = fleet_of(group).retry_at
        return not suspended(group, "Launch") and (at is None or self._clock() >= at)

    def _grow(self, group: FakeAutoScalingGroup, missing: int, size: int) -> None:
        fleet = fleet_of(group)
        cause = f"{fleet.why}At {stamp(self._wall())} an instance was started {_DIFFERENCE}, increasing the capacity from "
        cause += f"{size} to {size + missing}."
        ready = [item for item in fleet.warm if item.step.resting][:missing]
        for member in ready:
            fleet.warm.remove(member)
            group.instance_states.append(member)
            self._begin(group, member, "Launching a new EC2 instance from warm pool", cause)
            if member.instance.state == "stopped":
                member.instance.start()
                member.step = lifecycle.launching(SERVICE)
            else:
                self._launched(group, member)
        for _ in range(missing - len(ready)):
            protected = bool(group.new_instances_protected_from_scale_in)
            member = machines.launch(group, lifecycle.launching(SERVICE), protected)
            group.instance_states.append(member)
            self._begin(group, member, "Launching a new EC2 instance", cause)
            if machines.machine_seconds(group) == 0:
                self._launched(group, member)

    def _launched(self, group: FakeAutoScalingGroup, member: Member) -> None:
        """The machine runs: into the hooks or, without any, into service."""
        step = lifecycle.arrive(lifecycle.launching(SERVICE), hooks_of(group), self._clock(), _token)
        self._enter(group, member, lifecycle.settle(step, pool_state(group)))

    def _shrink(self, group: FakeAutoScalingGroup, counted: Sequence[Member], surplus: int) -> None:
        shares, policies = shares_of(group), group.termination_policies
        chosen = placement.to_leave([item.placed() for item in counted], surplus, policies, shares)
        size = len(counted)
        cause = f"{fleet_of(group).why}At {stamp(self._wall())} an instance was taken out of service {_DIFFERENCE}, "
        cause += f"shrinking the capacity from {size} to {size - len(chosen)}."
        pool = pool_of(group)
        reuse = pool is not None and pool.reused and pool.status is None
        for member in counted:
            if member.instance_id in chosen:
                selected = f"  At {stamp(self._wall())} instance {member.instance_id} was selected for termination."
                goal = REUSE if reuse and member.step.state == lifecycle.IN_SERVICE else END
                self.take_out(group, member, goal, cause + selected)

    def _refill(self, group: FakeAutoScalingGroup) -> None:
        pool = pool_of(group)
        if pool is None or pool.status is not None:
            return
        fleet = fleet_of(group)
        desired, maximum = int(group.desired_capacity or 0), int(group.max_size or 0)
        size = placement.warm_size(pool.min_size, pool.max_group_prepared_capacity, maximum, desired)
        returning = [item for item in fleet.leaving if item.step.goal == REUSE]
        missing = size - len(fleet.warm) - len(returning)
        now = stamp(self._wall())
        for _ in range(missing if self._may_launch(group) else 0):
            member = machines.launch(group, lifecycle.launching(POOL), protected=False)
            fleet.warm.append(member)
            cause = f"At {now} an instance was launched into the warm pool: it is to hold {size}."
            self._begin(group, member, "Launching a new EC2 instance into warm pool", cause)
        for member in fleet.warm[:] if missing < 0 else ():
            if missing < 0 and not suspended(group, "Terminate"):
                missing += 1
                cause = f"At {now} an instance was taken out of the warm pool: it is to hold {size}."
                self.take_out(group, member, END, cause)

    def take_out(self, group: FakeAutoScalingGroup, member: Member, goal: str, cause: str) -> activities.Activity:
        """Begins the end (or the way into the pool) of an instance of the group or its pool: the balancer lets go first."""
        fleet = fleet_of(group)
        for place in (group.instance_states, fleet.warm):
            if member in place:
                place.remove(member)
        _deregister(group, member)
        if member.activity is not None:
            member.activity.end(self._wall(), activities.CANCELLED)
        where = " from warm pool" if member.step.warm else ""
        member.step = lifecycle.leaving(member.step, goal)
        fleet.leaving.append(member)
        activity = self._begin(group, member, f"Terminating EC2 instance{where}", cause)
        activity.now_is(activities.DRAINING)
        return activity

    def lost(self, group: FakeAutoScalingGroup, instances: Sequence[str]) -> None:
        """Somebody terminated instances in EC2: they are replaced."""
        gone = [item for item in [*members(group), *fleet_of(group).warm] if item.instance_id in instances]
        now = stamp(self._wall())
        for member in gone:
            self.take_out(
                group, member, END, f"At {now} an instance was taken out of service in response to an EC2 health check."
            )
        if gone:
            fleet_of(group).why = ""
            self.balance(group)

    def remove(self, group: FakeAutoScalingGroup, *, pool_only: bool = False) -> None:
        """Ends instances at once, without hooks: a forced delete of the group, or of its warm pool."""
        fleet = fleet_of(group)
        for member in fleet.warm[:] if pool_only else everyone(group):
            _deregister(group, member)
            if member.instance.state != "terminated":
                group.ec2_backend.terminate_instances([member.instance_id])
            if member.activity is not None:
                member.activity.end(self._wall(), activities.CANCELLED)
        fleet.warm.clear()
        if not pool_only:
            group.instance_states, fleet.leaving = [], []

    def complete(self, group: FakeAutoScalingGroup, member: Member, hook: str, result: str) -> None:
        """A lifecycle action's result."""
        with api_lock:
            self._enter(group, member, lifecycle.complete(member.step, hook, result))
            self._advance(group, member)

    def beat(self, member: Member, hook: str) -> None:
        """A lifecycle action's heartbeat."""
        with api_lock:
            member.step = lifecycle.beat(member.step, hook, self._clock())

    def complete_for(self, machine: Machine, hook: str, result: str) -> None:
        """The node's result, where it still waits for the hook."""
        with api_lock:
            for group, member in _waiting(machine, hook):
                self.complete(group, member, hook, result)

    def beat_for(self, machine: Machine, hook: str) -> None:
        """The node's heartbeat, where it still waits for the hook."""
        with api_lock:
            for _, member in _waiting(machine, hook):
                self.beat(member, hook)

    def progress(self) -> bool:
        """Leads every instance as far as it can go now; whether one moved."""
        with api_lock:
            moved = False
            for backend in list(autoscaling_backends[ACCOUNT].values()):
                for group in list(backend.autoscaling_groups.values()):
                    before = [(item.instance_id, item.step.state) for item in everyone(group)]
                    for member in everyone(group):
                        self._advance(group, member)
                    _forget_pool(group)
                    self._retry(group)
                    moved |= before != [(item.instance_id, item.step.state) for item in everyone(group)]
            return moved

    def _retry(self, group: FakeAutoScalingGroup) -> None:
        fleet = fleet_of(group)
        if fleet.retry_at is not None and self._clock() >= fleet.retry_at:
            fleet.retry_at = None
            self.balance(group)

    def _advance(self, group: FakeAutoScalingGroup, member: Member) -> None:
        step, name, pool = member.step, member.instance_id, pool_of(group)
        if step.goal == REUSE and (pool is None or pool.status is not None):
            step = replace(step, goal=END)  # the pool that it was on its way to is gone
        terminated = member.instance.state == "terminated"
        if step.waiting:
            step = lifecycle.leaving(step) if terminated else lifecycle.expire(step, self._clock())
        elif step.transition is not None and not step.proceeds:
            ready = self._compute.machine_is_up(name) if step.transition == LAUNCHING else not self._compute.is_held(name)
            if ready:
                step = lifecycle.arrive(step, [] if terminated else hooks_of(group), self._clock(), _token)
        runs_on = step.transition == LAUNCHING and (step.goal == SERVICE or pool_state(group) == "Running")
        if step.proceeds and (runs_on or self._compute.has_ended(name)):
            step = lifecycle.settle(step, pool_state(group))
        self._enter(group, member, step)

    def _enter(self, group: FakeAutoScalingGroup, member: Member, step: lifecycle.Step) -> None:
        """Puts the instance at `step`, with what follows from it."""
        before, member.step = member.step, step
        if before.state == step.state or member.activity is None:
            return
        if before.transition == LAUNCHING and step.transition == lifecycle.TERMINATING:
            self._abandoned(group, member, before)
        elif step.waiting:
            member.activity.now_is(activities.WAITING)
        elif step.state == lifecycle.IN_SERVICE:
            member.activity.end(self._wall())
            fleet_of(group).failures = 0
            register(group)
        elif step.resting:
            if step.state != "Warmed:Running":
                member.instance.stop()
            member.activity.end(self._wall())
        elif step.transition is None or (before.goal == REUSE and step.goal == POOL):
            self._left(group, member)

    def _abandoned(self, group: FakeAutoScalingGroup, member: Member, before: lifecycle.Step) -> None:
        token = before.actions[0].token if before.actions else ""
        message = f"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was abandoned"
        if member.activity is not None:
            member.activity.end(self._wall(), activities.CANCELLED, message)
        member.step = before
        self.take_out(group, member, END, f"At {stamp(self._wall())} an instance's launch was abandoned by a lifecycle hook.")
        fleet = fleet_of(group)
        fleet.why, fleet.failures = "", fleet.failures + 1
        fleet.retry_at = self._clock() + min(_RETRY * 2 ** (fleet.failures - 1), _LONGEST_RETRY) / self._speed
        self.balance(group)

    def _left(self, group: FakeAutoScalingGroup, member: Member) -> None:
        fleet = fleet_of(group)
        fleet.leaving.remove(member)
        if member.activity is not None:
            member.activity.end(self._wall())
        if member.step.goal == POOL:
            fleet.warm.append(member)
            cause = f"At {stamp(self._wall())} an instance returned to the warm pool on scale-in."
            self._begin(group, member, "Launching a new EC2 instance into warm pool", cause)
        elif member.instance.state != "terminated":
            group.ec2_backend.terminate_instances([member.instance_id])

    def _begin(self, group: FakeAutoScalingGroup, member: Member, what: str, cause: str) -> activities.Activity:
        text = f"{what}: {member.instance_id}"
        member.activity = book_of(group.region).begin(group.name, group.arn, text, cause, self._wall())
        return member.activity


def _waiting(machine: Machine, hook: str) -> list[tuple[FakeAutoScalingGroup, Member]]:
    group = autoscaling_backends[ACCOUNT][machine.region].autoscaling_groups.get(machine.group)
    if group is None:
        return []
    found = [item for item in everyone(group) if item.instance_id == machine.id]
    return [(group, item) for item in found if any(action.hook.name == hook for action in item.step.actions)]


def register(group: FakeAutoScalingGroup) -> None:
    """Registers the instances in service, and only these, with the group's target groups."""
    backend = group.autoscaling_backend.elbv2_backend
    serving = [item for item in members(group) if item.lifecycle_state == lifecycle.IN_SERVICE]
    for arn in group.target_group_arns if serving and not suspended(group, "AddToLoadBalancer") else ():
        found = backend.target_groups.get(arn)
        targets = [{"Id": item.instance_id, "Port": found.port} for item in serving if found is not None]
        with contextlib.suppress(TargetGroupNotFoundError, TargetNotRunning):
            backend.register_targets(arn, targets)


def _deregister(group: FakeAutoScalingGroup, member: Member) -> None:
    for arn in group.target_group_arns:
        with contextlib.suppress(TargetGroupNotFoundError, InvalidTargetError):
            group.autoscaling_backend.elbv2_backend.deregister_targets(arn, [{"Id": member.instance_id}])


def _forget_pool(group: FakeAutoScalingGroup) -> None:
    """A warm pool that is being deleted is gone with its last instance."""
    fleet, pool = fleet_of(group), pool_of(group)
    if pool is not None and pool.status is not None and not any(m.step.warm for m in [*fleet.warm, *fleet.leaving]):
        group.warm_pool = None


def _token() -> str:
    return str(uuid.uuid4())
