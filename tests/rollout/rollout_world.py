"""A service with two environments in memory: a clock that somebody moves, a load balancer, requests that follow its weights,
and a source of measurements that counts them."""

# ruff: noqa: ARG002 -- a source of measurements takes what the protocol gives

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from fakes import BLUE_TG, GREEN_TG, LISTENER, Clock, FakeCloud, FakeDynamoDB, FakeStepDowns
from gateway_cloud import GatewayCloud
from turnout_components.items import DynamoItems
from turnout_components.rollout_spec import Gate, GateKind, RolloutSpec
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import EnvironmentState, Operator, RecordStore, SwitchRecord, Traffic

from turnout.analysis.measurement import Count, Moments, Sample, Side
from turnout.metrics.provider import MetricsUnavailable, Place, Reading, Span
from turnout.rollout.actions import RunSmokeTest
from turnout.rollout.controller import Controller, Tick
from turnout.rollout.start import Start, begin, prepare
from turnout.rollout.status import Event, RolloutStatus
from turnout.rollout.store import RolloutStore

OLD = "m-1@sha256:" + "1" * 64
NEW = "m-2@sha256:" + "2" * 64
ANNA = Operator(name="anna", host="ci-1", pid=1)
BERT = Operator(name="bert", host="ci-2", pid=2)


@dataclass
class Behaviour:
    """How a release answers: share that fails, share slower than the threshold, share that is right."""

    errors: float = 0.002
    slow: float = 0.01
    right: float = 0.95


class TrackedCloud(FakeCloud):
    """Remembers when which weights were put in force."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(listener_weights={BLUE_TG: 100, GREEN_TG: 0})
        self._clock = clock
        self.history: list[tuple[datetime, int]] = [(datetime.min.replace(tzinfo=clock.now.tzinfo), 0)]
        self.before_weights: Callable[[dict[str, int]], None] = lambda weights: None

    def set_weights(self, listener: str, weights: dict[str, int], *, at_once: bool = False) -> bool:
        self.before_weights(weights)
        followed = super().set_weights(listener, weights)
        self.history.append((self._clock(), weights[GREEN_TG]))
        return followed

    def share(self, start: datetime, end: datetime) -> float:
        """The candidate's mean share of a stretch of time, 0 to 1."""
        total = 0.0
        for index, (at, weight) in enumerate(self.history):
            until = self.history[index + 1][0] if index + 1 < len(self.history) else end
            total += weight / 100 * max(0.0, (min(until, end) - max(at, start)).total_seconds())
        return total / (end - start).total_seconds()

    @property
    def weights_put(self) -> list[int]:
        """The candidate's weights, in the order in which they came into force, each once."""
        found = [weight for _, weight in self.history]
        return [weight for index, weight in enumerate(found) if index == 0 or weight != found[index - 1]]


Cloud = TrackedCloud | GatewayCloud
ROUTERS = ("listener", "gateway")
"""What divides a world's requests: a load balancer's listener, or an HTTPRoute of Gateway API."""
router = ContextVar("router", default="listener")
"""That of the worlds that are made now; `conftest` sets it for the modules that name ROUTERS."""


class CountedMetrics:
    """Counts what the load balancer's weights sent where."""

    period = timedelta(seconds=60)
    delay = timedelta(seconds=60)

    def __init__(self, cloud: Cloud, rate: float) -> None:
        self._cloud = cloud
        self.rate = rate
        self.active = Behaviour()
        self.candidate = Behaviour()
        self.unavailable = ""
        self.known_until: datetime | None = None
        """The true time, where the driver's clock is wrong."""

    def missing(self, gates: Sequence[Gate], places: Mapping[Side, Place], since: datetime, now: datetime) -> list[str]:
        if self.unavailable:
            raise MetricsUnavailable(self.unavailable)
        return [f"{gate.name}: no such metric" for gate in gates if gate.metric and gate.metric.name == "Unknown"]

    def percentile(self, gate: Gate, place: Place, since: datetime, until: datetime) -> float | None:
        return 0.1 if self.rate else None

    def read(
        self, gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        if self.unavailable:
            raise MetricsUnavailable(self.unavailable)
        return [{} if self.known_until and span.end > self.known_until else self._span(gates, span) for span in spans]

    def _span(self, gates: Sequence[Gate], span: Span) -> Mapping[Side, Reading]:
        rng = np.random.default_rng(int(span.start.timestamp()))
        total = int(self.rate * self.period.total_seconds())
        share = self._cloud.share(span.start, span.end)
        sizes = {Side.CANDIDATE: round(total * share), Side.ACTIVE: total - round(total * share)}
        found = {}
        for side, behaviour in ((Side.ACTIVE, self.active), (Side.CANDIDATE, self.candidate)):
            n = sizes[side]
            samples: dict[str, Sample] = {}
            for gate in gates:
                if n and gate.kind is GateKind.QUALITY:
                    right = int(rng.binomial(n, behaviour.right))
                    samples[gate.name] = Moments(n, right, right)
                elif n:
                    bad = behaviour.slow if gate.kind is GateKind.LATENCY else behaviour.errors
                    samples[gate.name] = Count(int(rng.binomial(n, bad)), n)
            found[side] = Reading(n, samples)
        return found


@dataclass
class World:
    """One service. `rate`: requests a second."""

    rate: float = 200.0
    instances: int = 4
    clock: Clock = field(default_factory=Clock)
    told: list[str] = field(default_factory=list)
    alerts: list[Event] = field(default_factory=list)
    smoke: str = ""

    def __post_init__(self) -> None:
        self.dynamo = FakeDynamoDB()
        self.cloud: Cloud = self._cloud()
        self.metrics = CountedMetrics(self.cloud, self.rate)
        self.step_downs = FakeStepDowns()
        self.cloud.serve("g-blue", BLUE_TG, self.instances)
        self.cloud.serve("g-green", GREEN_TG, 1)
        self.cloud.on_set_minimum = self._grow
        self.records = RecordStore(DynamoItems(self.dynamo, "t"), "svc", "dev")
        self.rollouts = RolloutStore(DynamoItems(self.dynamo, "t"), "svc", "dev")
        environments = {
            "blue": EnvironmentState(target_group=BLUE_TG, group="g-blue", release=OLD),
            "green": EnvironmentState(target_group=GREEN_TG, group="g-green", release=NEW),
        }
        whole = Traffic.all_to("blue", ("blue", "green"))
        self.records.write(
            SwitchRecord(key="svc/dev", listener=LISTENER, traffic=whole, config_base=whole, environments=environments)
        )

    def _cloud(self) -> Cloud:
        return TrackedCloud(self.clock) if router.get() == "listener" else GatewayCloud(self.clock)

    @property
    def effects(self) -> list[tuple[Any, str]]:
        """The calls by which a driver changes workloads and traffic: a load balancer's API, or a cluster's."""
        if isinstance(self.cloud, GatewayCloud):
            return [(self.cloud.cluster, "patch")]
        return [(self.cloud, name) for name in ("set_weights", "set_minimum", "hold", "let_scale", "restore")]

    def _grow(self, name: str, minimum: int) -> None:
        target_group = BLUE_TG if name == "g-blue" else GREEN_TG
        group = self.cloud.groups[name]
        if not minimum <= len(group.in_service) <= group.maximum:
            self.cloud.serve(name, target_group, minimum, minimum=group.minimum, maximum=group.maximum)

    def start(self, operator: Operator = ANNA, **spec: Any) -> str:
        """Begins a rollout; its id."""
        start = Start(RolloutSpec.model_validate(spec), StandbyPolicy(bake=timedelta(minutes=5)), operator, self.clock)
        status = prepare(start, self.records, self.cloud, self.metrics)  # type: ignore[arg-type]
        return begin(status, self.rollouts, self.records, self.cloud).id  # type: ignore[arg-type]

    def controller(self, operator: Operator = ANNA, **changes: Any) -> Controller:
        """A new driver, with other parts where `changes` name them."""
        parts: dict[str, Any] = {
            "step_downs": self.step_downs,
            "alert": lambda status, event: self.alerts.append(event),
            "smoke": lambda status, test: self._smoke(test),
            "notify": self.told.append,
            "operator": operator,
            "clock": self.clock,
        }
        return Controller(self.rollouts, self.records, self.cloud, self.metrics, **{**parts, **changes})  # type: ignore[arg-type]

    def _smoke(self, test: RunSmokeTest) -> str:
        self.told.append(f"ran {test.command}")
        return self.smoke

    def drive(self, controller: Controller, rollout: str, seconds: float = 7200, every: float = 10) -> RolloutStatus:
        """Ticks until the rollout is over or the time is up."""
        end = self.clock() + timedelta(seconds=seconds)
        tick: Tick = controller.tick(rollout)
        while not tick.is_done and self.clock() < end:
            self.clock.sleep_now(every)
            tick = controller.tick(rollout)
        return tick.status

    def record(self) -> SwitchRecord:
        found = self.records.read()
        assert found is not None
        return found
