"""What a rollout does next: one pure decision from its status and from what is seen.

The order matters: what takes traffic back comes before what moves it on, and nothing is believed that was not measured.
"""

from datetime import datetime, timedelta

from turnout_components.rollout_spec import Experiment, GateKind, StrategyName

from turnout.analysis.measurement import Side
from turnout.rollout.actions import Decision, Finish, PutMirror, PutVariants, PutWeight, Seen, TakeBack
from turnout.rollout.evidence import failed, judged
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.steps import needed, step, take_back
from turnout.rollout.swap import back

SICK_FOR = timedelta(seconds=30)
"""How long less than half of a candidate's targets may be healthy; with none at all traffic goes back at once."""


def decide(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    """The next decision. A way back begins with what takes traffic back, not with a note that it is to begin."""
    decision = _decide(status, seen, now)
    begins = decision.status.back_since is not None and status.back_since is None
    return back(decision.status, seen, now) if begins else decision


def _decide(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    if status.state.is_over:
        return _after_the_end(status, seen)
    if status.spec.strategy is StrategyName.RECREATE:
        return Decision(status, waits="an update replaces servers in place; `turnout rollout run` takes it up in the project")
    if seen.weight is None:
        return _over_without_us(status, now, "the listener is gone: the stack was destroyed")
    if seen.rollout != status.id:
        return _over_without_us(status, now, "the switch was rolled back or moved by hand: see `turnout status`")
    if status.back_since is not None:
        return back(status, seen, now)
    status = _judged(status)
    bad = _bad(status, seen, now)
    if isinstance(bad, str):
        return take_back(status, now, bad, unstable=True)
    status = bad
    if seen.variants and not isinstance(status.current, Experiment):
        told = status.said(now, "found an experiment's rules", "none are to stand at this step: taken out")
        return Decision(told, PutVariants({}))
    if seen.weight not in (status.weight, status.moving):
        return _elsewhere(status, seen, now)
    if status.state is State.PAUSED:
        return Decision(status, waits="paused; `turnout rollout resume` goes on")
    return step(status, seen, now)


def _judged(status: RolloutStatus) -> RolloutStatus:
    """With the gates' judgements of all that is measured; they are made again when anything of that has changed."""
    if not (status.share or status.mirror) or not status.windows:
        return status
    of = f"{len(status.windows)} {status.windows[-1].end} {status.share} {status.mirror} {status.step}"
    return status if of == status.judged_of else status.changed(judgements=judged(status), judged_of=of)


def _after_the_end(status: RolloutStatus, seen: Seen) -> Decision:
    """A driver that was killed between the status and the record left the record's part; whoever ended it from outside knew
    nothing of a mirror. While rules of an experiment stand no other rollout begins: they are this one's."""
    if seen.rollout != status.id and seen.mirror:
        return Decision(status, PutMirror(0))
    if seen.rollout is None and seen.variants:
        return Decision(status, PutVariants({}))
    if seen.rollout != status.id or seen.weight is None:
        return Decision(status)
    return Decision(status, TakeBack() if status.state is State.TAKEN_BACK else Finish())


def _over_without_us(status: RolloutStatus, now: datetime, cause: str) -> Decision:
    over = status.said(now, "ended from outside", cause, alert=True)
    return Decision(over.changed(state=State.TAKEN_BACK, cause=cause, ended=now, moving=None), goes_on=True)


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
    if not status.share:
        return status.changed(sick_since=None)
    wanted = needed(status, status.share, {})
    ready = seen.ready.get(Side.CANDIDATE, 0)
    if 2 * ready >= wanted or (ready and not health):
        return status.changed(sick_since=None)
    since = status.sick_since or now
    if ready == 0 or now - since >= SICK_FOR:
        return f"health: {ready} of {wanted} targets of {status.candidate} are healthy since {since:%H:%M:%S} UTC"
    return status.changed(sick_since=since)
