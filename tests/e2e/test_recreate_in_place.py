"""`turnout` replaces the active servers of a local stack in place: what users get meanwhile, and what is said of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.service import ROOT, merged, release, stack_file
from benchmarks.waiting import wait_for
from turnout.cloud import client
from turnout.cloud.client import CloudHandle

pytestmark = pytest.mark.slow
"""tests/rollout/test_recreate.py and tests/cli/test_recreating.py hold the same of a cloud that is acted out."""
OLD, NEW = "digits-1.0.0", "digits-2.0.0"
DEADLINE = "20s"


@dataclass
class Project:
    """A project of its own with one local stack, worked on by commands."""

    root: Path
    cloud: CloudHandle

    @property
    def file(self) -> Path:
        return self.root / "stacks" / "Pulumi.local.yaml"

    @property
    def config(self) -> dict[str, Any]:
        content = yaml.safe_load(self.file.read_text())["config"]
        return {key.removeprefix("turnout:"): value for key, value in content.items()}

    def edit(self, changes: dict[str, Any]) -> None:
        found = merged(self.config, changes)
        self.file.write_text(yaml.safe_dump({"config": {f"turnout:{key}": value for key, value in found.items()}}))

    def popen(self, *words: str) -> "subprocess.Popen[str]":
        environ = {**os.environ, "TURNOUT_HOME": str(self.root), "COLUMNS": "200"}
        command = [sys.executable, "-m", "turnout", *words]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.root, env=environ, start_new_session=True, **pipes)

    def run(self, *words: str) -> tuple[int, str]:
        process = self.popen(*words)
        said, _ = process.communicate(timeout=150)
        print(f"$ turnout {' '.join(words)}  [{process.returncode}]\n{said}")
        return process.returncode, said

    def document(self, *words: str) -> Any:
        code, said = self.run(*words, "--json")
        assert code == 0, said
        return json.loads(said[said.index("[" if said.lstrip().startswith("[") else "{") :])

    @property
    def url(self) -> str:
        listeners = [one for balancer in self.cloud.state()["load_balancers"] for one in balancer["listeners"]]
        return next(str(one["url"]) for one in listeners if one["port"] == 80)

    def serves(self) -> str | None:
        """The release that answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=2) as answer:
                return str(json.load(answer)["release"])
        except OSError:
            return None


@dataclass
class Users:
    """What requests got, one after the other: when (monotonic seconds) and the status."""

    answers: list[tuple[float, int]] = field(default_factory=list)

    @property
    def down(self) -> float:
        """Seconds from the first to the last answer that was not 200."""
        bad = [at for at, status in self.answers if status != 200]
        return bad[-1] - bad[0] if bad else 0.0

    @property
    def statuses(self) -> set[int]:
        return {status for _, status in self.answers}


@contextmanager
def users(url: str) -> Iterator[Users]:
    """Somebody asks every 20 ms."""
    seen, over = Users(), threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
                    status = answer.status
            except urllib.error.HTTPError as error:
                status = error.code
            except OSError:
                status = 0
            seen.answers.append((time.monotonic(), status))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """1.0.0 in blue with all traffic, nothing in green."""
    root = tmp_path_factory.mktemp("project")
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    (root / "Pulumi.yaml").write_text(yaml.safe_dump({**settings, "main": str(ROOT / "infra"), "stackConfigDir": "stacks"}))
    (root / "stacks").mkdir()
    config = merged(
        stack_file(),
        {
            "releases": str(ROOT / "examples/digits/releases"),
            "environments": {"green": {"release": None}},
            "pool": {"minimum": 1, "boot": {"machine": 5, "image": 5, "model": 5}},
            "health": {"drain": 1},
        },
    )
    config["rollout"] = {"strategy": "recreate", "ready_timeout": DEADLINE}
    (root / "stacks/Pulumi.local.yaml").write_text(yaml.safe_dump({"config": {f"turnout:{k}": v for k, v in config.items()}}))
    cloud = client.start(root, attached=True, speed=5.0, images=[ROOT / "examples"], root=ROOT)
    try:
        made = Project(root, cloud)
        for words in (("init",), ("up",)):
            code, said = made.run(*words)
            assert code == 0, said
        wait_for("an answer", lambda: made.serves())
        yield made
    finally:
        cloud.stop()


@pytest.mark.timeout(200)
def test_users_get_503_for_as_long_as_it_says_and_then_the_new_release(project: Project) -> None:
    with users(project.url) as seen:
        code, said = project.run("rollout", "start", "--strategy", "recreate", "--release", NEW)
        time.sleep(1)
    assert code == 0
    assert f"DOWNTIME: {NEW} replaces {OLD} in place on blue (1 instance)" in said
    assert said.index("DOWNTIME") < said.index("autoscaling Group"), "announced before it begins"
    assert project.serves() == release("2.0.0").partition("@")[2]
    assert project.config["environments"]["blue"]["release"] == release("2.0.0")
    (ended,) = project.document("rollout", "history")
    assert (ended["state"], ended["before"]) == ("promoted", release("1.0.0"))
    print(f"downtime: {ended['downtime']:.1f} s without a healthy target, {seen.down:.1f} s of errors for users")
    assert seen.statuses == {200, 503}
    assert 1 < seen.down <= ended["downtime"] + 2
    assert f"no healthy target for {ended['downtime']:.1f} s" in project.run("rollout", "history")[1].replace("\n", " ")
    assert project.run("up")[0] == 0
    assert len(project.document("rollout", "history")) == 1, "config says what serves: nothing is replaced"


@pytest.mark.timeout(200)
def test_what_does_not_become_healthy_in_time_is_put_back(project: Project) -> None:
    slow = {"pool": {"boot": {"model": 600}}}
    project.edit({**slow, "environments": {"blue": {"release": release("1.0.0")}}})
    with users(project.url) as seen:
        process = project.popen("up")
        wait_for("503", lambda: project.serves() is None)
        project.edit({"pool": {"boot": {"model": 5}}})
        said, _ = process.communicate(timeout=150)
        time.sleep(1)
    print(said)
    assert process.returncode == 5
    assert "not healthy in time (20 s): 0 of 1 targets of blue are healthy" in said
    assert "could not" not in said
    assert project.config["environments"]["blue"]["release"] == release("2.0.0"), "the file says what serves again"
    assert project.serves() == release("2.0.0").partition("@")[2]
    newest = project.document("rollout", "history")[0]
    print(f"put back: {newest['downtime']:.1f} s without a healthy target, {seen.down:.1f} s of errors for users")
    assert newest["state"] == "taken back"
    assert 20 < seen.down <= newest["downtime"] + 2


@pytest.mark.timeout(200)
def test_a_run_that_is_killed_is_taken_up(project: Project) -> None:
    project.run("releases", "accept", OLD)
    project.edit({"rollout": {"ready_timeout": DEADLINE}})
    process = project.popen("rollout", "start", "--release", OLD)
    wait_for("503", lambda: project.serves() is None)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, said = project.run("rollout", "run")
    assert code == 0, said
    assert project.config["environments"]["blue"]["release"] == release("1.0.0")
    newest = project.document("rollout", "history")[0]
    assert newest["state"] == "promoted"
    assert newest["downtime"] > 0


def test_a_stack_that_does_not_accept_downtime_is_left_alone(project: Project) -> None:
    serves = project.config["environments"]["blue"]["release"]
    other = "2.0.0" if serves == release("1.0.0") else "1.0.0"
    project.edit({"rollout": {"strategy": "canary"}})
    with users(project.url) as seen:
        code, said = project.run("rollout", "start", "--strategy", "recreate", "--release", f"digits-{other}")
        assert code == 2
        assert "does not accept downtime" in said
        project.edit({"environments": {"blue": {"release": release(other)}}})
        code, said = project.run("up")
    assert code == 3
    assert "its release stays" in said
    assert seen.statuses == {200}
