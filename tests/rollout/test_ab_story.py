"""An experiment as a step of a rollout: users by variant, and what their numbers do to the rollout."""

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from ab_world import AB, BOTH, AbWorld, ab_world
from botocore.exceptions import ClientError
from fakes import BLUE_TG, GREEN_TG
from fakes import ClientError as StoreError
from rollout_world import BERT, Behaviour
from turnout_components.rollback import rollback
from turnout_components.switch_record import Traffic

from turnout.analysis.measurement import Moments
from turnout.rollout.controller import Controller
from turnout.rollout.experiments import result
from turnout.rollout.status import RolloutStatus, State

ROUTERS = ("listener", "gateway")
ONE_BY_DEFAULT = True

BLUE = Traffic.all_to("blue", ("blue", "green"))


def asked(**changes: Any) -> dict[str, Any]:
    return {**AB, "experiment": {**AB["experiment"], **changes}}


def run(world: AbWorld, spec: dict[str, Any] = AB, days: float = 15) -> RolloutStatus:
    return world.drive(world.controller(), world.start(**spec), seconds=days * 86400, every=60)


def until_rules(world: AbWorld, spec: dict[str, Any] = AB) -> tuple[str, Controller]:
    """A rollout whose rules stand, with some users, and its driver."""
    rollout, driver = world.start(**spec), world.controller()
    world.drive(driver, rollout, seconds=300, every=20)
    assert world.cloud.sent == BOTH
    return rollout, driver


def test_a_winner_gets_all_traffic_after_its_rules_are_gone() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    status = run(world)
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.rules_put == [{}, BOTH, {}]
    assert world.cloud.weights_put == [0, 100]
    cleared = next(at for at, rules in world.cloud.rules if not rules)
    assert all(at >= cleared for at, weight in world.cloud.history if weight)
    won = next(event for event in status.events if "green wins" in event.what)
    assert "candidate is better than control" in won.why
    assert not world.record().unstable


def test_every_user_counts_once_and_only_while_rules_stand() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    status = run(world)
    spans = world.metrics.read_spans
    assert status.trial.since is not None
    assert spans[0].start >= status.trial.since
    assert all(one.end == other.start for one, other in pairwise(spans))
    users = {name: held.count for name, held in status.trial.totals.items()}
    assert sum(users.values()) == pytest.approx(400 * len(spans), abs=400)
    found = result(status)
    assert found is not None
    assert found.winner == "candidate"


def test_the_candidate_is_sized_for_its_users_before_any_comes() -> None:
    world = ab_world(instances=8)
    rollout = world.start(**asked(split={"control": 40, "candidate": 50}))
    seen: list[int] = []
    world.cloud.before_rules = lambda: seen.append(len(world.cloud.groups["g-green"].in_service))
    world.controller().tick(rollout)
    assert seen[0] == 4


@pytest.mark.parametrize(
    ("worth", "changes", "state", "said", "unstable"),
    [
        (0.07, {}, State.TAKEN_BACK, "candidate is worse than control", True),
        (0.1, {"for": "1h", "smallest": 0.02}, State.TAKEN_BACK, "inconclusive after 1h", False),
        (0.07, {"higher_is_better": False}, State.PROMOTED, "", False),
    ],
    ids=["worse", "like", "less is better"],
)
def test_what_users_show_decides(worth: float, changes: dict[str, Any], state: State, said: str, unstable: bool) -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = worth
    status = run(world, asked(**{"users_a_day": 9_000_000, **changes}))
    assert status.state is state, status.cause
    assert said in status.cause
    assert (status.unstable, bool(world.record().unstable)) == (unstable, unstable)
    assert world.cloud.sent == {}
    if state is State.TAKEN_BACK:
        assert set(world.cloud.weights_put) == {0}
        assert world.record().traffic == BLUE


def test_a_broken_division_takes_back_and_blames_nobody() -> None:
    world = ab_world()
    world.metrics.lost, world.metrics.worth["candidate"] = 0.3, 0.11
    status = run(world)
    assert status.state is State.TAKEN_BACK
    assert "users do not come 25:25 as asked" in status.cause
    assert not status.unstable


@pytest.mark.parametrize(
    ("worth", "variants", "state"),
    [
        ({"one": 0.13, "two": 0.1}, {}, State.PROMOTED),
        ({"one": 0.07, "two": 0.13}, {}, State.PROMOTED),
        ({"one": 0.07, "two": 0.07}, {}, State.TAKEN_BACK),
        ({"one": 0.13, "two": 0.1}, {"one": "stable"}, State.TAKEN_BACK),
    ],
    ids=["one wins", "the other wins", "both are worse", "the winner is at the stable side"],
)
def test_of_several_variants_the_best_decides(worth: dict[str, float], variants: dict[str, str], state: State) -> None:
    world = ab_world()
    world.metrics.worth = {"control": 0.1, **worth}
    world.metrics.users = 600
    spec = asked(split={"control": 20, "one": 20, "two": 20}, variants=variants, users_a_day=9_000_000, **{"for": "1h"})
    status = run(world, spec)
    assert status.state is state, status.cause
    assert status.unstable == (worth == {"one": 0.07, "two": 0.07})


@pytest.mark.parametrize(
    ("candidate", "cause"),
    [(Behaviour(errors=0.1), "errors"), (Behaviour(slow=0.3), "latency")],
    ids=["errors", "latency"],
)
def test_gates_look_at_both_sides_while_users_are_divided(candidate: Behaviour, cause: str) -> None:
    world = ab_world()
    world.metrics.worth["candidate"], world.metrics.users = 0.2, 10
    rollout, driver = until_rules(world)
    world.metrics.candidate = candidate
    world.cloud.calls.clear()
    status = world.drive(driver, rollout, every=20)
    assert status.state is State.TAKEN_BACK
    assert status.unstable
    assert cause in status.cause
    changes = [call for call in world.cloud.calls if call.startswith(("weights", "clear"))]
    assert changes[0] == f"clear variants, {GREEN_TG} first"
    assert world.record().traffic == BLUE


def test_a_candidate_without_healthy_targets_loses_its_users_at_once() -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    status = driver.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "health: 0 of 1" in status.cause
    assert world.cloud.sent == {}


def test_an_unknown_metric_blinds_no_gate_and_ends_as_inconclusive() -> None:
    world = ab_world()
    world.metrics.unknown = "CloudWatch does not answer"
    status = run(world, asked(users_a_day=9_000_000, **{"for": "1h"}))
    assert status.state is State.TAKEN_BACK
    assert "CloudWatch does not answer" in status.cause
    assert not status.unstable
    assert any(window.weight == 25 for window in status.windows)


def test_numbers_that_cannot_be_are_said_and_judge_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ab_world()
    twice = {"control": Moments(300, 30, 30), "candidate": Moments(300, 900, 900)}
    monkeypatch.setattr(world.metrics, "variants", lambda design, places, spans: [twice for _ in spans])
    status = run(world, asked(users_a_day=9_000_000, **{"for": "1h"}))
    assert status.state is State.TAKEN_BACK
    assert "count each user once" in status.cause


def test_spans_that_cannot_be_used_count_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ab_world()
    monkeypatch.setattr(world.metrics, "variants", lambda design, places, spans: [None for _ in spans])
    status = run(world, asked(users_a_day=9_000_000, **{"for": "1h"}))
    assert status.trial.unusable > 50
    assert status.trial.totals == {}
    assert "spans could not be used" in status.cause


def test_somebody_may_promote_what_is_not_decided() -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    status = world.drive(driver, rollout, every=60)
    assert status.state is State.PROMOTED, status.cause
    assert any(event.what == "promoted by hand" for event in status.events)
    assert world.cloud.sent == {}


def test_an_experiment_alone_promotes_nothing() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    status = run(world, {**AB, "steps": [{"experiment": "14d"}]})
    assert status.state is State.FINISHED, status.cause
    assert "candidate is better" in status.events[-1].why
    assert world.cloud.weights_put == [0]
    assert world.cloud.sent == {}


def test_a_canary_may_follow() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    status = run(world, {**AB, "strategy": "canary", "steps": [{"experiment": "14d"}, 50, 100]})
    assert status.state is State.PROMOTED, status.cause
    assert world.cloud.weights_put == [0, 50, 100]


def test_an_abort_clears_the_rules_first() -> None:
    world = ab_world()
    rollout, _ = until_rules(world)
    world.cloud.calls.clear()
    status = world.controller(BERT).abort(rollout, "enough")
    changes = [call for call in world.cloud.calls if call.startswith(("weights", "clear"))]
    assert changes[0] == f"clear variants, {GREEN_TG} first"
    assert status.state is State.TAKEN_BACK
    assert (world.cloud.sent, world.record().rollout) == ({}, None)


def test_a_rollback_by_hand_clears_the_rules_first_and_ends_the_rollout() -> None:
    world = ab_world()
    rollout, _ = until_rules(world)
    world.cloud.calls.clear()
    done = rollback(world.records, world.cloud, operator=BERT, clock=world.clock, sleep=world.clock.sleep_now)  # type: ignore[arg-type]
    changes = [call for call in world.cloud.calls if call.startswith(("weights", "clear"))]
    assert changes[0] == f"clear variants, {GREEN_TG} first"
    assert done.unstable == world.record().environments["green"].release
    assert (world.cloud.sent, world.record().traffic, world.record().rollout) == ({}, BLUE, None)
    world.clock.sleep_now(60)
    assert world.controller(BERT).tick(rollout).status.state is State.TAKEN_BACK
    assert world.cloud.sent == {}


def test_rules_that_somebody_took_out_stay_out() -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.cloud.sent = {"control": BLUE_TG}
    status = driver.tick(rollout).status
    assert status.state is State.TAKEN_BACK
    assert "somebody else took the experiment out" in status.cause
    assert not status.unstable


def test_rules_that_somebody_added_are_put_right() -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.cloud.sent = {**BOTH, "more": GREEN_TG}
    assert driver.tick(rollout).status.state is State.RUNNING
    assert world.cloud.sent == BOTH


def test_a_pause_keeps_the_rules_and_the_gates_look_on() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    rollout, driver = until_rules(world)
    world.rollouts.update(rollout, lambda found: found.changed(state=State.PAUSED))
    assert world.drive(driver, rollout, seconds=1800, every=60).state is State.PAUSED
    assert world.cloud.sent == BOTH
    world.metrics.candidate = Behaviour(errors=0.1)
    assert world.drive(driver, rollout, every=60).state is State.TAKEN_BACK


def test_outside_its_windows_an_experiment_does_not_begin_and_does_not_stop() -> None:
    world = ab_world()  # it is 03:00
    rollout, driver = world.start(**AB, windows=["03:10-03:20"]), world.controller()
    world.drive(driver, rollout, seconds=500, every=60)
    assert world.cloud.sent == {}
    world.drive(driver, rollout, seconds=600, every=60)
    assert world.cloud.sent == BOTH
    status = world.drive(driver, rollout, seconds=900, every=60)
    assert (world.cloud.sent, status.state) == (BOTH, State.RUNNING)


def test_who_lets_it_begin_outside_its_window_has_not_promoted_it() -> None:
    world = ab_world()
    rollout, driver = world.start(**AB, windows=["04:00-05:00"]), world.controller()
    world.drive(driver, rollout, seconds=60, every=30)
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    status = world.drive(driver, rollout, seconds=120, every=30)
    assert (world.cloud.sent, status.state, status.step) == (BOTH, State.RUNNING, 0)


def test_nor_has_who_writes_a_note_in_the_moment_in_which_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ab_world()
    rollout, driver = world.start(**AB, windows=["04:00-05:00"]), world.controller()
    world.drive(driver, rollout, seconds=60, every=30)
    world.rollouts.update(rollout, lambda found: found.changed(approved=found.step))
    look = world.cloud.variants

    def noted(listener: str) -> dict[str, str]:
        if world.cloud.sent:
            monkeypatch.setattr(world.cloud, "variants", look)
            world.rollouts.update(rollout, lambda found: found.said(world.clock(), "note", "it begins"))
        return look(listener)

    monkeypatch.setattr(world.cloud, "variants", noted)
    status = world.drive(driver, rollout, seconds=120, every=30)
    assert "note" in [event.what for event in status.events]
    assert (world.cloud.sent, status.state, status.step) == (BOTH, State.RUNNING, 0)


def test_rules_that_nobody_can_read_keep_no_users_from_going_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ab_world()
    rollout, driver = until_rules(world)

    def throttled(listener: str) -> dict[str, str]:
        raise ClientError({"Error": {"Code": "Throttling"}}, f"DescribeRules of {listener}")

    monkeypatch.setattr(world.cloud, "variants", throttled)
    assert driver.tick(rollout).status.state is State.RUNNING
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    assert driver.tick(rollout).status.state is State.TAKEN_BACK
    assert world.cloud.sent == {}


def test_while_rules_cannot_be_read_nothing_goes_on_to_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.metrics.worth["candidate"] = 0.3

    def away(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "Throttling"}}, "DescribeRules")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud, "variants", away)
        patched.setattr(world.cloud, "clear_variants", away)
        for _ in range(20):
            world.clock.sleep_now(60)
            with suppress(ClientError):
                driver.tick(rollout)
        assert world.rollouts.read(rollout).trial.until is not None, "it has won"
        assert set(world.cloud.weights_put) == {0}
    assert world.drive(driver, rollout, every=60).state is State.PROMOTED


def test_what_can_never_be_found_is_refused_before_it_begins() -> None:
    world = ab_world()
    with pytest.raises(Exception, match=r"would end undecided after 14d: .*that takes \d+.* days"):
        world.start(**asked(users_a_day=100))
    assert world.record().rollout is None


@pytest.mark.usefixtures("one_by_one")
def test_an_experiment_that_was_never_whole_is_made_whole() -> None:
    world = ab_world()
    rollout, driver = world.start(**AB), world.controller()
    world.cloud.half = True
    with pytest.raises(Exception, match="Throttling"):
        driver.tick(rollout)
    assert world.cloud.sent == {"control": BLUE_TG}
    world.cloud.half = False
    world.clock.sleep_now(10)
    status = driver.tick(rollout).status
    assert world.cloud.sent == BOTH
    assert status.trial.since == world.clock.now


@pytest.mark.usefixtures("one_by_one")
def test_rules_that_can_never_be_made_whole_are_taken_out() -> None:
    world = ab_world()
    rollout, driver = world.start(**AB, ready_timeout="10m"), world.controller()
    world.cloud.half = True
    for _ in range(20):
        with suppress(StoreError):
            driver.tick(rollout)
        world.clock.sleep_now(40)
    world.cloud.half = False
    status = driver.tick(rollout).status
    assert (status.state, status.unstable) == (State.TAKEN_BACK, False)
    assert "only those of control could be made" in status.cause
    assert (world.cloud.sent, world.record().rollout) == ({}, None)


@pytest.mark.usefixtures("one_by_one")
def test_half_a_return_is_made_whole_by_the_next_look() -> None:
    world = ab_world()
    rollout, driver = until_rules(world)
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    world.cloud.half = True
    with pytest.raises(Exception, match="Throttling"):
        driver.tick(rollout)
    assert GREEN_TG not in world.cloud.sent.values()
    world.cloud.half = False
    world.clock.now += timedelta(seconds=31)
    assert world.controller(BERT).tick(rollout).status.state is State.TAKEN_BACK
    assert world.cloud.sent == {}
