"""The package as Pulumi and pip read it: the schema that is committed, the plugin's file, the dependencies."""

import inspect
import json
import sys
import tomllib
import typing
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from packaging.requirements import Requirement
from turnout_components.public import COMPONENTS, PACKAGE

from tests.layout_rules import ROOT, imports, module_of
from tools.component_schema import SCHEMA, schema

FOLDER = ROOT / "components"
DISTRIBUTIONS = {"pulumi_kubernetes": "pulumi-kubernetes", "yaml": "pyyaml", "pulumi_aws": "pulumi-aws"}
"""Of imported names that differ from their distribution's."""


@pytest.fixture(scope="module")
def inferred() -> dict[str, Any]:
    return typing.cast(dict[str, Any], json.loads(schema()))


def test_the_committed_schema_is_the_one_that_pulumi_infers() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make schema`"


def test_every_public_component_is_in_the_schema_under_the_token_that_it_registers(inferred: dict[str, Any]) -> None:
    tokens = {f"{PACKAGE}:index:{component.__name__}": component for component in COMPONENTS}
    assert set(inferred["resources"]) == set(tokens)
    for token, component in tokens.items():
        assert f'super().__init__("{token}"' in inspect.getsource(component.__init__)


def test_what_a_component_annotates_is_an_output_that_it_registers(inferred: dict[str, Any]) -> None:
    for component in COMPONENTS:
        annotations = component.__annotations__ if "__annotations__" in vars(component) else {}
        assert all(typing.get_origin(hint) is pulumi.Output for hint in annotations.values()), component
        assert len(inferred["resources"][f"{PACKAGE}:index:{component.__name__}"].get("properties", {})) == len(annotations)


def test_a_typed_dictionary_is_plain_in_the_schema(inferred: dict[str, Any]) -> None:
    """Pulumi's Python host takes an output of a whole typed dictionary for an empty one: the schema must not offer it."""
    offered = [
        f"{owner}.{name}"
        for owner, made in {**inferred["resources"], **inferred["types"]}.items()
        for name, value in (made.get("inputProperties") or made.get("properties") or {}).items()
        for each in (value, value.get("items") or {}, value.get("additionalProperties") or {})
        if owner in inferred["types"] or "inputProperties" in made
        if each.get("$ref", "").startswith("#/types/") and not (each.get("plain") and value.get("plain"))
    ]
    assert offered == []


def test_the_plugin_is_found_and_installed_by_pulumis_python_host() -> None:
    assert yaml.safe_load((FOLDER / "PulumiPlugin.yaml").read_text()) == {"runtime": "python"}
    assert (FOLDER / "requirements.txt").read_text().split() == ["."], "what `pip install -r` makes of the plugin's own folder"


def test_the_declared_dependencies_are_those_that_are_imported() -> None:
    declared = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {Requirement(line).name for line in declared} == imported()


def imported() -> set[str]:
    """Distributions of the third parties that the library imports. What `node` holds runs on nodes."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if module_of(name).startswith("turnout_components.node."):
            continue
        found |= {each.name.split(".")[0] for each in imports(name, path.read_text(encoding="utf-8"))}
    ours = {"turnout_components", *sys.stdlib_module_names}
    return {DISTRIBUTIONS.get(name, name) for name in found - ours}


def test_the_ranges_hold_what_the_lock_has() -> None:
    lines = Path(ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.partition(" \\")[0].strip()) for line in lines if "==" in line and not line.startswith("#")]
    locked = {pin.name: next(iter(pin.specifier)).version for pin in pins}
    for line in tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["dependencies"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[wanted.name]), line
