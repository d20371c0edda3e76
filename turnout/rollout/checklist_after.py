"""The checklist's items while a rollout runs and when it is over: gates, gaps, the way back; health, evidence, issues, runbook.
Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Side, Verdict
from turnout.rollout.checklist import TEXTS, Item, Outcome, Phase, Result, checked, refusal
from turnout.rollout.status import RolloutStatus, State

WATCHED_AT_LEAST = 0.9
"""Share of the time since the first weight that must have been measured."""


@dataclass(frozen=True)
class During:
    """What is seen while it runs. `lag`: how long after it happened something can at the latest have been measured (the
    source's delay and two of its periods); `stable_ready`: healthy targets of the stable side."""

    status: RolloutStatus
    now: datetime
    lag: timedelta
    stable_ready: int


@dataclass(frozen=True)
class After:
    """What is found when it is over. `serving_ready`: healthy targets of the side that has all traffic; `note`: what the record
    or the operator says about it; `runbook`: where it is (None: nowhere), `runbook_fault` why it cannot be read,
    `runbook_changed` when it was last changed, where that can be known."""

    status: RolloutStatus
    serving_ready: int
    note: str = ""
    runbook: str | None = None
    runbook_fault: str = ""
    runbook_changed: datetime | None = None


def during(facts: During) -> tuple[Result, ...]:
    """The next five."""
    return (
        _watched(facts, Item.ERRORS, GateKind.ERRORS),
        _watched(facts, Item.LATENCY, GateKind.LATENCY),
        _watched(facts, Item.QUALITY, GateKind.QUALITY),
        _anomalies(facts),
        _way_back(facts),
    )


def after(facts: After) -> tuple[Result, ...]:
    """The last four."""
    if not facts.status.state.is_over:
        left = [item for item, (phase, _) in TEXTS.items() if phase is Phase.AFTER]
        return tuple(Result(item, Outcome.OPEN, "the rollout is not over") for item in left)
    return _health(facts), _stable(facts), _issues(facts), _runbook(facts)


def _watched(facts: During, item: Item, kind: GateKind) -> Result:
    status = facts.status
    gates = [gate for gate in status.gates if gate.kind is kind]
    if not gates:
        return refusal(item, f"no gate looks at {kind}; add {{name: {kind}, kind: {kind}, …}} to turnout:rollout.gates")
    windows = [window for window in status.windows if window.weight]
    if not windows:
        return Result(item, Outcome.OPEN, "nothing was measured with traffic at the candidate yet")
    measured = []
    for gate in gates:
        seen = sum(Side.CANDIDATE in window.samples.get(gate.name, {}) for window in windows)
        if 2 * seen < len(windows):
            why = f"; {status.unmeasured}" if status.unmeasured else ""
            fix = "look at the metric itself, and abort when it does not come back"
            return refusal(item, f"{gate.name} was measured in {seen} of {len(windows)} periods{why}: {fix}")
        measured.append(f"{gate.name}: {_verdict(status, gate)}, measured in {seen} of {len(windows)} periods")
    return checked(item, "; ".join(measured))


def _verdict(status: RolloutStatus, gate: Gate) -> str:
    return next((each.verdict.value for each in status.judgements if each.gate == gate.name), "not judged yet")


def _anomalies(facts: During) -> Result:
    """Nobody's eyes, but all of the time: measured without gaps, and the targets' health beside the gates."""
    status = facts.status
    if not any(gate.kind is GateKind.HEALTH for gate in status.gates):
        return refusal(Item.ANOMALIES, "no gate looks at targets' health; add {name: health, kind: health}")
    if not status.shifts:
        return Result(Item.ANOMALIES, Outcome.OPEN, "the candidate has no traffic yet")
    first = status.shifts[0].at
    due = ((status.ended or facts.now) - first - facts.lag).total_seconds()
    seconds = sum(window.seconds for window in status.windows if window.start >= first)
    if seconds < WATCHED_AT_LEAST * due:
        why = f": {status.unmeasured}" if status.unmeasured else ""
        fix = "keep `turnout rollout run` or the RolloutRunner running, and see whether the source of metrics answers"
        return refusal(Item.ANOMALIES, f"only {seconds:.0f} of {due:.0f} s since the first weight were measured{why}; {fix}")
    return checked(Item.ANOMALIES, f"{len(status.gates)} gates have looked at {seconds:.0f} s since the first weight")


def _way_back(facts: During) -> Result:
    """The call that takes traffic back is the one that gave it: it has worked. And somebody is there to take it."""
    status = facts.status
    if facts.stable_ready < status.total:
        fix = "see `turnout status`; abort gives traffic to the ones that are there"
        if status.spec.max_surge is not None:
            fix = "it gave nodes up inside max_surge; abort gives it what its nodes carry, and the rest as others boot"
        return refusal(Item.WAY_BACK, f"{status.stable} has {facts.stable_ready} of {status.total} healthy targets; {fix}")
    if not status.shifts:
        return Result(Item.WAY_BACK, Outcome.OPEN, "the load balancer has not taken a weight from here yet")
    times = len(status.shifts)
    said = f"the load balancer took {times} weight{'s' * (times > 1)} by the call that takes them back"
    return checked(Item.WAY_BACK, f"{said}; {status.stable} has {facts.stable_ready} healthy targets")


def _health(facts: After) -> Result:
    status = facts.status
    serving = status.candidate if status.state is State.PROMOTED else status.stable
    if facts.serving_ready < status.total:
        fix = "see `turnout status`, and `turnout rollback` if the other one is whole"
        return refusal(Item.HEALTH, f"{serving} has {facts.serving_ready} healthy targets and began with {status.total}; {fix}")
    return checked(Item.HEALTH, f"{facts.serving_ready} targets of {serving} are healthy, {status.total} served when it began")


def _stable(facts: After) -> Result:
    status = facts.status
    if status.state is not State.PROMOTED:
        return checked(Item.STABLE, f"all traffic is at {status.stable}, as it was before")
    critical = {gate.name for gate in status.gates if gate.critical and gate.kind is not GateKind.HEALTH}
    verdicts = {each.gate: each for each in status.judgements}
    silent = sorted(critical - verdicts.keys())
    doubtful = [each.said for name, each in verdicts.items() if name in critical and each.verdict is not Verdict.PASS]
    if silent or doubtful:
        why = "; ".join([*(f"{name} was never judged" for name in silent), *doubtful])
        return refusal(Item.STABLE, f"promoted without evidence: {why}; watch it, and keep `turnout rollback` at hand")
    passing = "; ".join(each.said for name, each in verdicts.items() if name in critical)
    return checked(Item.STABLE, passing or "no gate but health looked, and it held")


def _troubles(status: RolloutStatus) -> list[str]:
    """What went otherwise than it should."""
    failing = [each.said for each in status.judgements if each.verdict is Verdict.FAIL]
    taken = [status.cause] if status.state is State.TAKEN_BACK else []
    return [*taken, *(said for said in failing if said not in status.cause)]


def _issues(facts: After) -> Result:
    troubles = _troubles(facts.status)
    if not troubles:
        return checked(Item.ISSUES, f"none: nothing failed in {len(facts.status.events)} events")
    if not facts.note.strip():
        fix = "`turnout rollout note TEXT` writes down what happened and why"
        return refusal(Item.ISSUES, f"nothing is written down about: {'; '.join(troubles)}; {fix}")
    return checked(Item.ISSUES, f"written down: {facts.note}")


def _runbook(facts: After) -> Result:
    if facts.runbook is None:
        return refusal(Item.RUNBOOK, "no runbook says what to do when this service fails; set turnout:rollout.runbook")
    if facts.runbook_fault:
        return refusal(Item.RUNBOOK, f"{facts.runbook} cannot be read: {facts.runbook_fault}")
    troubles, ended = _troubles(facts.status), facts.status.ended
    if not troubles:
        return checked(Item.RUNBOOK, f"{facts.runbook} is there, and nothing new is to go into it")
    if facts.runbook_changed is None or (ended is not None and facts.runbook_changed < ended):
        return refusal(Item.RUNBOOK, f"{facts.runbook} was not changed since: {troubles[0]}; write there what to do next time")
    return checked(Item.RUNBOOK, f"{facts.runbook} was changed at {facts.runbook_changed:%Y-%m-%d %H:%M} UTC, after it ended")
