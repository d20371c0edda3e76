"""A mirror while its platform fails: users lose nothing, what is bad goes back all the same, no copy goes out after the end."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from fakes import BLUE_TG, GREEN_TG
from fakes import ClientError as StoreError
from gateway_cloud import SERVICES, GatewayCloud
from kills import Effects, Killed
from mirrored_world import GATES, STABLE, MirroredWorld
from rollout_world import ANNA, BERT, Behaviour
from test_handler import Lambda
from turnout_components.cluster_api import ClusterError
from turnout_components.rollback import rollback

from turnout.rollout.controller import Controller
from turnout.rollout.status import LEASE, RolloutStatus, State

ROUTERS = ("listener", "gateway")
MIRROR = {"mirror": 30, "for": "5m"}
HOUR = 3600.0


def begun(*steps: Any, strategy: str = "canary", **spec: Any) -> tuple[MirroredWorld, str]:
    world = MirroredWorld(rate=3000)
    return world, world.start(strategy=strategy, steps=list(steps), gates=GATES, **spec)


def insist(
    world: MirroredWorld, controller: Controller, rollout: str, until: Callable[[], bool] | None = None
) -> RolloutStatus:
    """Looks every 20 s, whatever fails, until the end or until it is so."""
    for _ in range(1000):
        try:
            if controller.tick(rollout).is_done:
                return world.rollouts.read(rollout)
        except (ClientError, ClusterError, StoreError):
            pass
        if until is not None and until():
            return world.rollouts.read(rollout)
        world.clock.sleep_now(20)
    raise AssertionError("it never ends")


def with_mirror_on(*steps: Any, strategy: str = "canary") -> tuple[MirroredWorld, str, Controller]:
    """A rollout that copies requests since a minute and more."""
    world, rollout = begun(*steps, strategy=strategy)
    controller = world.controller()
    insist(world, controller, rollout, lambda: world.share == 30)
    world.drive(controller, rollout, seconds=100)
    return world, rollout, controller


def half_the_time(fails: Callable[[], None]) -> Callable[[], None]:
    dice = random.Random(4)
    return lambda: fails() if dice.random() < 0.5 else None


@pytest.mark.parametrize("good", [True, False])
def test_a_platform_that_fails_half_the_calls_changes_nothing_of_the_end(good: bool) -> None:
    world, rollout = begun(MIRROR, 100)
    world.fails, world.before_setting = not good, half_the_time(world.away)
    status = insist(world, world.controller(), rollout)
    assert status.state is (State.PROMOTED if good else State.TAKEN_BACK), status.cause
    assert world.cloud.weights_put == ([0, 100] if good else [0])
    assert (world.shares, world.standing) == ([30, 0], {})


@pytest.mark.parametrize("strategy", ["canary", "shadow"])
def test_a_mirror_that_cannot_be_put_promotes_nothing(strategy: str) -> None:
    world, rollout = begun(MIRROR, *([100] if strategy == "canary" else []), strategy=strategy)
    world.before_setting = world.away
    with pytest.raises((ClientError, ClusterError), match="Rate exceeded"):
        world.controller().tick(rollout)
    status = insist(world, world.controller(), rollout, lambda: world.rollouts.read(rollout).state.is_over)
    assert (status.state, status.unstable) == (State.TAKEN_BACK, False)
    assert (world.cloud.weights_put, world.asked, world.record().rollout) == ([0], [], None)


def test_while_nobody_sees_the_mirror_users_are_still_taken_back() -> None:
    world, rollout, controller = with_mirror_on(10, MIRROR, 100)
    world.before_setting = world.away
    world.fails = True
    insist(world, controller, rollout, lambda: world.cloud.weights_put == [0, 10, 0])
    assert world.record().rollout is None, "the record does not wait for Systems Manager"
    assert world.share == 30
    world.before_setting = lambda: None
    status = insist(world, controller, rollout)
    assert (status.state, status.unstable, world.standing) == (State.TAKEN_BACK, True, {})


NO_MIRRORS = [
    "",
    "{",
    "[]",
    "null",
    '{"share": 30}',
    '{"share": "x", "targets": []}',
    '{"share": 1e999, "targets": ["10.0.0.1:8000", "10.0.0.2:8000"], "prefix": "/", "timeout": 5}',
]


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("text", NO_MIRRORS)
def test_a_parameter_that_is_no_mirror_keeps_no_users_from_going_back(text: str) -> None:
    world, rollout, controller = with_mirror_on(10, MIRROR, 100)
    world.parameters[STABLE] = text
    world.fails = True
    assert world.drive(controller, rollout, seconds=HOUR).state is State.TAKEN_BACK
    assert (world.cloud.weights_put, world.standing) == ([0, 10, 0], {})


@pytest.mark.usefixtures("on_a_route")
@pytest.mark.parametrize("share", [30, 70])
def test_copies_for_somebody_else_are_put_right(share: int) -> None:
    world, rollout, controller = with_mirror_on(10, MIRROR, 100)
    assert isinstance(world.cloud, GatewayCloud)
    world.cloud.mirrored = {SERVICES[BLUE_TG]: share}
    world.drive(controller, rollout, seconds=20)
    assert (world.standing, world.cloud.weights_put) == ({SERVICES[GREEN_TG]: 30}, [0, 10])


def test_users_of_a_weight_are_looked_at_beside_a_mirror() -> None:
    """The copies are good; what the candidate answers users is not."""
    world, rollout, controller = with_mirror_on(10, {"mirror": 30, "for": "2h"}, 100)
    world.metrics.candidate = Behaviour(errors=0.1)
    status = insist(world, controller, rollout)
    assert (status.state, status.unstable) == (State.TAKEN_BACK, True)
    assert "errors" in status.cause
    assert world.copied() < timedelta(minutes=20)


def test_while_the_mirrors_logs_are_away_users_of_a_weight_are_still_taken_back() -> None:
    world, rollout, controller = with_mirror_on(10, {"mirror": 30, "for": "2h"}, 100)
    world.before_logs = world.away
    world.metrics.candidate = Behaviour(errors=0.1)
    status = insist(world, controller, rollout)
    assert (status.state, status.unstable) == (State.TAKEN_BACK, True), status.cause
    assert world.standing == {}


@pytest.mark.parametrize("strategy", ["canary", "shadow"])
def test_logs_that_stay_empty_or_come_late_promote_nothing_and_blame_nobody(strategy: str) -> None:
    for late, lost in ((0.0, True), (HOUR, False)):
        world, rollout = begun(MIRROR, *([100] if strategy == "canary" else []), strategy=strategy)
        world.late, world.lost = late, lost
        status = insist(world, world.controller(), rollout)
        assert (status.state, status.unstable) == (State.TAKEN_BACK, False), status.cause
        assert status.cause.startswith("inconclusive: 0 of 300 s compared")
        assert (world.cloud.weights_put, world.standing) == ([0], {})


def test_logs_that_are_away_for_a_while_are_read_when_they_are_back() -> None:
    world, rollout, controller = with_mirror_on(MIRROR, strategy="shadow")
    world.before_logs = world.away
    assert "Rate exceeded" in world.drive(controller, rollout, seconds=240).unmeasured
    world.before_logs = lambda: None
    status = insist(world, controller, rollout)
    assert status.state is State.FINISHED
    starts = [window.start for window in status.windows if window.mirrored]
    assert starts == sorted(set(starts))
    assert status.compared.pairs == 60 * len([window for window in status.windows if window.mirrored and window.requests])


def test_the_last_copies_are_judged_too() -> None:
    """A hundred samples are there with the second of two minutes."""
    world, rollout = begun({"mirror": 30, "for": "2m"}, 100)
    world.fails = True
    status = insist(world, world.controller(), rollout)
    assert (status.state, status.unstable, world.cloud.weights_put) == (State.TAKEN_BACK, True, [0])


def test_a_store_that_is_away_during_a_mirror_ends_nothing_and_loses_nothing() -> None:
    world, rollout, controller = with_mirror_on(MIRROR, 100)
    world.dynamo.missing = True
    for _ in range(20):
        with pytest.raises(Exception, match="table"):
            controller.tick(rollout)
        world.clock.sleep_now(20)
    assert (world.cloud.weights_put, world.shares) == ([0], [30])
    world.dynamo.missing = False
    assert insist(world, controller, rollout).state is State.PROMOTED
    assert (world.cloud.weights_put, world.standing) == ([0, 100], {})


def hinder(world: MirroredWorld, slow: float) -> None:
    """Writes take so many seconds; 0: half of them are refused."""
    put, dice = world.dynamo.put_item, random.Random(4)

    def hindered(**item: Any) -> None:
        world.clock.sleep_now(slow)
        if not slow and dice.random() < 0.5:
            raise StoreError("ProvisionedThroughputExceededException")
        put(**item)

    world.dynamo.put_item = hindered  # type: ignore[method-assign]


def test_a_store_that_refuses_half_the_writes_or_is_slow_ends_a_mirror_as_ever() -> None:
    for slow in (0.0, 20.0):
        world, rollout = begun(MIRROR, 100)
        hinder(world, slow)
        status = insist(world, world.controller(), rollout)
        assert status.state is State.PROMOTED, status.cause
        assert (world.cloud.weights_put, world.shares, world.standing) == ([0, 100], [30, 0], {})


def test_two_drivers_at_once_mirror_once() -> None:
    world, rollout = begun(MIRROR, 100)
    drivers = [world.controller(ANNA), world.controller(BERT)]
    for turn in range(2000):
        if drivers[turn % 2].tick(rollout).status.state.is_over:
            break
        world.clock.sleep_now(16)
    assert [share for _, share in world.asked] == [30, 0]
    assert (world.cloud.weights_put, world.standing) == ([0, 100], {})
    assert world.rollouts.read(rollout).state is State.PROMOTED


@pytest.mark.parametrize("ends", ["abort", "rollback", "drive"])
def test_a_driver_that_sleeps_until_the_mirror_is_over_leaves_none_on(ends: str) -> None:
    """SIGSTOP before its call for a mirror, the end meanwhile, SIGCONT; and it is not heard of again."""
    world, rollout = begun(MIRROR, strategy="shadow")
    sleeper = world.controller(ANNA)

    def asleep() -> None:
        world.before_put = lambda: None
        world.clock.sleep_now(LEASE.total_seconds() * 2)
        if ends == "abort":
            world.controller(BERT).abort(rollout, "enough")
        elif ends == "drive":
            world.drive(world.controller(BERT), rollout)
        else:
            rollback_by_hand(world)
            world.controller(BERT).tick(rollout)
        assert world.share == 0

    world.before_put = asleep
    sleeper.tick(rollout)
    assert world.asked[-2][1] == 30, "it has written"
    assert world.standing == {}
    assert world.rollouts.read(rollout).state is (State.FINISHED if ends == "drive" else State.TAKEN_BACK)


def rollback_by_hand(world: MirroredWorld) -> None:
    rollback(world.records, world.cloud, operator=BERT, clock=world.clock, sleep=world.clock.sleep_now)  # type: ignore[arg-type]


@pytest.mark.usefixtures("one_by_one")
def test_a_rollback_by_hand_while_nobody_drives_ends_the_mirror_with_the_next_invocation_of_the_runner() -> None:
    world, rollout, controller = with_mirror_on({"mirror": 30, "for": "2h"}, strategy="shadow")
    controller.release(rollout)
    rollback_by_hand(world)
    function = Lambda(world)
    assert function.invoke()["state"] == "taken back"
    assert (world.standing, world.rollouts.read(rollout).state) == ({}, State.TAKEN_BACK)
    assert function.invoke() == {"rollout": None}


@pytest.mark.usefixtures("one_by_one")
def test_a_rollout_that_has_just_begun_and_is_not_in_the_switch_record_yet_is_left_alone() -> None:
    world, rollout = begun(MIRROR, strategy="shadow")
    world.records.update(lambda record: record.changed(rollout=None))
    function = Lambda(world)
    assert function.invoke() == {"rollout": None}
    world.records.update(lambda record: record.changed(rollout=rollout))
    assert function.invoke()["rollout"] == rollout


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
def test_a_clock_that_jumps_during_a_mirror_compares_nothing(hours: int) -> None:
    world, rollout, controller = with_mirror_on(MIRROR, 100)
    real, world.late = world.clock.now, max(0.0, hours * HOUR)
    world.clock.now += timedelta(hours=hours)
    controller.tick(rollout)
    assert world.cloud.weights_put == [0]
    world.clock.now, world.late = real, 0.0
    assert world.rollouts.read(rollout).compared.pairs <= world.copied().total_seconds() + 1
    status = insist(world, controller, rollout)
    copied = status.ended is not None and world.copied()
    assert status.state is State.TAKEN_BACK or (copied and copied >= timedelta(minutes=5)), status.cause
    assert world.standing == {}


WINDOW = "Fri 04:00-05:00"
"""The clock begins on Friday at 03:00 UTC."""


@pytest.mark.parametrize("back", [True, False], ids=["back out of it", "forward out of it"])
@pytest.mark.parametrize("step", [MIRROR, {"smoke_test": "probe"}, 5])
def test_a_clock_that_jumps_across_a_windows_edge_begins_nothing_outside(step: Any, back: bool) -> None:
    """What a wrong clock has begun stays within what that clock said; with the right one nothing more begins."""
    world, rollout = begun(step, 100, windows=[WINDOW])
    controller = world.controller()
    controller.tick(rollout)
    world.clock.now += timedelta(minutes=59, seconds=59) if back else timedelta(hours=2, seconds=1)
    controller.tick(rollout)
    assert world.cloud.weights_put == [0]
    assert (world.asked, world.told.count("ran probe")) == ([], 0)
    world.clock.now += timedelta(seconds=1) if back else -timedelta(minutes=30)
    controller.tick(rollout)
    assert bool(world.asked) or "ran probe" in world.told or world.cloud.weights_put[-1] > 0
    begun_with = world.cloud.weights_put[-1]
    world.clock.now += -timedelta(minutes=10) if back else timedelta(hours=2)
    for _ in range(3):
        controller.tick(rollout)
        world.clock.sleep_now(10)
    assert world.cloud.weights_put[-1] <= begun_with


def test_told_to_go_on_a_mirror_that_waits_for_its_window_begins_and_is_not_passed_over() -> None:
    world, rollout = begun(MIRROR, 100, windows=["Fri 03:40-03:50"])
    controller = world.controller()
    controller.tick(rollout)
    assert world.asked == []
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    world.drive(controller, rollout, seconds=120)
    assert (world.share, world.cloud.weights_put) == (30, [0])
    status = insist(world, controller, rollout)
    assert status.state is State.PROMOTED, status.cause
    assert world.copied() >= timedelta(minutes=5)


def test_what_is_left_of_an_end_that_was_killed_is_done_before_people_are_told() -> None:
    """Step-downs cannot be made and the driver dies: the next one makes them, and tells of the promotion then."""
    world, rollout = begun(100)
    effects = Effects(world)
    insist(world, world.controller(ANNA), rollout, lambda: world.cloud.weights_put[-1] == 100)
    world.step_downs.fails = RuntimeError("AWS is away")
    with pytest.raises(RuntimeError, match="away"):
        world.drive(world.controller(ANNA), rollout, every=60)
    assert (world.record().rollout, world.alerts) == (None, [])
    world.step_downs.fails = None
    world.clock.sleep_now(LEASE.total_seconds() + 1)
    assert world.drive(world.controller(BERT), rollout).state is State.PROMOTED
    assert effects.done[-2:] == ["tend", "put_item"]
    assert [event.what for event in world.alerts] == ["promoted"]


def test_step_downs_that_cannot_be_made_for_long_keep_nobody_from_being_told() -> None:
    world, rollout = begun(100)
    insist(world, world.controller(), rollout, lambda: world.cloud.weights_put[-1] == 100)
    world.step_downs.fails = StoreError("AccessDenied")
    assert insist(world, world.controller(), rollout).state is State.PROMOTED
    assert [event.what for event in world.alerts] == ["promoted"]
    assert any("`turnout up` makes them: AccessDenied" in line for line in world.told)


def test_a_killed_world_does_nothing_more_until_another_host_comes() -> None:
    """Else a kill would clean up behind itself, as no process does."""
    world, rollout = begun(MIRROR)
    Effects(world, 0)
    for _ in range(2):
        with pytest.raises(Killed):
            world.controller().tick(rollout)
