"""Whole rollouts against a service in memory: what is promoted, what is taken back, and what stands in the record after."""

from datetime import timedelta
from itertools import pairwise

import pytest
from fakes import BLUE_TG, GREEN_TG
from rollout_world import NEW, OLD, Behaviour, World
from turnout_components.resolve import SwitchRefused
from turnout_components.rollback import rollback
from turnout_components.switch_record import Traffic

from turnout.rollout.evidence import baked, fits
from turnout.rollout.status import State

ROUTERS = ("listener", "gateway")

CANARY = {"strategy": "canary"}
WITH_QUALITY = [
    {"name": "errors", "kind": "errors"},
    {"name": "quality", "kind": "quality", "margin": 0.02, "metric": {"namespace": "Turnout", "name": "Quality"}},
]


def test_a_good_candidate_is_promoted_step_by_step() -> None:
    world = World()
    status = world.drive(world.controller(), world.start(**CANARY))
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == [0, 5, 25, 50, 100]
    record = world.record()
    assert record.traffic == Traffic.all_to("green", ("blue", "green"))
    assert record.rollout is None
    assert record.claim is None
    assert record.retained is not None
    assert (record.retained.environment, record.retained.release, record.retained.minimum) == ("blue", OLD, 4)
    assert record.config_base == Traffic.all_to("blue", ("blue", "green"))
    assert [event.what for event in world.alerts] == ["promoted"]


def test_every_weight_is_baked_for_its_time() -> None:
    world = World()
    world.drive(world.controller(), world.start(**CANARY))
    times = [at for at, weight in world.cloud.history if weight]
    assert all(after - before >= timedelta(minutes=5) for before, after in pairwise(times))


def test_the_candidates_floor_is_raised_before_its_weight() -> None:
    world = World()
    world.drive(world.controller(), world.start(**CANARY))
    calls = [call for call in world.cloud.calls if "green" in call or call.startswith("weights")]
    half = calls.index(f"weights {{'{BLUE_TG}': 50, '{GREEN_TG}': 50}}")
    assert "minimum g-green 2" in calls[:half]
    assert "minimum g-green 4" in calls[half:]


def test_a_candidate_that_fails_is_taken_back_and_marked() -> None:
    world = World()
    world.metrics.candidate = Behaviour(errors=0.08)
    status = world.drive(world.controller(), world.start(**CANARY))
    assert status.state is State.TAKEN_BACK
    assert status.unstable
    assert "errors" in status.cause
    assert world.cloud.weights_put == [0, 5, 0]
    record = world.record()
    assert record.traffic == Traffic.all_to("blue", ("blue", "green"))
    assert NEW in {mark.release for mark in record.unstable.values()}
    assert record.rollout is None
    assert world.cloud.groups["g-green"].minimum == 1
    assert [event.what for event in world.alerts] == ["traffic goes back to blue"]
    assert "errors" in world.alerts[0].why
    with pytest.raises(SwitchRefused, match="marked unstable"):
        world.start(**CANARY)


def test_a_slow_candidate_is_taken_back() -> None:
    world = World()
    world.metrics.candidate = Behaviour(slow=0.15)
    status = world.drive(world.controller(), world.start(**CANARY))
    assert status.state is State.TAKEN_BACK
    assert "latency" in status.cause


def test_wrong_answers_are_caught_by_the_quality_gate_alone() -> None:
    world = World()
    world.metrics.candidate = Behaviour(right=0.80)
    status = world.drive(world.controller(), world.start(**CANARY, gates=WITH_QUALITY))
    assert status.state is State.TAKEN_BACK
    assert "quality" in status.cause
    assert "errors:" not in status.cause


def test_a_regression_that_begins_after_the_full_switch_is_taken_back() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    while world.cloud.weights_put[-1] != 100:
        controller.tick(rollout)
        world.clock.sleep_now(10)
    world.metrics.active = Behaviour(errors=0.05)  # whoever has all traffic fails
    world.metrics.candidate = Behaviour(errors=0.05)
    status = world.drive(controller, rollout)
    assert status.state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 5, 25, 50, 100, 0]
    assert world.record().traffic == Traffic.all_to("blue", ("blue", "green"))


def test_without_requests_nothing_is_promoted_and_nothing_is_blamed() -> None:
    world = World()
    rollout = world.start(**CANARY)
    world.metrics.rate = 0
    status = world.drive(world.controller(), rollout)
    assert status.state is State.TAKEN_BACK
    assert status.cause.startswith("inconclusive")
    assert not status.unstable
    assert not world.record().unstable


def test_a_source_that_is_silent_promotes_nothing() -> None:
    world = World()
    rollout = world.start(**CANARY)
    world.metrics.unavailable = "throttled"
    status = world.drive(world.controller(), rollout)
    assert status.state is State.TAKEN_BACK
    assert "throttled" in status.cause
    assert not status.unstable


def test_late_measurements_are_taken_up() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    world.metrics.unavailable = "throttled"
    world.drive(controller, rollout, seconds=600)
    world.metrics.unavailable = ""
    assert world.drive(controller, rollout).state is State.PROMOTED
    starts = [window.start for window in controller.tick(rollout).status.windows]
    assert starts == sorted(set(starts))


def test_no_healthy_target_takes_traffic_back_at_once() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    controller.tick(rollout)
    assert world.cloud.weights_put == [0, 5]
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    status = controller.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "health" in status.cause
    assert world.cloud.weights_put == [0, 5, 0]


def test_blue_green_tests_switches_and_observes() -> None:
    world = World()
    status = world.drive(world.controller(), world.start(strategy="blue-green", smoke_test="probe"))
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == [0, 100]
    assert "ran probe" in world.told


def test_a_failed_smoke_test_moves_nothing() -> None:
    world = World(smoke="exit code 3")
    status = world.drive(world.controller(), world.start(strategy="blue-green", smoke_test="probe"))
    assert status.state is State.TAKEN_BACK
    assert status.unstable
    assert world.cloud.weights_put == [0]


def test_direct_looks_at_health_only() -> None:
    world = World()
    world.metrics.candidate = Behaviour(errors=0.5)
    status = world.drive(world.controller(), world.start(strategy="direct"))
    assert status.state is State.PROMOTED
    assert world.cloud.weights_put == [0, 100]


def test_an_approval_is_waited_for() -> None:
    world = World()
    steps = [{"approve": "look at the answers"}, {"set_weight": 100}, {"bake": "5m"}]
    rollout, controller = world.start(strategy="canary", steps=steps), world.controller()
    status = world.drive(controller, rollout, seconds=600)
    assert status.state is State.RUNNING
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    assert world.drive(controller, rollout).state is State.PROMOTED


def test_nobody_approves() -> None:
    world = World()
    steps = [{"approve": "look", "deadline": "10m"}, {"set_weight": 100}]
    status = world.drive(world.controller(), world.start(strategy="canary", steps=steps))
    assert status.state is State.TAKEN_BACK
    assert "nobody approved" in status.cause


def test_a_paused_rollout_stays_and_still_takes_back() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    controller.tick(rollout)
    world.rollouts.update(rollout, lambda found: found.changed(state=State.PAUSED))
    status = world.drive(controller, rollout, seconds=3000)
    assert status.state is State.PAUSED
    assert world.cloud.weights_put == [0, 5]
    world.metrics.candidate = Behaviour(errors=0.1)
    assert world.drive(controller, rollout).state is State.TAKEN_BACK


def test_a_rollback_by_hand_ends_the_rollout() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    world.drive(controller, rollout, seconds=500)
    assert world.cloud.weights_put == [0, 5, 25]
    rollback(world.records, world.cloud, operator=controller._operator, clock=world.clock)  # type: ignore[arg-type]
    status = controller.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "rolled back" in status.cause
    assert world.cloud.weights_put[-1] == 0


def test_an_abort_moves_traffic_before_it_writes() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    controller.tick(rollout)
    order: list[str] = []
    world.cloud.before_weights = lambda weights: order.append("weights")
    world.dynamo.before_put = lambda: order.append("store")
    status = world.controller().abort(rollout, "enough")
    assert order == ["weights", "store"]
    assert status.state is State.TAKEN_BACK
    assert world.record().traffic == Traffic.all_to("blue", ("blue", "green"))
    assert controller.tick(rollout).status.state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 5, 0]


def test_a_rollout_does_not_begin_while_stickiness_is_on() -> None:
    world = World()
    world.cloud.sticky = True
    with pytest.raises(SwitchRefused, match="TargetGroupStickinessConfig"):
        world.start(**CANARY)
    assert world.record().rollout is None
    assert world.cloud.weights_put == [0]


@pytest.mark.parametrize("follows", [True, False])
def test_a_return_that_leaves_clients_with_cookies_behind_says_so(follows: bool) -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    controller.tick(rollout)
    world.cloud.follows = follows
    assert world.controller().abort(rollout, "enough").state is State.TAKEN_BACK
    assert world.cloud.weights_put == [0, 5, 0]
    assert any(world.cloud.unfollowed in line for line in world.told) is not follows


def test_two_rollouts_never_run_at_once() -> None:
    world = World()
    world.start(**CANARY)
    with pytest.raises(SwitchRefused, match="under way"):
        world.start(**CANARY)


def test_a_gate_that_cannot_be_measured_stops_the_rollout_before_it_starts() -> None:
    world = World()
    gates = [{"name": "quality", "kind": "quality", "metric": {"namespace": "Turnout", "name": "Unknown"}}]
    with pytest.raises(SwitchRefused, match="no such metric"):
        world.start(**CANARY, gates=gates)
    assert world.record().rollout is None
    assert world.rollouts.ids() == []


def test_a_pool_that_cannot_grow_enough_is_said_and_nothing_moves_on() -> None:
    world = World()
    world.cloud.serve("g-green", GREEN_TG, 1, maximum=1)
    status = world.drive(world.controller(), world.start(**CANARY))
    assert status.state is State.TAKEN_BACK
    assert "turnout:pool.maximum" in status.cause
    assert not status.unstable
    assert world.cloud.weights_put == [0, 5, 25, 0]


def test_while_an_experiments_rules_stand_no_rollout_begins() -> None:
    world = World()
    world.cloud.sent = {"treatment": GREEN_TG}
    with pytest.raises(SwitchRefused, match="treatment past the weights"):
        world.start(**CANARY)


def test_windows_without_requests_bake_nothing() -> None:
    world = World()
    rollout, controller = world.start(**CANARY), world.controller()
    world.drive(controller, rollout, seconds=240)
    before = baked(world.rollouts.read(rollout))
    assert before > timedelta(0)
    world.metrics.rate = 0
    world.drive(controller, rollout, seconds=300)
    status = world.rollouts.read(rollout)
    assert baked(status) == before
    assert not fits(status.windows[-1], status.weight)
