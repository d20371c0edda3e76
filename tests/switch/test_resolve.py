"""The decision as a table, and what must hold for every input."""

from datetime import timedelta

import pytest
from fakes import BLUE_TG, GREEN_TG, LISTENER, START
from hypothesis import given
from hypothesis import strategies as st
from turnout_components.resolve import (
    EnvironmentConfig,
    Live,
    Size,
    SwitchConfig,
    SwitchRefused,
    parity,
    resolve,
)
from turnout_components.standby import Keep, StandbyPolicy
from turnout_components.switch_record import Claim, EnvironmentState, Floor, Operator, Retained, SwitchRecord, Traffic, Unstable

ONE, TWO, THREE = (f"model-{n}@sha256:{str(n) * 64}" for n in (1, 2, 3))
BLUE, GREEN = Traffic.all_to("blue", ("blue", "green")), Traffic.all_to("green", ("blue", "green"))
ELSEWHERE = Operator(name="ann", host="another-host", pid=1)


def config(traffic: Traffic = BLUE, blue: str | None = ONE, green: str | None = TWO, **standby: object) -> SwitchConfig:
    environments = {"blue": EnvironmentConfig(blue, 2, 6), "green": EnvironmentConfig(green, 2, 6)}
    return SwitchConfig(traffic, environments, StandbyPolicy(**standby))  # type: ignore[arg-type]


def record(traffic: Traffic = BLUE, base: Traffic | None = BLUE, **fields: object) -> SwitchRecord:
    environments = {
        "blue": EnvironmentState(target_group=BLUE_TG, group="g-blue", release=ONE),
        "green": EnvironmentState(target_group=GREEN_TG, group="g-green", release=TWO),
    }
    given_fields = {"environments": environments, "listener": LISTENER, "generation": 3, **fields}
    return SwitchRecord(key="s/dev", traffic=traffic, config_base=base, **given_fields)  # type: ignore[arg-type]


def claim(to: Traffic = GREEN, seconds: float = 30, **fields: object) -> Claim:
    return Claim(  # type: ignore[arg-type]
        token="t", by=ELSEWHERE, began=START, expires=START + timedelta(seconds=seconds), to=to, bake=600, **fields
    )


def test_schedules_bind_who_carries_weight_and_wake_no_standby():
    environments = {name: EnvironmentConfig(release, 2, 6, serving=(4, 9)) for name, release in (("blue", ONE), ("green", TWO))}
    wanted = SwitchConfig(BLUE, environments, StandbyPolicy())
    assert resolve(wanted, record(), Live(BLUE.weights), START).sizes == {"blue": Size(4, 9), "green": Size(2, 6)}
    assert resolve(wanted, None, Live(None), START).sizes == {"blue": Size(4, 9), "green": Size(2, 6)}
    moving = SwitchConfig(GREEN, environments, StandbyPolicy())
    assert set(resolve(moving, record(), Live(BLUE.weights), START).sizes.values()) == {Size(4, 9)}, (
        "blue serves until it has moved"
    )


@pytest.mark.parametrize(
    ("wanted", "recorded", "base", "outcome"),
    [
        (BLUE, BLUE, BLUE, "stays blue"),
        (GREEN, BLUE, BLUE, "moves to green"),
        (GREEN, BLUE, GREEN, "stays blue"),  # rolled back or promoted elsewhere: an old commit moves nothing
        (GREEN, GREEN, BLUE, "stays green"),
        (GREEN, BLUE, None, "moves to green"),
        (Traffic(active="blue", weights={"blue": 90, "green": 10}), BLUE, BLUE, "moves to blue"),
        (Traffic(active="blue", weights={"blue": 90, "green": 10}), GREEN, BLUE, "both changed"),
    ],
)
def test_precedence_of_config_record_and_what_they_last_agreed_on(wanted, recorded, base, outcome):
    live = Live(recorded.weights)
    if outcome == "both changed":
        with pytest.raises(SwitchRefused, match="both changed"):
            resolve(config(wanted), record(recorded, base), live, START)
        return
    decision = resolve(config(wanted), record(recorded, base), live, START)
    verb = "moves to" if decision.moves else "stays"
    assert f"{verb} {decision.traffic.active}" == outcome
    assert decision.traffic == (wanted if decision.moves else recorded)


def test_an_agreeing_config_becomes_the_base():
    decision = resolve(config(GREEN), record(GREEN, BLUE), Live(GREEN.weights), START)
    assert decision.record is not None
    assert decision.record.config_base == GREEN


def test_the_first_deployment_follows_config_and_writes_nothing():
    decision = resolve(config(GREEN), None, Live(None), START)
    assert (decision.traffic, decision.moves, decision.record) == (GREEN, True, None)
    assert decision.sizes["green"] == Size(2, 6)


def test_after_a_destroy_the_old_traffic_is_void_and_unstable_marks_stay():
    mark = {TWO.partition("@")[2]: Unstable(release=TWO, at=START, by="ann", reason="slow")}
    old = record(GREEN, GREEN, unstable=mark, floors={"green": Floor(minimum=5)})
    decision = resolve(config(BLUE), old, Live(None), START)
    assert decision.traffic == BLUE
    assert decision.record == SwitchRecord(key="s/dev", generation=3, unstable=mark)
    with pytest.raises(SwitchRefused, match="marked unstable"):
        resolve(config(GREEN), old, Live(None), START)


def test_live_weights_that_differ_from_the_record_become_the_record():
    decision = resolve(config(GREEN), record(BLUE, BLUE), Live(GREEN.weights), START)
    assert decision.moves is False
    assert decision.record is not None
    assert decision.record.traffic == GREEN
    assert decision.record.config_base == GREEN


def test_state_green_but_live_and_record_blue_still_moves_when_config_asks():
    assert resolve(config(GREEN), record(BLUE, BLUE), Live(BLUE.weights), START).moves


def test_a_move_cut_off_before_its_record_was_written_is_completed():
    kept = Retained(environment="blue", release=ONE, minimum=4)
    crashed = record(BLUE, BLUE, claim=claim(floors={"green": 4}, retained=kept))
    decision = resolve(config(GREEN), crashed, Live(GREEN.weights, claimant_gone=True), START)
    settled = decision.record
    assert settled is not None
    kept = kept.model_copy(update={"until": START + StandbyPolicy().retain_for})
    assert (settled.traffic, settled.claim, settled.retained, settled.flipped_at) == (GREEN, None, kept, START)
    assert settled.floors["green"].minimum == 4
    assert decision.moves is False
    assert decision.sizes["blue"].minimum == 4


@pytest.mark.parametrize(("seconds", "gone", "refused"), [(30, False, True), (30, True, False), (-1, False, False)])
def test_a_live_claim_of_another_operator_stops_the_update(seconds, gone, refused):
    held = record(claim=claim(seconds=seconds))
    if refused:
        with pytest.raises(SwitchRefused, match=r"ann@another-host \(pid 1\) is moving traffic"):
            resolve(config(), held, Live(BLUE.weights, gone), START)
    else:
        assert resolve(config(), held, Live(BLUE.weights, gone), START).record.claim is None  # type: ignore[union-attr]


def test_a_release_does_not_change_under_traffic():
    with pytest.raises(SwitchRefused, match=r"blue carries 100 %.*turnout:environments.green.release"):
        resolve(config(blue=THREE), record(), Live(BLUE.weights), START)


def test_another_retain_for_is_recorded_since_it_changes_when_the_standby_goes():
    kept = Retained(environment="blue", release=ONE, minimum=4, until=START + timedelta(hours=1))
    flipped = record(GREEN, GREEN, retained=kept, flipped_at=START)
    settled = resolve(config(GREEN, retain_for=timedelta(hours=2)), flipped, Live(GREEN.weights), START).record
    assert settled is not None
    assert settled.retained is not None
    assert settled.retained.until == START + timedelta(hours=2)
    assert resolve(config(GREEN, retain_for=timedelta(hours=1)), flipped, Live(GREEN.weights), START).record is None


def test_a_retained_release_is_thrown_away_only_by_name_or_after_its_time():
    kept = Retained(environment="blue", release=ONE, minimum=2)
    flipped = record(GREEN, GREEN, retained=kept, flipped_at=START)
    live, day = Live(GREEN.weights), timedelta(hours=24)
    with pytest.raises(SwitchRefused, match="standby.discard to model-1"):
        resolve(config(GREEN, blue=THREE), flipped, live, START + day - timedelta(seconds=1))
    with pytest.raises(SwitchRefused, match="discard"):
        resolve(config(GREEN, blue=THREE, discard="model-2"), flipped, live, START)
    with pytest.raises(SwitchRefused, match="discard"):
        resolve(config(GREEN, blue=None), flipped, live, START)
    for allowed in ("model-1", ONE):
        assert not resolve(config(GREEN, blue=THREE, discard=allowed), flipped, live, START).moves
    assert not resolve(config(GREEN, blue=THREE), flipped, live, START + day).moves


def test_an_unstable_release_gets_no_traffic_until_it_is_accepted():
    mark = {TWO.partition("@")[2]: Unstable(release=TWO, at=START, by="ann", reason="slow")}
    marked = record(unstable=mark)
    with pytest.raises(SwitchRefused, match="turnout releases accept model-2"):
        resolve(config(GREEN), marked, Live(BLUE.weights), START)
    assert resolve(config(GREEN), marked.accepted("model-2", START, "ann"), Live(BLUE.weights), START).moves


def test_an_environment_without_release_gets_no_traffic():
    with pytest.raises(SwitchRefused, match="green is to carry 100 % and has no release"):
        resolve(config(GREEN, green=None), record(environments={}), Live(BLUE.weights), START)


@pytest.mark.parametrize(
    ("keep", "after", "size"),
    [
        (Keep.FULL, timedelta(minutes=5), Size(5, 6)),
        (Keep.WARM, timedelta(minutes=5), Size(5, 6)),  # still baking
        (Keep.FULL, timedelta(minutes=10), Size(5, 6)),
        (Keep.WARM, timedelta(minutes=10), Size(1, 6)),
        (Keep.COLD, timedelta(minutes=10), Size(0, 0, warm_pool=False)),
        (Keep.FULL, timedelta(hours=24), Size(0, 0, warm_pool=False)),
        (Keep.WARM, timedelta(hours=24), Size(0, 0, warm_pool=False)),
    ],
)
def test_the_standby_steps_down_after_the_bake_and_at_the_end_of_retention(keep, after, size):
    kept = Retained(environment="blue", release=ONE, minimum=5)
    flipped = record(GREEN, GREEN, retained=kept, flipped_at=START)
    decision = resolve(config(GREEN, keep=keep), flipped, Live(GREEN.weights), START + after)
    assert decision.sizes["blue"] == size
    assert decision.sizes["green"] == Size(2, 6)


def test_no_standby_steps_down_in_the_update_that_moves_traffic():
    kept = Retained(environment="blue", release=ONE, minimum=5)
    flipped = record(GREEN, GREEN, retained=kept, flipped_at=START)
    tenth = Traffic(active="green", weights={"blue": 0, "green": 100})
    back = resolve(config(BLUE, keep=Keep.COLD), flipped, Live(tenth.weights), START + timedelta(days=2))
    assert back.moves
    assert back.sizes["blue"] == Size(2, 6)


def test_the_floor_of_the_new_active_ends_with_the_bake_and_above_the_maximum_it_is_refused():
    flipped = record(GREEN, GREEN, floors={"green": Floor(minimum=5, until=START + timedelta(minutes=10))})
    live = Live(GREEN.weights)
    assert resolve(config(GREEN), flipped, live, START).sizes["green"] == Size(5, 6)
    assert resolve(config(GREEN), flipped, live, START + timedelta(minutes=10)).sizes["green"] == Size(2, 6)
    high = flipped.changed(floors={"green": Floor(minimum=7)})
    with pytest.raises(SwitchRefused, match="turnout:pool.maximum to 7"):
        resolve(config(GREEN), high, live, START)


weights_pairs = st.integers(0, 100).map(lambda green: {"blue": 100 - green, "green": green})


@given(weights_pairs, weights_pairs, st.integers(0, 50), st.integers(0, 50))
def test_parity_never_leaves_an_instance_more_load_than_it_had(new, carrying, blue, green):
    in_service = {"blue": blue, "green": green}
    total = sum(in_service[n] for n, w in carrying.items() if w > 0)
    for name, count in parity(new, carrying, in_service).items():
        assert new[name] > carrying[name]
        assert count * 100 >= new[name] * total
        assert (count - 1) * 100 < new[name] * total


@st.composite
def situations(draw):
    traffic = st.sampled_from([BLUE, GREEN, Traffic(active="blue", weights={"blue": 50, "green": 50})])
    rec = record(draw(traffic), draw(st.none() | traffic))
    if draw(st.booleans()):
        rec = rec.changed(claim=claim(to=draw(traffic), seconds=draw(st.sampled_from([-1, 30]))))
    live = Live(draw(traffic).weights, draw(st.booleans()))
    return config(draw(traffic)), rec, live


@given(situations())
def test_resolving_twice_changes_nothing_more(situation):
    wish, rec, live = situation
    try:
        first = resolve(wish, rec, live, START)
    except SwitchRefused:
        return
    second = resolve(wish, first.record or rec, live, START)
    assert (second.traffic, second.moves, second.sizes) == (first.traffic, first.moves, first.sizes)
    assert second.record is None
    if not first.moves:
        assert first.traffic.weights == live.weights
