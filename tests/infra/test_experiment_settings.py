"""An experiment in a stack's config: what the rollout's own tests cannot know."""

from pathlib import Path
from typing import Any

import pytest
from stack_config import fault, read

ASKED: dict[str, Any] = {
    "name": "answers",
    "split": {"control": 10, "candidate": 10},
    "metric": {"kind": "conversion", "namespace": "Turnout", "name": "Bought", "dimensions": {"Variant": "$variant"}},
    "smallest": 0.01,
    "usual": 0.1,
    "users_a_day": 20_000,
}
AB = {"strategy": "ab", "experiment": ASKED}


def test_an_experiment_is_read_with_the_rollout(root: Path) -> None:
    found = read(root, rollout=AB).rollout.experiment
    assert found is not None
    assert found.environments("blue", "green") == {"control": "blue", "candidate": "green"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": {"control": 60, "candidate": 50}}, "is more than all users"),
        ({"until": "friday"}, "turnout:rollout.experiment.until"),
        ({"metric": {"kind": "median"}}, "turnout:rollout.experiment.metric.kind"),
    ],
)
def test_an_experiment_that_cannot_be_is_told_with_its_field(root: Path, changes: dict[str, Any], said: str) -> None:
    line = fault(root, rollout={**AB, "experiment": {**ASKED, **changes}})
    assert line.startswith("turnout:rollout.experiment")
    assert said in line


def test_a_network_load_balancer_has_no_experiments(root: Path) -> None:
    tcp = {"environ": {}, "cloud": "aws", "ingress": {"protocol": "tcp", "port": 443}}
    assert fault(root, rollout=AB, **tcp).startswith('turnout:rollout.strategy = "ab": divides users by a request header')
    read(root, rollout={"experiment": ASKED}, **tcp)
