"""Approvals, time windows, smoke tests and mirrors, killed at every effect and taken up by another host: it ends as it would
have, no step is done twice, and none without what it waits for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from kills import SWEEPS, Effects, spread, through
from mirrored_world import GATES, STABLE, MirroredWorld
from rollout_world import ANNA, BERT, NEW, Behaviour
from turnout_components.items import DynamoItems
from turnout_components.rollout_spec import Approve
from turnout_components.time_windows import closed_until

from turnout.rollout.actions import RunSmokeTest
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.store import RolloutStore

ROUTERS = ("listener", "gateway")
WINDOWS = [f"Fri {hour:02}:{minute}-{hour:02}:{minute + 5}" for hour in (3, 4, 5) for minute in (10, 25, 40, 50)]
"""The clock begins on Friday at 03:00 UTC."""
FIVE = timedelta(minutes=5)
MIRROR = {"mirror": 30, "for": "5m"}
LOOK = {"approve": "look at the answers", "deadline": "3h"}
OWN_TO_A_RUN = ("taken over", "outside the windows", "found ")
"""What the history of a rollout says of its drivers, and not of its steps."""


@dataclass(frozen=True)
class Story:
    """What is rolled out, and how it must end. `bad`: users find the candidate bad; `fails`: its copies do; `smoke`: what the
    smoke test finds; `approves`: somebody does."""

    steps: list[Any]
    state: State
    weights: list[int]
    shares: list[int] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    strategy: str = "canary"
    bad: bool = False
    fails: bool = False
    lost: bool = False
    smoke: str = ""
    approves: bool = True


PROBE = {"smoke_test": "probe"}
STORIES = {
    "approved": Story([5, LOOK, 100], State.PROMOTED, [0, 5, 100]),
    "approved by nobody": Story([5, {**LOOK, "deadline": "10m"}, 100], State.TAKEN_BACK, [0, 5, 0], approves=False),
    "bad while it waits for approval": Story([5, LOOK, 100], State.TAKEN_BACK, [0, 5, 0], bad=True),
    "in windows": Story([10, 100], State.PROMOTED, [0, 10, 100], windows=WINDOWS),
    "tested in a window": Story([PROBE, 100], State.PROMOTED, [0, 100], windows=WINDOWS),
    "found bad by its test": Story([PROBE, 100], State.TAKEN_BACK, [0], windows=WINDOWS, smoke="exit code 1"),
    "shadow": Story([MIRROR], State.FINISHED, [0], [30, 0], strategy="shadow"),
    "shadow in a window": Story([MIRROR], State.FINISHED, [0], [30, 0], windows=WINDOWS, strategy="shadow"),
    "shadow of a bad one": Story([MIRROR], State.TAKEN_BACK, [0], [30, 0], strategy="shadow", fails=True),
    "shadow of which nothing is known": Story([MIRROR], State.TAKEN_BACK, [0], [30, 0], strategy="shadow", lost=True),
    "mirrored, then all": Story([MIRROR, 100], State.PROMOTED, [0, 100], [30, 0]),
    "mirrored beside a weight": Story([5, MIRROR, 100], State.PROMOTED, [0, 5, 100], [30, 0]),
    "bad copies beside a weight": Story([5, MIRROR, 100], State.TAKEN_BACK, [0, 5, 0], [30, 0], fails=True),
    "all kinds of steps": Story([MIRROR, PROBE, 5, LOOK, 100], State.PROMOTED, [0, 5, 100], [30, 0], windows=WINDOWS),
}
assert all(story.windows or not any(step is PROBE for step in story.steps) for story in STORIES.values())


class Run:
    """One telling of a story, of which the `at`-th effect kills."""

    def __init__(self, story: Story, at: int = -1, *, after: bool = False) -> None:
        self.world = world = MirroredWorld(rate=3000, smoke=story.smoke)
        untouched = SimpleNamespace(get_item=world.dynamo.get_item, put_item=world.dynamo.put_item)
        self.people = RolloutStore(DynamoItems(untouched, "t"), "svc", "dev")
        spec = {"steps": story.steps, "windows": story.windows, "extend": "10m"}
        self.rollout = world.start(strategy=story.strategy, gates=GATES, **spec)
        self.story, self.approved, self.tested = story, list[datetime](), list[datetime]()
        world.fails, world.lost = story.fails, story.lost
        if any("approve" in step for step in story.steps if isinstance(step, dict)):
            world.clock.on_sleep = self._somebody
        test = world._smoke

        def tested(command: RunSmokeTest) -> str:
            self.tested.append(world.clock())
            return test(command)

        world._smoke = tested  # type: ignore[method-assign]
        self.effects = Effects(world, at, after=after)

    def _somebody(self) -> None:
        """Approves five minutes after it is asked for, once; users find fault with a bad candidate then."""
        status = self.people.read(self.rollout)
        if not isinstance(status.current, Approve) or self.world.clock() < status.step_began + FIVE:
            return
        if self.story.bad:
            self.world.metrics.candidate = Behaviour(errors=0.1)
        elif self.story.approves and not self.approved:
            self.approved.append(self.world.clock())
            self.people.update(self.rollout, lambda found: found.changed(approved=found.step))

    def tell(self, away: float) -> RolloutStatus:
        """To the end; another host takes over `away` seconds after a kill."""
        drive = self.world.drive
        first, second = self.world.controller(ANNA), self.world.controller(BERT)
        return through(
            self.world,
            self.effects,
            lambda: drive(first, self.rollout, seconds=40_000, every=60),
            lambda: drive(second, self.rollout, seconds=40_000, every=60),
            away,
        )


def steps_of(status: RolloutStatus) -> list[str]:
    return [event.what for event in status.events if not event.what.startswith(OWN_TO_A_RUN)]


def raised(run: Run) -> Iterator[tuple[datetime, int, datetime, int]]:
    """Each raise of the candidate's weight, with when the weight before it came into force."""
    history = run.world.cloud.history
    changes = [history[0], *((at, weight) for (_, old), (at, weight) in pairwise(history) if weight != old)]
    return ((before, low, at, high) for (before, low), (at, high) in pairwise(changes) if high > low)


def assert_as_told(run: Run, status: RolloutStatus, told: str) -> None:
    """The end that was to be, and everything on the way in its time."""
    world, story, record = run.world, run.story, run.world.record()
    assert (status.state, world.cloud.weights_put) == (story.state, story.weights), f"{told}: {status.cause}"
    promoted = story.state is State.PROMOTED
    assert record.traffic is not None
    assert (record.traffic.active, record.rollout, record.claim) == ("green" if promoted else "blue", None, None), told
    assert (record.retained is not None) == promoted, told
    assert {mark.release for mark in record.unstable.values()} == (
        {NEW} if story.fails or story.bad or story.smoke else set()
    ), told
    assert world.shares == story.shares, told
    assert world.parameters == {}, f"{told}: the mirror was left on"
    assert [event.what for event in world.alerts][-1] == world.rollouts.read(run.rollout).events[-1].what, told
    assert not promoted or "tend" in run.effects.done, f"{told}: the standby is kept for ever"
    for before, low, at, _ in raised(run):
        assert not low or at - before >= FIVE, f"{told}: {low} % was not baked"
        assert closed_until(tuple(story.windows), (), at) is None, f"{told}: weight was raised at {at:%H:%M}"
    begun = [
        at for (at, share), old in zip(world.asked, [0, *(share for _, share in world.asked)], strict=False) if share > old
    ]
    assert all(closed_until(tuple(story.windows), (), at) is None for at in [*begun, *run.tested]), told
    if story.shares and story.state is not State.TAKEN_BACK:
        assert world.copied() >= FIVE, f"{told}: it was copied for {world.copied()}"
    if any(step is LOOK for step in story.steps) and promoted:
        assert raised_to(run, 100) >= run.approved[0], f"{told}: without approval"


def raised_to(run: Run, weight: int) -> datetime:
    return next(at for _, _, at, high in raised(run) if high == weight)


def sizes(run: Run) -> list[tuple[int, int]]:
    return [(group.minimum, group.maximum) for group in run.world.cloud.groups.values()]


def forgotten(effects: list[str]) -> bool:
    """Whether a smoke test was run whose outcome nobody has written down: only that one is run again."""
    return "_smoke" in effects and "put_item" not in effects[effects.index("_smoke") :]


@cache
def undisturbed(name: str, router: str) -> tuple[Run, RolloutStatus]:  # noqa: ARG001 -- worlds are of the router that is set
    whole = Run(STORIES[name])
    ended = whole.tell(away=0)
    assert_as_told(whole, ended, "undisturbed")
    assert STABLE not in whole.world.parameters
    return whole, ended


@SWEEPS
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STORIES)
def test_a_kill_at_every_effect_changes_nothing_of_how_it_ends(name: str, after: bool, of: int, router: str) -> None:
    """The other host comes at once, and ten minutes later, when every window is closed."""
    whole, ended = undisturbed(name, router)
    effects = whole.effects.done
    for at in spread(whole.effects.distinct, of, after=after):
        effect = effects[at]
        run = Run(STORIES[name], at, after=after)
        away = 600 if at % 2 else 3
        status = run.tell(away)
        told = f"killed {'after' if after else 'before'} effect {at} ({effect}), taken over {away} s later"
        assert_as_told(run, status, told)
        assert steps_of(status) == steps_of(ended), told
        assert sizes(run) == sizes(whole), told
        assert len(run.tested) == len(whole.tested) + forgotten(effects[: at + after]), (
            f"{told}: tested {len(run.tested)} times"
        )
