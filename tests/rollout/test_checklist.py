"""Every item of the checklist: what makes it hold, and each thing that refuses it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from turnout_components.release import Model, Provenance, Release, ServingEngine
from turnout_components.rollout_spec import Gate, GateKind, Metric, RolloutSpec
from turnout_components.standby import Keep, StandbyPolicy

from turnout.analysis.measurement import Count, Judgement, Side, Verdict, Window
from turnout.rollout.checklist import TEXTS, Item, Outcome, Phase, Result, refused, waived
from turnout.rollout.checklist_after import After, During, after, during
from turnout.rollout.checklist_before import Before, before
from turnout.rollout.status import Event, RolloutStatus, Shift, State

START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUALITY = Gate(name="quality", kind=GateKind.QUALITY, metric=Metric(namespace="Turnout", name="Quality"), margin=0.02)
GATES = (*RolloutSpec().gates, QUALITY)
NAMES = ("errors", "latency", "quality")


def release(name: str, **provenance: Any) -> Release:
    digest = "sha256:" + "a" * 64
    model = Model(name="m", version=name, uri="s3://models/m/", sha256=digest)
    image, engine = f"registry/server@{digest}", ServingEngine(name="vllm")
    return Release(name=name, model=model, image=image, engine=engine, provenance=Provenance(**provenance))


def status(**more: Any) -> RolloutStatus:
    """A canary whose 10 minutes at 5 % were measured."""
    spec = more.pop("spec", RolloutSpec(gates=GATES))
    given: dict[str, Any] = {
        "id": "m-2-1",
        "spec": spec,
        "plan": spec.plan(),
        "stable": "blue",
        "candidate": "green",
        "releases": {"blue": "m-1@sha256:1", "green": "m-2@sha256:2"},
        "began": START,
        "by": "ops",
        "total": 4,
        "step_began": START,
        "shifts": (Shift(at=START, weight=5),),
        "windows": windows(range(10)),
        "judgements": tuple(Judgement(name, Verdict.PASS, f"{name} is no worse") for name in NAMES),
        "events": (Event(at=START, what="began"),),
    }
    return RolloutStatus(**{**given, **more})


def windows(minutes: Sequence[int], gates: Sequence[str] = NAMES, weight: int = 5) -> tuple[Window, ...]:
    sample = {Side.ACTIVE: Count(1, 950), Side.CANDIDATE: Count(0, 50)}
    requests = {Side.ACTIVE: 950, Side.CANDIDATE: 50}
    return tuple(
        Window(START + n * MINUTE, START + (n + 1) * MINUTE, weight, requests, dict.fromkeys(gates, sample)) for n in minutes
    )


def ready(**more: Any) -> Before:
    """Everything is as it should be."""
    given: dict[str, Any] = {
        "status": status(shifts=(), windows=()),
        "candidate": release("m-2", git_commit="c0ffee", evaluation={"tests": "passed", "accuracy": 0.93, "set": "heldout"}),
        "stable": release("m-1", evaluation={"accuracy": 0.94}),
        "stable_ready": 4,
        "targets": ("the team's topic",),
        "told": {"the team's topic": ""},
    }
    return Before(**{**given, **more})


def watching(of: RolloutStatus | None = None, **more: Any) -> During:
    given: dict[str, Any] = {"now": START + 12 * MINUTE, "lag": 2 * MINUTE, "stable_ready": 4}
    return During(of or status(), **{**given, **more})


def over(state: State = State.PROMOTED, **more: Any) -> After:
    extra = {key: more.pop(key) for key in list(more) if key in RolloutStatus.model_fields}
    ended = status(state=state, ended=START + 60 * MINUTE, **extra)
    given = {"serving_ready": 4, "runbook": "docs/runbook.md"}
    return After(ended, **{**given, **more})


def taken_back(**more: Any) -> After:
    return over(State.TAKEN_BACK, **{"cause": "errors: 5 % against 0.1 %", **more})


def of(item: Item, results: Sequence[Result]) -> Result:
    return next(result for result in results if result.item is item)


def refusal(item: Item, results: Sequence[Result]) -> str:
    found = of(item, results)
    assert found.outcome is Outcome.REFUSED, found
    return found.said


def test_the_fifteen_items_are_all_checked_where_all_is_well() -> None:
    results = (*before(ready()), *during(watching()), *after(over()))
    assert [result.item for result in results] == list(TEXTS) == list(Item)
    assert {result.outcome for result in results} == {Outcome.CHECKED}
    assert [sum(result.phase is phase for result in results) for phase in Phase] == [6, 5, 4]
    assert refused(results) == ()


@pytest.mark.parametrize(
    ("evaluation", "commit", "said"),
    [
        ({"accuracy": 0.93}, "c0ffee", 'm-2 does not say whether its tests passed; put "tests": "passed"'),
        ({"accuracy": 0.93, "tests": "3 of 40 failed"}, "c0ffee", "m-2's tests: 3 of 40 failed"),
        ({"accuracy": 0.93, "tests": "passed"}, "c0ffee+dirty", "what was tested is not what is committed"),
        ({"accuracy": 0.93, "tests": "passed"}, None, "at no commit that is named"),
    ],
)
def test_tests_that_nobody_vouches_for_are_refused(evaluation: dict[str, Any], commit: str | None, said: str) -> None:
    facts = ready(candidate=release("m-2", git_commit=commit, evaluation=evaluation))
    assert said in refusal(Item.TESTS, before(facts))


def test_a_smoke_test_in_the_plan_stands_for_tests_but_not_for_failed_ones() -> None:
    spec = RolloutSpec.model_validate({"strategy": "blue-green", "smoke_test": "smoke $URL"})
    for evaluation, outcome in (({}, Outcome.CHECKED), ({"tests": "failed"}, Outcome.REFUSED)):
        facts = ready(status=status(spec=spec), candidate=release("m-2", evaluation=evaluation))
        assert of(Item.TESTS, before(facts)).outcome is outcome


def test_scores_are_held_against_thresholds_and_else_against_what_serves_now() -> None:
    facts = ready()
    assert of(Item.EVALUATION, before(facts)).said == "m-2: accuracy 0.93 (at least 0.92)"
    worse = release("m-2", evaluation={"accuracy": 0.919})
    assert "accuracy 0.919 is below 0.92" in refusal(Item.EVALUATION, before(replace(facts, candidate=worse)))
    held = replace(facts, thresholds={"accuracy": 0.95})
    assert "accuracy 0.93 is below 0.95" in refusal(Item.EVALUATION, before(held))
    assert "has no score f1" in refusal(Item.EVALUATION, before(replace(facts, thresholds={"f1": 0.5})))
    unknown = replace(facts, stable=release("m-1"))
    assert "neither thresholds nor scores of m-1" in refusal(Item.EVALUATION, before(unknown))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"broken": ["image gone"]}, "m-1 could not be deployed again: image gone"),
        ({"stable_ready": 3}, "blue has 3 of 4 healthy targets to go back to"),
        (
            {"status": status(standby=StandbyPolicy(retain_for=20 * MINUTE))},
            "raise turnout:traffic.standby.retain_for to 0:25:00",
        ),
        (
            {"status": status(standby=StandbyPolicy(Keep.WARM, bake=10 * MINUTE))},
            "raise turnout:traffic.standby.bake to 0:25:00",
        ),
    ],
)
def test_a_way_back_that_does_not_last_is_no_plan(more: dict[str, Any], said: str) -> None:
    assert said in refusal(Item.ROLLBACK_PLAN, before(ready(**more)))


def test_a_warm_standby_that_bakes_long_enough_is_a_plan() -> None:
    kept = ready(status=status(standby=StandbyPolicy(Keep.WARM, bake=25 * MINUTE)))
    assert of(Item.ROLLBACK_PLAN, before(kept)).outcome is Outcome.CHECKED


def test_gates_that_cannot_be_measured_are_no_monitoring() -> None:
    assert "quality: no such metric" in refusal(Item.MONITORING, before(ready(unmeasurable=["quality: no such metric"])))


def test_alerts_need_somebody_who_hears_them() -> None:
    assert "nobody is told of a rollback" in refusal(Item.ALERTS, before(ready(targets=())))
    silent = {"the team's topic": "it has no confirmed subscription"}
    assert "an alert would reach nobody" in refusal(Item.ALERTS, before(ready(silent=silent)))


def test_the_team_was_told_or_it_was_not() -> None:
    assert "nobody was told" in refusal(Item.NOTIFIED, before(ready(told={})))
    said = refusal(Item.NOTIFIED, before(ready(told={"hook": "HTTP 500", "topic": ""})))
    assert said == "could not be told that it begins: hook: HTTP 500"


@pytest.mark.parametrize(("item", "name"), [(Item.ERRORS, "errors"), (Item.LATENCY, "latency"), (Item.QUALITY, "quality")])
def test_a_gate_that_is_missing_or_blind_is_not_watched(item: Item, name: str) -> None:
    without = status(spec=RolloutSpec(gates=tuple(gate for gate in GATES if gate.name != name)))
    assert f"no gate looks at {name}" in refusal(item, during(watching(without)))
    others = [other for other in NAMES if other != name]
    blind = status(windows=windows(range(6), others) + windows(range(6, 10)), unmeasured="throttled")
    assert f"{name} was measured in 4 of 10 periods; throttled" in refusal(item, during(watching(blind)))
    half = status(windows=windows(range(5), others) + windows(range(5, 10)))
    assert of(item, during(watching(half))).said == f"{name}: pass, measured in 5 of 10 periods"


def test_only_the_active_sides_numbers_are_not_watching_the_candidate() -> None:
    sample = {"errors": {Side.ACTIVE: Count(0, 950)}}
    alone = tuple(replace(window, samples=sample) for window in windows(range(10)))
    assert "errors was measured in 0 of 10" in refusal(Item.ERRORS, during(watching(status(windows=alone))))


def test_time_that_nobody_measured_is_an_anomaly() -> None:
    gap = status(windows=windows([0, 1, 2, 3, 8, 9]), unmeasured="CloudWatch does not answer")
    said = refusal(Item.ANOMALIES, during(watching(gap)))
    assert said.startswith("only 360 of 600 s since the first weight were measured: CloudWatch does not answer")
    baseline = status(windows=windows(range(-10, 0), weight=0) + windows(range(6)))
    assert "only 360 of 600 s" in refusal(Item.ANOMALIES, during(watching(baseline))), "before the weight is not after it"
    assert of(Item.ANOMALIES, during(watching(status(windows=windows(range(9)))))).outcome is Outcome.CHECKED
    blind = status(spec=RolloutSpec(gates=(QUALITY,)))
    assert "no gate looks at targets' health" in refusal(Item.ANOMALIES, during(watching(blind)))
    ended = status(ended=START + 12 * MINUTE)
    assert of(Item.ANOMALIES, during(watching(ended, now=START + 90 * MINUTE))).outcome is Outcome.CHECKED


def test_a_way_back_needs_targets_and_a_call_that_has_worked() -> None:
    assert "blue has 3 of 4 healthy targets" in refusal(Item.WAY_BACK, during(watching(stable_ready=3)))
    said = of(Item.WAY_BACK, during(watching(status(shifts=(Shift(at=START, weight=5), Shift(at=START, weight=25))))))
    assert "took 2 weights by the call that takes them back" in said.said


def test_before_the_first_weight_what_happens_during_is_open() -> None:
    early = watching(status(shifts=(), windows=windows(range(3), weight=0)))
    outcomes = {result.item: result.outcome for result in during(early)}
    assert set(outcomes.values()) == {Outcome.OPEN}
    assert {result.outcome for result in after(After(status(), 4))} == {Outcome.OPEN}


def test_health_afterwards_is_that_of_the_side_that_serves() -> None:
    assert "green has 3 healthy targets" in refusal(Item.HEALTH, after(over(serving_ready=3)))
    assert "blue has 3 healthy targets" in refusal(Item.HEALTH, after(taken_back(serving_ready=3)))


def test_a_promotion_without_evidence_is_not_stable() -> None:
    doubt = (Judgement("errors", Verdict.INCONCLUSIVE, "errors: too few samples"),)
    said = refusal(Item.STABLE, after(over(judgements=doubt)))
    assert said.startswith("promoted without evidence: latency was never judged; quality was never judged; errors: too few")
    assert of(Item.STABLE, after(taken_back(judgements=doubt))).outcome is Outcome.CHECKED


def test_an_advisory_gate_that_fails_does_not_unsettle_but_is_an_issue() -> None:
    advisory = (*RolloutSpec().gates, QUALITY.model_copy(update={"critical": False}))
    judgements = tuple(
        Judgement(name, Verdict.FAIL if name == "quality" else Verdict.PASS, f"{name} said so") for name in NAMES
    )
    facts = over(spec=RolloutSpec(gates=advisory), judgements=judgements)
    assert of(Item.STABLE, after(facts)).outcome is Outcome.CHECKED
    assert "nothing is written down about: quality said so" in refusal(Item.ISSUES, after(facts))


def test_issues_are_written_down() -> None:
    assert "errors: 5 % against 0.1 %" in refusal(Item.ISSUES, after(taken_back(note=" ")))
    assert of(Item.ISSUES, after(taken_back(note="see ticket 7"))).said == "written down: see ticket 7"


def test_a_runbook_is_there_and_learns_from_what_went_wrong() -> None:
    assert "no runbook" in refusal(Item.RUNBOOK, after(over(runbook=None)))
    assert "cannot be read: 404" in refusal(Item.RUNBOOK, after(over(runbook_fault="404")))
    assert "was not changed since: errors: 5 %" in refusal(Item.RUNBOOK, after(taken_back()))
    early = taken_back(runbook_changed=START + 59 * MINUTE)
    assert "was not changed since" in refusal(Item.RUNBOOK, after(early))
    assert of(Item.RUNBOOK, after(replace(early, runbook_changed=START + 61 * MINUTE))).outcome is Outcome.CHECKED


def test_a_waiver_names_its_item_and_its_reason_and_stays_visible() -> None:
    results = before(ready(targets=(), stable_ready=1))
    after_it = waived(results, {"alerts": "rehearsal, nobody is on call"})
    assert [result.item for result in refused(after_it)] == [Item.ROLLBACK_PLAN]
    found = of(Item.ALERTS, after_it)
    assert (found.outcome, found.said.partition(" (")[0]) == (Outcome.WAIVED, "rehearsal, nobody is on call")
    assert "nobody is told of a rollback" in found.said
    assert waived(before(ready()), {"alerts": "as it pleases"}) == before(ready()), "what holds needs no waiver"


@pytest.mark.parametrize(("waivers", "said"), [({"alarms": "x"}, "is no item"), ({"alerts": " "}, "without a reason")])
def test_a_waiver_of_nothing_or_for_nothing_is_refused(waivers: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        waived((), waivers)
