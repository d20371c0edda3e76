"""Ctrl-C, by real signals to a real `turnout up`, while a call to the cloud hangs; then the next `up` takes the state up."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
import yaml

from benchmarks.waiting import wait_for
from tests.cli.conftest import STACK
from tests.engine.aws_project import Moto, write_project
from tests.running import running

CHAIN = """
import asyncio, pathlib
first = LogGroup("first", name="first", opts=on())
async def later(arn):
    while not pathlib.Path(os.environ["GO_ON"]).exists():
        await asyncio.sleep(0.02)
    return arn
LogGroup("second", name="second", tags={"after": first.arn.apply(later)}, opts=on())
"""


class Project:
    """A project with the stack local, and its account in a moto of its own."""

    def __init__(self, folder: Path, moto: Moto) -> None:
        self.folder = folder
        self.moto = moto
        write_project(folder, CHAIN)
        config = {key.replace("turnout:", "shop:"): value for key, value in STACK["config"].items()}
        (folder / "stacks" / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))
        self.log = folder / "said"

    def up(self) -> subprocess.Popen[bytes]:
        env = {**os.environ, "TURNOUT_LOCAL_ENDPOINT": self.moto.endpoint, "GO_ON": str(self.folder / "go-on")}
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        with self.log.open("wb") as said:
            command = [sys.executable, "-m", "turnout", "up"]
            return subprocess.Popen(command, cwd=self.folder, env=env, stdout=said, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return self.log.read_text()

    def has_begun(self, name: str) -> bool:
        journal = self.folder / ".turnout/stacks/shop/local/journal.jsonl"
        return journal.exists() and any(f"::{name}" in line for line in journal.read_text().splitlines())

    def groups(self) -> list[str]:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        logs = boto3.client("logs", endpoint_url=self.moto.endpoint, **keys)
        return sorted(each["logGroupName"] for each in logs.describe_log_groups()["logGroups"])


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[tuple[Project, subprocess.Popen[bytes]]]:
    """An `up` in the middle of making `second`, which hangs: the cloud is stopped."""
    with Moto() as moto:
        project = Project(tmp_path, moto)
        process = project.up()
        try:
            wait_for("first group", lambda: re.search(r"created .*LogGroup +first", project.said()) is not None)
            moto.stop()
            (tmp_path / "go-on").touch()
            wait_for("second group under way", lambda: project.has_begun("second"))
            yield project, process
        finally:
            moto.go_on()
            process.kill()
            process.wait()


def test_ctrl_c_waits_for_the_call_under_way_and_twice_ends_at_once(stuck: tuple[Project, subprocess.Popen[bytes]]) -> None:
    project, process = stuck
    program = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    wait_for("the first Ctrl-C's answer", lambda: "Ctrl-C again ends at once" in project.said())
    assert process.poll() is None

    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 130
    assert "interrupted again: ended at once" in project.said()
    assert "Traceback" not in project.said()
    wait_for("end of the program", lambda: not running(program))
    project.moto.go_on()
    wait_for("both groups", lambda: project.groups() == ["first", "second"])  # the call had gone out
    assert project.up().wait(60) == 0, project.said()
    assert "adopted second: an interrupted update had made it" in project.said()
    assert project.groups() == ["first", "second"]


def test_ctrl_c_once_ends_when_the_call_under_way_has_ended(stuck: tuple[Project, subprocess.Popen[bytes]]) -> None:
    project, process = stuck
    process.send_signal(signal.SIGINT)
    wait_for("the first Ctrl-C's answer", lambda: "Ctrl-C again ends at once" in project.said())
    project.moto.go_on()

    assert process.wait(60) == 130

    assert "error: interrupted: what was begun has ended, what was made is in the state" in project.said()
    assert "Traceback" not in project.said()
    assert project.groups() == ["first", "second"]
    assert project.up().wait(60) == 0, project.said()
    assert "no changes, 4 resources as they should be" in project.said()
