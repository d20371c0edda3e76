"""The example of an experiment comes to the verdict that its made-up users have."""

import json
import sys

import pytest

from examples.experiment import __main__ as example


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["experiment", *options])
    assert example.main() == 0
    return capsys.readouterr().out.splitlines()


def test_a_better_candidate_wins_before_the_planned_end(monkeypatch, capsys) -> None:
    plan, *days = run(monkeypatch, capsys, "--candidate-rate", "0.07")
    assert plan.startswith("plan: 15810 users a variant (8158 if one looked only once): 16 days")
    assert len(days) < 16
    assert "candidate is better than control" in days[-1]
    assert all("not decided" in day for day in days[:-1])


def test_the_gateways_filter_names_the_experiment(monkeypatch, capsys) -> None:
    made = json.loads("".join(run(monkeypatch, capsys, "--gateway")))
    code = made["typed_config"]["default_source_code"]["inline_string"]
    assert 'experiment = "answers-2026-11"' in code.splitlines()[0]
    assert '{0, 1000, "control"}, {5000, 6000, "candidate"}' in code
