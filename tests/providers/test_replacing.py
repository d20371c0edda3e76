"""Inputs that cannot change in place: the object of the new ones stands, and that of the old ones is gone."""

import re

import pytest

from tests.providers.cases import CASES
from tests.providers.cases_replacing import NOT_REPLACED, REPLACING
from tests.providers.conftest import TYPES, World
from tests.providers.lacks import LACKS
from tests.providers.said import missing
from tests.providers.unseen import UNSEEN
from tests.providers.witness import witnessed
from turnout.engine.plan import Goal, Kind, decide
from turnout.engine.provider import Created, Properties
from turnout.engine.state import ResourceState

BY_KEY = {"aws:ec2/routeTableAssociation:RouteTableAssociation"}
"""Read by what it is of, a subnet's one association, whichever its id."""
CHANGES = [(token, name) for token, names in REPLACING.items() for name in names]


@pytest.mark.parametrize("token", sorted(TYPES))
def test_every_replacing_input_is_tried(token: str) -> None:
    excepted = {name for of, name in NOT_REPLACED if of == token}
    assert TYPES[token].replace_on == REPLACING[token].keys() | excepted


@pytest.mark.parametrize(("token", "name"), CHANGES, ids=[f"{token.rsplit(':', 1)[1]}-{name}" for token, name in CHANGES])
def test_a_replaced_object_leaves_the_old_one_for_the_new_one(token: str, name: str, life: World) -> None:
    case = next(case for case in CASES if case.token == token)
    kind, old = TYPES[token], case.inputs(life)
    first = life.make(token, **old)
    given = {**old, **REPLACING[token][name](life)}
    new = {name: value for name, value in given.items() if value is not None}
    assert kind.check(new) == []
    assert name in decided(token, old, new)
    second = replaced(life, token, (first, old), new)
    assert second.id != first.id or all(part in str(new) for part in re.split("[:#]", first.id)) or "name" in new
    found = kind.read(life.config, second.id, new, second.outputs)
    assert found is not None
    assert found.inputs == {name: value for name, value in new.items() if name not in kind.write_only}
    shown = {name: value for name, value in new.items() if (token, name) not in UNSEEN.keys() | LACKS.keys()}
    assert missing(witnessed(life, token, second.id), shown) == {}
    assert decide(state(token, found.inputs), goal(token, found.inputs), kind).kind is Kind.SAME
    if second.id != first.id and not case.stays:
        assert token in BY_KEY or kind.read(life.config, first.id, old, first.outputs) is None
        assert witnessed(life, token, first.id) is None


def replaced(world: World, token: str, first: tuple[Created, Properties], new: Properties) -> Created:
    """As the engine does: the new one first, unless the type, or a name that stays, says otherwise."""
    kind, (made, old) = TYPES[token], first

    def end() -> None:
        kind.delete(world.config, made.id, old, made.outputs, 20)

    def make() -> Created:
        return world.make(token, **new)

    named = kind.auto_name is not None and new.get(kind.auto_name.property) == old.get(kind.auto_name.property)
    if kind.delete_before_replace or named:
        end()
        return make()
    second = make()
    end()
    return second


def goal(token: str, inputs: Properties) -> Goal:
    return Goal(urn="urn", type=token, name="n", custom=True, inputs=inputs)


def state(token: str, inputs: Properties) -> ResourceState:
    return ResourceState(urn="urn", type=token, custom=True, id="id", inputs=inputs, outputs={})


def decided(token: str, old: Properties, new: Properties) -> tuple[str, ...]:
    step = decide(state(token, old), goal(token, new), TYPES[token])
    assert step.kind is Kind.REPLACE
    return step.replacing
