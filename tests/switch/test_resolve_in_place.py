"""Replacing the active environment's release in place: only where config accepts downtime, and one thing at a time."""

import pytest
from fakes import BLUE_TG, GREEN_TG, LISTENER, START
from turnout_components.resolve import EnvironmentConfig, Live, SwitchConfig, SwitchRefused, replaced_in_place, resolve
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import EnvironmentState, SwitchRecord, Traffic, Unstable

ONE, TWO, THREE = (f"model-{n}@sha256:{str(n) * 64}" for n in (1, 2, 3))
BLUE, GREEN = Traffic.all_to("blue", ("blue", "green")), Traffic.all_to("green", ("blue", "green"))
SPLIT = Traffic(active="blue", weights={"blue": 90, "green": 10})
MARK = Unstable(release=THREE, at=START, by="ann", reason="wrong answers")


def config(traffic: Traffic = BLUE, blue: str | None = THREE, green: str | None = TWO, recreate: bool = True) -> SwitchConfig:
    environments = {"blue": EnvironmentConfig(blue, 2, 6), "green": EnvironmentConfig(green, 2, 6)}
    return SwitchConfig(traffic, environments, StandbyPolicy(), recreate)


def record(traffic: Traffic = BLUE, **fields: object) -> SwitchRecord:
    environments = {
        "blue": EnvironmentState(target_group=BLUE_TG, group="g-blue", release=ONE),
        "green": EnvironmentState(target_group=GREEN_TG, group="g-green", release=TWO),
    }
    found = SwitchRecord(key="s/dev", traffic=traffic, config_base=traffic, environments=environments, listener=LISTENER)
    return found.changed(**fields)


def test_where_downtime_is_accepted_the_active_release_is_replaced_and_nothing_moves() -> None:
    decision = resolve(config(), record(), Live(BLUE.weights), START)
    assert decision.traffic == BLUE
    assert not decision.moves
    assert decision.reason == (
        f"no move: blue 100 / green 0; DOWNTIME: blue is replaced in place, its users get 503 until {THREE} is healthy"
    )


@pytest.mark.parametrize(
    ("wanted", "recorded", "said"),
    [
        (config(recreate=False), record(), "its release stays"),
        (config(blue=None), record(), "has no release"),
        (config(GREEN), record(), "is to be replaced in place while"),  # a move at the same time
        (config(), record(SPLIT), "is to be replaced in place while"),
        (config(SPLIT), record(SPLIT), "give one environment all traffic first"),
        (config(SPLIT, blue=ONE, green=THREE), record(SPLIT), "green is to be replaced in place"),
        (config(), record(unstable={"sha256:" + "3" * 64: MARK}), "was marked unstable"),
        (config(), record(rollout="m-2-20260102"), "rollout m-2-20260102 is under way"),
    ],
)
def test_what_is_refused_all_the_same(wanted: SwitchConfig, recorded: SwitchRecord, said: str) -> None:
    assert recorded.traffic is not None
    with pytest.raises(SwitchRefused, match=said):
        resolve(wanted, recorded, Live(recorded.traffic.weights), START)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(config(), ["blue"]), (config(blue=ONE), []), (config(blue=ONE, green=THREE), []), (config(green=THREE), ["blue"])],
)
def test_it_is_in_place_only_where_traffic_is(wanted: SwitchConfig, found: list[str]) -> None:
    assert replaced_in_place(wanted, record()) == found


def test_without_a_change_of_the_active_release_nothing_is_said_of_downtime() -> None:
    decision = resolve(config(blue=ONE, green=THREE), record(), Live(BLUE.weights), START)
    assert "DOWNTIME" not in decision.reason
