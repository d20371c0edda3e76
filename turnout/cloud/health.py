"""Target states as an Application Load Balancer keeps them: a pure state machine, and the book of all targets.

Sources: "Health checks for Application Load Balancer target groups" (states, thresholds, reason codes) and "Edit target
group attributes for your Application Load Balancer" (deregistration delay), User Guide for Application Load Balancers;
`TargetHealth` in the Elastic Load Balancing API Reference.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from turnout.cloud.world import Check, TargetGroup, World

UNUSED, INITIAL, HEALTHY, UNHEALTHY, DRAINING = "unused", "initial", "healthy", "unhealthy", "draining"
_ROUTED = (INITIAL, HEALTHY, UNHEALTHY)
_QUIET_READINGS = 2
"""Readings without a request in flight before a draining target counts as drained: a request that was just handed to
the target shows up by the second."""


@dataclass(frozen=True)
class Answer:
    """What one health check met: an HTTP status, or `error` "timeout" or "connection"."""

    status: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Target:
    """A target's state with reason and description as DescribeTargetHealth gives them, and its run of results."""

    state: str
    reason: str | None = None
    description: str | None = None
    successes: int = 0
    failures: int = 0

    @staticmethod
    def registered() -> "Target":
        """Just registered with a target group that a listener uses."""
        return Target(INITIAL, "Elb.RegistrationInProgress", "Target registration is in progress")

    @staticmethod
    def unused() -> "Target":
        """Registered with a target group that no listener or rule uses: it is not checked."""
        description = "Target group is not configured to receive traffic from the load balancer"
        return Target(UNUSED, "Target.NotInUse", description)

    @staticmethod
    def stopped() -> "Target":
        """Its instance does not run."""
        return Target(UNUSED, "Target.InvalidState", "Target is in the stopped state")

    @staticmethod
    def draining() -> "Target":
        """Deregistered, with requests in flight."""
        return Target(DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")

    @staticmethod
    def not_registered() -> "Target":
        """Asked for by name and not in the target group."""
        return Target(UNUSED, "Target.NotRegistered", "Target is not registered to the target group")


def matches(matcher: str, status: int) -> bool:
    """Whether `status` is one of the matcher's codes ("200", "200,202", "200-299")."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if re.fullmatch(r"\d+", low) and int(low) <= status <= int(high or low):
            return True
    return False


def observe(target: Target, answer: Answer, check: Check) -> Target:
    """The target after one more check.

    A new target is healthy after one success; a healthy one unhealthy after `unhealthy_threshold` failures in a row,
    and an unhealthy one healthy after `healthy_threshold` successes in a row. Unused and draining ones do not change."""
    if target.state not in _ROUTED:
        return target
    if answer.status is not None and matches(check.matcher, answer.status):
        successes = target.successes + 1
        if target.state in (INITIAL, HEALTHY) or successes >= check.healthy_threshold:
            return Target(HEALTHY, successes=successes)
        return replace(target, successes=successes, failures=0)
    failures = target.failures + 1
    if target.state == UNHEALTHY or failures >= check.unhealthy_threshold:
        reason, description = _failure(answer)
        return Target(UNHEALTHY, reason, description, failures=failures)
    if target.state == INITIAL:
        return Target(INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress", failures=failures)
    return replace(target, successes=0, failures=failures)


def _failure(answer: Answer) -> tuple[str, str]:
    if answer.status is not None:
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{answer.status}]"
    if answer.error == "timeout":
        return "Target.Timeout", "Request timed out"
    return "Target.FailedHealthChecks", "Health checks failed"


Key = tuple[str, str]
"""Target group ARN and instance id."""


@dataclass
class _Drain:
    deadline: float
    quiet: int = 0


@dataclass
class HealthBook:
    """Every target's state. Thread-safe. `clock`: monotonic seconds; `speed` divides the deregistration delay."""

    clock: Callable[[], float] = time.monotonic
    speed: float = 1.0
    _targets: dict[Key, Target] = field(default_factory=dict)
    _drains: dict[Key, _Drain] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def sync(self, world: World) -> None:
        """Takes up who is registered now: new targets begin, those that left drain or are forgotten."""
        used = world.used()
        with self._lock:
            groups = {group.arn: group for group in world.target_groups}
            for key in [key for key in self._targets if key[1] not in _registered(groups.get(key[0]))]:
                self._leave(key, groups.get(key[0]), used)
            for group in world.target_groups:
                for instance in group.targets:
                    self._enter((group.arn, instance), group, group.arn in used)

    def _enter(self, key: Key, group: TargetGroup, used: bool) -> None:
        self._drains.pop(key, None)
        held = self._targets.get(key)
        if key[1] in group.stopped:
            self._targets[key] = Target.stopped()
        elif not used:
            self._targets[key] = Target.unused()
        elif held is None or held.state not in _ROUTED:
            self._targets[key] = Target.registered()

    def _leave(self, key: Key, group: TargetGroup | None, used: frozenset[str]) -> None:
        routed = self._targets[key].state in _ROUTED
        if group is not None and group.arn in used and (routed or key in self._drains):
            self._targets[key] = Target.draining()
            self._drains.setdefault(key, _Drain(self.clock() + group.delay / self.speed))
        else:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        self._targets.pop(key, None)
        self._drains.pop(key, None)

    def record(self, key: Key, answer: Answer, check: Check) -> bool:
        """Enters a check's result; whether the target's state changed by it."""
        with self._lock:
            held = self._targets.get(key)
            if held is None:
                return False
            self._targets[key] = observe(held, answer, check)
            return self._targets[key].state != held.state

    def progress(self, in_flight: Mapping[Key, int]) -> bool:
        """Ends the drains that are over: no request in flight, or the delay has passed. Whether one ended.

        `in_flight` holds the targets whose requests could be read: Envoy has taken up that they drain."""
        with self._lock:
            ended = [key for key, drain in self._drains.items() if self._is_over(key, drain, in_flight)]
            for key in ended:
                self._forget(key)
            return bool(ended)

    def _is_over(self, key: Key, drain: _Drain, in_flight: Mapping[Key, int]) -> bool:
        if key in in_flight:
            drain.quiet = 0 if in_flight[key] else drain.quiet + 1
        return drain.quiet >= _QUIET_READINGS or self.clock() >= drain.deadline

    def draining(self) -> frozenset[Key]:
        """The targets that drain."""
        with self._lock:
            return frozenset(self._drains)

    def of_group(self, arn: str) -> dict[str, Target]:
        """The states of a target group's targets by instance, draining ones included."""
        with self._lock:
            return {instance: target for (group, instance), target in self._targets.items() if group == arn}

    def is_held(self, instance: str) -> bool:
        """Whether a target group still has the instance, registered or draining."""
        with self._lock:
            return any(key[1] == instance for key in self._targets)


def _registered(group: TargetGroup | None) -> tuple[str, ...]:
    return () if group is None else group.targets


def serving(states: Mapping[str, str]) -> frozenset[str]:
    """The targets of one group that get requests.

    Healthy ones if there are any; otherwise, if some are unhealthy, the load balancer fails open to all registered ones
    ("If a target group contains only unhealthy registered targets, the load balancer routes requests to all those
    targets"). While all are still `initial`, none: "Before a target can receive requests from the load balancer, that
    target must pass initial health checks" (AWS re:Post, "How do I troubleshoot and fix failing health checks for
    Application Load Balancers?")."""
    healthy = frozenset(name for name, state in states.items() if state == HEALTHY)
    if healthy or UNHEALTHY not in states.values():
        return healthy
    return frozenset(name for name, state in states.items() if state in _ROUTED)
