"""Nodes before the first step, where they are swapped or could be."""

from typing import Any

import pytest
from rollout_world import ANNA, World
from turnout_components.resolve import SwitchRefused
from turnout_components.rollout_spec import RolloutSpec
from turnout_components.standby import StandbyPolicy

from turnout.preflight import Preflight, nodes_wanted
from turnout.rollout.capacity import Capacity, Shortage
from turnout.rollout.start import Start, prepare
from turnout.rollout.status import RolloutStatus

UNASKED: Any = None


def prepared(**spec: Any) -> RolloutStatus:
    """Four nodes serve; a rollout that could begin."""
    world = World()
    start = Start(RolloutSpec.model_validate({"strategy": "canary", **spec}), StandbyPolicy(), ANNA, world.clock)
    return prepare(start, world.records, world.cloud, world.metrics)  # type: ignore[arg-type]


def refusal(status: RolloutStatus, possible: int) -> str:
    capacity = Capacity(nodes_wanted(status), (Shortage(possible, "no vCPUs are free"),))
    with pytest.raises(SwitchRefused) as refused:
        Preflight(status, UNASKED, (), (), capacity).refuse()
    return str(refused.value)


@pytest.mark.parametrize(("spec", "wanted"), [({}, 4), ({"headroom": 1.5}, 6), ({"max_surge": 1}, 1), ({"max_surge": 9}, 4)])
def test_a_swap_needs_the_nodes_of_its_fullest_stage_and_not_twice_as_many(spec: dict[str, Any], wanted: int) -> None:
    assert nodes_wanted(prepared(**spec)) == wanted


def test_a_refusal_names_the_smallest_surge_that_works() -> None:
    assert "nodes can be swapped instead: the smallest that works is --max-surge 1 (turnout:rollout.max_surge)" in refusal(
        prepared(), 2
    )
    assert "nodes cannot be swapped either" in refusal(prepared(), 0)


def test_nothing_is_said_of_a_swap_that_is_one_already_or_cannot_be_one() -> None:
    assert "swapped" not in refusal(prepared(max_surge=1), 0)
    assert "swapped" not in refusal(prepared(strategy="shadow"), 2)
