"""The switch in a plugin's process: the gate is a hook there, and the engine calls it from where it changes the listener."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.package.conftest import Stack, Team, provider_inputs
from tests.package.wire import ForeignProgram, Session, output
from turnout.engine.deployment import Result

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def up(team: Team, make_stack: Callable[[str], Stack]) -> Callable[..., tuple[Result, str]]:
    """Deploys the team's switch by a program in another language; the result, and what was said."""
    stack = make_stack("theirs")

    def deploy(active: str, **changes: Any) -> tuple[Result, str]:
        def body(session: Session) -> None:
            wanted = {name: {"release": f"llm-{name}@{DIGEST}", "minimum": 1, "maximum": 3} for name in team.groups}
            place = {"service": "assistant", "region": "us-east-1", "endpointUrl": team.endpoint}
            decision = session.construct("TrafficDecision", "svc", {**place, "active": active, "environments": wanted})
            force = {"active": decision.output("active"), "weights": decision.output("weights"), "configuredActive": active}
            made = session.construct("TrafficSwitch", "svc", switch(team, active, **force, **changes))
            session.exports.update(listener=made.state["listenerArn"], weights=made.state["weights"])

        result = stack.deployment().up(ForeignProgram(body, {"aws": provider_inputs(team.endpoint)}))
        return result, stack.said()

    return deploy


def switch(team: Team, active: str, /, **changes: Any) -> dict[str, Any]:
    environments = {
        name: {
            "targetGroupArn": output(team.target_groups[name]),
            "groupName": output(team.groups[name]),
            "release": f"llm-{name}@{DIGEST}",
            "minimum": 1,
            "maximum": 3,
        }
        for name in team.groups
    }
    return {
        "service": "assistant",
        "region": "us-east-1",
        "loadBalancerArn": team.balancer,
        "environments": environments,
        "active": active,
        "port": 80,
        "gateTimeout": 2,
        "endpointUrl": team.endpoint,
        **changes,
    }


def test_the_engine_calls_the_gate_in_the_plugin_and_a_refusal_keeps_the_weights(team: Team, up: Any) -> None:
    made, _ = up("blue")
    assert (made.exit_code, made.outputs["weights"]) == (0, {"blue": 100, "green": 0})
    assert team.listeners() == {80: {"blue": 100, "green": 0}}

    team.withdraw("green")
    refused, said = up("green")
    assert refused.exit_code != 0
    assert "switch: not ready after 2 s, so the weights stay" in said
    assert team.listeners() == {80: {"blue": 100, "green": 0}}

    team.bring_back("green")
    moved, said = up("green")
    assert moved.exit_code == 0, said
    assert team.listeners() == {80: {"blue": 0, "green": 100}}
    (item,) = team.api("dynamodb").scan(TableName="turnout-switch")["Items"]
    assert "green" in str(item), "the hook after the change has entered the move"


@pytest.mark.slow  # the test above has one
def test_two_switches_of_one_plugin_pass_their_gates_at_once(team: Team, make_stack: Callable[[str], Stack]) -> None:
    """A program in another language constructs its components at the same time, in one process of the plugin."""
    stack, places = make_stack("theirs"), {"chat": 80, "search": 81}

    def body(session: Session) -> None:
        def make(service: str) -> None:
            session.construct("TrafficSwitch", service, switch(team, "blue", service=service, port=places[service]))

        with ThreadPoolExecutor(len(places)) as pool:
            list(pool.map(make, places))

    result = stack.deployment().up(ForeignProgram(body, {"aws": provider_inputs(team.endpoint)}))
    assert result.exit_code == 0, stack.said()
    assert team.listeners() == {port: {"blue": 100, "green": 0} for port in places.values()}
    items = team.api("dynamodb").scan(TableName="turnout-switch")["Items"]
    assert {item["id"]["S"].split("/")[0] for item in items} == set(places)
