"""The demo's folder: a project of its own, children that end with it, and a start after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from tests.running import running
from turnout import stacks
from turnout.demo.home import DemoHome, DemoRunning

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def test_the_copied_project_runs_the_real_program_with_a_config_of_its_own(project: Path, tmp_path: Path) -> None:
    home = DemoHome(tmp_path / "home" / "demo")
    source = stacks.load(project, "local")
    before = source.file.read_text()
    home.write_project(source, lambda config: config.update(traffic={"active": "blue"}))
    copied = stacks.load(home.project, "local")
    assert (copied.active, copied.releases) == ("blue", project / "releases")
    assert yaml.safe_load((home.project / "Pulumi.yaml").read_text())["main"] == str(project / "infra")
    assert source.file.read_text() == before
    home.close(keep=False)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_second_demo_is_refused_while_one_runs(tmp_path: Path) -> None:
    home = DemoHome(tmp_path / "demo")
    with pytest.raises(DemoRunning, match="another demo"):
        DemoHome(tmp_path / "demo")
    home.close(keep=False)
    DemoHome(tmp_path / "demo").close(keep=False)


def test_closing_ends_every_child_and_logs_can_be_kept(tmp_path: Path) -> None:
    home = DemoHome(tmp_path / "demo")
    children = [home.spawn(SLEEPER, tmp_path, leashed) for leashed in (True, False)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
    home.close(keep=True)
    assert all(child.poll() is not None for child in children)
    assert home.log.exists()


def test_closing_ends_what_nobody_holds_and_nothing_that_ran_before(tmp_path: Path) -> None:
    """A test's session has clusters that other tests share; an interrupt leaves children that nobody has noted."""
    with subprocess.Popen(SLEEPER) as before:
        home = DemoHome(tmp_path / "demo")
        shell = ["sh", "-c", '"$@" & echo $!; wait', "sh", *SLEEPER]
        with subprocess.Popen(shell, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            started = [psutil.Process(parent.pid), psutil.Process(int(parent.stdout.readline()))]
            home.close(keep=False)
        left = running(started)
        is_kept = before.poll() is None
        before.kill()
    assert left == []
    assert is_kept


@pytest.mark.parametrize("leashed", [True, False])
def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path, leashed: bool) -> None:
    code = (
        "import sys; from pathlib import Path; from turnout.demo.home import DemoHome\n"
        f"home = DemoHome(Path(sys.argv[1])); child = home.spawn({SLEEPER!r}, Path('.'), {leashed})\n"
        "child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "demo")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = psutil.Process(int(run.stdout.readline()))
        (tmp_path / "demo" / "project").mkdir()
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    home = DemoHome(tmp_path / "demo")
    assert running([child]) == []
    assert not home.project.exists()
    home.close(keep=False)
