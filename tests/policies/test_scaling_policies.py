"""One workload, one scaler."""

from typing import Any

import pytest
from turnout_components.policy_scaling import SCALERS

from tests.policies.judging import UNKNOWN, Given, judge

KEDA, HPA, OLD_HPA = SCALERS


def scaler(token: str, name: str, workload: Any = "blue", namespace: str = "assistant", **target: Any) -> Given:
    spec = {"scaleTargetRef": {"name": workload, **target}}
    return Given(token, {"metadata": {"namespace": namespace}, "spec": spec}, name=name)


@pytest.mark.parametrize(("first", "second"), [(KEDA, HPA), (HPA, KEDA), (HPA, HPA), (KEDA, KEDA), (OLD_HPA, KEDA)])
def test_two_scalers_of_one_workload_are_told(first: str, second: str) -> None:
    said = judge("one-scaler", scaler(first, "one", kind="Deployment"), scaler(second, "two")).said
    assert "blue" in said
    assert "leave out two or one" in said


@pytest.mark.parametrize("other", [{"workload": "green"}, {"kind": "LeaderWorkerSet"}, {"namespace": "other"}])
def test_scalers_of_others_are_none_of_its(other: dict[str, Any]) -> None:
    assert judge("one-scaler", scaler(KEDA, "one"), scaler(HPA, "two", **other)).passed


def test_a_target_that_is_not_known_yet_is_undecided() -> None:
    judgement = judge("one-scaler", scaler(KEDA, "one"), scaler(HPA, "two", workload=UNKNOWN))
    assert judgement.violations == []
    assert judgement.undecided
