"""An experiment in a stack's config: what is wrong with it, and which rules the program then declares."""

from pathlib import Path
from typing import Any

import pytest
from stack_config import fault, read, release_id
from turnout_components.switch_record import Traffic

from infra.settings import Settings

ASKED: dict[str, Any] = {
    "name": "answers",
    "split": {"control": 10, "candidate": 10},
    "variants": {"control": "blue", "candidate": "green"},
}


def both(root: Path, **changes: Any) -> Settings:
    """A stack whose environments both have a release."""
    return read(root, environments__green__release=release_id(root), **changes)


def test_variants_have_rules_while_their_environments_carry_weight(root: Path) -> None:
    settings = both(root, experiment=ASKED)
    carrying = Traffic(active="blue", weights={"blue": 99, "green": 1})
    assert settings.listener_args(carrying)["variants"] == ASKED["variants"]
    assert settings.notes(carrying) == ""
    assert "variants" not in both(root).listener_args(carrying)


def test_an_experiment_rests_while_an_environment_carries_nothing(root: Path) -> None:
    settings = both(root, experiment=ASKED)
    taken_back = Traffic(active="blue", weights={"blue": 100, "green": 0})
    assert "variants" not in settings.listener_args(taken_back)
    assert settings.notes(taken_back) == "; experiment answers rests: green carries nothing"
    assert both(root).notes(taken_back) == ""


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "Answers"}, 'turnout:experiment.name = "Answers": is no name'),
        ({"split": {"control": 60, "candidate": 50}}, "turnout:experiment.split ="),
        ({"split": {"control": 60, "candidate": -1}}, "turnout:experiment.split.candidate = -1.0: is no share"),
        ({"variants": {"control": "blue", "candidate": "red"}}, 'turnout:experiment.variants.candidate = "red": names no'),
        ({"variants": {"control": "blue"}}, "turnout:experiment.variants ="),
        ({"until": "friday"}, "turnout:experiment.until"),
    ],
)
def test_an_experiment_that_cannot_be_is_told_with_its_field(root: Path, changes: dict[str, Any], line: str) -> None:
    assert fault(root, experiment={**ASKED, **changes}).startswith(line)


def test_a_network_load_balancer_has_no_experiments(root: Path) -> None:
    said = fault(root, environ={}, cloud="aws", ingress={"protocol": "tcp", "port": 443}, experiment=ASKED)
    assert said.startswith('turnout:experiment = "answers": needs request headers')
