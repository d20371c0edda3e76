"""Components that are constructed by Pulumi's provider protocol, in the process that serves them to other languages."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.provider.experimental.util import camel_case
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from turnout_components import __version__
from turnout_components.public import COMPONENTS

from tests.layout_rules import ROOT
from tests.package.cases import CASES, KUBECONFIG, SECRET, Hidden, Of
from tests.package.conftest import NOWHERE, Stack, provider_inputs
from tests.package.wire import PACKAGE, Constructed, ForeignProgram, Session, output, plugin, secret, told
from tools.component_schema import SCHEMA
from turnout.engine.program import LocalProgram, ProgramSpec
from turnout.engine.state import ResourceState, Snapshot
from turnout.engine.values import UNKNOWN, Secret

SPOKEN = json.loads(SCHEMA.read_text(encoding="utf-8"))
MADE_BY_A_DECISION = {"TrafficDecision"}
"""It makes no resource and asks an account: test_served_switch constructs it."""


@pytest.fixture(scope="module")
def served() -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """The plugin's process, without an engine."""
    with plugin("127.0.0.1:1") as stub:
        yield stub


def test_it_says_who_it_is_and_gives_the_committed_schema(served: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        served.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1", root_directory=str(ROOT)))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED, "which Pulumi's engine takes from older SDKs"
    assert served.GetPluginInfo(empty_pb2.Empty()).version == __version__
    assert json.loads(served.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema) == SPOKEN


def test_it_takes_secrets_outputs_and_resources_and_ends_when_it_is_told(served: Any) -> None:
    answer = served.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True))
    assert (answer.acceptSecrets, answer.acceptOutputs, answer.acceptResources) == (True, True, True)
    assert served.Cancel(empty_pb2.Empty()) == empty_pb2.Empty()


def spoken(kind: str, args: Mapping[str, Any], meant: Callable[[Any], Any]) -> dict[str, Any]:
    """Arguments by the schema's names, as another language's SDK sends them: numbers are floats."""

    def said(properties: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
        return {camel_case(key): one(properties[camel_case(key)], item) for key, item in value.items()}

    def one(form: Mapping[str, Any], value: Any) -> Any:
        reference = form.get("$ref", "")
        if isinstance(value, Mapping) and reference.startswith("#/types/"):
            return said(SPOKEN["types"][reference.removeprefix("#/types/")]["properties"], value)
        if isinstance(value, Mapping):
            return {key: one(form.get("additionalProperties", {}), item) for key, item in value.items()}
        if isinstance(value, list):
            return [one(form.get("items", {}), item) for item in value]
        return meant(value)

    return said(SPOKEN["resources"][f"{PACKAGE}:index:{kind}"]["inputProperties"], args)


def construct_all(session: Session) -> None:
    made: dict[str, Constructed] = {}

    def meant(value: Any) -> Any:
        if isinstance(value, Of):
            return made[value.made].output(camel_case(value.output), *([value.key] if value.key else []))
        return output(value.value, secret=True) if isinstance(value, Hidden) else value

    for case in CASES:
        after = [made[case.after].urn] if case.after else []
        made[case.name] = session.construct(case.kind, case.name, spoken(case.kind, case.args, meant), after)


def planned(stack: Stack, program: ProgramSpec) -> dict[str, ResourceState]:
    """What a first update would make, by URN."""
    onto = Snapshot()
    result = stack.deployment().plan(program, onto)
    assert result.exit_code == 0, stack.said()
    return {state.urn: state for state in onto.ordered()}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, ResourceState], dict[str, ResourceState]]:
    """The same program in Python and in another language."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "main.py").write_text(f"from tests.package.cases import declare\ndeclare({NOWHERE!r})\n")
    at_home = LocalProgram(folder / "main.py", folder, env={"PYTHONPATH": str(ROOT)})
    foreign = ForeignProgram(construct_all, {"aws": provider_inputs(NOWHERE), "kubernetes": {"kubeconfig": KUBECONFIG}})
    return planned(Stack(folder, "theirs"), at_home), planned(Stack(folder, "theirs"), foreign)


def named(inputs: Any) -> Any:
    """Inputs without the random part of names that the engine makes."""
    if isinstance(inputs, str):
        return re.sub(r"-[0-9a-f]{7}$", "-random", inputs)
    if isinstance(inputs, dict):
        return {key: named(value) for key, value in inputs.items()}
    return [named(item) for item in inputs] if isinstance(inputs, list) else inputs


def test_every_public_component_is_among_them() -> None:
    assert {case.kind for case in CASES} == {component.__name__ for component in COMPONENTS} - MADE_BY_A_DECISION


def test_a_component_makes_the_same_children_from_the_wire_as_in_process(both: Any) -> None:
    home, wire = both
    assert len(wire) > 100
    assert set(wire) == set(home)
    for urn, state in home.items():
        if state.type.startswith("pulumi:providers:"):
            continue
        assert named(wire[urn].inputs) == named(state.inputs), urn
        assert (wire[urn].type, wire[urn].parent, wire[urn].protect) == (state.type, state.parent, state.protect)
        assert wire[urn].provider.split("::")[2:4] == state.provider.split("::")[2:4]


def owner(urn: str) -> str:
    """The store's children as the store: a program in another language depends on the component alone, which is registered
    when its children are; in Python the SDK names the children."""
    return urn.partition("ArtifactStore$")[0] + "ArtifactStore" if "ArtifactStore$" in urn else urn.partition("::store")[0]


def test_children_come_after_the_same_resources(both: Any) -> None:
    home, wire = both
    for urn, state in home.items():
        assert {owner(need) for need in wire[urn].dependencies} == {owner(need) for need in state.dependencies}, urn


def test_a_secret_stays_one_and_what_is_not_known_stays_so(both: Any) -> None:
    _, wire = both
    assert SECRET not in str(wire)
    (listener,) = [state for urn, state in wire.items() if urn.endswith("::switch-listener")]
    forwarded = listener.inputs["defaultActions"][0]["forward"]["targetGroups"]
    assert [group["weight"] for group in forwarded] == [90, 10]
    assert [group["arn"] for group in forwarded] == [UNKNOWN, UNKNOWN]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[ResourceState]]:
    """What a program is told of components with faults, and the children of one with a secret, all of one plugin."""
    said: list[str] = []

    def body(session: Session) -> None:
        for inputs in ({}, {"service": "a", "noncurrentDays": 0}):
            try:
                session.construct("ArtifactStore", "svc", inputs)
            except grpc.RpcError as error:
                said.append(told(error))
        session.construct("AutoscalingPolicy", "svc", {"service": "a", "environment": "b", "groupName": secret("hidden")})

    stack = Stack(tmp_path_factory.mktemp("odd"), "theirs")
    return said, list(planned(stack, ForeignProgram(body, {"aws": provider_inputs(NOWHERE)})).values())


def test_a_missing_input_is_named_as_the_program_knows_it(odd: Any) -> None:
    assert "Missing required input 'service' on 'ArtifactStore'" in odd[0][0]


def test_a_component_refuses_on_the_wire_what_it_refuses_in_process(odd: Any) -> None:
    assert "noncurrent_days = 0" in odd[0][1]


def test_a_secret_that_comes_without_an_output_around_it_stays_secret(odd: Any) -> None:
    policies = [state for state in odd[1] if state.type.endswith(":Policy")]
    assert policies
    assert {state.inputs["autoscalingGroupName"] for state in policies} == {Secret("hidden")}
