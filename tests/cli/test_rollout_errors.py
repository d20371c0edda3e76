"""What goes wrong with `turnout rollout …`: told in a few lines with what to do, by the code that docs/cli.md gives it."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from turnout_components.items import DynamoItems, create_table
from typer.testing import Result

from tests.cli.conftest import begun
from turnout.cli.errors import Exit, explain
from turnout.cli.rollout_view import now
from turnout.metrics.provider import MetricsUnavailable
from turnout.rollout.status import Event
from turnout.rollout.store import RolloutStore

Turnout = Callable[..., Result]
OF_ONE = [("status",), ("status", "-w"), ("run",), ("pause",), ("resume",), ("promote",), ("abort",), ("report",)]


@pytest.fixture
def store(aws: Callable[[str], Any]) -> RolloutStore:
    """Two rollouts, the newer one written by a newer version of Turnout."""
    create_table(aws("dynamodb"), "turnout-switch", protect=False)
    store = RolloutStore(DynamoItems(aws("dynamodb"), "turnout-switch"), "digits", "local")
    for name in ("old", "new"):
        store.create(begun(id=name))
    item = store._items
    body = {**json.loads(str(item.read(store._id("new")))), "stars": 5, "planets": 9}
    item.write(store._id("new"), json.dumps(body), 1)
    return store


def told(result: Result, code: int) -> list[str]:
    """The error's lines."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 4
    return lines


@pytest.mark.parametrize("command", [("check",), ("start",), ("history",), ("note", "x"), *OF_ONE])
def test_without_a_local_cloud_it_is_4(command: tuple[str, ...], project: Path, turnout: Turnout) -> None:
    lines = told(turnout("rollout", *command), 4)
    assert lines == [f"error: no local cloud runs in {project}/.turnout; start it with `turnout local start`"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", [*((*each, "nope") for each in OF_ONE), ("note", "x", "--rollout", "nope")])
def test_an_unknown_rollout_is_2(command: tuple[str, ...], turnout: Turnout) -> None:
    lines = told(turnout("rollout", *command), 2)
    assert lines == ["error: no rollout nope of digits/local; `turnout rollout history` lists them"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", OF_ONE)
def test_a_rollout_of_a_newer_version_is_1(command: tuple[str, ...], turnout: Turnout) -> None:
    (line,) = told(turnout("rollout", *command, "new"), 1)
    assert "rollout new in table turnout-switch cannot be read (2 validation errors for RolloutStatus: stars: Extra" in line
    assert line.endswith("it was written by another version of Turnout or by hand: use that version, or restore the item")


@pytest.mark.usefixtures("store")
def test_the_history_shows_what_it_can_read(turnout: Turnout) -> None:
    shown = turnout("rollout", "history")
    assert shown.exit_code == 0
    first, second = shown.output.splitlines()
    assert first.startswith("old  running  canary on green")
    assert second.startswith("! rollout new in table turnout-switch cannot be read")
    assert [each["id"] for each in json.loads(turnout("rollout", "history", "--json").output)] == ["old"]


def test_a_store_that_is_away_is_4(project: Path, turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.exists()
    monkeypatch.setenv("TURNOUT_LOCAL_ENDPOINT", "http://127.0.0.1:9")
    (line,) = told(turnout("rollout", "abort"), 4)
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/": is the local cloud running' in line


def test_metrics_that_are_away_before_the_start_are_1_and_no_defect() -> None:
    code, message = explain(MetricsUnavailable("CloudWatch does not answer GetMetricData: Rate exceeded"))
    assert code is Exit.FAILED
    assert message.splitlines() == [
        "CloudWatch does not answer GetMetricData: Rate exceeded",
        "what cannot be measured is not rolled out, nothing was begun: try again when it answers",
    ]


@pytest.mark.parametrize(
    ("ago", "approved", "code"),
    [(2, 0, 3), (20, 0, 0), (2, 1, 0)],
    ids=["another step in the same moment", "another step later", "the same step"],
)
def test_who_promotes_a_second_after_somebody_else_is_told(
    store: RolloutStore, turnout: Turnout, monkeypatch: pytest.MonkeyPatch, ago: int, approved: int, code: int
) -> None:
    """Both meant the step that waited; the next one is a bake."""
    moment = now()
    monkeypatch.setattr("turnout.cli.rollout_view.now", lambda: moment)
    told_to = Event(at=moment - timedelta(seconds=ago), what="told to go on", why="by bert@desk (pid 7)")
    store.create(begun(id="two", step=1, approved=approved, events=(told_to,)))
    result = turnout("rollout", "promote", "two")
    assert result.exit_code == code, result.output
    assert store.read("two").approved == (0 if code else 1)
    if code:
        (line,) = told(result, 3)
        assert "the step before was promoted 2 s ago, by bert@desk (pid 7); step 2 of" in line
