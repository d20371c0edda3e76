"""`turnout local` with a real, empty local cloud."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import STACK
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


def test_a_platform_with_a_cluster_needs_its_programs_and_no_other_is_known(
    home: Path, project: Path, turnout: Turnout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    without = turnout("local", "start", "--platform", "eks")
    assert without.exit_code == 2
    assert "make kubernetes" in without.stderr
    (project / "stacks" / "Pulumi.local-eks.yaml").write_text(
        yaml.safe_dump({"config": {**STACK["config"], "turnout:platform": "eks"}})
    )
    of_its_stack = turnout("local", "start", "--stack", "local-eks")
    assert (of_its_stack.exit_code, of_its_stack.stderr) == (2, without.stderr)
    unknown = turnout("local", "start", "--platform", "nomad")
    assert unknown.exit_code == 2
    assert "nomad" in unknown.stderr
    assert client.find(home) is None


@pytest.mark.usefixtures("home")
def test_a_cloud_of_another_platform_is_not_taken_for_the_one_asked_for(
    turnout: Turnout, monkeypatch: pytest.MonkeyPatch
) -> None:
    turnout("local", "start")
    monkeypatch.setattr("turnout.cli.local.binaries.find", lambda: None)
    other = turnout("local", "start", "--platform", "kubernetes")
    assert other.exit_code == 2
    assert "turnout local stop" in other.stderr
    assert turnout("local", "start", "--platform", "ec2").exit_code == 0


@pytest.mark.usefixtures("home")
def test_a_cluster_is_shown_with_its_gateways_and_pods(turnout: Turnout, monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = [{"name": "http", "port": 80, "url": "http://127.0.0.1:1"}, {"name": "tls", "port": 443, "url": None}]
    pod = {"namespace": "shop", "name": "tiny-1", "ip": "10.0.0.1", "node": "gpu-0", "url": "http://127.0.0.1:2"}
    cluster = {
        "platform": "kubernetes",
        "kubeconfig": "there",
        "gateways": [{"namespace": "edge", "name": "web", "listeners": listeners}],
        "pods": [{**pod, "phase": "CrashLoopBackOff", "reason": "no image", "restarts": 3}],
    }
    turnout("local", "start")
    state = client.CloudHandle.state
    monkeypatch.setattr(client.CloudHandle, "state", lambda self: {**state(self), "cluster": cluster})
    shown = turnout("local", "status").stdout
    for word in ("edge/web", "http://127.0.0.1:1", "not served", "tiny-1", "CrashLoopBackOff", "no image", "10.0.0.1", "there"):
        assert word in shown
