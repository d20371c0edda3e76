"""Every type against a real moto server: make, look, change, adopt, drift, delete."""

import uuid
from typing import Any

import pytest

from tests.providers.cases import CASES
from tests.providers.conftest import TYPES, World
from tests.providers.samples import Case
from turnout.engine.provider import Properties
from turnout.providers.aws.base import INTENT_TAG

BY_TOKEN = pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rsplit(":", 1)[1])
DRIFTS = [(case, name) for case in CASES for name in case.drifts]


def without_none(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if value is not None}


def test_every_registered_type_has_a_case() -> None:
    assert {case.token for case in CASES} == set(TYPES)


@BY_TOKEN
def test_what_create_made_is_read_back_as_declared(case: Case, world: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(world)
    assert kind.check(inputs) == []
    assert set(inputs) <= kind.inputs
    made = world.make(case.token, **inputs)
    observed = kind.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    held = {name: value for name, value in inputs.items() if name not in kind.write_only}
    assert observed.inputs == held
    assert observed.outputs == made.outputs
    assert {name: made.outputs.get(name) for name in inputs if name in held} == held
    assert kind.write_only.isdisjoint(made.outputs)
    assert all(made.outputs[name] for name in case.outputs)
    assert INTENT_TAG not in str(made.outputs)


@BY_TOKEN
def test_every_update_is_applied_and_leaves_no_drift(case: Case, world: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(world)
    made = world.make(case.token, **inputs)
    outputs = made.outputs
    for change in case.updates(world):
        wanted = without_none({**inputs, **change})
        assert kind.check(wanted) == []
        outputs = kind.update(world.config, made.id, inputs, wanted, outputs)
        observed = kind.read(world.config, made.id, wanted, outputs)
        assert observed is not None
        assert observed.inputs == wanted
        assert kind.read(world.config, made.id, {**inputs, **wanted}, outputs) is not None
        assert kind.update(world.config, made.id, inputs, wanted, outputs) == outputs
        inputs = wanted
    last(world, made.id, inputs)


def last(world: World, id: str, inputs: Properties) -> None:
    """An updated object stands on what was made after it: it goes first at the end."""
    index = next(index for index, (_, made, _) in enumerate(world.made) if made.id == id)
    kind, made, _ = world.made.pop(index)
    world.made.append((kind, made, inputs))


@BY_TOKEN
def test_an_updated_input_reads_differently_from_the_old_one(case: Case, world: World) -> None:
    """The update reached the cloud: read with the inputs of before, the object shows the change."""
    kind, inputs = TYPES[case.token], case.inputs(world)
    made = world.make(case.token, **inputs)
    for change in case.updates(world):
        wanted = without_none({**inputs, **change})
        outputs = kind.update(world.config, made.id, inputs, wanted, made.outputs)
        observed = kind.read(world.config, made.id, inputs, outputs)
        assert observed is not None
        quiet = {name for name in case.computed if inputs.get(name) is None or wanted.get(name) is None}
        if not set(change) <= quiet and inputs != wanted:
            assert observed.inputs != inputs, f"{change} is not seen"
        inputs = wanted
    last(world, made.id, inputs)


@BY_TOKEN
def test_find_adopts_what_an_interrupted_create_made(case: Case, world: World) -> None:
    kind, inputs, token = TYPES[case.token], case.inputs(world), uuid.uuid4().hex
    assert case.stays or kind.find(world.config, inputs, token) is None
    made = kind.create(world.config, inputs, token)
    world.made.append((kind, made, inputs))
    found = kind.find(world.config, inputs, token)
    assert found is not None
    assert found.id == made.id
    assert found.outputs == made.outputs


@BY_TOKEN
def test_a_deleted_object_is_gone_and_may_be_deleted_again(case: Case, world: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(world)
    made = world.make(case.token, **inputs)
    for _ in range(2):
        kind.delete(world.config, made.id, inputs, made.outputs, 20)
        assert (kind.read(world.config, made.id, inputs, made.outputs) is None) is not case.stays


@pytest.mark.parametrize(("case", "name"), DRIFTS, ids=[f"{case.token.rsplit(':', 1)[1]}-{name}" for case, name in DRIFTS])
def test_a_change_behind_its_back_shows_as_drift_of_that_input(case: Case, name: str, world: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(world)
    made = world.make(case.token, **inputs)
    case.drifts[name](world, made)
    observed = kind.read(world.config, made.id, inputs, made.outputs)
    assert observed is not None
    differing: dict[str, Any] = {
        key: value for key, value in observed.inputs.items() if key not in inputs or inputs[key] != value
    }
    assert name in differing
    last(world, made.id, inputs)
    if name in kind.replace_on:
        return
    kind.update(world.config, made.id, observed.inputs, inputs, observed.outputs)
    healed = kind.read(world.config, made.id, inputs, made.outputs)
    assert healed is not None
    assert healed.inputs == inputs
