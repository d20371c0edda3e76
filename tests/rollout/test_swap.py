"""Rollouts inside `max_surge`: at every effect there is room for the nodes and none carries too much, forth and back."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG
from rollout_world import ANNA, BERT, OLD, Behaviour, World
from turnout_components.switch_record import Traffic

from turnout.rollout.status import RolloutStatus, State

BLUE, GREEN = (Traffic.all_to(name, ("blue", "green")) for name in ("blue", "green"))
SPEC: dict[str, Any] = {"strategy": "canary", "steps": [10, 50, 100], "max_surge": 1}
EFFECTS = ("set_weights", "set_minimum", "hold", "let_scale", "restore")
SWAPPED = [0, 10, 27, 50, 55, 82, 100]
"""Four nodes and one beside them, at 1.1 times the load: 27 % on one node, 55 % on two, 82 % on three."""


class Killed(BaseException):
    """kill -9."""


def swapped(rate: float = 3000, bad: Behaviour | None = None, **changes: Any) -> tuple[World, str]:
    """A rollout of four nodes that has begun, whose every effect is looked at."""
    world = World(rate=rate)
    spec = {**SPEC, **changes}
    rollout = world.start(**spec)
    limited(world, spec)
    if bad is not None:
        world.metrics.candidate = bad
    return world, rollout


def limited(world: World, spec: dict[str, Any], at: int = -1, after: bool = False) -> Callable[[], int]:
    """After every effect: no more nodes than there is room for, none with too much. The at-th effect kills: before it
    happens, or just after."""
    numbers, made = count(), [0]

    def looked(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **kwargs: Any) -> Any:
            made[0], dies = made[0] + 1, next(numbers) == at
            if dies and not after:
                raise Killed
            result = act(*args, **kwargs)
            assert_limits(world, spec)
            if dies:
                raise Killed
            return result

        return acted

    for name in EFFECTS:
        setattr(world.cloud, name, looked(getattr(world.cloud, name)))
    world.dynamo.put_item = looked(world.dynamo.put_item)  # type: ignore[method-assign]
    return lambda: made[0]


def assert_limits(world: World, spec: dict[str, Any]) -> None:
    blue, green = (world.cloud.groups[name] for name in ("g-blue", "g-green"))
    assert blue.present + green.present <= world.instances + spec["max_surge"], "more nodes than there is room for"
    weights, limit = world.cloud.listener_weights, 100 * spec.get("surge_load", 1.1)
    assert weights is not None
    healthy = {arn: sum(t.state == "healthy" for t in world.cloud.targets(arn)) for arn in (BLUE_TG, GREEN_TG)}
    for arn, weight in weights.items():
        if healthy[GREEN_TG]:
            assert weight * world.instances <= healthy[arn] * limit + 1e-6, f"{arn} carries too much: {weights}, {healthy}"


def until_weight(world: World, rollout: str, weight: int) -> None:
    controller = world.controller()
    for _ in range(2000):
        if world.cloud.weights_put[-1] == weight:
            return
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


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bad", [None, Behaviour(errors=0.015)], ids=["good", "bad"])
def test_a_kill_at_every_effect_of_a_swap_changes_nothing_of_the_end(bad: Behaviour | None, after: bool) -> None:
    def story(at: int) -> tuple[World, RolloutStatus, int]:
        world = World(rate=3000)
        spec = {**SPEC, "steps": [60, 100]}
        rollout = world.start(**spec)
        made = limited(world, spec, at, after)
        world.metrics.candidate = bad or Behaviour()
        try:
            status = world.drive(world.controller(ANNA), rollout, every=30)
        except Killed:
            world.clock.sleep_now(3)
            status = world.drive(world.controller(BERT), rollout, every=30)
        return world, status, made()

    whole, ended, effects = story(-1)
    assert ended.state is (State.TAKEN_BACK if bad else State.PROMOTED), ended.cause
    for at in range(effects):
        world, status, _ = story(at)
        told = f"killed {'after' if after else 'before'} effect {at}"
        assert (status.state, world.cloud.weights_put) == (ended.state, whole.cloud.weights_put), f"{told}: {status.cause}"
        assert sizes(world) == sizes(whole), told
        found, wanted = world.record(), whole.record()
        assert (found.traffic, found.rollout, found.claim) == (wanted.traffic, None, None), told
        assert (found.unstable.keys(), found.floors.keys()) == (wanted.unstable.keys(), wanted.floors.keys()), told


def sizes(world: World) -> list[tuple[int, int, int, int]]:
    return [(len(g.in_service), g.minimum, g.maximum, g.desired) for g in world.cloud.groups.values()]
