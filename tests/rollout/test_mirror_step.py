"""A mirror as a step of a rollout: copies for the candidate, and users who have no part in it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import GREEN_TG
from mirrored_world import GATES, MirroredWorld
from rollout_world import ANNA, BERT, World
from turnout_components.switch_record import SwitchRecord, Traffic

from turnout.analysis.measurement import Count, Side, Window
from turnout.metrics.provider import MetricsUnavailable
from turnout.rollout.controller import Controller
from turnout.rollout.measuring import spans_between
from turnout.rollout.status import Compared, RolloutStatus, State

ROUTERS = ("listener", "gateway")
SHADOW = {"strategy": "shadow", "steps": [{"mirror": 30, "for": "10m"}]}
THEN_CANARY = {"strategy": "canary", "steps": [{"mirror": 30, "for": "5m"}, {"set_weight": 100}, {"bake": "5m"}]}


class FakeMirrors:
    """Copies 1,000 requests a minute while it is on; `fails` is the share that the candidate fails."""

    def __init__(self, world: World) -> None:
        self.world, self.on, self.puts, self.fails = world, 0, list[int](), 0.002
        self.unavailable = ""

    def share(self, status: RolloutStatus, record: SwitchRecord) -> int:  # noqa: ARG002
        return self.on

    def put(self, status: RolloutStatus, record: SwitchRecord, share: int) -> None:  # noqa: ARG002
        self.on = share
        self.puts.append(share)

    def windows(self, status: RolloutStatus, now: datetime) -> tuple[tuple[Window, ...], Compared]:
        if self.unavailable:
            raise MetricsUnavailable(self.unavailable)
        last = next((window.end for window in reversed(status.windows) if window.mirrored), None)
        spans = spans_between(last or status.mirror_since or now, now - timedelta(minutes=1), timedelta(minutes=1))
        bad = {Side.ACTIVE: Count(2, 1000), Side.CANDIDATE: Count(round(1000 * self.fails), 1000)}
        found = tuple(
            Window(each.start, each.end, status.weight, dict.fromkeys(Side, 1000), {"errors": bad}, mirrored=True)
            for each in spans
        )
        pairs = status.compared.pairs + 1000 * len(found)
        return found, Compared(pairs=pairs, same_status=pairs, answered=pairs, same_answer=pairs)


def world_with(**spec: Any) -> tuple[World, FakeMirrors, str]:
    world = World()
    gates = [{"name": "errors", "kind": "errors"}, {"name": "health", "kind": "health"}]
    return world, FakeMirrors(world), world.start(**spec, gates=gates)


def controller(world: World, mirrors: FakeMirrors, operator: Any = ANNA) -> Controller:
    made = world.controller(operator)
    made._mirrors = made._moves._mirrors = mirrors  # type: ignore[assignment]
    return made


def test_a_mirror_alone_ends_without_any_traffic_for_the_candidate():
    world, mirrors, rollout = world_with(**SHADOW)
    status = world.drive(controller(world, mirrors), rollout)
    assert status.state is State.FINISHED, status.cause
    assert world.cloud.weights_put == [0]
    assert mirrors.on == 0
    assert mirrors.puts[0] == 30
    assert "requests twice" in status.events[-1].why
    record = world.record()
    assert record.rollout is None
    assert record.traffic == Traffic.all_to("blue", ("blue", "green"))
    assert not record.unstable
    assert world.cloud.groups["g-green"].minimum == 1


def test_a_mirror_may_come_before_a_canary():
    world, mirrors, rollout = world_with(**THEN_CANARY)
    status = world.drive(controller(world, mirrors), rollout)
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == [0, 100]
    assert mirrors.on == 0


def test_a_candidate_that_fails_its_copies_gets_no_user():
    world, mirrors, rollout = world_with(**THEN_CANARY)
    mirrors.fails = 0.2
    status = world.drive(controller(world, mirrors), rollout)
    assert status.state is State.TAKEN_BACK
    assert status.unstable
    assert "errors" in status.cause
    assert world.cloud.weights_put == [0]
    assert mirrors.on == 0


def test_a_mirror_that_cannot_be_compared_ends_as_inconclusive():
    world, mirrors, rollout = world_with(**SHADOW)
    mirrors.unavailable = "log group /turnout/svc/dev/green cannot be read"
    status = world.drive(controller(world, mirrors), rollout)
    assert status.state is State.TAKEN_BACK
    assert "cannot be read" in status.cause
    assert not status.unstable
    assert mirrors.on == 0


def test_the_mirror_is_asked_for_again_when_its_targets_change_and_after_a_takeover():
    world, mirrors, rollout = world_with(**SHADOW)
    first = controller(world, mirrors)
    world.drive(first, rollout, seconds=120)
    mirrors.on = -1
    second = controller(world, mirrors, BERT)
    world.clock.sleep_now(60)
    second.tick(rollout)
    assert mirrors.on == 30
    assert second.tick(rollout).status.mirror == 30


def test_a_rollback_by_hand_ends_the_mirror():
    world, mirrors, rollout = world_with(**SHADOW)
    driver = controller(world, mirrors)
    world.drive(driver, rollout, seconds=120)
    assert mirrors.on == 30
    world.records.update(lambda record: record.changed(rollout=None))
    status = driver.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert mirrors.on == 0


def test_no_mirror_without_instances_for_it():
    world, mirrors, rollout = world_with(**SHADOW)
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    world.cloud.on_set_minimum = None
    tick = controller(world, mirrors).tick(rollout)
    assert tick.status.state is State.RUNNING
    assert mirrors.puts == []


def test_a_driver_that_cannot_mirror_says_so_and_moves_nothing():
    world, _, rollout = world_with(**SHADOW)
    with pytest.raises(Exception, match="cannot mirror requests"):
        world.drive(world.controller(), rollout)
    assert world.cloud.weights_put == [0]


def test_a_driver_that_comes_late_reads_the_logs_of_a_few_minutes_a_look_and_catches_up():
    """All at once would outlast the lease, and whoever takes over would read them again."""
    world = MirroredWorld(rate=3000)
    reads: list[str] = []
    world.before_logs = lambda: reads.append("log")
    rollout = world.start(strategy="shadow", steps=[{"mirror": 30, "for": "40m"}], gates=GATES)
    world.controller(ANNA).tick(rollout)
    world.clock.sleep_now(30 * 60)
    late, compared = world.controller(BERT), timedelta(0)
    for _ in range(8):
        before = len(reads)
        status = late.tick(rollout).status
        assert len(reads) - before <= 10
        compared = sum((w.end - w.start for w in status.windows if w.mirrored), timedelta(0))
    assert compared >= timedelta(minutes=27)
    assert len(reads) == 2 * compared / timedelta(minutes=1), "each side's log is read once a window"
    assert world.drive(late, rollout).state is State.FINISHED
