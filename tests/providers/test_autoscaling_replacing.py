"""Inputs that cannot change in place: the object of the new ones stands, and that of the old ones is gone."""

from typing import Any

import pytest

from tests.providers.cases import CASES
from tests.providers.cases_autoscaling import HOOK, PLACEMENT, POLICY, SCHEDULE, group
from tests.providers.cases_group import GROUP
from tests.providers.conftest import TYPES, World

REPLACING: dict[str, dict[str, Any]] = {
    GROUP: {"name": "another-group"},
    POLICY: {"name": "another", "autoscalingGroupName": group},
    SCHEDULE: {"scheduledActionName": "another", "autoscalingGroupName": group},
    HOOK: {"name": "another"},
    PLACEMENT: {"name": "another", "strategy": "spread", "partitionCount": 3, "spreadLevel": "rack"},
}
BESIDE = {
    "partitionCount": {"strategy": "partition"},
    "spreadLevel": {"strategy": "spread"},
    "scheduledActionName": {"recurrence": "0 5 * * *"},
}
"""What must change with it: what goes with some strategies only, and a time that the old action has until it is gone."""


@pytest.mark.parametrize("token", REPLACING)
def test_every_replacing_input_is_tried(token: str) -> None:
    assert TYPES[token].replace_on == REPLACING[token].keys()


@pytest.mark.parametrize(("token", "name"), [(token, name) for token, names in REPLACING.items() for name in names])
def test_a_replaced_object_leaves_the_old_one_for_the_new_one(token: str, name: str, world: World) -> None:
    kind, old = TYPES[token], next(case for case in CASES if case.token == token).inputs(world)
    wanted = REPLACING[token][name]
    new = {**old, **BESIDE.get(name, {}), name: wanted(world) if callable(wanted) else wanted}
    assert kind.check(new) == []
    first = world.make(token, **old)
    if token == PLACEMENT and name != "name":
        kind.delete(world.config, first.id, old, first.outputs, 20)
    second = world.make(token, **new)
    if token != PLACEMENT or name == "name":
        kind.delete(world.config, first.id, old, first.outputs, 20)
        assert kind.read(world.config, first.id, old, first.outputs) is None
    found = kind.read(world.config, second.id, new, second.outputs)
    assert found is not None
    assert found.inputs == new
