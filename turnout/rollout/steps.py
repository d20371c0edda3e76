"""What each step of a rollout decides: pure functions of the status, of what is seen, and of the time."""

import math
from collections.abc import Mapping
from datetime import datetime

from turnout_components.durations import written
from turnout_components.rollout_spec import Analyze, Approve, Bake, Experiment, Mirror, SetWeight, SmokeTest

from turnout.analysis.measurement import Side
from turnout.rollout.actions import Decision, Finish, PutMirror, PutVariants, PutWeight, Raise, RunSmokeTest, Seen, TakeBack
from turnout.rollout.evidence import baked, fits, frozen_bounds, mirrored, open_gates
from turnout.rollout.experiments import Answer, answer
from turnout.rollout.opening import opens
from turnout.rollout.status import RolloutStatus, Shift, State
from turnout.rollout.surge import nodes
from turnout.rollout.swap import forth


def step(status: RolloutStatus, seen: Seen, now: datetime) -> Decision:
    """What the step at work decides."""
    current, until = status.current, opens(status, now, seen.weight, seen.mirror)
    if until is not None and seen.smoke is None:
        return _closed(status, now, until)
    if status.step_began > now:
        status = status.changed(step_began=now)
    match current:
        case None:
            return _end(status, now)
        case SetWeight():
            return _set_weight(status, current.set_weight, seen, now)
        case Bake():
            return _bake(status, current, now)
        case Analyze():
            return _analyze(status, current, now)
        case SmokeTest():
            return _smoke(status, current, seen, now)
        case Approve():
            return _approve(status, current, now)
        case Mirror():
            return _mirror(status, current, seen, now)
        case Experiment():
            return _experiment(status, current, seen, now)


def _closed(status: RolloutStatus, now: datetime, until: datetime) -> Decision:
    """The step begins when its window opens: until then none of its deadlines runs, and it is told and written once."""
    waits = f"{status.next_weight} % wait for their window, until {until:%Y-%m-%d %H:%M} UTC"
    if status.step_began != until:
        status = status.said(now, "outside the windows", waits).changed(step_began=until)
    return Decision(status, waits=f"{waits}; `turnout rollout promote` goes on without it")


def _end(status: RolloutStatus, now: datetime) -> Decision:
    if not status.weight:
        said = status.compared.said if status.design is None else answer(status)[1]
        compared = status.said(now, "finished", said, alert=True)
        return Decision(compared.changed(state=State.FINISHED, ended=now), Finish())
    told = status.said(now, "promoted", f"{status.candidate} keeps {status.weight} % of requests", alert=True)
    return Decision(told.changed(state=State.PROMOTED, ended=now), Finish())


def _next(status: RolloutStatus, now: datetime, what: str, why: str) -> Decision:
    on = status.said(now, what, why).changed(step=status.step + 1, step_began=now)
    return Decision(on, goes_on=True)


def take_back(status: RolloutStatus, now: datetime, cause: str, *, unstable: bool) -> Decision:
    """All traffic goes back, inside `max_surge` as nodes come. `unstable`: the candidate itself was found bad."""
    told = status.said(now, f"traffic goes back to {status.stable}", cause, alert=True)
    told = told.changed(cause=cause, unstable=unstable, moving=None)
    if status.spec.max_surge is not None:
        return Decision(told.changed(back_since=now), goes_on=True)
    return Decision(told.changed(state=State.TAKEN_BACK, ended=now), TakeBack())


def needed(status: RolloutStatus, weight: int, serving: Mapping[Side, int]) -> int:
    """Instances that the candidate needs for this share of all traffic, in percent."""
    if status.spec.max_surge is not None:
        return max(1, nodes(weight, status.total, status.spec.surge_load))
    total = max(status.total, serving.get(Side.ACTIVE, 0))
    return max(1, math.ceil(round(weight / 100 * total * status.spec.headroom, 6)))


def _set_weight(status: RolloutStatus, weight: int, seen: Seen, now: datetime) -> Decision:
    if weight <= status.weight:
        return _next(status, now, f"{status.weight} % are in force", f"step {status.step + 1} asks for {weight} %")
    if status.spec.max_surge is not None:
        return _swap(status, weight, seen, now)
    unready = _unready(status, weight, seen, now)
    if unready is not None:
        return unready
    if seen.claimed:
        return Decision(status, waits=f"{seen.claimed} is moving traffic")
    return _put(status, weight)


def _swap(status: RolloutStatus, weight: int, seen: Seen, now: datetime) -> Decision:
    """This weight, by way of the stages that swap nodes for it."""
    decision = forth(status, seen, now, lambda share: _put(status, share))
    if decision.action is None and not decision.goes_on and now - status.step_began > status.spec.ready_timeout:
        return take_back(status, now, f"not ready in time for {weight} %: {decision.waits}", unstable=False)
    return decision


def _put(status: RolloutStatus, weight: int) -> Decision:
    if weight == 100 and not status.bounds:
        bounds = frozen_bounds(status.gates, status.windows)
        return Decision(status.changed(bounds=bounds, moving=weight), PutWeight(weight))
    return Decision(status.changed(moving=weight), PutWeight(weight))


def _unready(status: RolloutStatus, weight: int, seen: Seen, now: datetime) -> Decision | None:
    """What is to be done until the candidate has healthy targets for this share; None when it has."""
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
    return None


def moved(status: RolloutStatus, weight: int, now: datetime) -> RolloutStatus:
    """After the weight was put in force."""
    shifted = status.changed(shifts=(*status.shifts, Shift(at=now, weight=weight)), moving=None)
    if status.moving is None or status.back_since is not None:
        return shifted
    what = f"{status.candidate} has {weight} % of requests"
    if status.spec.max_surge is not None:
        shifted = shifted.changed(stage=status.stage + 1)
    if isinstance(status.current, SetWeight) and weight < status.current.set_weight:
        why = f"on the way to {status.current.set_weight} %, while nodes are swapped: not baked"
        return shifted.changed(step_began=now).said(now, what, why)
    return shifted.changed(step=status.step + 1, step_began=now).said(now, what)


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


def _mirror(status: RolloutStatus, step: Mirror, seen: Seen, now: datetime) -> Decision:
    """Copies go out for the time that the step says, as far as they were compared; users have no part in it."""
    length, enough = mirrored(status), mirrored(status) >= step.length
    if enough or (status.is_approved and status.mirror):
        if seen.mirror:
            return Decision(status, PutMirror(0))
        return _next(status.changed(mirror=0), now, "mirrored", status.compared.said)
    unready = _unready(status, step.mirror, seen, now)
    if unready is not None:
        return unready
    if status.mirror != step.mirror:
        since = status.said(now, f"{step.mirror} % of live requests are mirrored to {status.candidate}")
        # What was approved is that it begins, outside its window: it ends when it ends, or is told to once more.
        since = since.changed(mirror=step.mirror, mirror_since=now, step_began=now, approved=-1)
        return Decision(since, PutMirror(step.mirror))
    if seen.mirror != step.mirror:
        # Its time begins when it is on: who wrote that it would be may have been killed before it was.
        return Decision(status if seen.mirror else status.changed(step_began=now), PutMirror(step.mirror))
    waits = f"{length.total_seconds():.0f} of {step.length.total_seconds():.0f} s compared; {status.compared.said}"
    if now - status.step_began > step.length + status.spec.extend:
        why = f"; {status.unmeasured}" if status.unmeasured else ""
        return take_back(status, now, f"inconclusive: {waits}{why}", unstable=False)
    return Decision(status, waits=waits)


def _experiment(status: RolloutStatus, step: Experiment, seen: Seen, now: datetime) -> Decision:
    """Users go by variant until one of the candidate's wins, or the rollout goes back. The weights stay. At the end all
    users of its time are read first: a driver that comes late reads them in several looks."""
    design = status.design
    assert design is not None
    if status.trial.until is not None:
        if seen.variants:
            return Decision(status, PutVariants({}))
        return _next(status, now, "the experiment's rules are out", "everybody follows the weights")
    wanted = design.environments(status.stable, status.candidate)
    if status.trial.since is None:
        return _begin_experiment(status, wanted, seen, now)
    since = min(status.trial.since, now)
    if since != status.trial.since:  # by a clock that was ahead: until then nobody would count, nor be before a gate
        status = _with_trial(status, since=since)
    found, said = answer(status)
    if status.is_approved or found is Answer.WINS:
        what = "promoted by hand" if status.is_approved else f"experiment {design.name}: {status.candidate} wins"
        return Decision(_with_trial(status.said(now, what, said), until=now), goes_on=True)
    if found is not Answer.OPEN:
        return take_back(status, now, said, unstable=found is Answer.WORSE)
    if any(seen.variants.get(name) != status.candidate for name in design.candidates):
        cause = f"the rules to {status.candidate} are gone: somebody else took the experiment out"
        return take_back(status, now, cause, unstable=False)
    if seen.variants != wanted:
        return Decision(status, PutVariants(wanted))
    told = said + (f" ({status.unmeasured})" if status.unmeasured else "")
    ends = since + step.experiment
    if now > ends and (status.unmeasured or (status.trial.measured_until or since) >= ends):
        return take_back(status, now, f"inconclusive after {written(step.experiment)}: {told}", unstable=False)
    return Decision(status, waits=told)


def _begin_experiment(status: RolloutStatus, wanted: Mapping[str, str], seen: Seen, now: datetime) -> Decision:
    """Rules stand when they are seen to: from then on users count."""
    assert status.design is not None
    unready = _unready(status, status.design.share, seen, now)
    if unready is not None:
        return unready
    if seen.variants != wanted:
        if seen.claimed:
            return Decision(status, waits=f"{seen.claimed} is moving traffic")
        if seen.variants and now - status.step_began > status.spec.ready_timeout:
            # Users of the rules that stand are in no count and before no gate: not for ever.
            made = ", ".join(sorted(seen.variants))
            cause = f"not ready in time: of the experiment's rules only those of {made} could be made"
            return take_back(status, now, cause, unstable=False)
        return Decision(status, PutVariants(wanted))
    places = ", ".join(f"{name} {status.design.split[name]:g} % to {place}" for name, place in wanted.items())
    # What was approved so far is that it begins, outside its window; who wants it to end without a winner says so once more.
    told = status.said(now, f"experiment {status.design.name} began", places).changed(step_began=now, approved=-1)
    return Decision(_with_trial(told, since=now), waits="no users yet")


def _with_trial(status: RolloutStatus, **fields: datetime) -> RolloutStatus:
    return status.changed(trial=status.trial.model_copy(update=fields))
