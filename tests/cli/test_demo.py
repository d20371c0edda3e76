"""The demo as a newcomer runs it: what it reports, and that nothing is left of it, whatever ends it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
STACK_FILE = ROOT / "stacks" / "Pulumi.local.yaml"


class Demo:
    """`turnout demo` in a process of its own, with its home in a temporary folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = folder / "home"
        self.report = folder / "report.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "turnout", "demo", "--report", str(self.report), *options],
            cwd=ROOT,
            env={**os.environ, "TURNOUT_HOME": str(self.home), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"the demo ended before {text!r}:\n{self.output}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=60)[0]
        return self.process.returncode

    def left(self) -> list[str]:
        """Processes that have this demo's home in command line or environment."""
        return [" ".join(p.cmdline()) for p in psutil.process_iter() if p.pid != os.getpid() and self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return str(self.home) in "\n".join([*process.cmdline(), *process.environ().values()])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    if demo.process.poll() is None:
        demo.end(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_story_loses_nothing_flips_rolls_back_and_leaves_nothing(demo: Demo) -> None:
    config = STACK_FILE.read_text()
    output = demo.process.communicate(timeout=200)[0]
    assert demo.process.returncode == 0, output
    report = json.loads(demo.report.read_text())
    assert report["result"] == "passed"
    assert report["requests_lost"] == 0
    assert report["requests_sent"] > 1000
    assert report["requests_failed"] > 0
    assert report["weights_after_rollback"] == {"blue": 0, "green": 100}
    assert [name.partition("@")[0] for name in report["unstable"]] == ["digits-3.0.0-bad"]
    assert report["releases"]["2.0.0"]["accuracy"] > report["releases"]["1.0.0"]["accuracy"]
    phases = {phase["name"]: phase for phase in report["phases"]}
    assert phases["1.0.0 on blue"]["shares"] == {"blue": 1.0, "green": 0.0}
    assert phases["2.0.0 on green"]["shares"] == {"blue": 0.0, "green": 1.0}
    assert phases["recovered"]["failed"] == 0
    assert phases["3.0.0-bad on blue"]["latency"]["p50_ms"] > phases["recovered"]["latency"]["p50_ms"]
    assert STACK_FILE.read_text() == config
    assert demo.left() == []
    assert not demo.home.exists() or list(demo.home.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_language_models_streams_end_whole_through_the_same_story(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--model", "llm")
    output = demo.process.communicate(timeout=240)[0]
    assert demo.process.returncode == 0, output
    report = json.loads(demo.report.read_text())
    assert (report["result"], report["requests_lost"]) == ("passed", 0)
    streams = report["streams"]
    assert (streams["cut"], streams["across_flips_cut"]) == (0, 0)
    assert streams["whole"] == streams["total"] >= 30
    assert streams["across_flips"] >= 1
    assert streams["ttft_p95_ms"] > streams["ttft_p50_ms"] > streams["tpot_p50_ms"] > 0
    assert report["requests_failed"] >= 2
    assert report["weights_after_rollback"] == {"blue": 0, "green": 100}
    assert [name.partition("@")[0] for name in report["unstable"]] == ["smol-3.0.0-bad"]
    phases = {phase["name"]: phase for phase in report["phases"]}
    assert phases["3.0.0-bad on blue"]["streams"]["ttft_p50_ms"] > 2 * phases["2.0.0 on green"]["streams"]["ttft_p50_ms"]
    assert phases["recovered"]["shares"] == {"blue": 0.0, "green": 1.0}
    assert demo.left() == []


def test_a_model_that_nobody_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--model", "gpt")
    output = demo.process.communicate(timeout=60)[0]
    assert demo.process.returncode == 2
    assert "choose one of: digits, llm" in output


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting", "1/8", " create in", "3/8", "7/8"])
def test_an_interrupt_ends_everything_and_the_exit_code_says_so(demo: Demo, moment: str) -> None:
    demo.read_until(moment)
    assert demo.end(signal.SIGINT) == 130, demo.output
    assert "interrupted; everything that the demo had started is ended" in demo.output
    assert "Traceback" not in demo.output
    assert demo.left() == []
    assert not demo.home.exists() or list(demo.home.iterdir()) == []


@pytest.mark.slow
def test_a_run_after_a_kill_cleans_up_and_works(demo: Demo, tmp_path: Path) -> None:
    demo.read_until("3/8")
    assert demo.end(signal.SIGKILL) == -signal.SIGKILL
    again = Demo(tmp_path)
    again.read_until("2/8")
    assert again.end(signal.SIGINT) == 130, again.output
    assert again.left() == []
