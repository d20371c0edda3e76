"""What is known of one rollout: written after every change, read by whoever takes it up."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from turnout_components.experiment_design import ExperimentDesign
from turnout_components.rollout_spec import Experiment, Gate, RolloutSpec, SetWeight, Step
from turnout_components.standby import StandbyPolicy
from turnout_components.switch_record import Operator

from turnout.analysis.measurement import Judgement, Moments, Side, Window

LEASE = timedelta(seconds=30)
WINDOWS_AT_MOST = 480
"""Above this the oldest are merged by twos: an item of DynamoDB holds 400 KB ("Quotas in Amazon DynamoDB")."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class State(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    TAKEN_BACK = "taken back"
    FINISHED = "finished"
    """To its end, without any traffic for the candidate: a mirror alone."""

    @property
    def is_over(self) -> bool:
        return self in (State.PROMOTED, State.TAKEN_BACK, State.FINISHED)


class Event(_Frozen):
    """Something that happened or was decided, and why."""

    at: datetime
    what: str
    why: str = ""


class Lease(_Frozen):
    """Who drives, and until when nobody else may. `token` is made anew by each driver."""

    by: Operator
    token: str
    expires: datetime


class Shift(_Frozen):
    """From `at` on the candidate has had this share, in percent."""

    at: datetime
    weight: int


class Compared(_Frozen):
    """What a mirror has shown so far: requests that both answered, how many alike, and samples that may be shown."""

    pairs: int = 0
    same_status: int = 0
    answered: int = 0
    same_answer: int = 0
    late: int = 0
    missing: int = 0
    samples: tuple[dict[str, Any], ...] = ()

    @property
    def said(self) -> str:
        """In one line."""
        if not self.pairs:
            return f"nothing was compared, {self.missing} copies are missing"
        status, answers = 100 * self.same_status / self.pairs, 100 * self.same_answer / max(self.answered, 1)
        late = f"{self.late} late, {self.missing} missing"
        return f"{self.pairs:,} requests twice: status alike {status:.1f} %, answers alike {answers:.1f} %, {late}"


class Trial(_Frozen):
    """What an experiment has counted so far. `since`: when its rules were seen to stand; `until`: when they were to go."""

    since: datetime | None = None
    until: datetime | None = None
    measured_until: datetime | None = None
    totals: dict[str, Moments] = {}
    """Users with the sum and the squares of their values, by variant."""
    unusable: int = 0
    """Spans whose numbers contradict each other: they count for no variant."""

    @property
    def stands(self) -> bool:
        """Whether users go by variant."""
        return self.since is not None and self.until is None

    def covers(self, moment: datetime) -> bool:
        """Whether they did at that time."""
        return self.since is not None and self.since <= moment and (self.until is None or moment < self.until)


class Size(_Frozen):
    """A group's bounds as they were before the rollout, to be given back."""

    minimum: int
    maximum: int
    desired: int


class RolloutStatus(_Frozen):
    """One rollout. `generation` counts writes and is the condition of the next."""

    id: str
    generation: int = 0
    spec: RolloutSpec
    plan: tuple[Step, ...]
    stable: str
    """The environment that had all traffic when it began."""
    candidate: str
    releases: dict[str, str]
    began: datetime
    by: str
    standby: StandbyPolicy = StandbyPolicy()
    before: str | None = None
    """The release that a recreate replaces in its place."""
    downtime: float | None = None
    """Seconds for which a recreate left no healthy target."""
    total: int
    """Instances that served all traffic when it began."""
    sizes: dict[str, Size] = {}

    state: State = State.RUNNING
    step: int = 0
    step_began: datetime
    shifts: tuple[Shift, ...] = ()
    moving: int | None = None
    """The share that is about to be put in force: written before it is."""
    approved: int = -1
    """The step (from 0) that somebody has approved, or wants to leave without waiting."""
    mirror: int = 0
    """The share of live requests that the candidate gets copies of, in percent."""
    mirror_since: datetime | None = None
    compared: Compared = Compared()
    trial: Trial = Trial()
    sick_since: datetime | None = None
    """Since when the candidate has too few healthy targets."""
    windows: tuple[Window, ...] = ()
    thresholds: dict[str, float] = {}
    """Seconds above which a request is slow, by latency gate: frozen before the first weight."""
    bounds: dict[str, float] = {}
    """What holds after the full switch, by gate: frozen before it."""
    judgements: tuple[Judgement, ...] = ()
    judged_of: str = ""
    """What the judgements were made of: the newest window, the weight, the mirror, the step."""
    unmeasured: str = ""
    """Why the newest measurement failed."""
    stage: int = 0
    """How far a rollout inside `max_surge` has swapped nodes."""
    back_since: datetime | None = None
    """Since when such a rollout gives traffic back, as fast as the stable side's nodes come; `cause` says why."""
    cause: str = ""
    """Why it ended, or goes back."""
    unstable: bool = False
    """The candidate itself was found bad."""
    ended: datetime | None = None
    events: tuple[Event, ...] = ()
    alerts: tuple[Event, ...] = ()
    """Not told yet."""
    lease: Lease | None = None

    def changed(self, **fields: Any) -> "RolloutStatus":
        """A copy with these fields replaced."""
        return self.model_copy(update=fields)

    def said(self, now: datetime, what: str, why: str = "", alert: bool = False) -> "RolloutStatus":
        """With one more event; an alert is told to people too."""
        event = Event(at=now, what=what, why=why)
        return self.changed(events=(*self.events, event), alerts=(*self.alerts, event) if alert else self.alerts)

    def measured(self, windows: tuple[Window, ...]) -> "RolloutStatus":
        """With more windows; the oldest are merged where there are too many."""
        return self.changed(windows=compacted((*self.windows, *windows)))

    @property
    def weight(self) -> int:
        """The candidate's share in force, in percent."""
        return self.shifts[-1].weight if self.shifts else 0

    @property
    def weight_since(self) -> datetime:
        """Since when that share is in force."""
        return self.shifts[-1].at if self.shifts else self.began

    @property
    def measured_until(self) -> datetime | None:
        """The end of the last window that users had a part in."""
        return next((window.end for window in reversed(self.windows) if not window.mirrored), None)

    def weight_at(self, moment: datetime) -> int:
        """The share at that time; of users, while an experiment divides them."""
        if self.design is not None and self.trial.covers(moment):
            return self.design.share
        return next((shift.weight for shift in reversed(self.shifts) if shift.at <= moment), 0)

    @property
    def current(self) -> Step | None:
        """The step at work; None after the last."""
        return self.plan[self.step] if self.step < len(self.plan) else None

    @property
    def design(self) -> ExperimentDesign | None:
        """What is asked, where an experiment is among the steps."""
        return self.spec.experiment if any(isinstance(step, Experiment) for step in self.plan) else None

    @property
    def share(self) -> int:
        """What the candidate carries, in percent of requests or, while an experiment divides them, of users."""
        return self.design.share if self.design is not None and self.trial.stands else self.weight

    @property
    def is_approved(self) -> bool:
        """Whether the step at work is."""
        return self.approved == self.step

    @property
    def next_weight(self) -> int:
        """The share that the plan gives next, in percent; 100 where it gives none."""
        return next((step.set_weight for step in self.plan[self.step :] if isinstance(step, SetWeight)), 100)

    @property
    def gates(self) -> tuple[Gate, ...]:
        return self.spec.judging

    def environments(self) -> Mapping[Side, str]:
        """The environment of each side."""
        return {Side.ACTIVE: self.stable, Side.CANDIDATE: self.candidate}

    def holder(self, now: datetime, token: str) -> Operator | None:
        """Who else drives it now; None when this token may."""
        lease = self.lease
        if lease is None or lease.token == token or lease.expires <= now or lease.by.is_gone():
            return None
        return lease.by


def compacted(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """At most `WINDOWS_AT_MOST` windows: the oldest half is merged by neighbours of the same weight."""
    if len(windows) <= WINDOWS_AT_MOST:
        return windows
    old, new = windows[: len(windows) // 2], windows[len(windows) // 2 :]
    merged: list[Window] = []
    for index in range(0, len(old), 2):
        pair = old[index : index + 2]
        whole = len(pair) == 2 and (pair[0].weight, pair[0].mirrored) == (pair[1].weight, pair[1].mirrored)
        merged += [pair[0].merged(pair[1])] if whole else pair
    return (*merged, *new)
