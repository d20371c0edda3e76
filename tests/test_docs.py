"""What the documents name exists: commands and their options, settings, make targets, modules, files."""

import importlib.util
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import click
import pytest
import typer
from pydantic import BaseModel
from turnout_components.durations import written as as_whole
from turnout_components.rollout_spec import DEFAULT_GATES

from infra.config import StackConfig
from tests.layout_rules import tracked
from turnout.cli.commands import app

TAGS = {"blue", "green", "environment", "release", "service", "stack"}
"""Tags of AWS resources that look like settings."""
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.S | re.M)
_SETTING = re.compile(r"(?<![\w/])turnout:([a-z_]+(?:\.[a-z_]+)*)")
_FILE = re.compile(
    r"(?:benchmarks|components|docs|examples|infra|stacks|tests|tools|turnout)/(?!.*NNNN)[\w./-]+\.(?:lock|md|py|sh|toml|txt|yaml)"
)
_MODULE = re.compile(r"\bpython -m ([a-z_][\w.]*)")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return tracked()


def documents(files: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((path, text) for path, text in files.items() if path.endswith(".md"))


def code(text: str) -> Iterator[str]:
    """What stands in backquotes, and each line of a block of code."""
    yield from _CODE.findall(_FENCE.sub("", text))
    for block in _FENCE.findall(text):
        yield from (line.strip() for line in block.splitlines())


def unknown_command(words: str) -> str | None:
    """What is wrong with `turnout …`: the first word that is no command, or an option that the command lacks."""
    command: Any = typer.main.get_command(app)
    for word in words.partition("#")[0].split(";")[0].split()[1:]:
        word = word.strip("[],.")
        if word.startswith("-"):
            options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
            if word.partition("=")[0] not in options:
                return f"{words}: {command.name} has no option {word}"
        elif isinstance(command, click.Group) or hasattr(command, "commands"):
            if not re.fullmatch(r"[a-z]+", word):
                return None
            if word not in command.commands:
                return f"{words}: {command.name} has no command {word}"
            command = command.commands[word]
    return None


def settings(model: type[BaseModel] = StackConfig, above: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its path, with its default as the documents write it."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{above}{name}.")
        else:
            yield above + name, "required" if field.is_required() else f"`{written(field.default)}`"


def written(value: Any) -> str:
    if isinstance(value, timedelta):
        return as_whole(value) if value < timedelta(minutes=2) else in_hours(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if value == DEFAULT_GATES:
        return ", ".join(gate.name for gate in value)
    return "[]" if value == () else str(getattr(value, "value", value))


def in_hours(value: timedelta) -> str:
    minutes = int(value.total_seconds()) // 60
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def sections() -> set[str]:
    """Every path that leads to a setting or a section of them."""
    paths = [path.split(".") for path, _ in settings()]
    return {".".join(path[:length]) for path in paths for length in range(1, len(path) + 1)}


def test_every_command_that_a_document_names_exists(files: dict[str, str]) -> None:
    named = [(path, words) for path, text in documents(files) for words in code(text) if words.startswith("turnout ")]
    assert len(named) > 30
    assert [f"{path}: {wrong}" for path, words in named if (wrong := unknown_command(words))] == []


@pytest.mark.parametrize(
    "words",
    ["turnout deploy", "turnout releases drop X", "turnout flip --force", "turnout local start --region x", "turnout up -x"],
)
def test_a_command_that_does_not_exist_is_seen(words: str) -> None:
    assert unknown_command(words) is not None


@pytest.mark.parametrize(
    "words",
    [
        "turnout flip ENV",
        "turnout flip --to blue=90,green=10",
        "turnout COMMAND [--stack NAME]",
        "turnout local logs -f",
        "turnout",
    ],
)
def test_a_command_that_exists_is_left_alone(words: str) -> None:
    assert unknown_command(words) is None


def test_every_setting_that_a_document_names_exists(files: dict[str, str]) -> None:
    known = sections() | TAGS
    named = {(path, name) for path, text in documents(files) for name in _SETTING.findall(text)}
    assert ("README.md", "traffic.active") in named
    assert sorted((path, name) for path, name in named if name not in known) == []


def test_every_setting_that_a_message_names_exists(files: dict[str, str]) -> None:
    known = sections() | TAGS
    sources = [(path, text) for path, text in files.items() if re.match(r"(components|infra|turnout/cli)/.*\.py$", path)]
    named = {(path, name) for path, text in sources for name in _SETTING.findall(text)}
    assert len(named) > 10
    assert sorted((path, name) for path, name in named if name not in known) == []


def test_every_setting_is_documented_with_its_default(files: dict[str, str]) -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \|", files["docs/settings.md"], re.M)
    assert dict(rows) == dict(settings())
    assert len(rows) == len(dict(rows))


def test_every_make_target_that_a_document_names_exists(files: dict[str, str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", files["Makefile"], re.M))
    named = {(path, words.split()[1]) for path, text in documents(files) for words in code(text) if words.startswith("make ")}
    assert {target for _, target in named} >= {"demo", "test"}
    assert sorted((path, name) for path, name in named if name not in targets) == []


def test_every_module_that_a_document_runs_exists(files: dict[str, str]) -> None:
    named = {(path, name) for path, text in documents(files) for words in code(text) for name in _MODULE.findall(words)}
    assert named
    assert sorted((path, name) for path, name in named if importlib.util.find_spec(name) is None) == []


def test_every_file_that_a_document_names_exists(files: dict[str, str]) -> None:
    named = {(path, words) for path, text in documents(files) for words in code(text) if _FILE.fullmatch(words)}
    assert ("CONTRIBUTING.md", "tests/known_skips.txt") in named
    assert sorted((path, name) for path, name in named if name not in files) == []
