"""Rollouts and the times at which they may raise weight: what waits, what goes on, and what nothing holds up."""

from datetime import datetime, timedelta

import pytest
from fakes import GREEN_TG
from rollout_world import BERT, Behaviour, World

from turnout.cli.rollout_view import status as shown
from turnout.rollout import opening
from turnout.rollout.status import RolloutStatus, State

ROUTERS = ("listener", "gateway")
ONE_BY_DEFAULT = True

WINDOWS = ["Fri 03:30-03:35", "Fri 04:30-04:35", "Fri 05:30-05:35"]
"""The clock begins on Friday, 2 January 2026, at 03:00 UTC; no two weights fit into one of them."""
MORNING = "Fri 03:00-03:01"
"""Is open when a rollout begins, and then for a week no more."""


def opened(moment: datetime) -> bool:
    return moment.hour in (3, 4, 5) and 30 <= moment.minute < 35


def through(world: World, rollout: str, hours: float = 4, every: float = 60) -> RolloutStatus:
    return world.drive(world.controller(), rollout, seconds=hours * 3600, every=every)


def test_weight_is_raised_inside_the_windows_only_and_bakes_go_on() -> None:
    """Nor does the time for readiness or for an analysis run out while the next window is closed."""
    world = World()
    spec = {"steps": [10, 50, 100], "windows": WINDOWS, "ready_timeout": "2m", "extend": "10m"}
    status = through(world, world.start(strategy="canary", **spec))
    assert status.state is State.PROMOTED, status.cause
    raised = [at for at, weight in world.cloud.history if weight]
    assert world.cloud.weights_put == [0, 10, 50, 100]
    assert [(at.hour, at.minute) for at in raised] == [(3, 30), (4, 30), (5, 30)]
    baked = [event.at for event in status.events if event.what == "baked"]
    assert not any(opened(at) for at in baked), "a bake ends when it ends"


def test_a_candidate_that_is_not_ready_in_its_window_goes_back() -> None:
    world = World()
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    began = world.clock()
    status = through(world, world.start(strategy="canary", windows=WINDOWS, ready_timeout="3m"))
    assert status.state is State.TAKEN_BACK
    assert "not ready in time" in status.cause
    assert status.ended is not None
    assert status.ended - began > timedelta(minutes=33), "the time begins when the window opens"
    assert opened(status.ended)


def test_nothing_of_the_candidate_grows_while_it_waits() -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=WINDOWS)
    world.drive(world.controller(), rollout, seconds=1500)
    assert world.cloud.calls == [call for call in world.cloud.calls if "green" not in call and not call.startswith("weights")]


def test_the_wait_is_told_and_written_once() -> None:
    world = World()
    rollout, controller = world.start(strategy="canary", windows=WINDOWS), world.controller()
    tick = controller.tick(rollout)
    assert tick.waits == "5 % wait for their window, until 2026-01-02 03:30 UTC; `turnout rollout promote` goes on without it"
    for _ in range(20):
        world.clock.sleep_now(1)
        controller.tick(rollout)
    assert [event.what for event in world.rollouts.read(rollout).events] == ["began", "outside the windows"]


@pytest.mark.parametrize("bad", [Behaviour(errors=0.1), Behaviour(slow=0.2)])
def test_a_closed_window_keeps_nothing_from_being_taken_back(bad: Behaviour) -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=[MORNING])
    world.drive(world.controller(), rollout, seconds=900)
    assert world.cloud.weights_put == [0, 5]
    world.metrics.candidate = bad
    status = world.drive(world.controller(), rollout, seconds=1800)
    assert status.state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 5, 0]


def test_an_abort_needs_no_window() -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=[MORNING])
    world.drive(world.controller(), rollout, seconds=900)
    world.controller().abort(rollout, "enough")
    assert world.cloud.weights_put == [0, 5, 0]


def test_a_weight_in_force_that_a_killed_driver_did_not_write_is_written_outside_too() -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=[MORNING])

    def killed(weights: dict[str, int]) -> None:
        world.cloud.listener_weights = weights
        raise KeyboardInterrupt

    world.cloud.before_weights = killed
    with pytest.raises(KeyboardInterrupt):
        world.controller().tick(rollout)
    world.cloud.before_weights = lambda weights: None
    world.clock.sleep_now(3600)
    assert world.rollouts.read(rollout).weight == 0
    world.controller(BERT).tick(rollout)
    assert world.rollouts.read(rollout).weight == 5


def test_somebody_may_go_on_without_the_window() -> None:
    world = World()
    rollout, controller = world.start(strategy="canary", windows=WINDOWS[1:]), world.controller()
    controller.tick(rollout)
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    world.drive(controller, rollout, seconds=1800)
    assert world.cloud.weights_put == [0, 5], "this step's window, and no other's"


def test_told_to_go_on_it_must_still_become_ready_in_time() -> None:
    world = World()
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    rollout, controller = world.start(strategy="canary", windows=WINDOWS[1:], ready_timeout="5m"), world.controller()
    controller.tick(rollout)
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    assert "not ready in time" in world.drive(controller, rollout, seconds=600).cause


def test_a_smoke_test_waits_and_what_it_has_found_counts_when_the_window_closes() -> None:
    world = World(smoke="exit code 1")
    rollout = world.start(strategy="blue-green", smoke_test="probe", windows=WINDOWS)
    world.drive(world.controller(), rollout, seconds=1500)
    assert "ran probe" not in world.told
    world.clock.now = world.clock.now.replace(minute=34, second=50)

    def slow(*_: object) -> str:
        world.clock.sleep_now(60)
        return "exit code 1"

    status = world.controller(smoke=slow).tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert status.cause == "smoke test: exit code 1"


def test_a_freeze_holds_it_up_whatever_the_windows() -> None:
    world = World()
    rollout = world.start(strategy="direct", observe="1m", freeze=["2026-01-01/2026-01-02 Asia/Tokyo"])
    status = through(world, rollout, hours=16, every=300)
    assert status.state is State.PROMOTED
    assert [at.hour for at, weight in world.cloud.history if weight] == [15], "midnight in Tokyo"


def test_the_status_says_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=WINDOWS)
    world.controller().tick(rollout)
    status = world.rollouts.read(rollout)
    monkeypatch.setattr("turnout.cli.rollout_view.now", world.clock)
    lines = [str(part) for part in shown(status).renderables]  # type: ignore[attr-defined]  # a group of rich's
    assert "outside the windows until 2026-01-02 03:30 UTC: nothing is raised" in lines


def test_a_step_that_gives_nothing_more_needs_no_window() -> None:
    world = World()
    rollout = world.start(strategy="canary", windows=WINDOWS, steps=[{"bake": "1m"}, {"approve": "look"}, {"set_weight": 100}])
    status = world.rollouts.read(rollout)
    now = world.clock()
    assert [opening.opens(status.changed(step=step), now) is None for step in range(4)] == [True, True, False, True]
