"""Drivers of an experiment that are killed, stopped and doubled: rules and weights end as if there had been one."""

from datetime import timedelta
from functools import partial

import pytest
from ab_world import AB, BOTH, AbWorld, ab_world
from fakes import GREEN_TG
from kills import SWEEPS, Effects, spread, through
from rollout_world import ANNA, BERT
from test_rollout_faults import config
from turnout_components.gate import observe
from turnout_components.resolve import SwitchRefused, resolve
from turnout_components.rollback import rollback
from turnout_components.switch_record import Operator, Traffic

from turnout.rollout.status import LEASE, RolloutStatus, State

ROUTERS = ("listener", "gateway")

BLUE = Traffic.all_to("blue", ("blue", "green"))
ENDS: dict[str, tuple[float, float, State, list[int]]] = {
    "the candidate wins": (0.2, 0.0, State.PROMOTED, [0, 100]),
    "the candidate is worse": (0.04, 0.0, State.TAKEN_BACK, [0]),
    "the division is broken": (0.1, 0.6, State.TAKEN_BACK, [0]),
    "nothing is found": (0.1, 0.0, State.TAKEN_BACK, [0]),
}
"""The candidate's conversions, the share of its users that is lost, and the end."""
TRAFFIC = {"put_variants", "clear_variants", "set_weights", "patch"}


def story(name: str) -> tuple[AbWorld, str]:
    worth, lost, _, _ = ENDS[name]
    world = ab_world()
    world.metrics.worth["candidate"], world.metrics.lost = worth, lost
    asked = {**AB["experiment"], "smallest": 0.05, "users_a_day": 50_000_000, "for": "15m"}
    return world, world.start(**{**AB, "experiment": asked, "observe": "2m", "extend": "5m"})


@SWEEPS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ENDS)
def test_a_kill_at_every_effect_changes_nothing_of_the_end(name: str, after: bool, of: int) -> None:
    world, rollout = story(name)
    made = Effects(world)
    whole = world.drive(world.controller(), rollout, every=60)
    assert (whole.state, world.cloud.weights_put) == ENDS[name][2:], whole.cause
    assert {name for _, name in world.effects if name in TRAFFIC} <= set(made.done)
    for at in spread(range(len(made.done)), of, after=after):
        world, rollout = story(name)

        def drive(operator: Operator, world: AbWorld = world, rollout: str = rollout) -> RolloutStatus:
            return world.drive(world.controller(operator), rollout, every=60)

        status = through(world, Effects(world, at, after=after), partial(drive, ANNA), partial(drive, BERT))
        told = f"killed {'after' if after else 'before'} effect {at}"
        assert (status.state, world.cloud.weights_put) == ENDS[name][2:], f"{told}: {status.cause}"
        assert_whole(world, status, whole, told)


def assert_whole(world: AbWorld, status: RolloutStatus, whole: RolloutStatus, told: str) -> None:
    record = world.record()
    assert (record.traffic and record.traffic.active) == ("green" if status.state is State.PROMOTED else "blue"), told
    assert (record.rollout, record.claim, world.cloud.sent) == (None, None, {}), told
    assert (status.unstable, bool(record.unstable)) == (whole.unstable, whole.unstable), told
    assert world.cloud.rules_put == [{}, BOTH, {}], told
    out = next(at for at, rules in reversed(world.cloud.rules) if not rules)
    assert all(at >= out for at, weight in world.cloud.history if weight), f"{told}: weight while users were divided"
    until, design = status.trial.measured_until, status.design
    assert until is not None
    assert design is not None
    spans = {span for span in world.metrics.read_spans if span.end <= until}
    once = {name: sum(world.metrics.counted(design, span)[name].count for span in spans) for name in design.split}
    assert {name: held.count for name, held in status.trial.totals.items()} == once, f"{told}: a user counts twice, or not"


def test_two_drivers_at_once_do_what_one_does() -> None:
    world, rollout = story("the candidate wins")
    drivers = [world.controller(ANNA), world.controller(BERT)]
    for turn in range(2000):
        if drivers[turn % 2].tick(rollout).status.state.is_over:
            break
        world.clock.sleep_now(31)
    assert world.cloud.weights_put == [0, 100]
    assert world.cloud.rules_put == [{}, BOTH, {}]


def test_a_stopped_driver_that_wakes_after_an_abort_leaves_no_rule() -> None:
    """SIGSTOP before its call to the load balancer, an abort meanwhile, SIGCONT."""
    world, rollout = story("the candidate wins")

    def asleep() -> None:
        world.cloud.before_rules = lambda: None
        world.clock.sleep_now(LEASE.total_seconds() * 2)
        world.controller(BERT).abort(rollout, "its driver hangs")

    world.cloud.before_rules = asleep
    world.controller(ANNA).tick(rollout)
    assert [GREEN_TG in rules.values() for _, rules in world.cloud.rules][-2:] == [True, False]
    assert world.cloud.sent == {}
    assert world.rollouts.read(rollout).state is State.TAKEN_BACK


def test_a_stopped_driver_that_wakes_while_the_rules_are_to_stand_leaves_them() -> None:
    world, rollout = story("the candidate wins")

    def asleep() -> None:
        world.cloud.before_rules = lambda: None
        world.clock.sleep_now(LEASE.total_seconds() * 2)
        world.controller(BERT).tick(rollout)

    world.cloud.before_rules = asleep
    world.controller(ANNA).tick(rollout)
    assert world.cloud.sent == BOTH
    world.clock.sleep_now(LEASE.total_seconds() * 2)
    status = world.drive(world.controller(BERT), rollout, every=60)
    assert status.state is State.PROMOTED, status.cause


def test_rules_that_were_put_after_the_end_are_taken_out_by_whoever_looks() -> None:
    world, rollout = story("the candidate wins")
    driver = world.controller(ANNA)
    world.drive(driver, rollout, seconds=120, every=30)
    driver.abort(rollout, "enough")
    world.cloud.sent = dict(BOTH)
    world.clock.sleep_now(60)
    world.controller(BERT).tick(rollout)
    assert world.cloud.sent == {}


def test_a_driver_that_comes_after_the_end_reads_the_users_first() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.11
    rollout, driver = world.start(**AB), world.controller()
    world.drive(driver, rollout, seconds=120, every=20)
    assert world.cloud.sent == BOTH
    world.clock.now += timedelta(days=15)
    status = world.drive(world.controller(BERT), rollout, seconds=86400, every=60)
    assert any("green wins" in event.what for event in status.events), status.cause


@pytest.mark.usefixtures("one_by_one")
def test_a_network_load_balancer_divides_nobody() -> None:
    """The stack's config is refused too; a strategy may be given to the command alone."""
    world = ab_world()
    world.records.update(lambda record: record.changed(listener="arn:aws:elasticloadbalancing:x:1:listener/net/svc/1/2"))
    with pytest.raises(SwitchRefused, match="a network load balancer reads none"):
        world.start(**AB)
    assert world.record().rollout is None


def test_an_experiment_that_a_clock_ahead_has_begun_counts_from_now() -> None:
    world = ab_world()
    world.metrics.worth["candidate"] = 0.13
    rollout, driver = world.start(**AB), world.controller()
    real = world.clock.now
    world.clock.now += timedelta(days=10)
    driver.tick(rollout)
    assert world.cloud.sent == BOTH
    world.clock.now = real + timedelta(minutes=1)
    world.cloud.rules = [(real, dict(BOTH))]
    status = world.drive(driver, rollout, seconds=2 * 86400, every=60)
    assert any("green wins" in event.what for event in status.events), "the wrong clock's ten days are not waited for"


def test_while_the_store_is_away_a_bad_candidate_still_loses_its_users() -> None:
    world, rollout = story("nothing is found")
    driver = world.controller()
    world.drive(driver, rollout, seconds=120, every=10)
    assert world.cloud.sent == BOTH
    world.dynamo.missing = True
    world.cloud.serve("g-green", GREEN_TG, 1, state="unhealthy")
    world.clock.sleep_now(2)
    with pytest.raises(Exception, match=r"."):
        driver.tick(rollout)
    assert world.cloud.sent == {}
    world.dynamo.missing = False
    world.clock.now += timedelta(seconds=40)
    assert world.drive(world.controller(BERT), rollout, every=10).state is State.TAKEN_BACK


def test_an_update_in_the_middle_moves_nothing() -> None:
    world, rollout = story("nothing is found")
    world.drive(world.controller(), rollout, seconds=120, every=10)
    record = world.record()
    live = observe(world.cloud, record)  # type: ignore[arg-type]
    decision = resolve(config(BLUE), record, live, world.clock())
    assert not decision.moves
    assert (decision.sizes["blue"].minimum, decision.sizes["green"].minimum) == (4, 1)
    with pytest.raises(Exception, match="the release of green stays"):
        resolve(config(BLUE, "m-3@sha256:" + "3" * 64), record, live, world.clock())


def test_a_rollback_before_the_first_weight_ends_the_rollout() -> None:
    world, rollout = story("nothing is found")
    rollback(world.records, world.cloud, operator=BERT, clock=world.clock, sleep=world.clock.sleep_now)  # type: ignore[arg-type]
    assert (world.record().rollout, world.record().traffic) == (None, BLUE)
    assert world.controller(BERT).tick(rollout).status.state is State.TAKEN_BACK
    assert world.cloud.rules_put == [{}]
