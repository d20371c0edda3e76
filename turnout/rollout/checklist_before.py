"""The checklist's items before the first step: tests, evaluation, the way back, monitoring, alerts, notice. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from turnout_components.release import Release
from turnout_components.rollout_spec import GateKind, SmokeTest
from turnout_components.standby import Keep

from turnout.rollout.checklist import Item, Result, checked, refusal
from turnout.rollout.status import RolloutStatus

TESTS = "tests"
"""The score of a release's evaluation that says whether its tests passed."""
PASSED = "passed"


@dataclass(frozen=True)
class Before:
    """What is known before the first step. `thresholds`: least scores by name; `broken`: what keeps the stable release from
    being deployed again; `unmeasurable`: gates that the source cannot measure; `targets`: who is alerted; `silent`: of these
    the ones that reach nobody, with why; `told`: by target whether the beginning could be told ("", or why not)."""

    status: RolloutStatus
    candidate: Release
    stable: Release
    stable_ready: int
    thresholds: Mapping[str, float] = field(default_factory=dict)
    broken: Sequence[str] = ()
    unmeasurable: Sequence[str] = ()
    targets: Sequence[str] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)


def before(facts: Before) -> tuple[Result, ...]:
    """The first six items."""
    return (
        _tests(facts),
        _evaluation(facts),
        _rollback_plan(facts),
        _monitoring(facts),
        _alerts(facts),
        _notified(facts),
    )


def _tests(facts: Before) -> Result:
    """Either the release says that its tests passed, at a commit that is what was tested; or the rollout tests it first."""
    origin, name = facts.candidate.provenance, facts.candidate.name
    smoke = next((step for step in facts.status.plan if isinstance(step, SmokeTest)), None)
    said, commit = str(origin.evaluation.get(TESTS, "")), origin.git_commit or ""
    if said == PASSED and commit and not commit.endswith("+dirty"):
        return checked(Item.TESTS, f"{name}'s tests passed at commit {commit[:12]}")
    if said and said != PASSED:
        return refusal(Item.TESTS, f"{name}'s tests: {said}; make a release whose tests passed")
    if smoke is not None:
        return checked(Item.TESTS, f"the rollout runs `{smoke.smoke_test}` against {name} before it goes on")
    if said:
        why = f"at {commit}: what was tested is not what is committed" if commit else "at no commit that is named"
        return refusal(Item.TESTS, f"{name}'s tests passed {why}; make the release from a clean checkout")
    fix = f'put "{TESTS}": "{PASSED}" into its --evaluation when CI makes it, or set turnout:rollout.smoke_test'
    return refusal(Item.TESTS, f"{name} does not say whether its tests passed; {fix}")


def _evaluation(facts: Before) -> Result:
    """Against the thresholds; without any, against what serves now, less the quality gate's margin."""
    name, scores = facts.candidate.name, _numbers(facts.candidate)
    margin = next((gate.allowed for gate in facts.status.gates if gate.kind is GateKind.QUALITY), 0.0)
    least = dict(facts.thresholds) or {score: value - margin for score, value in _numbers(facts.stable).items()}
    if not least:
        fix = "give --evaluation to `turnout releases create`, and set turnout:rollout.evaluation to the least scores"
        return refusal(Item.EVALUATION, f"neither thresholds nor scores of {facts.stable.name} say what is good enough; {fix}")
    missing = [score for score in least if score not in scores]
    if missing:
        fix = "evaluate it and give the scores with --evaluation"
        return refusal(Item.EVALUATION, f"{name} has no score {', '.join(missing)}; {fix}")
    low = [f"{score} {scores[score]:g} is below {bound:g}" for score, bound in least.items() if scores[score] < bound]
    if low:
        return refusal(Item.EVALUATION, f"{name}: {'; '.join(low)}; make a better release, or lower turnout:rollout.evaluation")
    told = ", ".join(f"{score} {scores[score]:g} (at least {bound:g})" for score, bound in least.items())
    return checked(Item.EVALUATION, f"{name}: {told}")


def _numbers(release: Release) -> dict[str, float]:
    return {name: float(value) for name, value in release.provenance.evaluation.items() if not isinstance(value, str)}


def _rollback_plan(facts: Before) -> Result:
    """The way back stands for as long as gates look: the stable release is whole, serves, and is kept."""
    status, keep = facts.status, facts.status.standby
    name = facts.stable.name
    if facts.broken:
        return refusal(Item.ROLLBACK_PLAN, f"{name} could not be deployed again: {'; '.join(facts.broken)}")
    if facts.stable_ready < status.total:
        there = f"{facts.stable_ready} of {status.total} healthy targets to go back to"
        return refusal(Item.ROLLBACK_PLAN, f"{status.stable} has {there}; see `turnout status`, and wait until it is whole")
    looks = status.spec.observe + status.spec.extend
    full = keep.retain_for if keep.keep is Keep.FULL else max(keep.bake, keep.drain)
    setting = "turnout:traffic.standby." + ("retain_for" if keep.keep is Keep.FULL else "bake")
    if full < looks:
        fix = f"raise {setting} to {looks} or more"
        return refusal(Item.ROLLBACK_PLAN, f"{name} is kept at its size for {full} and gates look for up to {looks}; {fix}")
    back = f"`turnout rollout abort` or `turnout rollback` gives all traffic back to {status.stable}"
    return checked(Item.ROLLBACK_PLAN, f"{back} ({name}, whole; kept at its size for {full} after the switch)")


def _monitoring(facts: Before) -> Result:
    if facts.unmeasurable:
        return refusal(Item.MONITORING, f"what cannot be measured is not rolled out: {'; '.join(facts.unmeasurable)}")
    critical = [gate.name for gate in facts.status.gates if gate.critical]
    return checked(Item.MONITORING, f"{facts.status.spec.metrics.source} measures every gate: {', '.join(critical)}")


def _alerts(facts: Before) -> Result:
    if not facts.targets:
        return refusal(Item.ALERTS, "nobody is told of a rollback; set turnout:rollout.alerts")
    deaf = [f"{target}: {why}" for target, why in facts.silent.items()]
    if deaf:
        return refusal(Item.ALERTS, f"{'; '.join(deaf)}; an alert would reach nobody")
    return checked(Item.ALERTS, f"a rollback is told to {', '.join(facts.targets)}")


def _notified(facts: Before) -> Result:
    failed = [f"{target}: {why}" for target, why in facts.told.items() if why]
    if failed:
        return refusal(Item.NOTIFIED, f"could not be told that it begins: {'; '.join(failed)}")
    if not facts.told:
        return refusal(Item.NOTIFIED, "nobody was told that it begins; set turnout:rollout.alerts")
    return checked(Item.NOTIFIED, f"told that it begins: {', '.join(facts.told)}")
