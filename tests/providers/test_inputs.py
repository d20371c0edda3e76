"""No type without a case of its whole life, and no input of a type that no case changes."""

import pytest

from tests.providers.cases import CASES
from tests.providers.conftest import TYPES, World
from tests.providers.lacks import LACKS
from tests.providers.paper import written_changes
from tests.providers.said import changes
from tests.providers.unseen import ANOTHER, UNSEEN, WITH_ANOTHER
from tests.providers.witness import WITNESSES, witnessed

BY_TOKEN = pytest.mark.parametrize("token", sorted(TYPES))


def test_every_type_has_a_case_and_a_witness() -> None:
    assert {case.token for case in CASES} == set(TYPES)
    assert WITNESSES.keys() == set(TYPES)


@BY_TOKEN
def test_every_input_that_updates_is_changed_by_a_case(token: str) -> None:
    kind = TYPES[token]
    changed = set[str]().union(*(written_changes(case) for case in CASES if case.token == token))
    excepted = {name for of, name in [*UNSEEN, *LACKS] if of == token}
    assert kind.inputs - kind.replace_on - changed - excepted == set(), "give its case an update, or say why there is none"
    assert changed <= kind.inputs - kind.replace_on


@pytest.mark.parametrize(("token", "name"), [*UNSEEN, *LACKS])
def test_an_exception_is_of_an_input_that_there_is(token: str, name: str) -> None:
    assert name in TYPES[token].inputs
    assert ((token, name) in UNSEEN) is not ((token, name) in LACKS)


@pytest.mark.parametrize(("token", "name"), [(token, name) for token, name in UNSEEN if name not in WITH_ANOTHER])
def test_an_input_that_aws_does_not_describe_is_taken_and_kept_and_changes_nothing(token: str, name: str, life: World) -> None:
    """The update is one of the state alone, and no later read takes it for drift."""
    kind, inputs = TYPES[token], next(case for case in CASES if case.token == token).inputs(life)
    made = life.make(token, **inputs)
    before = witnessed(life, token, made.id)
    wanted = {key: value for key, value in {**inputs, name: ANOTHER.get(name, True)}.items() if value is not None}
    assert kind.check(wanted) == []
    outputs = kind.update(life.config, made.id, inputs, wanted, made.outputs)
    found = kind.read(life.config, made.id, wanted, outputs)
    assert found is not None
    assert found.inputs == wanted
    assert changes(before, witnessed(life, token, made.id)) == {}


@pytest.mark.parametrize(("token", "name"), LACKS)
def test_what_moto_lacks_it_still_lacks(token: str, name: str, world: World) -> None:
    reason, learnt = LACKS[token, name]
    assert not learnt(world), f"moto has learnt it: take {name} out of LACKS and give {token} an update ({reason})"
