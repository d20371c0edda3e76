"""What the AWS control plane holds that decides about traffic and processes, as plain frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Forward:
    """A forward action: weight by target group (its ARN), in the API's order. `sticky`: seconds for which a client stays with
    its target group; None where target group stickiness is off."""

    weights: tuple[tuple[str, int], ...]
    sticky: int | None = None

    @property
    def reached(self) -> tuple[str, ...]:
        """The target groups that requests can be sent to: a cookie leads to a group of weight 0 as well."""
        return tuple(arn for arn, weight in self.weights if weight or self.sticky is not None)


@dataclass(frozen=True)
class FixedResponse:
    """A fixed-response action."""

    status: int
    content_type: str
    body: str


@dataclass(frozen=True)
class Redirect:
    """A redirect action with the API's fields (`Protocol`, `Host`, `Port`, `Path`, `Query`, `StatusCode`)."""

    config: Mapping[str, str]


@dataclass(frozen=True)
class Unsupported:
    """An action or a condition that the local cloud does not act out; `what` names it."""

    what: str


Action = Forward | FixedResponse | Redirect | Unsupported


@dataclass(frozen=True)
class Rule:
    """A listener's rule; `conditions` in the API's shape; the default rule has none and comes last."""

    arn: str
    conditions: tuple[Mapping[str, Any], ...]
    action: Action


@dataclass(frozen=True)
class Listener:
    """A listener with its rules in order of priority."""

    arn: str
    port: int
    protocol: str
    rules: tuple[Rule, ...]

    @property
    def carried(self) -> bool:
        """Whether requests to it are carried: those of an application load balancer are, a network load balancer's are not."""
        return self.protocol in ("HTTP", "HTTPS")


@dataclass(frozen=True)
class Balancer:
    """A load balancer. `idle_timeout` in seconds."""

    arn: str
    name: str
    region: str
    idle_timeout: int
    listeners: tuple[Listener, ...]


@dataclass(frozen=True)
class Check:
    """A target group's health check; times in seconds; `matcher` as in the API ("200", "200-299", "200,204")."""

    path: str
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str


@dataclass(frozen=True)
class TargetGroup:
    """A target group. `targets`: registered instances, not terminated; `stopped`: those of them that do not run;
    `delay`: deregistration delay in seconds."""

    arn: str
    name: str
    region: str
    port: int
    check: Check
    delay: float
    algorithm: str
    targets: tuple[str, ...]
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Machine:
    """An instance of a group that exists, whatever its lifecycle state. `server`: what becomes of its model server (`run`,
    `keep`, `stop`); `waits`: the hooks that it waits for, each with its timeout in seconds."""

    id: str
    group: str
    region: str
    state: str
    server: str
    user_data: str
    waits: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Group:
    """An auto scaling group. `instances`: those in service, with their user data as text; `metrics`: those enabled; `machines`:
    all of its instances, with those that leave and its warm pool."""

    name: str
    region: str
    minimum: int
    maximum: int
    desired: int
    instances: Mapping[str, str]
    metrics: tuple[str, ...] = ()
    machines: tuple[Machine, ...] = ()


@dataclass(frozen=True)
class World:
    """Everything of one account, all regions."""

    balancers: tuple[Balancer, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    groups: tuple[Group, ...] = field(default=())

    def used(self) -> frozenset[str]:
        """ARNs of the target groups that a listener or rule forwards to; weight 0 counts as used."""
        return frozenset(
            arn
            for balancer in self.balancers
            for listener in balancer.listeners
            for rule in listener.rules
            if isinstance(rule.action, Forward)
            for arn, _ in rule.action.weights
        )

    def in_service(self) -> dict[str, Group]:
        """The group of each in-service instance."""
        return {instance: group for group in self.groups for instance in group.instances}

    def machines(self) -> dict[str, Machine]:
        """Every instance of every group by its id."""
        return {machine.id: machine for group in self.groups for machine in group.machines}
