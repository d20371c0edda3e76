"""What a deployment tells while it runs, and how its end becomes an exit code; the engine is a script here."""

# ruff: noqa: ARG001, ARG002 -- fixtures are named to be had, and fakes keep the signature of what they replace

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import events
from pulumi.automation._cmd import CommandResult
from pulumi.automation.errors import create_command_error
from typer.testing import Result

from tests.cli.conftest import NEW, Deployed
from turnout import deploy, stacks
from turnout.deploy import LOCAL_ENGINE, PULUMI, DeployError, Outcome
from turnout.progress import Step, StepState

Turnout = Callable[..., Result]
URN = "urn:pulumi:local::turnout::aws:lb/listener:Listener::digits-production"


def event(**fields: Any) -> events.EngineEvent:
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": 1, **fields})


def metadata(operation: str) -> dict[str, Any]:
    return {"metadata": {"op": operation, "urn": URN, "type": "aws:lb/listener:Listener", "provider": ""}}


def failure(code: int, stderr: str = "", stdout: str = "") -> Exception:
    return create_command_error(CommandResult(stdout, stderr, code))


class Recorder:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def header(self, operation: str, stack: str, engine: str) -> None:
        self.heard.append((operation, stack, engine))

    def step(self, step: Step) -> None:
        self.heard.append(step)

    def message(self, severity: str, text: str) -> None:
        self.heard.append((severity, text))


class ScriptedStack:
    """Stands for the Automation API's stack: plays events, then ends or fails."""

    def __init__(self, *played: events.EngineEvent, error: Exception | None = None) -> None:
        self.played, self.error = played, error
        self.environment: dict[str, str] = {}

    def up(self, on_event: Callable[[Any], None], color: str) -> "ScriptedStack":
        for one in self.played:
            on_event(one)
        if self.error:
            raise self.error
        return self

    preview = destroy = up


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, project: Path) -> Callable[[ScriptedStack], ScriptedStack]:
    """Puts a script in the engine's place; the local cloud seems to run."""
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", "http://127.0.0.1:1")

    def put(stack: ScriptedStack) -> ScriptedStack:
        def select(chosen: Any, engine: str, home: Path, environment: dict[str, str]) -> ScriptedStack:
            stack.environment = dict(environment)
            return stack

        monkeypatch.setattr(deploy, "_select", select)
        return stack

    return put


def test_steps_and_messages_are_told_and_unchanged_resources_are_not(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    scripted(
        ScriptedStack(
            event(resourcePreEvent=metadata("update")),
            event(diagnosticEvent={"message": "<{%reset%}>waiting: green 0 of 2<{%reset%}>\n", "severity": "info"}),
            event(resOutputsEvent=metadata("update")),
            event(resOutputsEvent=metadata("same")),
            event(summaryEvent={"resourceChanges": {"update": 1, "same": 20}}),
        )
    )
    recorder = Recorder()
    outcome = deploy.run(stacks.load(project, "local"), "up", project, recorder)
    done = Step(StepState.DONE, "update", "aws:lb/listener:Listener", "digits-production")
    started = Step(StepState.STARTED, "update", "aws:lb/listener:Listener", "digits-production")
    assert recorder.heard == [("up", "local", LOCAL_ENGINE), started, ("info", "waiting: green 0 of 2"), done]
    assert (outcome.code, dict(outcome.changes)) == (0, {"update": 1, "same": 20})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (failure(2, "turnout:pool.minimum = 9: make it at most 6"), 2),
        (failure(3, "switch: green is not ready"), 3),
        (failure(255, stderr="error: update failed\n  switch: green is not ready"), 3),
        (failure(255, stderr="error: the stack is currently locked"), 1),
        (failure(255, stderr="error: an unhandled error occurred: Program exited with non-zero exit code: 2"), 2),
        (failure(255, stderr="error: an unhandled error occurred: Program exited with non-zero exit code: 1"), 1),
        (failure(1, "no such AMI"), 1),
        (failure(130, "interrupted"), 130),
    ],
)
def test_the_end_of_an_engine_becomes_a_documented_code(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack], error: Exception, code: int
) -> None:
    scripted(ScriptedStack(error=error))
    outcome = deploy.run(stacks.load(project, "local"), "up", project, Recorder())
    assert outcome.code == code
    assert outcome.errors
    assert not any(line.startswith("error: ") for line in outcome.errors)


def test_a_refused_config_is_told_by_the_programs_lines_and_not_by_the_engines_alone(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    fault = "turnout:pool.minimum = 9: is above pool.maximum"
    end = "Program exited with non-zero exit code: 2"
    told = [event(diagnosticEvent={"message": m, "severity": s}) for m, s in ((end, "error"), (fault, "info#err"))]
    scripted(ScriptedStack(*told, error=failure(255, "error: update failed")))
    recorder = Recorder()
    outcome = deploy.run(stacks.load(project, "local"), "up", project, recorder)
    assert (outcome.code, outcome.errors) == (2, (fault, end))
    assert len(recorder.heard) == 1


def test_a_program_that_says_error_itself_is_told_once(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    told = event(diagnosticEvent={"message": "error: the program failed: ValueError", "severity": "info#err"})
    scripted(ScriptedStack(told, error=failure(1, "error: update failed")))
    outcome = deploy.run(stacks.load(project, "local"), "up", project, Recorder())
    assert outcome.errors == ("the program failed: ValueError",)


def test_errors_of_the_event_stream_come_before_the_engines_own_text(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    told = event(diagnosticEvent={"message": "switch: the weights stay", "severity": "error"})
    scripted(ScriptedStack(told, error=failure(1, "error: update failed")))
    outcome = deploy.run(stacks.load(project, "local"), "up", project, Recorder())
    assert (outcome.code, outcome.errors) == (3, ("switch: the weights stay",))


def test_pulumi_runs_stacks_in_aws_where_it_is_installed_and_never_the_local_cloud(project: Path) -> None:
    local, prod = stacks.load(project, "local"), stacks.load(project, "prod")
    assert deploy.engine_of(prod, lambda name: "/usr/bin/pulumi") == PULUMI
    assert deploy.engine_of(prod, lambda name: None) == LOCAL_ENGINE
    assert deploy.engine_of(local, lambda name: "/usr/bin/pulumi") == LOCAL_ENGINE


def test_the_local_engine_only_previews_a_stack_in_aws_and_offline(
    project: Path, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    prod, script = stacks.load(project, "prod"), scripted(ScriptedStack())
    deploy.run(prod, "preview", project, Recorder(), LOCAL_ENGINE)
    assert script.environment == {"TURNOUT_OFFLINE": "1"}
    with pytest.raises(DeployError, match="only Pulumi deploys"):
        deploy.run(prod, "up", project, Recorder(), LOCAL_ENGINE)


def test_up_shows_what_changed_and_json_has_it_as_a_document(
    turnout: Turnout, scripted: Callable[[ScriptedStack], ScriptedStack]
) -> None:
    changed = event(summaryEvent={"resourceChanges": {"create": 2, "same": 1}})
    scripted(ScriptedStack(event(resOutputsEvent=metadata("create")), changed))
    shown = turnout("up").stdout
    assert "up stack local with local engine (not Pulumi)" in shown
    assert "lb Listener" in shown
    assert "2 created, 1 unchanged" in shown
    as_json = turnout("up", "--json")
    assert json.loads(as_json.stdout)["changes"] == {"create": 2, "same": 1}
    assert "digits-production" in as_json.stderr


def test_outputs_are_told_in_order_and_without_python(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"weights": {"green": 0, "blue": 100}, "releases": {"green": None}, "active": "blue"}
    ended = Outcome("up", LOCAL_ENGINE, 0, {"refresh": 1, "same": 2}, outputs=outputs)
    monkeypatch.setattr("turnout.cli.executing.run", lambda *given: ended)
    lines = turnout("up").stdout.splitlines()
    assert lines[0].startswith("1 refreshed, 2 unchanged")
    assert lines[1:] == ["  active: blue", "  releases: green –", "  weights: blue 100, green 0"]


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch, deployed: Deployed, project: Path) -> dict[str, Any]:
    """What a flip asks of config and engine; `code` is how the engine ends."""
    asked: dict[str, Any] = {"code": 0}

    def set_traffic(stack: Any, home: Path, active: str, weights: dict[str, int] | None) -> None:
        asked["set"] = (active, weights)
        stack.file.write_text(stack.file.read_text().replace("active: green", f"active: {active}"))

    def run(stack: Any, operation: str, home: Path, progress: Any) -> Outcome:
        record = deployed.store.read()
        assert record is not None
        asked["base"] = record.config_base
        asked.get("meanwhile", lambda: None)()
        return Outcome("up", LOCAL_ENGINE, asked["code"], errors=("switch: not ready",) if asked["code"] else ())

    monkeypatch.setattr("turnout.cli.flipping.set_traffic", set_traffic)
    monkeypatch.setattr("turnout.cli.executing.run", run)
    return asked


def test_flip_without_a_name_moves_to_the_standby(moves: dict[str, Any], turnout: Turnout) -> None:
    result = turnout("flip", "--json")
    assert moves["set"] == ("blue", None)
    assert json.loads(result.stdout)["config"] == "turnout:traffic.active: blue"


def test_flip_by_shares_keeps_who_is_active(moves: dict[str, Any], turnout: Turnout) -> None:
    turnout("flip", "--to", "blue=10,green=90")
    assert moves["set"] == ("green", {"blue": 10, "green": 90})


@pytest.mark.parametrize("shares", ["blue=10,green=80", "red=100", "blue=x,green=100", "blue"])
def test_flip_refuses_shares_that_are_none(moves: dict[str, Any], turnout: Turnout, shares: str) -> None:
    result = turnout("flip", "--to", shares)
    assert result.exit_code == 2
    assert f"--to {shares}" in result.stderr
    assert "set" not in moves


def test_flip_refuses_an_environment_that_config_does_not_have(moves: dict[str, Any], turnout: Turnout) -> None:
    result = turnout("flip", "purple")
    assert result.exit_code == 2
    assert "it has blue, green" in result.stderr


def test_after_a_rollback_flip_makes_what_config_still_says_a_new_wish(
    moves: dict[str, Any], deployed: Deployed, turnout: Turnout
) -> None:
    turnout("rollback")
    turnout("releases", "accept", NEW)
    assert turnout("flip", "green").exit_code == 0
    assert moves["base"].active == "blue"


def test_a_refused_flip_leaves_config_and_record_as_they_were(
    moves: dict[str, Any], deployed: Deployed, project: Path, turnout: Turnout
) -> None:
    turnout("rollback")
    before, config = deployed.store.read(), (project / "stacks/Pulumi.local.yaml").read_text()
    moves["code"] = 3
    result = turnout("flip", "green")
    after = deployed.store.read()
    assert result.exit_code == 3
    assert "switch: not ready" in result.stderr
    assert before is not None
    assert after is not None
    assert after.config_base == before.config_base
    assert (project / "stacks/Pulumi.local.yaml").read_text() == config


def test_a_refused_flip_takes_its_wish_out_of_the_stack_file_again(
    moves: dict[str, Any], project: Path, turnout: Turnout
) -> None:
    config = (project / "stacks/Pulumi.local.yaml").read_text()
    moves["code"] = 3
    assert turnout("flip", "blue").exit_code == 3
    assert moves["set"] == ("blue", None)
    assert (project / "stacks/Pulumi.local.yaml").read_text() == config


def test_a_refused_flip_leaves_what_somebody_wrote_meanwhile(moves: dict[str, Any], project: Path, turnout: Turnout) -> None:
    file = project / "stacks/Pulumi.local.yaml"
    moves.update(code=3, meanwhile=lambda: file.write_text(file.read_text() + "# by a colleague\n"))
    result = turnout("flip", "blue")
    assert result.exit_code == 3
    assert file.read_text().endswith("# by a colleague\n")
    assert "was edited meanwhile and stays" in result.stdout + result.stderr


def test_a_flip_that_moved_before_it_failed_leaves_config_at_where_traffic_is(
    moves: dict[str, Any], deployed: Deployed, project: Path, turnout: Turnout
) -> None:
    weights = [{"TargetGroupArn": deployed.groups[n], "Weight": w} for n, w in (("blue", 100), ("green", 0))]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}

    def move() -> None:
        deployed.elbv2.modify_listener(ListenerArn=deployed.listener, DefaultActions=[action])

    moves.update(code=3, meanwhile=move)
    result = turnout("flip", "blue")
    assert result.exit_code == 3
    assert "active: blue" in (project / "stacks/Pulumi.local.yaml").read_text()
    assert "traffic moved all the same" in result.stdout + result.stderr
