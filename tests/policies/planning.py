"""What this repository's stacks hold, planned offline: with stand-ins for what only a cloud knows, or before anything is."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pulumi_policy.deserialize import deserialize_properties

from tests.layout_rules import ROOT
from tests.policies.judging import Given
from turnout.engine.crypto import Secrets
from turnout.engine.deployment import Deployment
from turnout.engine.program import ENDPOINT_VARIABLE, OFFLINE_VARIABLE, LocalProgram
from turnout.engine.state import ResourceState, Snapshot, provider_urn
from turnout.engine.store import StackStore
from turnout.engine.wire import to_struct
from turnout.engine.workspace import StackFile, load_project
from turnout.preview.stand_ins import StandIns
from turnout.providers import registry

STACKS = ("local", "llm", "dev", "staging", "prod")
RUNNER = {"code_bucket": "code-bucket", "code_key": "runner/x.zip"}


@dataclass(frozen=True, eq=False)
class Planned:
    """A stack's resources as the engine hands them over: `wanted` with their inputs, as each is judged before it is made;
    `made` with their outputs and what they come from, as the stack is judged."""

    wanted: list[Given]
    made: list[Given]


@cache
def planned(stack: str, known: bool = True) -> Planned:
    """The state that an `up` would leave behind; without `known` what a first preview knows of it. The production stack has a
    runner too."""
    project = load_project(ROOT)
    config = {key: value.text for key, value in StackFile(project.stack_file(stack), project).masked().items()}
    if stack == "prod":
        config["turnout:runner"] = json.dumps(RUNNER)
    return _planned(ROOT, stack, config, known)


@cache
def stored() -> Planned:
    """The program of an artifact store, as production."""
    return _planned(ROOT / "examples" / "artifact_store", "prod", {"turnout-artifacts:service": "assistant"}, True)


def _planned(root: Path, stack: str, config: dict[str, str], known: bool) -> Planned:
    project = load_project(root)
    nothing = StackStore(Path(os.devnull), project.name, stack, Secrets("", lambda: [], lambda salt: None))
    said: list[dict[str, Any]] = []
    deployment = Deployment(nothing, registry(), said.append, str(root), config, [], refresh_first=False)
    offline = {OFFLINE_VARIABLE: "1", ENDPOINT_VARIABLE: "http://127.0.0.1:9"}
    program, state = LocalProgram(project.main, project.root, offline), Snapshot()
    result = deployment.plan(program, state, StandIns("us-east-1") if known else None)
    assert result.exit_code == 0, said
    return Planned(_wanted(stack, state), _made(stack, state))


def _wanted(stack: str, state: Snapshot) -> list[Given]:
    providers = {one.urn: _plain(one.inputs) for one in state.resources if one.type.startswith("pulumi:providers:")}
    return [_given(stack, one, _plain(one.inputs), providers.get(provider_urn(one.provider))) for one in state.resources]


def _made(stack: str, state: Snapshot) -> list[Given]:
    given: dict[str, Given] = {}
    for one in state.resources:
        needs = {key: tuple(given[urn] for urn in urns if urn in given) for key, urns in one.property_dependencies.items()}
        given[one.urn] = _given(stack, one, _plain(one.outputs), None, needs)
    return list(given.values())


def _given(
    stack: str,
    one: ResourceState,
    props: dict[str, Any],
    provider: dict[str, Any] | None,
    needs: Mapping[str, tuple[Given, ...]] | None = None,
) -> Given:
    return Given(one.type, props, one.name, stack, one.protect, needs or {}, provider, one.urn)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return deserialize_properties(json_format.MessageToDict(to_struct(values)))
