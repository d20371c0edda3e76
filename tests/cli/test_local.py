"""`turnout local` with a real, empty local cloud."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from turnout.cloud import client

Turnout = Callable[..., Result]


@pytest.fixture
def home(project: Path) -> Iterator[Path]:
    yield project / ".turnout"
    handle = client.find(project / ".turnout")
    if handle is not None:
        handle.stop()


def test_a_cloud_is_started_once_shown_and_stopped(home: Path, turnout: Turnout) -> None:
    started = json.loads(turnout("local", "start", "--speed", "5", "--json").stdout)
    again = json.loads(turnout("local", "start", "--json").stdout)
    assert (started["started"], again["started"]) == (True, False)
    assert again["pid"] == started["pid"]
    assert started["endpoint"].startswith("http://127.0.0.1:")
    assert json.loads(turnout("local", "status", "--json").stdout)["instances"] == []
    assert started["endpoint"] in turnout("local", "status").stdout
    assert json.loads(turnout("local", "logs", "--json").stdout)["file"].endswith("daemon.log")
    assert turnout("init").exit_code == 0
    assert "nothing is deployed" in turnout("status").stdout
    assert json.loads(turnout("local", "stop", "--json").stdout) == {"stopped": True}
    assert client.find(home) is None
    assert turnout("status").exit_code == 4


def test_a_new_cloud_knows_nothing_of_what_stood_in_the_one_before(home: Path, turnout: Turnout) -> None:
    folder = home / "stacks/turnout/local"
    folder.mkdir(parents=True)
    for name in ("checkpoint.json", "checkpoint.json.bak", "journal.jsonl", "salt"):
        (folder / name).touch()
    turnout("local", "start")
    assert [file.name for file in folder.iterdir()] == ["salt"]
    (folder / "checkpoint.json").touch()
    turnout("local", "start")
    assert (folder / "checkpoint.json").exists()


def test_start_without_its_image_folder_is_refused(home: Path, turnout: Turnout) -> None:
    result = turnout("local", "start", "--images", "nowhere")
    assert result.exit_code == 2
    assert "--images" in result.stderr
    assert client.find(home) is None
