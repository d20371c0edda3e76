"""The plan that a strategy makes, and what is refused."""

from typing import Any

import pytest
from turnout_components.rollout_spec import Analyze, Bake, Mirror, RolloutSpec, SetWeight, SmokeTest

JUDGED = [SetWeight, Bake, Analyze]


def plan(**spec: Any) -> list[type]:
    return [type(step) for step in RolloutSpec.model_validate(spec).plan()]


def weights(**spec: Any) -> list[int]:
    return [step.set_weight for step in RolloutSpec.model_validate(spec).plan() if isinstance(step, SetWeight)]


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        ({}, JUDGED * 4),
        ({"steps": [1, 100]}, JUDGED * 2),
        ({"steps": [10, 100], "smoke_test": "probe"}, [SmokeTest, *JUDGED * 2]),
        ({"steps": [{"smoke_test": "probe"}, 10, 100], "smoke_test": "other"}, [SmokeTest, *JUDGED * 2]),
        ({"steps": [10, {"bake": "1m"}, 100]}, JUDGED * 2),
        ({"steps": [{"mirror": 20}, {"set_weight": 100}]}, [Mirror, *JUDGED]),
        ({"strategy": "direct", "smoke_test": "probe"}, [SetWeight, Bake]),
        ({"strategy": "blue-green", "smoke_test": "probe"}, [SmokeTest, *JUDGED]),
        ({"strategy": "shadow"}, [Mirror]),
    ],
    ids=str,
)
def test_every_weight_is_baked_and_analysed_whatever_the_list_says(spec: dict[str, Any], steps: list[type]) -> None:
    assert plan(**spec) == steps


def test_the_presets_of_the_documents() -> None:
    assert weights() == [5, 25, 50, 100]
    assert weights(steps=[1, 10, 100]) == [1, 10, 100]
    assert weights(increment=30) == [30, 60, 90, 100]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"steps": [50, 10, 100]}, "do not rise"),
        ({"steps": [10, 50]}, "end below 100"),
        ({"strategy": "direct", "steps": [10]}, "end below 100"),
        ({"strategy": "shadow", "steps": [10]}, "gives the candidate no traffic"),
        ({"strategy": "blue-green"}, "set smoke_test"),
        ({"gates": []}, "no critical gate"),
        ({"strategy": "direct", "gates": [{"name": "errors", "kind": "errors"}]}, "no critical gate of kind health"),
        ({"gates": [{"name": "a", "kind": "errors"}, {"name": "a", "kind": "health"}]}, "two gates are called a"),
        ({"gates": [{"name": "a", "kind": "errors", "margin": 1}]}, "leaves no room"),
        ({"gates": [{"name": "q", "kind": "quality"}]}, "quality needs a metric"),
        ({"metrics": {"source": "prometheus"}}, "prometheus needs url"),
        ({"steps": [{"jump": 1}]}, "is no step"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RolloutSpec.model_validate(spec)
