"""Replacing the active servers in place: what is announced, measured and written, and what is put back when it goes wrong."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fakes import BLUE_TG, GREEN_TG
from rollout_world import ANNA, NEW, OLD, World
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.standby import Launch, StandbyPolicy
from turnout_components.switch_record import Traffic, Unstable

from turnout.cli import rollout_view as view
from turnout.report.page import page
from turnout.rollout.alerts import document
from turnout.rollout.recreate import Engine, Recreation, announcement, prepare, repeatedly
from turnout.rollout.start import Start
from turnout.rollout.status import RolloutStatus, State

NEXT = "m-3@sha256:" + "3" * 64
BOOT = 40.0
"""Seconds from an update until the new servers are healthy."""


class Killed(BaseException):
    """kill -9."""


class InPlace:
    """The world's service with an engine that replaces groups. `fails`: what an update says by release; `sick`: releases that
    never become healthy; `killed`: in the update of which release the run is killed."""

    def __init__(self) -> None:
        self.world = World()
        self.config = OLD
        self.ups: list[str] = []
        self.fails: dict[str, str] = {}
        self.sick: set[str] = set()
        self.killed: str | None = None
        self._look: Callable[[], None] = lambda: None

    def prepared(self, release: str = NEXT, **spec: Any) -> RolloutStatus:
        chosen = RolloutSpec.model_validate({"strategy": "recreate", "ready_timeout": "2m", **spec})
        start = Start(chosen, StandbyPolicy(bake=timedelta(minutes=5), drain=timedelta(seconds=30)), ANNA, self.world.clock)
        return prepare(start, self.world.records.read(), self.world.cloud, release)  # type: ignore[arg-type]

    def recreation(self) -> Recreation:
        return Recreation(
            self.world.rollouts,
            self.world.records,
            self.world.cloud,  # type: ignore[arg-type]
            Engine(self._write, self._up),
            alert=lambda status, event: self.world.alerts.append(event),
            notify=self.world.told.append,
            clock=self.world.clock,
            sleep=self._wait,
            background=self._background,
        )

    def replace(self, **spec: Any) -> RolloutStatus:
        run = self.recreation()
        return run.run(run.begin(self.prepared(**spec), "it goes down"))

    def _background(self, look: Callable[[], None]) -> Any:
        self._look = look
        from contextlib import nullcontext

        return nullcontext()

    def _write(self, environment: str, release: str) -> None:
        assert environment == "blue"
        self.config = release

    def _up(self) -> str:
        """Deletes the old group, makes the new one with the floor's size; its servers boot."""
        self.ups.append(self.config)
        if self.config in self.fails:
            return self.fails[self.config]
        record = self.world.record()
        group = f"g-{self.config.partition('@')[0]}"
        self.world.cloud.health[BLUE_TG] = []
        self._look()
        if self.killed == self.config:
            self.killed = None
            raise Killed
        blue = record.environments["blue"].model_copy(update={"group": group, "release": self.config})
        self.world.records.update(
            lambda found: found.deployed({**found.environments, "blue": blue}, self.world.clock(), "anna")
        )
        self.world.cloud.serve(group, BLUE_TG, record.floors["blue"].minimum, state="initial")
        self._healthy_at = self.world.clock() + timedelta(seconds=BOOT)
        return ""

    def _wait(self, _: float) -> None:
        self.world.clock.sleep_now(5)
        if self.world.clock() >= self._healthy_at and self.config not in self.sick:
            group = str(self.world.record().environments["blue"].group)
            self.world.cloud.serve(group, BLUE_TG, len(self.world.cloud.groups[group].in_service))
        self._look()


@pytest.fixture
def place() -> InPlace:
    return InPlace()


def kinds(place: InPlace) -> list[str]:
    return [entry.kind for entry in place.world.record().history]


def test_the_release_is_replaced_and_the_downtime_measured(place: InPlace) -> None:
    status = place.replace()
    assert status.state is State.PROMOTED
    assert status.downtime == BOOT
    assert (status.before, status.releases) == (OLD, {"blue": NEXT})
    record = place.world.record()
    assert record.traffic == Traffic.all_to("blue", ("blue", "green")), "nothing moved"
    assert record.environments["blue"].release == NEXT
    assert not [call for call in place.world.cloud.calls if call.startswith("weights")]
    assert len(place.world.cloud.groups["g-m-3"].in_service) == 4, "as many as served before"
    assert kinds(place) == ["rollout", "deploy", "promote"]
    assert record.history[-1].note == f"rollout {status.id}: no healthy target for 40.0 s"
    assert [event.what for event in place.world.alerts] == ["downtime announced", "served again"]
    assert place.world.rollouts.read(status.id) == status
    assert place.world.rollouts.ids() == [status.id]


def test_a_release_that_does_not_become_healthy_is_put_back_and_marked(place: InPlace) -> None:
    place.sick = {NEXT}
    status = place.replace()
    assert status.state is State.TAKEN_BACK
    assert status.cause == "not healthy in time (120 s): 0 of 4 targets of blue are healthy"
    assert status.downtime == 120 + BOOT
    assert place.ups == [NEXT, OLD]
    assert place.config == OLD
    record = place.world.record()
    assert record.environments["blue"].release == OLD
    assert [mark.release for mark in record.unstable.values()] == [NEXT]
    assert kinds(place) == ["rollout", "deploy", "deploy", "rollback", "blame"]
    assert [event.what for event in place.world.alerts] == ["downtime announced", "put back"]


def test_an_update_that_touched_nothing_needs_no_other(place: InPlace) -> None:
    place.fails = {NEXT: "no manifest"}
    status = place.replace()
    assert (status.state, status.cause, status.downtime) == (State.TAKEN_BACK, "no manifest", 0)
    assert place.ups == [NEXT]
    assert place.config == OLD
    assert place.world.record().unstable == {}, "the release was not tried"


def test_what_cannot_be_put_back_is_said(place: InPlace) -> None:
    place.sick, place.fails = {NEXT}, {OLD: "no capacity"}
    status = place.replace()
    assert status.state is State.TAKEN_BACK
    assert f"{OLD} could not be put back: no capacity; run `turnout up`" in status.cause
    assert place.world.alerts[-1].what == "not put back"


@pytest.mark.parametrize(("killed", "ups", "ended"), [(NEXT, [NEXT, NEXT], "promoted"), (OLD, [NEXT, OLD, OLD], "taken back")])
def test_a_run_that_was_killed_is_taken_up_where_it_was(place: InPlace, killed: str, ups: list[str], ended: str) -> None:
    place.killed = killed
    if killed == OLD:
        place.sick = {NEXT}
    run = place.recreation()
    begun = run.begin(place.prepared(), "it goes down")
    with pytest.raises(Killed):
        run.run(begun)
    place.world.clock.sleep_now(100)
    status = place.recreation().run(place.world.rollouts.read(begun.id))
    assert status.state.value == ended
    assert place.ups == ups
    assert status.downtime == (100 + BOOT if killed == NEXT else 120 + 100 + BOOT), "dead time is downtime too"
    assert place.recreation().run(status) == status, "once over it is over"


def test_another_driver_leaves_it_alone(place: InPlace) -> None:
    status = place.recreation().begin(place.prepared(), "it goes down")
    tick = place.world.controller().tick(status.id)
    assert tick.status.state is State.RUNNING
    assert "`turnout rollout run` takes it up" in tick.waits


def test_an_abort_meanwhile_is_kept(place: InPlace) -> None:
    run = place.recreation()
    status = run.begin(place.prepared(), "it goes down")
    place.world.controller().abort(status.id, "enough")
    assert run.run(status).cause.endswith("enough")
    assert place.ups == []


def test_the_downtime_is_announced_from_past_launches(place: InPlace) -> None:
    status = place.prepared()
    said = announcement(status, [Launch(38, False), Launch(52, False), Launch(44, False), Launch(3, True)])
    assert said == (
        "DOWNTIME: m-3 replaces m-1 in place on blue (4 instances). Users get 503 while the old servers drain (up to 30 s) and "
        "from then until a new one is healthy, in about 44 s (4 from nothing; median of 3): some 74 s in all"
    )
    unknown = announcement(status, [Launch(3, True)])
    assert unknown.endswith("is healthy, after a time not known yet (4 from nothing; no launch from nothing is on record)")


def split(place: InPlace) -> None:
    place.world.cloud.listener_weights = {BLUE_TG: 90, GREEN_TG: 10}
    weights = {"blue": 90, "green": 10}
    place.world.records.update(lambda record: record.changed(traffic=Traffic(active="blue", weights=weights)))


def marked(place: InPlace) -> None:
    mark = Unstable(release=NEXT, at=place.world.clock(), by="anna", reason="wrong")
    place.world.records.update(lambda record: record.changed(unstable={NEXT.partition("@")[2]: mark}))


@pytest.mark.parametrize(
    ("change", "spec", "said"),
    [
        (split, {}, "traffic is split"),
        (marked, {}, r"m-3 is marked unstable \(wrong\)"),
        (lambda place: place.world.cloud.groups.clear(), {}, "blue has no servers to replace"),
        (lambda place: place.world.start(strategy="canary"), {}, "two never run at once"),
        (lambda place: None, {"release": OLD}, "blue runs m-1 already"),
        (lambda place: None, {"windows": ["Fri 04:00-05:00"]}, "closed until 2026-01-02 04:00 UTC"),
        (lambda place: None, {"freeze": ["2026-01-02"]}, "closed until 2026-01-03 00:00 UTC"),
    ],
)
def test_what_is_refused_before_anything_is_touched(
    place: InPlace, change: Callable[[InPlace], object], spec: dict[str, Any], said: str
) -> None:
    change(place)
    with pytest.raises(SwitchRefused, match=said):
        place.prepared(**spec)
    assert place.ups == []


def test_an_alert_says_that_all_traffic_is_where_it_was(place: InPlace) -> None:
    place.sick = {NEXT}
    begun = place.recreation().begin(place.prepared(), "it goes down")
    assert document("svc/dev", begun, begun.events[-1])["traffic"] == {"blue": 100}
    ended = place.recreation().run(begun)
    assert document("svc/dev", ended, ended.events[-1])["traffic"] == {"blue": 100}


def test_it_is_looked_again_and_again_while_the_block_runs() -> None:
    import time

    looks: list[float] = []

    def look() -> None:
        looks.append(time.monotonic())
        raise OSError("throttled")

    with repeatedly(look):
        time.sleep(0.9)
    count = len(looks)
    assert 2 <= count <= 4
    time.sleep(0.4)
    assert len(looks) == count


def test_the_standby_is_not_touched(place: InPlace) -> None:
    place.replace()
    assert place.world.record().environments["green"].release == NEW
    assert not [call for call in place.world.cloud.calls if "green" in call]


def test_status_history_and_report_show_the_downtime(place: InPlace) -> None:
    place.sick = {NEXT}
    status = place.replace()
    head = str(view.status(status).renderables[0])  # type: ignore[attr-defined]  # a group of rich's
    assert head.endswith("taken back  m-1 on blue is replaced in place by m-3; no healthy target for 160.0 s")
    (why,) = view.history([status]).columns[-1].cells
    assert str(why).endswith("0 of 4 targets of blue are healthy; no healthy target for 160.0 s")
    assert "not healthy in time" in page(status, "svc/dev", place.world.clock())
