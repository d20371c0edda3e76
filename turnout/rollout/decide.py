"""What a rollout does next: one pure decision from its status and from what is seen.

The order matters: what takes traffic back comes before what moves it on, and nothing is believed that was not measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from turnout_components.rollout_spec import Analyze, Approve, Bake, GateKind, SetWeight, SmokeTest

from turnout.analysis.measurement import Side
from turnout.rollout.evidence import baked, failed, fits, frozen_bounds, judged, open_gates
from turnout.rollout.opening import opens
from turnout.rollout.status import RolloutStatus, Shift, State

SICK_FOR = timedelta(seconds=30)
"""How long less than half of a candidate's targets may be healthy; with none at all traffic goes back at once."""


@dataclass(frozen=True)
class Seen:
    """One look. `weight`: the candidate's share at the load balancer in percent, None when the listener is gone; `rollout`:
    the rollout that the switch record names; `serving` and `ready`: instances in service, and healthy targets of the right
    release; `minimum` and `maximum`: the candidate's group's; `smoke`: the outcome of a smoke test that has just run."""

    weight: int | None
    rollout: str | None
    serving: Mapping[Side, int]
    ready: Mapping[Side, int]
    minimum: int
    maximum: int
    smoke: str | None = None
    claimed: str = ""
    """Who else is moving traffic."""


@dataclass(frozen=True)
class Raise:
    """Raise the candidate's minimum, in the record and in its group."""

    minimum: int


@dataclass(frozen=True)
class PutWeight:
    """Put the candidate's share in force."""

    weight: int


@dataclass(frozen=True)
class TakeBack:
    """Give all traffic to the stable environment: the load balancer first, then the status, then the record."""


@dataclass(frozen=True)
class RunSmokeTest:
    """Run the command against the candidate."""

    command: str
    timeout: timedelta


@dataclass(frozen=True)
class Finish:
    """The record's part of a promotion."""


Action = Raise | PutWeight | TakeBack | RunSmokeTest | Finish


@dataclass(frozen=True)
class Decision:
    """The status as it is to be kept, and what is to be done. With neither an action nor `goes_on`: look again later."""

    status: RolloutStatus
    action: Action | None = None
    waits: str = ""
    """What it waits for."""
    goes_on: bool = False
    """A step is over: the next one can be decided now."""


def decide(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    """The next decision."""
    if status.state.is_over:
        return _after_the_end(status, seen)
    if seen.weight is None:
        return _over_without_us(status, now, "the listener is gone: the stack was destroyed")
    if seen.rollout != status.id:
        return _over_without_us(status, now, "the switch was rolled back or moved by hand: see `turnout status`")
    status = status.changed(judgements=judged(status)) if status.weight else status
    bad = _bad(status, seen, now)
    if isinstance(bad, str):
        return take_back(status, now, bad, unstable=True)
    status = bad
    if seen.weight not in (status.weight, status.moving):
        return _elsewhere(status, seen, now)
    if status.state is State.PAUSED:
        return Decision(status, waits="paused; `turnout rollout resume` goes on")
    return _step(status, seen, now)


def take_back(status: RolloutStatus, now: datetime, cause: str, *, unstable: bool) -> Decision:
    """All traffic goes back. `unstable`: the candidate itself was found bad."""
    what = f"traffic goes back to {status.stable}"
    over = status.said(now, what, cause, alert=True).changed(
        state=State.TAKEN_BACK, cause=cause, unstable=unstable, ended=now, moving=None
    )
    return Decision(over, TakeBack())


def needed(status: RolloutStatus, weight: int, serving: Mapping[Side, int]) -> int:
    """Instances that the candidate needs for this share of all traffic, in percent."""
    total = max(status.total, serving.get(Side.ACTIVE, 0))
    return max(1, math.ceil(round(weight / 100 * total * status.spec.headroom, 6)))


def _after_the_end(status: RolloutStatus, seen: Seen) -> Decision:
    """A driver that was killed between the status and the record left the record's part."""
    if seen.rollout != status.id or seen.weight is None:
        return Decision(status)
    return Decision(status, Finish() if status.state is State.PROMOTED else TakeBack())


def _over_without_us(status: RolloutStatus, now: datetime, cause: str) -> Decision:
    over = status.said(now, "ended from outside", cause, alert=True)
    return Decision(over.changed(state=State.TAKEN_BACK, cause=cause, ended=now, moving=None))


def _elsewhere(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    """Weights that nobody here has set. Less is somebody's wish and is kept; more is put right."""
    assert seen.weight is not None
    if seen.weight > max(status.weight, status.moving or 0):
        told = status.said(now, f"found {seen.weight} % at the candidate", f"{status.weight} % is declared: put right")
        return Decision(told.changed(moving=None), PutWeight(status.weight))
    cause = f"the candidate was found with {seen.weight} % where {status.weight} % is declared: somebody else took it back"
    return take_back(status, now, cause, unstable=False)


def _bad(status: RolloutStatus, seen: Seen, now: datetime) -> str | RolloutStatus:
    """Why the candidate is bad; else the status with what is known of its health."""
    failing = failed(status.gates, status.judgements)
    if failing:
        return "; ".join(each.said for each in failing)
    health = any(gate.kind is GateKind.HEALTH and gate.critical for gate in status.gates)
    if not status.weight or not health:
        return status.changed(sick_since=None)
    wanted = needed(status, status.weight, {})
    ready = seen.ready.get(Side.CANDIDATE, 0)
    if 2 * ready >= wanted:
        return status.changed(sick_since=None)
    since = status.sick_since or now
    if ready == 0 or now - since >= SICK_FOR:
        return f"health: {ready} of {wanted} targets of {status.candidate} are healthy since {since:%H:%M:%S} UTC"
    return status.changed(sick_since=since)


def _step(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    step, until = status.current, opens(status, now, seen.weight)
    if until is not None and seen.smoke is None:
        return _closed(status, now, until)
    if status.step_began > now:
        status = status.changed(step_began=now)
    match step:
        case None:
            return _end(status, now)
        case SetWeight():
            return _set_weight(status, step.set_weight, seen, now)
        case Bake():
            return _bake(status, step, now)
        case Analyze():
            return _analyze(status, step, now)
        case SmokeTest():
            return _smoke(status, step, seen, now)
        case Approve():
            return _approve(status, step, now)
        case _:
            return take_back(status, now, f"step {step} is not known to this version of Turnout", unstable=False)


def _closed(status: RolloutStatus, now: datetime, until: datetime) -> Decision:
    """The step begins when its window opens: until then none of its deadlines runs, and it is told and written once."""
    waits = f"{status.next_weight} % wait for their window, until {until:%Y-%m-%d %H:%M} UTC"
    if status.step_began != until:
        status = status.said(now, "outside the windows", waits).changed(step_began=until)
    return Decision(status, waits=f"{waits}; `turnout rollout promote` goes on without it")


def _end(status: RolloutStatus, now: datetime) -> Decision:
    told = status.said(now, "promoted", f"{status.candidate} keeps {status.weight} % of requests", alert=True)
    return Decision(told.changed(state=State.PROMOTED, ended=now), Finish())


def _next(status: RolloutStatus, now: datetime, what: str, why: str) -> Decision:
    on = status.said(now, what, why).changed(step=status.step + 1, step_began=now)
    return Decision(on, goes_on=True)


def _set_weight(status: RolloutStatus, weight: int, seen: Seen, now: datetime) -> Decision:
    if weight <= status.weight:
        return _next(status, now, f"{status.weight} % are in force", f"step {status.step + 1} asks for {weight} %")
    wanted = needed(status, weight, seen.serving)
    if wanted > seen.maximum:
        fix = f"raise turnout:pool.maximum to {wanted} or more"
        cause = f"{status.candidate} would need {wanted} instances for {weight} % and its maximum is {seen.maximum}: {fix}"
        return take_back(status, now, cause, unstable=False)
    if seen.minimum < wanted:
        return Decision(status, Raise(wanted))
    ready = seen.ready.get(Side.CANDIDATE, 0)
    if ready < wanted:
        waits = f"{ready} of {wanted} healthy targets of {status.candidate}"
        if now - status.step_began > status.spec.ready_timeout:
            return take_back(status, now, f"not ready in time for {weight} %: {waits}", unstable=False)
        return Decision(status, waits=waits)
    if seen.claimed:
        return Decision(status, waits=f"{seen.claimed} is moving traffic")
    if weight == 100 and not status.bounds:
        bounds = frozen_bounds(status.gates, status.windows)
        return Decision(status.changed(bounds=bounds, moving=weight), PutWeight(weight))
    return Decision(status.changed(moving=weight), PutWeight(weight))


def moved(status: RolloutStatus, weight: int, now: datetime) -> RolloutStatus:
    """After the weight was put in force."""
    shifted = status.changed(shifts=(*status.shifts, Shift(at=now, weight=weight)), moving=None)
    if status.moving is None:
        return shifted
    on = shifted.changed(step=status.step + 1, step_began=now)
    return on.said(now, f"{status.candidate} has {weight} % of requests")


def _bake(status: RolloutStatus, step: Bake, now: datetime) -> Decision:
    length = baked(status)
    if length >= step.bake:
        return _next(status, now, "baked", f"{length.total_seconds():.0f} s observed at {status.weight} %")
    if status.is_approved:
        return _next(
            status, now, "promoted by hand", f"after {length.total_seconds():.0f} s of {step.bake.total_seconds():.0f}"
        )
    waits = f"{length.total_seconds():.0f} of {step.bake.total_seconds():.0f} s observed at {status.weight} %"
    if now - status.step_began > step.bake + status.spec.extend:
        return take_back(status, now, f"inconclusive: {waits}; {_why_not_baked(status)}", unstable=False)
    return Decision(status, waits=waits + (f" ({status.unmeasured})" if status.unmeasured else ""))


def _why_not_baked(status: RolloutStatus) -> str:
    if status.unmeasured:
        return status.unmeasured
    own = [window for window in status.windows if window.start >= status.weight_since]
    if not sum(sum(window.requests.values()) for window in own):
        return "no requests were measured"
    last = own[-1]
    total = sum(last.requests.values())
    if total and not fits(last, status.weight):
        share = 100 * last.requests.get(Side.CANDIDATE, 0) / total
        return f"the candidate got {share:.1f} % of requests and not {status.weight} %: is stickiness on?"
    return "too little of the time was measured"


def _analyze(status: RolloutStatus, step: Analyze, now: datetime) -> Decision:
    left = open_gates(status.gates, status.judgements)
    if not left:
        return _next(status, now, "analysed", "; ".join(each.said for each in status.judgements))
    said = "; ".join(each.said for each in left)
    if status.is_approved:
        return _next(status, now, "promoted by hand", f"without evidence of: {said}")
    if now - status.step_began > step.analyze:
        told = [status.unmeasured] if status.unmeasured else []
        return take_back(status, now, "; ".join([f"inconclusive: {said}", *told]), unstable=False)
    return Decision(status, waits=said + (f" ({status.unmeasured})" if status.unmeasured else ""))


def _smoke(status: RolloutStatus, step: SmokeTest, seen: Seen, now: datetime) -> Decision:
    ready = seen.ready.get(Side.CANDIDATE, 0)
    if seen.minimum < 1:
        return Decision(status, Raise(1))
    if ready < 1:
        if now - status.step_began > status.spec.ready_timeout:
            cause = f"not ready in time for the smoke test: no healthy target of {status.candidate}"
            return take_back(status, now, cause, unstable=False)
        return Decision(status, waits=f"no healthy target of {status.candidate} yet")
    if seen.smoke is None:
        return Decision(status, RunSmokeTest(step.smoke_test, step.timeout), waits="smoke test")
    if seen.smoke:
        return take_back(status, now, f"smoke test: {seen.smoke}", unstable=True)
    return _next(status, now, "smoke test passed", step.smoke_test)


def _approve(status: RolloutStatus, step: Approve, now: datetime) -> Decision:
    if status.is_approved:
        return _next(status, now, "approved", step.approve)
    if now - status.step_began > step.deadline:
        return take_back(status, now, f"nobody approved in time: {step.approve}", unstable=False)
    return Decision(status, waits=f"approval: {step.approve}; `turnout rollout promote`")
