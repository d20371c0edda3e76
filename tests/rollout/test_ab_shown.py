"""What people and programs see of an experiment: before it begins, while it runs, and in the report."""

from datetime import timedelta
from typing import Any

import pytest
from ab_world import AB, AbWorld, ab_world
from rich.console import Console
from rollout_world import ANNA
from turnout_components.experiment_design import ExperimentDesign
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.standby import StandbyPolicy

from turnout.analysis.measurement import Moments
from turnout.analysis.power import for_conversion, for_mean
from turnout.cli import rollout_view as view
from turnout.preflight import Preflight
from turnout.report.page import page
from turnout.report.series import weights
from turnout.rollout.capacity import Capacity, Shortage
from turnout.rollout.experiment_rows import division, rows
from turnout.rollout.experiments import need
from turnout.rollout.start import Start, prepare
from turnout.rollout.status import RolloutStatus, State

UNASKED: Any = None
SPENT = {"kind": "mean", "namespace": "Turnout", "name": "Spent", "squares": "SpentSquares", "dimensions": {"V": "$variant"}}


def design(**changes: Any) -> ExperimentDesign:
    return ExperimentDesign.model_validate({**AB["experiment"], **changes})


def test_a_days_users_say_how_long_it_takes() -> None:
    found = need(design(split={"control": 10, "candidate": 10}, users_a_day=10_000))
    users = for_conversion(0.1, 0.01).any_time
    assert found.length == pytest.approx(timedelta(days=users / 1000), rel=1e-3)
    assert found.users == {"control": pytest.approx(users, abs=1), "candidate": pytest.approx(users, abs=1)}
    assert f"users needed: control {users:,}, candidate {users:,}; that takes" in found.said


def test_the_smaller_variant_the_direction_and_the_kind_count() -> None:
    a_day = 10_000
    uneven = need(design(split={"control": 40, "candidate": 10}, users_a_day=a_day))
    assert uneven.length / timedelta(days=1) == pytest.approx(for_conversion(0.1, 0.01, share=0.25).any_time / 1000, rel=1e-3)
    less = need(design(split={"control": 10, "candidate": 10}, users_a_day=a_day, higher_is_better=False))
    assert less.length / timedelta(days=1) == pytest.approx(for_conversion(0.1, -0.01).any_time / 1000, rel=1e-3)
    mean = need(design(split={"control": 10, "candidate": 10}, users_a_day=a_day, metric=SPENT, usual=3.0, smallest=0.1))
    assert mean.length / timedelta(days=1) == pytest.approx(for_mean(3.0, 0.1).any_time / 1000, rel=1e-3)
    three = need(design(split={"control": 20, "one": 20, "two": 5}, users_a_day=a_day, power=0.9, alpha=0.1))
    slowest = for_conversion(0.1, 0.01, variants=3, alpha=0.1, power=0.9, share=0.25).any_time / 500
    assert three.length / timedelta(days=1) == pytest.approx(slowest, rel=1e-3)


def test_a_check_says_how_many_users_it_takes_and_offers_no_swap_of_nodes() -> None:
    world = ab_world()
    start = Start(RolloutSpec.model_validate(AB), StandbyPolicy(), ANNA, world.clock)
    status = prepare(start, world.records, world.cloud, world.metrics)  # type: ignore[arg-type]
    found = Preflight(status, UNASKED, (), (), Capacity(4, (Shortage(2, "no vCPUs are free"),)))
    console = Console(width=180, record=True)
    console.print(view.plan(found))
    assert f"experiment answers: {need(design()).said}" in console.export_text()
    with pytest.raises(SwitchRefused) as refused:
        found.refuse()
    assert "max_surge" not in str(refused.value)


def running(**totals: Moments) -> RolloutStatus:
    world: AbWorld = ab_world()
    rollout = world.start(**AB)
    status = world.drive(world.controller(), rollout, seconds=120, every=30)
    assert status.state is State.RUNNING
    return status.changed(trial=status.trial.model_copy(update={"totals": totals}))


BETTER = {"control": Moments(20_000, 2_000, 2_000), "candidate": Moments(20_100, 2_412, 2_412)}


def test_users_means_and_lift_are_shown_while_it_runs() -> None:
    status = running(**BETTER)
    control, candidate = rows(status)
    assert (control.variant, control.environment, control.users, control.mean) == ("control", "blue", 20_000, 0.1)
    assert (candidate.environment, candidate.users, candidate.outcome) == ("green", 20_100, "better")
    assert candidate.difference == pytest.approx(0.02)
    assert candidate.relative == pytest.approx(0.2)
    assert candidate.low is not None
    assert candidate.high is not None
    assert 0 < candidate.low < 0.02 < candidate.high
    assert division(status) == "users come 25:25 as asked (control 20000, candidate 20100)"
    console = Console(width=180, record=True)
    console.print(view.status(status))
    shown = console.export_text()
    assert "20,100" in shown
    assert "+0.02 (+20.0%)" in shown
    assert "users come 25:25 as asked" in shown
    assert view.document(status)["variants"][1]["users"] == 20_100


def test_a_report_shows_them_too() -> None:
    written = page(running(**BETTER), "svc/dev", view.now())
    assert "What users show" in written
    assert '<td class="n">20,100</td>' in written
    assert "+0.02 (+20.0%)" in written
    assert "experiment, 14d at most" in written


def test_the_chart_declares_the_users_share_while_rules_stand() -> None:
    status = running()
    begins = status.trial.since
    assert begins is not None
    before, divided = weights(status)
    assert (before.end, before.value) == (divided.start, 0.0) == (begins, 0.0)
    assert divided.value == 0.25
    until = begins + timedelta(seconds=30)
    over = status.changed(trial=status.trial.model_copy(update={"until": until}))
    assert [each.value for each in weights(over)] == [0.0, 0.25, 0.0]


@pytest.mark.parametrize(
    ("totals", "said", "outcome"),
    [
        ({}, "no users yet", "undecided"),
        ({"control": Moments(40, 4, 4), "candidate": Moments(41, 4, 4)}, "as asked", "undecided"),
        ({**BETTER, "candidate": Moments(15_000, 1_500, 1_500)}, "look for what loses or moves users", "undecided"),
        ({**BETTER, "candidate": Moments(20_000, 30_000, 30_000)}, "count each user once", "undecided"),
    ],
    ids=["nobody", "few", "lost", "twice"],
)
def test_what_cannot_be_compared_is_said(totals: dict[str, Moments], said: str, outcome: str) -> None:
    status = running(**totals)
    assert said in division(status)
    assert [row.outcome for row in rows(status)] == ["", outcome]
    assert rows(status)[1].difference is None
    Console(file=None, width=120, record=True).print(view.status(status))
    assert said.split(" ", maxsplit=1)[0] in page(status, "svc/dev", view.now())


def test_without_an_experiment_nothing_is_shown() -> None:
    world = ab_world()
    rollout = world.start(strategy="canary")
    status = world.rollouts.read(rollout)
    assert rows(status) == ()
    assert "What users show" not in page(status, "svc/dev", view.now())
