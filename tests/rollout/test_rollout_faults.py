"""Drivers that are killed, stopped and doubled; a store, a load balancer and a source of measurements that fail."""

import functools
import random
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG, ClientError
from gateway_cloud import GatewayCloud
from kills import SWEEPS, Effects, Killed, spread, through
from rollout_world import ANNA, BERT, Behaviour, World
from turnout_components.cluster_api import ClusterError
from turnout_components.gate import observe
from turnout_components.live_gateway import ACCEPT_WITHIN, POLL
from turnout_components.resolve import EnvironmentConfig, SwitchConfig, resolve
from turnout_components.rollback import rollback
from turnout_components.switch_record import Claim, Traffic

from turnout.rollout.controller import Controller
from turnout.rollout.status import LEASE, RolloutStatus, State

ROUTERS = ("listener", "gateway")

BLUE = Traffic.all_to("blue", ("blue", "green"))
GREEN = Traffic.all_to("green", ("blue", "green"))
STORIES: dict[str, tuple[dict[str, Any], Behaviour, State, list[int]]] = {
    "canary": ({"strategy": "canary", "steps": [5, 100]}, Behaviour(), State.PROMOTED, [0, 5, 100]),
    "canary of a bad one": ({"strategy": "canary"}, Behaviour(errors=0.1), State.TAKEN_BACK, [0, 5, 0]),
    "blue-green": ({"strategy": "blue-green", "smoke_test": "probe"}, Behaviour(), State.PROMOTED, [0, 100]),
    "blue-green of a bad one": (
        {"strategy": "blue-green", "smoke_test": "probe"},
        Behaviour(errors=0.1),
        State.TAKEN_BACK,
        [0, 100, 0],
    ),
    "direct": ({"strategy": "direct"}, Behaviour(), State.PROMOTED, [0, 100]),
}


def story(name: str, rate: float = 3000) -> tuple[World, str]:
    spec, behaviour, _, _ = STORIES[name]
    world = World(rate=rate)
    rollout = world.start(**spec)
    world.metrics.candidate = behaviour
    if behaviour.errors > 0.01 and spec["strategy"] == "blue-green":
        world.metrics.active = Behaviour()
    return world, rollout


@SWEEPS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STORIES)
def test_a_kill_at_every_effect_changes_nothing_of_the_end(name: str, after: bool, of: int) -> None:
    _, _, state, weights = STORIES[name]
    world, rollout = story(name)
    whole = Effects(world)
    assert world.drive(world.controller(), rollout, every=60).state is state
    assert world.cloud.weights_put == weights
    for at in spread(whole.distinct, of, after=after):
        world, rollout = story(name)
        effects = Effects(world, at, after=after)
        drivers = [functools.partial(world.drive, world.controller(who), rollout, every=60) for who in (ANNA, BERT)]
        status = through(world, effects, *drivers)
        told = f"killed {'after' if after else 'before'} effect {at} ({whole.done[at]})"
        assert (status.state, world.cloud.weights_put) == (state, weights), f"{told}: {status.cause}"
        assert_whole(world, status, told)


def assert_whole(world: World, status: RolloutStatus, told: str) -> None:
    record = world.record()
    assert record.traffic == (GREEN if status.state is State.PROMOTED else BLUE), told
    assert record.rollout is None, told
    assert record.claim is None, told
    assert bool(record.unstable) == status.unstable, told
    risen = [(at, weight) for at, weight in world.cloud.history if weight]
    for (before, low), (later, high) in pairwise(risen):
        if high > low:
            assert later - before >= timedelta(minutes=5), f"{told}: {low} % was not baked"
    steps = [event.what for event in status.events if event.what.startswith(("baked", "green has"))]
    assert len([what for what in steps if what.startswith("green has")]) == len({w for w in steps if w.startswith("green")}), (
        told
    )


def test_a_second_driver_is_told_who_drives() -> None:
    world = World()
    rollout = world.start(strategy="canary")
    first, second = world.controller(ANNA), world.controller(BERT)
    first.tick(rollout)
    assert second.tick(rollout).driven_by == ANNA
    world.clock.sleep_now(LEASE.total_seconds() + 1)
    taken = second.tick(rollout)
    assert taken.driven_by is None
    assert any(event.what.startswith("taken over from anna") for event in taken.status.events)
    assert first.tick(rollout).driven_by == BERT


def test_two_drivers_at_once_do_what_one_does() -> None:
    world = World(rate=3000)
    rollout = world.start(strategy="canary", steps=[5, 100])
    drivers = [world.controller(ANNA), world.controller(BERT)]
    for turn in range(2000):
        if drivers[turn % 2].tick(rollout).status.state.is_over:
            break
        world.clock.sleep_now(16)
    assert world.cloud.weights_put == [0, 5, 100]
    assert_whole(world, world.rollouts.read(rollout), "two drivers")


def test_a_stopped_driver_that_wakes_after_an_abort_puts_the_weights_right() -> None:
    """SIGSTOP between its claim and its write, an abort meanwhile, SIGCONT."""
    world = World(rate=3000)
    rollout, sleeper = world.start(strategy="canary", steps=[5, 50, 100]), world.controller(ANNA)

    def asleep(weights: dict[str, int]) -> None:
        if max(weights.values()) == 50:
            world.cloud.before_weights = lambda weights: None
            world.clock.sleep_now(LEASE.total_seconds() * 2)
            world.controller(BERT).abort(rollout, "the driver hangs")
            assert world.cloud.weights_put[-1] == 0

    world.cloud.before_weights = asleep
    status = world.drive(sleeper, rollout, every=60)
    assert status.state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 5, 0, 50, 0]
    assert world.record().traffic == BLUE


def test_a_stopped_driver_that_wakes_after_a_takeover_does_not_move_on() -> None:
    world = World(rate=3000)
    rollout, sleeper = world.start(strategy="canary", steps=[5, 50, 100]), world.controller(ANNA)
    other: list[Controller] = []

    def asleep(weights: dict[str, int]) -> None:
        if max(weights.values()) == 50 and not other:
            other.append(world.controller(BERT))
            world.clock.sleep_now(LEASE.total_seconds() * 2)
            world.drive(other[0], rollout, every=60)

    world.cloud.before_weights = asleep
    status = world.drive(sleeper, rollout, every=60)
    assert status.state is State.PROMOTED
    assert world.cloud.weights_put == [0, 5, 50, 100, 50, 100]
    assert world.record().traffic == GREEN


def test_while_the_store_is_away_traffic_is_still_taken_back() -> None:
    world = World()
    rollout, controller = world.start(strategy="canary"), world.controller()
    world.metrics.candidate = Behaviour(errors=0.3)
    for _ in range(17):
        controller.tick(rollout)
        world.clock.sleep_now(10)
    assert world.cloud.weights_put[-1] == 5
    world.dynamo.missing = True
    for _ in range(6):
        with pytest.raises(Exception, match=r"turnout init|ResourceNotFound"):
            controller.tick(rollout)
        world.clock.sleep_now(3)
    assert world.cloud.weights_put[-1] == 0
    world.dynamo.missing = False
    assert world.drive(controller, rollout).state is State.TAKEN_BACK
    assert world.record().traffic == BLUE


def test_a_store_that_refuses_half_the_writes_loses_nothing() -> None:
    world = World(rate=3000)
    rollout, controller = world.start(strategy="canary", steps=[5, 100]), world.controller()
    put, dice = world.dynamo.put_item, random.Random(4)

    def throttled(**kwargs: Any) -> None:
        if dice.random() < 0.5:
            raise ClientError("ProvisionedThroughputExceededException")
        put(**kwargs)

    world.dynamo.put_item = throttled  # type: ignore[method-assign]
    status = insist(world, controller, rollout)
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == [0, 5, 100]


def test_a_load_balancer_that_fails_half_the_calls_loses_nothing() -> None:
    world = World(rate=3000)
    rollout, controller = world.start(strategy="canary", steps=[5, 100]), world.controller()
    turn = count()

    def failing(_: dict[str, int]) -> None:
        if next(turn) % 2 == 0:
            raise ClientError("Throttling")

    world.cloud.before_weights = failing
    assert insist(world, controller, rollout).state is State.PROMOTED
    assert world.cloud.weights_put == [0, 5, 100]


@pytest.mark.usefixtures("on_a_route")
def test_weights_that_a_gateway_does_not_take_are_confirmed_by_nobody() -> None:
    world = World(rate=3000)
    assert isinstance(world.cloud, GatewayCloud)
    rollout, driver = world.start(strategy="canary", steps=[5, 100]), world.controller()
    world.cloud.follows = False
    for _ in range(3):
        with pytest.raises(ClusterError, match="5 % for green are not in force: .* has not looked at generation"):
            driver.tick(rollout)
        world.clock.sleep_now(20)
    assert world.cloud.view.waited == pytest.approx(3 * ACCEPT_WITHIN, abs=3 * POLL), "a look ends well within its lease"
    assert world.record().traffic == BLUE
    assert world.rollouts.read(rollout).weight == 0
    world.cloud.follows = True
    assert world.drive(driver, rollout, every=60).state is State.PROMOTED
    assert world.cloud.weights_put == [0, 5, 100]


def insist(world: World, controller: Controller, rollout: str) -> RolloutStatus:
    for _ in range(2000):
        try:
            if controller.tick(rollout).is_done:
                return world.rollouts.read(rollout)
        except ClientError:
            pass
        world.clock.sleep_now(20)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("jump", [3600, -3600], ids=["forward", "back"])
def test_a_clock_that_jumps_bakes_nothing(jump: float) -> None:
    world = World(rate=3000)
    rollout, controller = world.start(strategy="canary", steps=[5, 100]), world.controller()
    controller.tick(rollout)
    world.clock.sleep_now(120)
    real = world.metrics.known_until = world.clock.now
    world.clock.now += timedelta(seconds=jump)
    controller.tick(rollout)
    assert world.cloud.weights_put[-1] in (0, 5)
    world.clock.now, world.metrics.known_until = real, None
    status = world.drive(controller, rollout, every=60)
    assert world.cloud.weights_put in ([0, 5, 100], [0, 5, 0]), status.cause


def test_an_update_in_the_middle_moves_nothing_and_a_wish_for_a_move_is_refused() -> None:
    world = World()
    rollout, controller = world.start(strategy="canary"), world.controller()
    controller.tick(rollout)
    record = world.record()
    assert record.rollout is not None
    live = observe(world.cloud, record)  # type: ignore[arg-type]
    decision = resolve(config(BLUE), record, live, world.clock())
    assert not decision.moves
    assert decision.sizes["blue"].minimum == 4
    with pytest.raises(Exception, match=r"under way.*turnout rollout abort"):
        resolve(config(GREEN), record, live, world.clock())
    with pytest.raises(Exception, match="the release of green stays"):
        resolve(config(BLUE, "m-3@sha256:" + "3" * 64), record, live, world.clock())


def test_an_update_after_a_promotion_moves_nothing() -> None:
    world = World(rate=3000)
    world.drive(world.controller(), world.start(strategy="canary", steps=[5, 100]))
    record = world.record()
    live = observe(world.cloud, record)  # type: ignore[arg-type]
    decision = resolve(config(BLUE), record, live, world.clock())
    assert not decision.moves
    assert "the record wins" in decision.reason


def config(traffic: Traffic, green: str = "m-2@sha256:" + "2" * 64) -> SwitchConfig:
    releases = {"blue": "m-1@sha256:" + "1" * 64, "green": green}
    return SwitchConfig(traffic, {name: EnvironmentConfig(release, 1, 10) for name, release in releases.items()})


def test_an_abort_that_meets_a_raise_in_the_same_moment_still_ends_without_a_weight() -> None:
    """The driver's call to the load balancer lands between the abort's own and its record, and the driver dies there."""
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary", steps=[5, 50, 100]), world.controller(ANNA)
    world.drive(driver, rollout, seconds=120)
    put, set_weights = world.dynamo.put_item, world.cloud.set_weights

    def late(**kwargs: Any) -> None:
        world.dynamo.put_item = put  # type: ignore[method-assign]
        set_weights("l", {BLUE_TG: 50, GREEN_TG: 50})
        put(**kwargs)

    world.dynamo.put_item = late  # type: ignore[method-assign]
    world.controller(BERT).abort(rollout, "enough")
    assert world.cloud.weights_put[-1] == 0
    assert world.record().traffic == BLUE


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_rollback_after_a_driver_died_in_a_raise_takes_everything(after: bool) -> None:
    world = World(rate=3000)
    rollout = world.start(strategy="canary", steps=[5, 50, 100])
    driver = world.controller(ANNA)

    def dies(weights: dict[str, int]) -> None:
        if max(weights.values()) == 50:
            world.cloud.before_weights = lambda _: None
            if after:
                world.cloud.set_weights("l", weights)
            raise Killed

    world.cloud.before_weights = dies
    with pytest.raises(Killed):
        world.drive(driver, rollout, every=30)
    rollback(world.records, world.cloud, operator=BERT, clock=world.clock, sleep=world.clock.sleep_now)  # type: ignore[arg-type]
    assert world.cloud.weights_put[-1] == 0
    record = world.record()
    assert (record.traffic, record.rollout) == (BLUE, None)
    world.clock.sleep_now(LEASE.total_seconds() + 1)
    assert world.controller(BERT).tick(rollout).status.state is State.TAKEN_BACK


def test_what_an_operator_writes_while_the_driver_writes_is_kept() -> None:
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary", steps=[5, 100]), world.controller(ANNA)
    driver.tick(rollout)

    def noted() -> None:
        world.rollouts.update(rollout, lambda found: found.said(world.clock(), "note", "users complain"))

    world.clock.sleep_now(180)
    world.dynamo.before_put = noted
    driver.tick(rollout)
    assert "users complain" in [event.why for event in world.rollouts.read(rollout).events]


def test_somebody_elses_claim_is_waited_for() -> None:
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary", steps=[5, 100]), world.controller(ANNA)
    now = world.clock()
    claim = Claim(token="x", by=BERT, began=now, expires=now + timedelta(hours=1), to=GREEN, bake=60)
    world.records.update(lambda record: record.changed(claim=claim))
    assert "bert@ci-2" in driver.tick(rollout).waits
    assert world.cloud.weights_put == [0]


def test_weights_that_somebody_else_lowered_end_the_rollout_and_higher_ones_are_put_right() -> None:
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary", steps=[5, 50, 100]), world.controller(ANNA)
    driver.tick(rollout)
    world.cloud.set_weights("l", {BLUE_TG: 40, GREEN_TG: 60})
    driver.tick(rollout)
    assert world.cloud.weights_put[-1] == 5
    world.cloud.set_weights("l", {BLUE_TG: 100, GREEN_TG: 0})
    status = driver.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "somebody else took it back" in status.cause
    assert not status.unstable


def test_a_destroyed_stack_ends_the_rollout() -> None:
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary"), world.controller(ANNA)
    driver.tick(rollout)
    world.cloud.listener_weights = None
    status = driver.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "destroyed" in status.cause


def test_floors_of_a_rollout_hold_until_it_ends() -> None:
    world = World(rate=3000)
    rollout, driver = world.start(strategy="canary", steps=[50, 100]), world.controller(ANNA)
    driver.tick(rollout)
    floors = world.record().floors
    assert {name: (floor.minimum, floor.until) for name, floor in floors.items()} == {"blue": (4, None), "green": (2, None)}


def test_the_kept_release_is_not_rolled_out_by_mistake() -> None:
    world = World(rate=3000)
    world.drive(world.controller(ANNA), world.start(strategy="canary", steps=[5, 100]))
    with pytest.raises(Exception, match="blue keeps m-1 for rollback"):
        world.start(strategy="canary")
