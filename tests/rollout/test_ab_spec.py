"""An experiment as a strategy and as a step: the plan, and what is refused."""

from typing import Any

import pytest
from ab_specs import ASKED, COUNTED, PROMETHEUS, asked, bought
from turnout_components.rollout_spec import Analyze, Bake, Experiment, Mirror, RolloutSpec, SetWeight, SmokeTest

JUDGED = [SetWeight, Bake, Analyze]
STEP = {"experiment": "7d"}


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        ({"strategy": "ab"}, [Experiment, *JUDGED]),
        ({"strategy": "ab", "smoke_test": "probe"}, [SmokeTest, Experiment, *JUDGED]),
        ({"strategy": "ab", "steps": [STEP]}, [Experiment]),
        ({"steps": [{"mirror": 9}, STEP, 50, 100]}, [Mirror, Experiment, *JUDGED * 2]),
        ({}, JUDGED * 4),
    ],
    ids=str,
)
def test_an_experiment_comes_before_the_weights(spec: dict[str, Any], steps: list[type]) -> None:
    assert [type(step) for step in RolloutSpec.model_validate({**spec, "experiment": ASKED}).plan()] == steps


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"experiment": None}, "ab has nothing to ask"),
    ({"steps": [5, 100]}, "no experiment among its steps"),
    ({"strategy": "canary", "experiment": None, "steps": [STEP, 100]}, "does not say what it asks"),
    ({"steps": [STEP, STEP, 100]}, "two experiments"),
    ({"strategy": "shadow", "steps": [STEP]}, "shadow has no users"),
    ({"steps": [5, STEP, 100]}, "before all weights"),
    ({"max_surge": 1}, "or an experiment needs nodes beside all others"),
    ({"metrics": PROMETHEUS}, "give experiment.metric its users and sum"),
    ({"experiment": asked(metric=COUNTED)}, "give experiment.metric its namespace and name"),
    ({"experiment": asked(name="Answers")}, "name 'Answers' is no name"),
    ({"experiment": asked(split={"control": 60, "candidate": 50})}, "is more than all users"),
    ({"experiment": asked(split={"control": 60, "candidate": 0})}, "the candidate serves no variant"),
    ({"experiment": asked(variants={"candidate": "stable", "shorter": "stable"})}, "the candidate serves no variant"),
    ({"experiment": asked(control="old")}, "control 'old' has no users in split"),
    ({"experiment": asked(variants={"control": "candidate"})}, "control is the control: the stable side serves it"),
    ({"experiment": asked(variants={"old": "stable"})}, "old is no variant of split"),
    ({"experiment": asked(usual=0.995)}, "conversion of 0.995 cannot become 1.005"),
    ({"experiment": asked(smallest=1e-11)}, "smallest 1e-11 is nothing beside 0.1"),
    ({"experiment": asked(smallest=float("inf"))}, "finite number"),
    ({"experiment": asked(users_a_day=float("inf"))}, "finite number"),
    ({"experiment": asked(usual=0.005, higher_is_better=False)}, "cannot become -0.005"),
    ({"experiment": bought(squares="BoughtSquares")}, "a conversion has none"),
    ({"experiment": bought(kind="mean")}, "a mean needs squares"),
    ({"experiment": bought(users="n", sum="s")}, "and not both"),
    ({"experiment": bought(namespace=None)}, "write namespace and name"),
    ({"experiment": bought(dimensions={"Variant": "$release"})}, r"tell them apart by \$variant"),
    ({"experiment": bought(dimensions={"Variant": "$variant$user"})}, r"\$user is not known"),
    ({"experiment": bought(dimensions={"Variant": "$variant", "Price": "9 $"})}, "before no name"),
    ({"experiment": bought(dimensions={"Variant": "$variant", "Price": "$9"})}, "before no name"),
    ({"experiment": bought(dimensions={"Variant": "$$variant"})}, r"tell them apart by \$variant"),
    ({"experiment": asked(metric={**COUNTED, "sum": "s"})}, r"tell them apart by \$variant"),
    ({"experiment": asked(variants={"shorter": "green"})}, "'stable' or 'candidate'"),
]


@pytest.mark.parametrize(("spec", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_an_experiment_that_cannot_be_meant_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RolloutSpec.model_validate({"strategy": "ab", "experiment": ASKED, **spec})


def test_an_experiment_says_which_side_serves_whom() -> None:
    spec = RolloutSpec.model_validate({"strategy": "ab", "experiment": asked(variants={"shorter": "stable"})})
    assert spec.experiment is not None
    assert spec.experiment.environments("blue", "green") == {"control": "blue", "candidate": "green", "shorter": "blue"}
    assert spec.experiment.share == 20
    every = RolloutSpec.model_validate({"strategy": "ab", "experiment": ASKED}).experiment
    assert every is not None
    assert (every.candidates, every.share) == (("candidate", "shorter"), 40)


def test_a_spec_with_an_experiment_is_kept_as_it_is() -> None:
    spec = RolloutSpec.model_validate({"strategy": "ab", "experiment": asked(**{"for": "7d"})})
    again = RolloutSpec.model_validate_json(spec.model_dump_json())
    assert (again, again.plan()) == (spec, spec.plan())
