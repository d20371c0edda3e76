"""Rollback: the balancer first, then the record; what it refuses."""

from datetime import timedelta

import pytest
from fakes import BLUE_TG, GREEN_TG, START, FakeDynamoDB
from test_gate import ME, World
from test_resolve import BLUE, GREEN, ONE, TWO, claim
from turnout_components.items import DynamoItems, RecordError
from turnout_components.resolve import SwitchRefused
from turnout_components.rollback import RolledBack, rollback
from turnout_components.standby import Launch
from turnout_components.switch_record import RecordStore, Retained, Traffic


@pytest.fixture
def flipped() -> World:
    world = World()
    kept = Retained(environment="blue", release=ONE, minimum=2)
    world.store.update(lambda r: r.changed(traffic=GREEN, config_base=GREEN, retained=kept, flipped_at=START))
    world.cloud.listener_weights = {BLUE_TG: 0, GREEN_TG: 100}
    return world


def back(world: World, **options: object) -> RolledBack:
    return rollback(  # type: ignore[arg-type]
        world.store,
        world.cloud,
        operator=ME,
        step_downs=world.step_downs,
        clock=world.clock,
        sleep=world.clock.sleep_now,
        timeout=timedelta(seconds=5),
        notify=world.said.append,
        **options,
    )


def test_traffic_goes_back_and_the_bad_release_is_marked(flipped):
    done = back(flipped, reason="slow")
    assert (done.before, done.after, done.release, done.unstable) == (GREEN, BLUE, ONE, TWO)
    assert flipped.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}
    record = flipped.record
    assert (record.traffic, record.config_base, record.retained) == (BLUE, GREEN, None)
    assert next(iter(record.unstable.values())).release == TWO
    assert record.history[-1].kind == "rollback"


def test_the_balancer_is_called_before_the_record_is_written(flipped):
    flipped.db.before_put = lambda: flipped.cloud.calls.append("record")
    back(flipped)
    assert flipped.cloud.calls == [f"weights { ({BLUE_TG: 100, GREEN_TG: 0}) }", "record"]


def test_a_record_that_cannot_be_written_does_not_hide_that_traffic_is_back(flipped):
    flipped.db.before_put = lambda: setattr(flipped.db, "missing", True) or flipped.db.items.clear()
    with pytest.raises(RecordError, match="traffic is back at blue 100 / green 0"):
        back(flipped)
    assert flipped.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}


def test_a_rollback_in_mid_flip_breaks_the_claim(flipped):
    flipped.store.update(lambda r: r.changed(traffic=BLUE, config_base=BLUE, retained=None, claim=claim()))
    done = back(flipped)
    assert (done.after, done.unstable) == (BLUE, TWO)
    assert flipped.record.claim is None
    assert flipped.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}


def test_a_second_rollback_has_nothing_to_go_back_to(flipped):
    back(flipped)
    with pytest.raises(SwitchRefused, match="no standby is kept"):
        back(flipped)


def test_a_standby_without_healthy_targets_gets_nothing(flipped):
    flipped.cloud.serve("g-blue", BLUE_TG, 2, state="unhealthy", minimum=2)
    with pytest.raises(SwitchRefused, match="0 healthy targets and needs 2"):
        back(flipped)
    with pytest.raises(SwitchRefused, match="needs 1"):
        back(flipped, now_at_any_size=True)
    assert flipped.cloud.listener_weights == {BLUE_TG: 0, GREEN_TG: 100}


def test_a_claim_that_its_holder_left_behind_before_moving_does_not_turn_a_rollback_round(flipped):
    flipped.store.update(lambda r: r.changed(claim=claim(BLUE, seconds=-60)))
    done = back(flipped)
    assert (done.before, done.after, done.unstable) == (GREEN, BLUE, TWO)
    assert flipped.record.claim is None


def test_a_claim_whose_holder_died_after_the_move_is_undone(flipped):
    flipped.store.update(lambda r: r.changed(traffic=BLUE, config_base=BLUE, retained=None, claim=claim(seconds=-60)))
    done = back(flipped)
    assert (done.before, done.after, done.unstable) == (GREEN, BLUE, TWO)
    assert flipped.cloud.listener_weights == {BLUE_TG: 100, GREEN_TG: 0}


def test_a_standby_whose_group_is_gone_gets_nothing(flipped):
    del flipped.cloud.groups["g-blue"]
    flipped.cloud.health[BLUE_TG] = []
    with pytest.raises(SwitchRefused, match="blue has 0 healthy targets and needs 2"):
        back(flipped)
    assert flipped.cloud.calls == []


def test_a_warm_standby_is_raised_to_its_size_at_the_flip_first(flipped):
    flipped.cloud.serve("g-blue", BLUE_TG, 1)
    flipped.clock.on_sleep = lambda: flipped.cloud.serve("g-blue", BLUE_TG, 2, minimum=2)
    back(flipped)
    assert flipped.cloud.calls[0] == "minimum g-blue 2"
    assert "1 of 2" in flipped.said[0]


def test_now_moves_at_once_with_one_healthy_target(flipped):
    flipped.cloud.serve("g-blue", BLUE_TG, 1)
    back(flipped, now_at_any_size=True)
    assert flipped.cloud.calls == [f"weights { ({BLUE_TG: 100, GREEN_TG: 0}) }"]


@pytest.mark.parametrize("follows", [True, False])
def test_clients_that_stay_behind_with_their_cookies_are_told_of(flipped, follows):
    flipped.cloud.follows = follows
    assert back(flipped).after == BLUE
    assert any("stickiness cookie" in line for line in flipped.said) is not follows


def test_without_a_record_it_says_that_nothing_is_deployed():
    world = World()
    world.store = RecordStore(DynamoItems(FakeDynamoDB(), "turnout-switch"), "s", "dev")
    with pytest.raises(SwitchRefused, match="nothing is deployed"):
        back(world)


def test_step_downs_are_taken_back_right_after_the_weights(flipped):
    flipped.step_downs.calls = flipped.cloud.calls
    back(flipped)
    assert flipped.cloud.calls == [f"weights { ({BLUE_TG: 100, GREEN_TG: 0}) }", "clear g-blue"]


def test_step_downs_that_cannot_be_taken_back_do_not_hold_a_rollback_up(flipped):
    flipped.step_downs.fails = OSError("no network")
    assert back(flipped).after == BLUE
    assert "run `turnout up` soon" in flipped.said[-1]


def test_a_cold_standby_gets_its_maximum_back_and_says_how_long_it_takes(flipped):
    kept = Retained(environment="blue", release=ONE, minimum=2, maximum=6)
    flipped.store.update(lambda r: r.changed(retained=kept))
    flipped.cloud.serve("g-blue", BLUE_TG, 0, minimum=0, maximum=0)
    flipped.cloud.past_launches = {"g-blue": [Launch(120, False)]}
    flipped.clock.on_sleep = lambda: flipped.cloud.serve("g-blue", BLUE_TG, 2, minimum=2, maximum=raised())

    def raised() -> int:
        return flipped.cloud.groups["g-blue"].maximum

    assert back(flipped).after == BLUE
    assert flipped.cloud.groups["g-blue"].maximum == 6
    assert "ready in about 120 s (2 from nothing; median of 1)" in flipped.said[0]
    assert flipped.step_downs.calls[0] == "clear g-blue"


def test_split_traffic_goes_back_to_the_active_side_and_an_experiments_rules_go(flipped):
    split = Traffic(active="blue", weights={"blue": 90, "green": 10})
    flipped.store.update(lambda r: r.changed(traffic=split, retained=None))
    flipped.cloud.listener_weights = {BLUE_TG: 90, GREEN_TG: 10}
    flipped.cloud.sent = {"treatment": GREEN_TG}
    done = back(flipped)
    assert (done.after, done.unstable) == (BLUE, TWO)
    assert flipped.cloud.calls == [f"weights { ({BLUE_TG: 100, GREEN_TG: 0}) }", f"clear variants, {GREEN_TG} first"]
    assert flipped.cloud.sent == {}
