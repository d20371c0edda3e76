"""In-memory stand-ins for the seams of the switch: DynamoDB, the load balancer and auto scaling groups."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from turnout_components.live import Group, Target
from turnout_components.standby import Launch, StandbyPolicy
from turnout_components.switch_record import SwitchRecord

BLUE_TG, GREEN_TG, LISTENER = "arn:tg/blue", "arn:tg/green", "arn:listener/production"
START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


class ClientError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class FakeDynamoDB:
    """get_item and put_item with the two conditions that the store uses."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.before_put: Callable[[], None] | None = None
        self.missing = False

    def get_item(self, *, Key: Any, **_: Any) -> Any:
        if self.missing:
            raise ClientError("ResourceNotFoundException")
        item = self.items.get(Key["id"]["S"])
        return {"Item": item} if item else {}

    def put_item(self, *, Item: Any, ConditionExpression: str, ExpressionAttributeValues: Any = None, **_: Any) -> None:
        if self.before_put:
            act, self.before_put = self.before_put, None
            act()
        present = self.items.get(Item["id"]["S"])
        if ConditionExpression == "attribute_not_exists(id)":
            met = present is None
        else:
            met = present is not None and present["generation"] == ExpressionAttributeValues[":read"]
        if not met:
            raise ClientError("ConditionalCheckFailedException")
        self.items[Item["id"]["S"]] = Item


@dataclass
class FakeCloud:
    """What LiveCloud would find; `calls` tells the order of writes."""

    listener_weights: dict[str, int] | None = None
    groups: dict[str, Group] = field(default_factory=dict)
    health: dict[str, list[Target]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    warm_instances: dict[str, int] = field(default_factory=dict)
    past_launches: dict[str, list[Launch]] = field(default_factory=dict)
    under_way: dict[str, list[bool]] = field(default_factory=dict)
    """Launches under way: whether each comes from the warm pool."""
    failures: dict[str, str] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    """Target group by variant, where an experiment's rules stand."""
    on_set_minimum: Callable[[str, int], None] | None = None
    sticky: bool = False
    """Target group stickiness of the listener."""
    refuses: str | None = None
    """Why the router does not put in force what is written."""
    follows: bool = True
    """Whether AWS lets stickiness end with new weights."""

    def weights(self, listener: str) -> dict[str, int] | None:  # noqa: ARG002
        return self.listener_weights

    def listener_of(self, target_groups: list[str]) -> str | None:
        return LISTENER if self.listener_weights is not None and set(target_groups) == set(self.listener_weights) else None

    def set_weights(self, listener: str, weights: dict[str, int], *, at_once: bool = False) -> bool:  # noqa: ARG002
        self.calls.append(f"weights {dict(weights)}")
        self.listener_weights = dict(weights)
        return self.follows

    def is_sticky(self, listener: str) -> bool:  # noqa: ARG002
        return self.sticky

    @property
    def unfollowed(self) -> str:
        return "clients with a stickiness cookie may still go to the environment that was left"

    def refusal(self, listener: str, *, wait: bool = False) -> str | None:  # noqa: ARG002
        return self.refuses

    def variants(self, listener: str) -> dict[str, str]:  # noqa: ARG002
        return self.sent

    def put_variants(self, listener: str, targets: dict[str, str]) -> None:  # noqa: ARG002
        self.calls.append(f"put variants {dict(targets)}")
        self.sent = dict(targets)

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:  # noqa: ARG002
        if not self.sent:
            return False
        self.calls.append(f"clear variants, {first} first")
        self.sent = {}
        return True

    def group(self, name: str) -> Group | None:
        return self.groups.get(name)

    def warm(self, name: str) -> int:
        return self.warm_instances.get(name, 0)

    def failed_launch(self, name: str) -> str | None:
        return self.failures.get(name)

    def launches(self, name: str) -> list[Launch]:
        return self.past_launches.get(name, [])

    def coming(self, name: str) -> list[bool]:
        return self.under_way.get(name, [])

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        self.calls.append(f"minimum {name} {minimum}")
        group = self.groups[name]
        self.groups[name] = Group(name, minimum, max(group.maximum, maximum), max(group.desired, minimum), group.in_service)
        if self.on_set_minimum:
            self.on_set_minimum(name, minimum)

    def hold(self, name: str, size: int) -> None:
        self.calls.append(f"hold {name} {size}")
        group = self.groups[name]
        self.groups[name] = Group(name, size, size, size, group.in_service, group.moving)
        if self.on_set_minimum:
            self.on_set_minimum(name, size)

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        self.calls.append(f"let scale {name} {minimum} {maximum}")
        group = self.groups[name]
        self.groups[name] = Group(name, minimum, maximum, group.desired, group.in_service, group.moving)

    def restore(self, before: Group) -> None:
        self.calls.append(f"restore {before.name} {before.minimum}")
        self.groups[before.name] = before

    def targets(self, target_group: str) -> list[Target]:
        return self.health.get(target_group, [])

    def serve(
        self, name: str, target_group: str, count: int, *, minimum: int = 1, maximum: int = 10, state: str = "healthy"
    ) -> None:
        """`count` instances of the group in service, all with this target state."""
        ids = [f"i-{name}-{n}" for n in range(count)]
        self.groups[name] = Group(name, minimum, maximum, max(count, minimum), frozenset(ids))
        self.health[target_group] = [Target(i, state) for i in ids]


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.on_sleep: Callable[[], None] | None = None

    def __call__(self) -> datetime:
        return self.now

    def sleep_now(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.on_sleep:
            self.on_sleep()


class FakeStepDowns:
    """What a switch asks of the standby's step-downs; `fails` is raised instead."""

    role_arn = "arn:role/step-down"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: Exception | None = None

    def clear(self, group: str) -> None:
        self._call(f"clear {group}")

    def tend(self, record: SwitchRecord, policy: StandbyPolicy, *, due: bool = True) -> list[str]:
        self._call(f"tend {record.traffic} keep {policy.keep}{'' if due else ', not what is due'}")
        return ["g-blue becomes warm"]

    def _call(self, what: str) -> None:
        if self.fails:
            raise self.fails
        self.calls.append(what)
