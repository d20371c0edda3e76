"""A planned resource of which a property is not known yet, or not there: no policy breaks, or takes the unknown for wrong."""

import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from pulumi_policy import StackValidationPolicy

from tests.policies.judging import NAMED, UNKNOWN, Given, judge
from tests.policies.planning import planned

ON_STACKS = sorted(name for name, policy in NAMED.items() if isinstance(policy, StackValidationPolicy))
ON_RESOURCES = sorted(NAMED.keys() - set(ON_STACKS))
GONE = object()
TRIED = 15
"""Properties of the stack that each of its policies is tried with."""


def of_each_type(every: list[Given]) -> list[Given]:
    """One resource of each type, and both listeners: the tests' and production's."""
    first = {one.type if "listener" not in one.type else one.name: one for one in every}
    return list(first.values())


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in properties, the containers' too."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def spoilt(one: Given, path: tuple[Any, ...], value: Any) -> Given:
    props: Any = deepcopy(dict(one.props))
    place = props
    for key in path[:-1]:
        place = place[key]
    if value is GONE and isinstance(place, dict):
        del place[path[-1]]
    else:
        place[path[-1]] = None if value is GONE else value
    return replace(one, props=props)


@pytest.mark.parametrize("policy", ON_RESOURCES)
def test_an_unknown_property_of_a_resource_is_no_violation(policy: str) -> None:
    for one in of_each_type(planned("prod").wanted):
        for path in paths(one.props):
            assert judge(policy, spoilt(one, path, UNKNOWN)).violations == [], (one.name, path)
            judge(policy, spoilt(one, path, GONE))


@pytest.mark.parametrize("policy", ON_STACKS)
def test_an_unknown_property_in_a_stack_is_no_violation(policy: str) -> None:
    every = planned("prod").made
    places = [(one, path) for one in of_each_type(every) for path in paths(one.props)]
    for one, path in random.Random(policy).sample(places, TRIED):
        rest = [other for other in every if other.urn != one.urn]
        assert judge(policy, *rest, spoilt(one, path, UNKNOWN)).violations == [], (one.name, path)
        judge(policy, *rest, spoilt(one, path, GONE))
