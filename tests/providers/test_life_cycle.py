"""Every type against a real moto server: make, look, change, adopt, drift, delete, make again."""

import uuid
from typing import Any

import pytest

from tests.providers.cases import CASES
from tests.providers.conftest import TYPES, World
from tests.providers.lacks import LACKS
from tests.providers.said import changes, missing
from tests.providers.samples import Case
from tests.providers.unseen import UNSEEN
from tests.providers.witness import witnessed
from turnout.engine.provider import Created, Properties
from turnout.providers.aws.base import INTENT_TAG

BY_TOKEN = pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rsplit(":", 1)[1])
DRIFTS = [(case, name) for case in CASES for name in case.drifts]


def without_none(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if value is not None}


def seen_of(token: str, inputs: Properties) -> Properties:
    """The inputs that AWS describes."""
    return {name: value for name, value in inputs.items() if (token, name) not in UNSEEN.keys() | LACKS.keys()}


def read(world: World, case: Case, made: Created, inputs: Properties) -> Properties:
    found = TYPES[case.token].read(world.config, made.id, inputs, made.outputs)
    assert found is not None, f"{case.token} {made.id} is gone"
    return found.inputs


@BY_TOKEN
def test_what_create_made_is_read_back_as_declared(case: Case, life: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(life)
    assert kind.check(inputs) == []
    assert set(inputs) <= kind.inputs
    made = life.make(case.token, **inputs)
    observed = kind.read(life.config, made.id, inputs, made.outputs)
    assert observed is not None
    held = {name: value for name, value in inputs.items() if name not in kind.write_only}
    assert observed.inputs == held
    assert observed.outputs == made.outputs
    shown = {name: made.outputs.get(name) for name in held}
    for name in kind.completed & held.keys():
        shown[name] = {key: shown[name].get(key) for key in held[name]}
    assert shown == held
    assert kind.write_only.isdisjoint(made.outputs)
    assert all(made.outputs[name] for name in case.outputs)
    assert INTENT_TAG not in str(made.outputs)
    assert missing(witnessed(life, case.token, made.id), seen_of(case.token, inputs)) == {}


@pytest.mark.parametrize("of", [pytest.param(3, id="some"), pytest.param(0, marks=pytest.mark.slow, id="every")])
@BY_TOKEN
def test_every_update_reaches_aws_shows_as_drift_of_the_old_and_is_taken_back(case: Case, of: int, life: World) -> None:
    """Each step is also what somebody else may have done behind the state's back: read with the inputs of before it shows,
    input by input, and an update from what was read puts all of it back. `of`: so many steps are looked at; 0: all."""
    kind, inputs = TYPES[case.token], case.inputs(life)
    made = life.make(case.token, **inputs)
    steps = case.updates(life)
    looked_at = spread(len(steps), of)
    for number, change in enumerate(steps):
        wanted = without_none({**inputs, **change})
        if number not in looked_at:
            assert kind.update(life.config, made.id, inputs, wanted, made.outputs)["id"] == made.id
            inputs = wanted
            continue
        assert kind.check(wanted) == []
        moved = {name for name in change if inputs.get(name) != wanted.get(name)}
        assert moved, f"{change} changes nothing"
        before = witnessed(life, case.token, made.id)
        outputs = kind.update(life.config, made.id, inputs, wanted, made.outputs)
        after = witnessed(life, case.token, made.id)
        assert outputs["id"] == made.id
        assert read(life, case, made, wanted) == wanted
        assert missing(after, seen_of(case.token, {name: wanted[name] for name in moved & wanted.keys()})) == {}
        assert kind.update(life.config, made.id, inputs, wanted, made.outputs) == outputs, "twice is not as once"
        assert witnessed(life, case.token, made.id) == after, "twice is not as once"
        quiet = {name for name in case.computed if inputs.get(name) is None or wanted.get(name) is None}
        shown = seen_of(case.token, dict.fromkeys(moved - quiet))
        found = read(life, case, made, inputs)
        assert {name for name in shown if found.get(name) == inputs.get(name)} == set(), "does not show as drift"
        if shown:
            assert after != before, f"{set(shown)} did not reach AWS"
        kept = {name for name in case.kept & moved if inputs.get(name) in (None, -1)}
        if not moved & (quiet | kept | case.onward):
            kind.update(life.config, made.id, found, inputs, outputs)
            assert read(life, case, made, inputs) == inputs
            assert changes(before, witnessed(life, case.token, made.id)) == {}, "is not put back"
            kind.update(life.config, made.id, inputs, wanted, outputs)
        inputs = wanted
    last(life, made.id, inputs)


def spread(steps: int, of: int) -> set[int]:
    """So many of the steps, evenly, the first and the last among them; 0: all of them."""
    return set(range(steps)) if not of or steps <= of else {place * (steps - 1) // (of - 1) for place in range(of)}


def last(world: World, id: str, inputs: Properties) -> None:
    """An updated object stands on what was made after it: it goes first at the end."""
    index = next(index for index, (_, made, _) in enumerate(world.made) if made.id == id)
    kind, made, _ = world.made.pop(index)
    world.made.append((kind, made, inputs))


@BY_TOKEN
def test_find_adopts_what_an_interrupted_create_made(case: Case, life: World) -> None:
    kind, inputs, token = TYPES[case.token], case.inputs(life), uuid.uuid4().hex
    assert case.stays or kind.find(life.config, inputs, token) is None
    made = kind.create(life.config, inputs, token)
    life.made.append((kind, made, inputs))
    found = kind.find(life.config, inputs, token)
    assert found is not None
    assert found.id == made.id
    assert found.outputs == made.outputs


@BY_TOKEN
def test_a_deleted_object_is_gone_may_be_deleted_again_and_is_made_again(case: Case, life: World) -> None:
    """Whoever deleted it: an object gone behind the state's back is one that a refresh finds no more."""
    kind, inputs = TYPES[case.token], case.inputs(life)
    made = life.make(case.token, **inputs)
    for _ in range(2):
        kind.delete(life.config, made.id, inputs, made.outputs, 20)
        assert (kind.read(life.config, made.id, inputs, made.outputs) is None) is not case.stays
        assert (witnessed(life, case.token, made.id) is None) is not case.stays
    again = life.make(case.token, **inputs)
    assert read(life, case, again, inputs) == {name: inputs[name] for name in inputs if name not in kind.write_only}
    assert missing(witnessed(life, case.token, again.id), seen_of(case.token, inputs)) == {}


@pytest.mark.parametrize(("case", "name"), DRIFTS, ids=[f"{case.token.rsplit(':', 1)[1]}-{name}" for case, name in DRIFTS])
def test_a_change_by_other_hands_shows_as_drift_of_that_input_and_is_put_back(case: Case, name: str, life: World) -> None:
    kind, inputs = TYPES[case.token], case.inputs(life)
    made = life.make(case.token, **inputs)
    before = witnessed(life, case.token, made.id)
    case.drifts[name](life, made)
    observed = kind.read(life.config, made.id, inputs, made.outputs)
    assert observed is not None
    differing: dict[str, Any] = {
        key: value for key, value in observed.inputs.items() if key not in inputs or inputs[key] != value
    }
    assert name in differing
    last(life, made.id, inputs)
    if name in kind.replace_on:
        return
    kind.update(life.config, made.id, observed.inputs, inputs, observed.outputs)
    assert read(life, case, made, inputs) == inputs
    assert changes(before, witnessed(life, case.token, made.id)) == {}
