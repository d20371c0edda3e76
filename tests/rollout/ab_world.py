"""The service of `rollout_world` with users: rules send them by variant, each is worth something once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from ab_specs import ASKED
from fakes import BLUE_TG, GREEN_TG, ClientError, Clock
from gateway_cloud import GatewayCloud
from rollout_world import CountedMetrics, TrackedCloud, World, router
from turnout_components.experiment_design import ExperimentDesign

from turnout.analysis.measurement import Moments
from turnout.metrics.provider import MetricsUnavailable, Place, Span

AB: dict[str, Any] = {"strategy": "ab", "experiment": {**ASKED, "split": {"control": 25, "candidate": 25}, "for": "14d"}}
BOTH = {"control": BLUE_TG, "candidate": GREEN_TG}


class Divided:
    """Of a cloud: who was sent where and when."""

    rules: list[tuple[datetime, dict[str, str]]]

    def sent_at(self, moment: datetime) -> Mapping[str, str]:
        """The rules at that time."""
        return next((rules for at, rules in reversed(self.rules) if at <= moment), {})

    def share(self, start: datetime, end: datetime) -> float:
        """With the users that rules send to the candidate: a quarter of all."""
        weighted: float = super().share(start, end)  # type: ignore[misc]
        return 0.25 if GREEN_TG in self.sent_at(start).values() else weighted

    @property
    def rules_put(self) -> list[dict[str, str]]:
        """The rules, in the order in which they came into force, each once."""
        found = [{}, *(rules for _, rules in self.rules)]
        return [rules for index, rules in enumerate(found) if index == 0 or rules != found[index - 1]]


class AbRoute(Divided, GatewayCloud):
    """On a route all rules are one write."""


class AbCloud(Divided, TrackedCloud):
    """On a listener. `half`: rules are made and deleted one by one, and the call fails in between."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.rules: list[tuple[datetime, dict[str, str]]] = []
        self.before_rules: Callable[[], None] = lambda: None
        self.half = False

    def put_variants(self, listener: str, targets: dict[str, str]) -> None:
        self.before_rules()
        if self.half:
            first = next(iter(targets))
            self.sent = {**self.sent, first: targets[first]}
            raise ClientError("Throttling")
        super().put_variants(listener, targets)
        self.rules.append((self._clock(), dict(self.sent)))

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:
        self.before_rules()
        if self.half and self.sent:
            self.sent = {variant: target for variant, target in self.sent.items() if target != first}
            raise ClientError("Throttling")
        found = super().clear_variants(listener, first, at_once=at_once)
        self.rules.append((self._clock(), {}))
        return found


class UserMetrics(CountedMetrics):
    """`worth`: the conversion rate by variant; `users`: of all variants in a minute, `lost` of the candidate's uncounted."""

    def __init__(self, cloud: AbCloud | AbRoute, rate: float) -> None:
        super().__init__(cloud, rate)
        self.cloud = cloud
        self.worth = {"control": 0.1, "candidate": 0.1}
        self.users, self.lost = 400, 0.0
        self.unknown = ""
        self.read_spans: list[Span] = []

    def variants(
        self, design: ExperimentDesign, places: Mapping[str, Place], spans: Sequence[Span]
    ) -> list[Mapping[str, Moments] | None]:
        if self.unknown:
            raise MetricsUnavailable(self.unknown)
        self.read_spans += spans
        assert {name: place.environment for name, place in places.items()} == design.environments("blue", "green")
        return [self.counted(design, span) for span in spans]

    def counted(self, design: ExperimentDesign, span: Span) -> Mapping[str, Moments]:
        """One span's users."""
        sent = self.cloud.sent_at(span.start)
        rng = np.random.default_rng(int(span.start.timestamp()) + 1)
        whole = sum(design.split.values())
        found = {}
        for name, share in design.split.items():
            kept = 1 - self.lost if name == "candidate" else 1.0
            users = int(rng.binomial(self.users, kept * share / whole)) if name in sent else 0
            bought = int(rng.binomial(users, self.worth.get(name, 0.1)))
            found[name] = Moments(users, bought, bought)
        return found


def ab_world(**changes: Any) -> "AbWorld":
    """A service with users."""
    return AbWorld(**{"rate": 3000, **changes})


class AbWorld(World):
    """`World` with rules and users."""

    cloud: AbCloud | AbRoute  # type: ignore[assignment]
    metrics: UserMetrics

    def __post_init__(self) -> None:
        super().__post_init__()
        self.metrics = UserMetrics(self.cloud, self.rate)

    def _cloud(self) -> AbCloud | AbRoute:
        return AbCloud(self.clock) if router.get() == "listener" else AbRoute(self.clock)

    @property
    def effects(self) -> list[tuple[Any, str]]:
        """Rules are effects too."""
        found = super().effects
        return (
            found if isinstance(self.cloud, AbRoute) else [*found, (self.cloud, "put_variants"), (self.cloud, "clear_variants")]
        )
