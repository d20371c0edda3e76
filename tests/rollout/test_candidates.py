"""Which releases a rollback by hand may go to, from the history that the switch's own methods write."""

from datetime import UTC, datetime, timedelta

import pytest
from turnout_components.switch_record import Claim, EnvironmentState, Operator, SwitchRecord, Traffic

from turnout.rollout.candidates import NoCandidate, candidates, choose

START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
BY = Operator(name="ops", host="h", pid=1)
ONE, TWO, THREE, FOUR = (f"m-{n}.0.0@sha256:{str(n) * 64}" for n in (1, 2, 3, 4))


class History:
    """A switch that goes from release to release, an hour apart."""

    def __init__(self, release: str) -> None:
        self.hour = 0
        self.record = SwitchRecord(key="m/prod")
        self.deploy(blue=release)
        self.move("blue")

    @property
    def now(self) -> datetime:
        return START + timedelta(hours=self.hour)

    def deploy(self, **releases: str) -> "History":
        self.hour += 1
        states = {name: EnvironmentState(target_group=f"tg-{name}", release=release) for name, release in releases.items()}
        self.record = self.record.deployed({**self.record.environments, **states}, self.now, "ops")
        return self

    def move(self, active: str, weight: int = 100) -> "History":
        self.hour += 1
        other = "green" if active == "blue" else "blue"
        to = Traffic(active=active, weights={active: weight, other: 100 - weight})
        claim = Claim(token="t", by=BY, began=self.now, expires=self.now, to=to, bake=0)
        self.record = self.record.confirmed(claim, self.now)
        return self

    def back(self, active: str, bad: str | None) -> "History":
        self.hour += 1
        to = Traffic.all_to(active, ("blue", "green"))
        self.record = self.record.rolled_back(to, self.now, "ops", bad, "too many errors", {})
        return self


def names(record: SwitchRecord) -> list[str]:
    return [found.name for found in candidates(record)]


def test_earlier_releases_the_one_that_served_last_first() -> None:
    switch = History(ONE).deploy(green=TWO).move("green").deploy(blue=THREE).move("blue")
    assert names(switch.record) == ["m-2.0.0", "m-1.0.0"]
    previous, first = candidates(switch.record)
    assert (previous.release, previous.stands_in) == (TWO, "green")
    assert (previous.began, previous.ended) == (START + timedelta(hours=4), START + timedelta(hours=6))
    assert first.stands_in is None
    assert choose(switch.record) == previous


def test_what_serves_now_and_what_shares_traffic_is_none() -> None:
    switch = History(ONE).deploy(green=TWO).move("green")
    assert names(switch.record) == ["m-1.0.0"]
    assert names(switch.move("green", weight=90).record) == []
    with pytest.raises(NoCandidate, match=r"m-1\.0\.0 carries traffic now; candidates: none"):
        choose(switch.record, "m-1.0.0")


def test_a_release_that_never_had_all_traffic_is_none() -> None:
    switch = History(ONE).deploy(green=TWO).move("blue", weight=90).move("blue")
    assert names(switch.record) == []
    with pytest.raises(NoCandidate, match=r"m-2\.0\.0 never had all traffic"):
        choose(switch.record, "m-2.0.0")
    with pytest.raises(NoCandidate, match="no earlier release"):
        choose(switch.record)


def test_a_release_that_was_active_with_less_than_all_traffic_is_none() -> None:
    switch = History(ONE).deploy(green=TWO).move("green", weight=90).back("blue", None).deploy(green=THREE)
    assert names(switch.record) == []


def test_an_unstable_release_is_none_until_it_is_accepted() -> None:
    switch = History(ONE).deploy(green=TWO).move("green").back("blue", TWO)
    assert names(switch.record) == []
    accept = r"unstable since 2026-01-02 08:00 UTC \(too many errors\): `turnout releases accept m-2\.0\.0`"
    with pytest.raises(NoCandidate, match=accept):
        choose(switch.record, "m-2.0.0")
    accepted = switch.record.accepted("m-2.0.0", switch.now, "ops")
    assert choose(accepted, "m-2.0.0").stands_in == "green"


def test_a_release_that_came_back_counts_by_its_last_time() -> None:
    switch = History(ONE).deploy(green=TWO).move("green").move("blue").deploy(green=THREE).move("green")
    assert names(switch.record) == ["m-1.0.0", "m-2.0.0"]
    assert candidates(switch.record)[0].began == START + timedelta(hours=5)


def test_how_long_it_had_all_traffic_is_told_of_all_times_together() -> None:
    switch = History(ONE).deploy(green=TWO).move("green").move("blue").deploy(green=THREE).move("green")
    assert [(each.name, each.served) for each in candidates(switch.record)] == [
        ("m-1.0.0", timedelta(hours=4)),
        ("m-2.0.0", timedelta(hours=1)),
    ]


def test_what_was_taken_back_each_time_comes_last_and_says_so() -> None:
    """A rollout that is aborted after its full switch marks nothing unstable, and leaves its release last in time."""
    switch = History(ONE).deploy(green=TWO).move("green").back("blue", None).deploy(green=THREE).move("green")
    assert [(each.name, each.taken_back) for each in candidates(switch.record)] == [("m-1.0.0", False), ("m-2.0.0", True)]
    older = History(ONE).deploy(green=TWO).move("green").deploy(blue=THREE).move("blue").back("green", None)
    assert names(older.deploy(blue=FOUR).move("blue").record) == ["m-2.0.0", "m-1.0.0", "m-3.0.0"], (
        "not where it stands in time"
    )
    once_kept = switch.deploy(blue=TWO).move("blue").deploy(green=THREE).move("green")
    assert [(each.name, each.taken_back) for each in candidates(once_kept.record)] == [("m-2.0.0", False), ("m-1.0.0", False)]


def test_a_release_replaced_under_traffic_is_a_candidate() -> None:
    """Strategy recreate: the active environment gets another release in place."""
    switch = History(ONE).deploy(blue=TWO)
    assert names(switch.record) == ["m-1.0.0"]


@pytest.mark.parametrize("wanted", [ONE, "m-1.0.0", "sha256:" + "1" * 64])
def test_a_release_is_named_by_id_name_or_digest(wanted: str) -> None:
    switch = History(ONE).deploy(green=TWO).move("green").deploy(blue=THREE).move("blue")
    assert choose(switch.record, wanted).release == ONE


def test_a_name_that_two_releases_share_is_not_guessed() -> None:
    again = "m-1.0.0@sha256:" + "9" * 64
    switch = History(ONE).deploy(green=again).move("green").deploy(blue=THREE).move("blue")
    with pytest.raises(NoCandidate, match=r"names 2 releases; write one of m-1\.0\.0@sha256:999"):
        choose(switch.record, "m-1.0.0")


def test_history_outlives_the_stack() -> None:
    switch = History(ONE).deploy(green=TWO).move("green")
    assert names(switch.record.voided()) == ["m-2.0.0", "m-1.0.0"]
