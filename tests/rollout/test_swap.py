"""Rollouts inside `max_surge`: at every effect there is room for the nodes and none carries too much, forth and back."""

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG
from kills import SWEEPS, Effects, spread, through
from pydantic import ValidationError
from rollout_world import ANNA, BERT, NEW, OLD, Behaviour, World
from turnout_components.gate import observe
from turnout_components.resolve import EnvironmentConfig, Size, SwitchConfig, SwitchRefused, resolve
from turnout_components.rollback import rollback
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.switch_record import Traffic

from turnout.rollout.controller import Controller
from turnout.rollout.status import RolloutStatus, State

BLUE, GREEN = (Traffic.all_to(name, ("blue", "green")) for name in ("blue", "green"))
SPEC: dict[str, Any] = {"strategy": "canary", "steps": [10, 50, 100], "max_surge": 1}
EFFECTS = ("set_weights", "set_minimum", "hold", "let_scale", "restore")
SWAPPED = [0, 10, 27, 50, 55, 82, 100]
"""Four nodes and one beside them, at 1.1 times the load: 27 % on one node, 55 % on two, 82 % on three."""


class SlowNodes:
    """Nodes that boot for a minute and drain for twenty seconds, as the world's clock moves."""

    def __init__(self, world: World) -> None:
        self._world, self._due = world, list[tuple[datetime, str, int]]()
        self.boots = 60.0
        world.cloud.on_set_minimum = self._resize
        world.clock.on_sleep = self._pass

    def _resize(self, name: str, size: int) -> None:
        group = self._world.cloud.groups[name]
        serving = min(len(group.in_service), group.maximum)
        booting = [each for each in self._due if each[1] == name and each[2] > 0]
        drained, coming = len(group.in_service) - serving, size - serving - len(booting)
        for given_up in booting[: max(0, -coming)]:
            self._due.remove(given_up)
        self._serve(name, serving, drained + coming)
        self._due += [(self._world.clock() + timedelta(seconds=20), name, -1)] * drained
        self._due += [(self._world.clock() + timedelta(seconds=self.boots), name, 1)] * coming

    def _pass(self) -> None:
        for due in [each for each in self._due if each[0] <= self._world.clock()]:
            self._due.remove(due)
            serving = len(self._world.cloud.groups[due[1]].in_service)
            self._serve(due[1], serving + max(due[2], 0), -1)

    def _serve(self, name: str, serving: int, moving: int) -> None:
        group = self._world.cloud.groups[name]
        tg = BLUE_TG if name == "g-blue" else GREEN_TG
        self._world.cloud.serve(name, tg, serving, minimum=group.minimum, maximum=group.maximum)
        made = self._world.cloud.groups[name]
        self._world.cloud.groups[name] = replace(made, desired=group.desired, moving=group.moving + moving)


def swapped(slow: bool = False, limits: bool = True, **changes: Any) -> tuple[World, str]:
    """A rollout of four nodes that has begun. `slow`: nodes boot and drain; `limits`: every effect is looked at."""
    world = World(rate=3000)
    spec = {**SPEC, **changes}
    rollout = world.start(**spec)
    if slow:
        SlowNodes(world)
    if limits:
        limited(world, spec)
    return world, rollout


def limited(world: World, spec: dict[str, Any]) -> None:
    """After every effect: no more nodes than there is room for, none with too much."""

    def looked(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **kwargs: Any) -> Any:
            result = act(*args, **kwargs)
            assert_limits(world, spec)
            return result

        return acted

    for name in EFFECTS:
        setattr(world.cloud, name, looked(getattr(world.cloud, name)))
    world.dynamo.put_item = looked(world.dynamo.put_item)  # type: ignore[method-assign]


def assert_limits(world: World, spec: dict[str, Any]) -> None:
    blue, green = (world.cloud.groups[name] for name in ("g-blue", "g-green"))
    assert blue.present + green.present <= world.instances + spec["max_surge"], "more nodes than there is room for"
    weights, limit = world.cloud.listener_weights, 100 * spec.get("surge_load", 1.1)
    assert weights is not None
    healthy = {arn: sum(t.state == "healthy" for t in world.cloud.targets(arn)) for arn in (BLUE_TG, GREEN_TG)}
    for arn, weight in weights.items():
        if healthy[GREEN_TG]:
            assert weight * world.instances <= healthy[arn] * limit + 1e-6, f"{arn} carries too much: {weights}, {healthy}"


def until_weight(world: World, rollout: str, weight: int, controller: Controller | None = None) -> Controller:
    """Drives until the candidate has this weight; the driver."""
    controller = controller or world.controller()
    for _ in range(2000):
        if world.cloud.weights_put[-1] == weight:
            return controller
        controller.tick(rollout)
        world.clock.sleep_now(10)
    raise AssertionError(f"never at {weight} %: {world.cloud.weights_put}")


def test_nodes_are_swapped_as_weight_moves_and_the_release_is_promoted() -> None:
    world, rollout = swapped()
    status = world.drive(world.controller(), rollout)
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == SWAPPED
    blue, green = world.cloud.groups["g-blue"], world.cloud.groups["g-green"]
    assert (len(green.in_service), green.minimum, green.maximum) == (4, 4, 10)
    assert (len(blue.in_service), blue.minimum, blue.maximum) == (1, 1, 10)
    record = world.record()
    assert record.traffic == GREEN
    assert record.retained is not None
    assert (record.retained.release, record.retained.minimum, record.retained.held) == (OLD, 4, 1)
    assert {name: floor.whole for name, floor in record.floors.items()} == {"green": None}


def test_weights_of_the_plan_are_baked_and_those_between_them_are_not() -> None:
    world, rollout = swapped()
    world.drive(world.controller(), rollout)
    times = {weight: at for at, weight in world.cloud.history}
    assert times[27] - times[10] >= timedelta(minutes=5)
    assert times[55] - times[50] >= timedelta(minutes=5)
    assert times[50] - times[27] < timedelta(minutes=1)
    assert times[100] - times[55] < timedelta(minutes=1)


@SWEEPS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bad", [None, Behaviour(errors=0.015)], ids=["good", "bad"])
def test_a_kill_at_every_effect_of_a_swap_changes_nothing_of_the_end(bad: Behaviour | None, after: bool, of: int) -> None:
    def story(at: int) -> tuple[World, RolloutStatus, Effects]:
        world = World(rate=3000)
        spec = {**SPEC, "steps": [60, 100]}
        rollout = world.start(**spec)
        limited(world, spec)
        effects = Effects(world, at, after=after)
        world.metrics.candidate = bad or Behaviour()
        drivers = [functools.partial(world.drive, world.controller(who), rollout, every=30) for who in (ANNA, BERT)]
        return world, through(world, effects, *drivers), effects

    whole, ended, effects = story(-1)
    assert ended.state is (State.TAKEN_BACK if bad else State.PROMOTED), ended.cause
    for at in spread(effects.distinct, of, after=after):
        world, status, _ = story(at)
        told = f"killed {'after' if after else 'before'} effect {at}"
        assert (status.state, world.cloud.weights_put) == (ended.state, whole.cloud.weights_put), f"{told}: {status.cause}"
        assert sizes(world) == sizes(whole), told
        found, wanted = world.record(), whole.record()
        assert (found.traffic, found.rollout, found.claim) == (wanted.traffic, None, None), told
        assert (found.unstable.keys(), found.floors.keys()) == (wanted.unstable.keys(), wanted.floors.keys()), told


def sizes(world: World) -> list[tuple[int, int, int, int]]:
    return [(len(g.in_service), g.minimum, g.maximum, g.desired) for g in world.cloud.groups.values()]


def weights_and_nodes(world: World) -> list[tuple[int, int, int]]:
    """The candidate's weight and both sides' nodes in service, as they change while a test drives."""
    blue, green = (len(world.cloud.groups[name].in_service) for name in ("g-blue", "g-green"))
    return [(world.cloud.weights_put[-1], blue, green)]


Seen = list[tuple[int, int, int]]


def seen_back(world: World, rollout: str, controller: Controller | None = None) -> tuple[RolloutStatus, Seen]:
    """Drives to the end; what was seen after each look, each once."""
    controller, found = controller or world.controller(), Seen()
    for _ in range(2000):
        tick = controller.tick(rollout)
        found += [now for now in weights_and_nodes(world) if now not in found[-1:]]
        if tick.is_done:
            return tick.status, found
        world.clock.sleep_now(10)
    raise AssertionError(f"it never ends: {found[-3:]}")


def test_boots_and_drains_are_waited_for() -> None:
    world, rollout = swapped(slow=True)
    status, seen = seen_back(world, rollout)
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == SWAPPED
    assert (27, 3, 1) in seen
    times = {weight: at for at, weight in world.cloud.history}
    assert times[50] - times[27] >= timedelta(seconds=80), "20 s to drain, then 60 s to boot"


def test_a_bad_one_goes_back_at_once_as_far_as_nodes_carry_and_then_as_they_boot() -> None:
    world, rollout = swapped(slow=True)
    controller = until_weight(world, rollout, 82)
    world.metrics.candidate = Behaviour(errors=0.3)
    world.metrics.active = Behaviour(errors=0.002)
    while not world.rollouts.read(rollout).back_since:
        controller.tick(rollout)
        world.clock.sleep_now(10)
    stable = len(world.cloud.groups["g-blue"].in_service)
    assert world.cloud.weights_put[-1] == max(0, 100 - int(stable * 27.5)) > 0
    step = world.rollouts.read(rollout).step
    status, seen = seen_back(world, rollout, controller)
    assert status.step == step, "a way back finishes no step"
    assert status.state is State.TAKEN_BACK
    assert status.unstable
    assert "errors" in status.cause
    back = [weight for weight, _, _ in seen]
    assert back == sorted(back, reverse=True)
    assert back[-1] == 0
    world.clock.sleep_now(120)
    assert weights_and_nodes(world) == [(0, 4, 1)]
    assert sizes(world) == [(4, 4, 10, 4), (1, 1, 10, 1)]
    record = world.record()
    assert (record.traffic, record.rollout) == (BLUE, None)
    assert NEW in {mark.release for mark in record.unstable.values()}
    assert [event.what for event in world.alerts] == ["traffic goes back to blue", "all traffic is back at blue"]


def test_no_node_is_given_up_while_another_of_its_side_is_sick() -> None:
    world, rollout = swapped(limits=False)
    controller = until_weight(world, rollout, 10)
    world.cloud.health[BLUE_TG][0] = replace(world.cloud.health[BLUE_TG][0], state="unhealthy")
    status = world.drive(controller, rollout, seconds=1500)
    assert (world.cloud.weights_put[-1], len(world.cloud.groups["g-blue"].in_service)) == (27, 4), status.cause
    assert "3 of 4 healthy targets of blue" in controller.tick(rollout).waits


def test_while_the_stable_side_has_all_its_nodes_traffic_goes_back_whole() -> None:
    world, rollout = swapped(slow=True, steps=[20, 100])
    world.metrics.candidate = Behaviour(errors=0.1)
    status = world.drive(world.controller(), rollout)
    assert status.state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 20, 0]
    assert [event.what for event in world.alerts] == ["traffic goes back to blue"]


def test_a_candidate_that_fails_altogether_keeps_nothing() -> None:
    world, rollout = swapped(slow=True, limits=False)
    controller = until_weight(world, rollout, 55)
    world.cloud.health[GREEN_TG] = [replace(target, state="unhealthy") for target in world.cloud.health[GREEN_TG]]
    controller.tick(rollout)
    assert world.cloud.weights_put[-1] == 0
    assert "health" in world.rollouts.read(rollout).cause


def test_an_abort_gives_back_what_nodes_carry_before_it_writes() -> None:
    world, rollout = swapped(slow=True)
    until_weight(world, rollout, 55)
    order: list[str] = []
    world.cloud.before_weights = lambda weights: order.append(f"weights {weights[GREEN_TG]}")
    world.dynamo.before_put = lambda: order.append("store")
    status = world.controller().abort(rollout, "enough")
    stable = len(world.cloud.groups["g-blue"].in_service)
    assert order[:2] == [f"weights {100 - int(stable * 27.5)}", "store"]
    assert not status.state.is_over
    assert "aborted" in status.cause
    status, _ = seen_back(world, rollout)
    assert status.state is State.TAKEN_BACK
    assert not status.unstable
    assert world.record().traffic == BLUE


def test_while_the_store_is_away_what_nodes_carry_goes_back() -> None:
    world, rollout = swapped(slow=True)
    controller = until_weight(world, rollout, 50)
    controller.tick(rollout)
    world.metrics.candidate = Behaviour(errors=0.3)
    stable = len(world.cloud.groups["g-blue"].in_service)
    for _ in range(60):
        if world.cloud.weights_put[-1] != 50:
            break
        world.clock.sleep_now(5)
        if controller.tick(rollout).status.back_since:
            raise AssertionError("went back with the store: make it fail earlier")
        world.clock.sleep_now(5)
        world.dynamo.missing = True
        with pytest.raises(Exception, match="table"):
            controller.tick(rollout)
        world.dynamo.missing = False
    assert world.cloud.weights_put[-1] == 100 - int(stable * 27.5)


def test_a_rollback_by_hand_is_refused_where_it_would_overload_and_done_now_when_told() -> None:
    world, rollout = swapped(slow=True, limits=False)
    controller = until_weight(world, rollout, 55)
    with pytest.raises(SwitchRefused, match=r"of 4: it gave the others up.*turnout rollout abort.*--now"):
        rollback(world.records, world.cloud, operator=ANNA, clock=world.clock)  # type: ignore[arg-type]
    assert world.cloud.weights_put[-1] == 55
    rollback(world.records, world.cloud, operator=ANNA, clock=world.clock, now_at_any_size=True)  # type: ignore[arg-type]
    assert world.cloud.weights_put[-1] == 0
    world.clock.sleep_now(120)
    assert [(size[0], size[3]) for size in sizes(world)] == [(4, 4), (1, 1)]
    assert world.record().floors["blue"].minimum == 4
    assert controller.tick(rollout).status.state is State.TAKEN_BACK


def test_an_update_in_the_middle_keeps_what_the_stage_says() -> None:
    world, rollout = swapped(slow=True)
    controller = until_weight(world, rollout, 27)
    world.drive(controller, rollout, seconds=30)
    record = world.record()
    config = SwitchConfig(BLUE, {"blue": EnvironmentConfig(OLD, 4, 10), "green": EnvironmentConfig(NEW, 1, 10)})
    decision = resolve(config, record, observe(world.cloud, record), world.clock())  # type: ignore[arg-type]
    assert not decision.moves
    held = {name: world.cloud.groups[f"g-{name}"].minimum for name in ("blue", "green")}
    assert decision.sizes == {name: Size(size, size) for name, size in held.items()}
    assert held["blue"] < 4
    until_weight(world, rollout, 100, controller)
    record = world.record()
    decision = resolve(config, record, observe(world.cloud, record), world.clock())  # type: ignore[arg-type]
    assert decision.sizes == {"blue": Size(1, 1), "green": Size(4, 4)}


def test_what_cannot_be_swapped_does_not_begin() -> None:
    world = World(instances=7)
    with pytest.raises(SwitchRefused, match=r"turnout:rollout\.max_surge: 7 nodes cannot be swapped.*max_surge: 2"):
        world.start(**{**SPEC, "surge_load": 1.0})
    world.cloud.serve("g-green", GREEN_TG, 3)
    with pytest.raises(SwitchRefused, match="green has 3 nodes and max_surge leaves room for 1"):
        world.start(**SPEC)
    world.cloud.serve("g-green", GREEN_TG, 1, maximum=6)
    with pytest.raises(SwitchRefused, match=r"turnout:pool\.maximum to 7"):
        world.start(**SPEC)
    world.cloud.serve("g-green", GREEN_TG, 1)
    world.cloud.groups["g-blue"] = replace(world.cloud.groups["g-blue"], desired=8)
    with pytest.raises(SwitchRefused, match="7 of 8 nodes serve"):
        world.start(**SPEC)
    assert world.record().rollout is None
    assert not world.cloud.calls


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"strategy": "shadow", "steps": []}, "below 100"),
        ({"strategy": "recreate", "steps": []}, "below 100"),
        ({"steps": [{"mirror": 50}, 100]}, "mirror"),
        ({"steps": [{"approve": "look"}, 100], "max_surge": 0}, "max_surge 0"),
        ({"headroom": 1.5}, "headroom"),
    ],
)
def test_a_strategy_that_cannot_be_swapped_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RolloutSpec.model_validate({**SPEC, **changes})
