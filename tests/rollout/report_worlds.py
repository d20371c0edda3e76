"""Rollouts to write reports of: promoted, taken back, with a gap in its measurements, and of a service with many windows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from rollout_world import Behaviour, World
from turnout_components.rollout_spec import Gate

from turnout.analysis.measurement import Count, Moments, Sample, Side, Window
from turnout.metrics.provider import Place, Reading, Span
from turnout.rollout.status import RolloutStatus, State

GATES = [
    {"name": "errors", "kind": "errors"},
    {"name": "latency", "kind": "latency"},
    {"name": "quality", "kind": "quality", "margin": 0.02, "metric": {"namespace": "Turnout", "name": "Quality"}},
    {"name": "budget", "kind": "burn", "critical": False},
    {"name": "health", "kind": "health"},
]
PLENTY = 2000.0
"""Requests a second with which every gate can tell."""


def with_response_times(world: World, silent: tuple[int, int] = (0, 0)) -> World:
    """The world's source also says p50 and p95; it knows nothing between the two of `silent` (seconds from now)."""
    inner, start = world.metrics.read, world.clock()

    def read(
        gates: Sequence[Gate], thresholds: Mapping[str, float], places: Mapping[Side, Place], spans: Sequence[Span]
    ) -> list[Mapping[Side, Reading]]:
        return [
            {} if silent[0] <= (span.start - start).total_seconds() < silent[1] else _timed(found, span)
            for span, found in zip(spans, inner(gates, thresholds, places, spans), strict=True)
        ]

    world.metrics.read = read  # type: ignore[method-assign]
    return world


def _timed(found: Mapping[Side, Reading], span: Span) -> Mapping[Side, Reading]:
    rng = np.random.default_rng(int(span.start.timestamp()) + 1)
    return {
        side: replace(reading, shown={"p50": 0.031 * rng.normal(1, 0.03), "p95": 0.083 * rng.normal(1, 0.06)})
        for side, reading in found.items()
        if reading.requests
    }


def promoted() -> RolloutStatus:
    """A canary with gates of every kind."""
    world = with_response_times(World(rate=PLENTY))
    return world.drive(world.controller(), world.start(strategy="canary", gates=GATES))


def taken_back() -> RolloutStatus:
    """A canary that begins to fail at its second weight."""
    world = with_response_times(World())
    rollout, controller = world.start(strategy="canary"), world.controller()
    while world.cloud.weights_put[-1] != 25:
        controller.tick(rollout)
        world.clock.sleep_now(10)
    world.metrics.candidate = Behaviour(errors=0.04)
    return world.drive(controller, rollout)


def with_a_gap() -> RolloutStatus:
    """A canary that is paused and resumed, and of which five minutes were not measured; it still runs."""
    world = with_response_times(World(rate=PLENTY), silent=(120, 420))
    rollout, controller = world.start(strategy="canary"), world.controller()
    world.drive(controller, rollout, seconds=300)
    for state, what in ((State.PAUSED, "paused"), (State.RUNNING, "resumed")):
        _told(world, rollout, state, what)
        world.drive(controller, rollout, seconds=200)
    return world.drive(controller, rollout, seconds=120)


def _told(world: World, rollout: str, state: State, what: str) -> None:
    world.rollouts.update(rollout, lambda s: s.changed(state=state).said(world.clock(), what, "by anna@ci-1"))


def just_begun() -> RolloutStatus:
    """Nothing was measured yet."""
    world = World()
    return world.rollouts.read(world.start(strategy="canary")).changed(windows=())


def silent() -> RolloutStatus:
    """A canary whose source of measurements falls silent for good."""
    world = World()
    rollout, controller = world.start(strategy="canary"), world.controller()
    world.drive(controller, rollout, seconds=250)
    world.metrics.unavailable = "Throttling: Rate exceeded"
    return world.drive(controller, rollout)


def long() -> RolloutStatus:
    """The promoted one, as if it had taken 20 hours: as many windows as a status keeps, the older ones merged."""
    status = promoted()
    weights = [0, *(shift.weight for shift in status.shifts)]
    rng = np.random.default_rng(1)
    for minute in range(1200):
        start = status.began + timedelta(minutes=minute)
        status = status.measured((_window(start, weights[minute * len(weights) // 1200], rng),))
    return status


def _window(start: datetime, weight: int, rng: np.random.Generator) -> Window:
    sizes = {Side.ACTIVE: 120 * (100 - weight), Side.CANDIDATE: 120 * weight}
    loaded = {side: n for side, n in sizes.items() if n}
    samples: dict[str, dict[Side, Sample]] = {}
    for side, n in loaded.items():
        for name, share in (("errors", 0.002), ("latency", 0.01), ("budget", 0.002)):
            samples.setdefault(name, {})[side] = Count(int(rng.binomial(n, share)), n)
        right = int(rng.binomial(n, 0.95))
        samples.setdefault("quality", {})[side] = Moments(n, right, right)
    shown = {name: {side: level * rng.normal(1, 0.05) for side in loaded} for name, level in (("p50", 0.03), ("p95", 0.08))}
    return Window(start, start + timedelta(minutes=1), weight, sizes, samples, shown)
