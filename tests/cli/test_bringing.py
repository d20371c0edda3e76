"""`turnout rollout start --release`: what is refused before the standby is touched, and that config is then as it was."""

# ruff: noqa: ARG001 -- fixtures are named to be had, not always to be used

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from turnout_components.release import parse
from turnout_components.switch_record import Operator, SwitchRecord
from typer.testing import Result

from tests.cli.conftest import Deployed
from tests.cli.test_publishing import draft
from turnout.cli import bringing
from turnout.deploy import Outcome

Turnout = Callable[..., Result]


@pytest.fixture
def release(project: Path) -> Path:
    """A release of the stack, whole: its model and image are in the project."""
    stack = project / "stacks/Pulumi.local.yaml"
    stack.write_text(stack.read_text().replace("releases: releases", "releases: model/releases"))
    return draft(project)


def refused(turnout: Turnout, project: Path, *words: str) -> str:
    """What `start` says; it ends with 3 and leaves config alone, and `check` agrees."""
    before = (project / "stacks/Pulumi.local.yaml").read_text()
    for command in ("check", "start"):
        done = turnout("rollout", command, "--release", *words)
        assert done.exit_code == 3, done.output
        assert (project / "stacks/Pulumi.local.yaml").read_text() == before
    return " ".join(done.output.split())


def changed(deployed: Deployed, environment: str, release: str) -> None:
    def runs(record: SwitchRecord) -> SwitchRecord:
        state = record.environments[environment].model_copy(update={"release": release})
        return record.changed(environments={**record.environments, environment: state})

    deployed.store.update(runs)


def test_a_release_that_is_marked_unstable_is_not_deployed(
    turnout: Turnout, project: Path, deployed: Deployed, release: Path
) -> None:
    by = str(Operator.current())
    deployed.store.update(lambda record: record.blamed(parse(release).id, datetime.now(UTC), by, "it lost requests"))
    assert "m-1 is marked unstable (it lost requests)" in refused(turnout, project, "m-1")


def test_what_serves_already_is_not_deployed_again(turnout: Turnout, project: Path, deployed: Deployed, release: Path) -> None:
    changed(deployed, "green", parse(release).id)
    assert "green serves m-1 with all traffic" in refused(turnout, project, "m-1")


def test_what_is_not_whole_is_not_deployed(turnout: Turnout, project: Path, deployed: Deployed, release: Path) -> None:
    (project / "model/weights.gguf").write_bytes(b"GGUF tampered")
    assert "m-1 is not whole, so nothing is deployed: file:weights.gguf has sha256:" in refused(turnout, project, "m-1")


def test_a_draft_elsewhere_is_to_be_published_first(turnout: Turnout, project: Path, deployed: Deployed) -> None:
    path = str(draft(project))
    assert f"`turnout releases publish {path} --stack local` puts it there" in refused(turnout, project, path)


def test_a_standby_that_never_serves_begins_no_rollout(
    turnout: Turnout, project: Path, deployed: Deployed, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = project / "stacks/Pulumi.local.yaml"
    stack.write_text(stack.read_text() + "  turnout:rollout: {ready_timeout: 1s}\n")
    for target in ("blue", "green"):
        for one in deployed.elbv2.describe_target_health(TargetGroupArn=deployed.groups[target])["TargetHealthDescriptions"]:
            deployed.elbv2.deregister_targets(TargetGroupArn=deployed.groups[target], Targets=[one["Target"]])
    monkeypatch.setattr(bringing, "execute", lambda session, operation: Outcome(operation, "", 0))
    done = turnout("rollout", "start", "--release", "m-1")
    assert done.exit_code == 3, done.output
    assert "m-1 does not serve: no healthy target in blue within 0:00:01" in " ".join(done.output.split())
    assert deployed.store.read().rollout is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("code", "kept"), [(2, True), (3, True), (1, False)])
def test_an_update_that_is_refused_leaves_config_as_it_was(
    turnout: Turnout,
    project: Path,
    deployed: Deployed,
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    kept: bool,
) -> None:
    """One that failed on its way has deployed a part: config goes on saying what was wanted."""
    file = project / "stacks/Pulumi.local.yaml"
    before = yaml.safe_load(file.read_text())
    seen: list[Any] = []

    def execute(session: Any, operation: Any) -> Outcome:
        seen.append((operation, yaml.safe_load(file.read_text())["config"]["turnout:environments"]["blue"]["release"]))
        return Outcome(operation, session.stack.cloud, code, errors=("blue keeps another",))

    monkeypatch.setattr(bringing, "execute", execute)
    assert "blue runs digits-1.0.0; `start` deploys m-1 to it first" in turnout("rollout", "check", "--release", "m-1").output
    done = turnout("rollout", "start", "--release", "m-1")
    assert (done.exit_code, "blue keeps another" in done.output) == (code, True)
    assert seen == [("up", parse(release).id)]
    assert (yaml.safe_load(file.read_text()) == before) is kept
