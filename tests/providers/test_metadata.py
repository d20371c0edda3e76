"""The registry's names against pulumi_aws' own metadata, and the shape of what a type declares."""

import importlib
import inspect
import keyword
import re

import pytest

from tests.providers.conftest import TYPES


def modules(token: str) -> tuple[str, str]:
    package, rest = token.removeprefix("aws:").split("/")
    name = rest.split(":")[1]
    package += "_" * keyword.iskeyword(package)
    return f"pulumi_aws.{package}.{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}", name


def camel_names(owner: type) -> set[str]:
    names = set()
    for name, member in vars(owner).items():
        if isinstance(member, property) and member.fget is not None:
            found = re.search(r'name="([^"]+)"', inspect.getsource(member.fget))
            names.add(found.group(1) if found else name)
    return names


@pytest.mark.parametrize("token", sorted(TYPES))
def test_every_supported_input_is_an_argument_in_pulumi_aws(token: str) -> None:
    module, name = modules(token)
    found = importlib.import_module(module)
    args = camel_names(getattr(found, f"{name}InitArgs", None) or getattr(found, f"{name}Args"))
    kind = TYPES[token]
    assert kind.token == token
    assert kind.inputs <= args
    assert kind.replace_on <= kind.inputs
    assert kind.auto_name is None or kind.auto_name.property in kind.inputs


@pytest.mark.parametrize("token", sorted(TYPES))
def test_volatile_outputs_are_outputs_in_pulumi_aws(token: str) -> None:
    module, name = modules(token)
    assert TYPES[token].volatile <= camel_names(getattr(importlib.import_module(module), f"_{name}State"))
