"""Ctrl-C in mid-update. Once: what was begun ends, nothing more begins, the state is whole. Twice: it ends at once, and
the next run finds what was under way. The program is gone both times."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from benchmarks.waiting import wait_for
from tests.running import running

BODY = 'a = Thing("a", opts=on())\nb = Thing("b", tags={"a": a.serial}, opts=on())\nThing("c", tags={"b": b.serial}, opts=on())'
SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
import memory
from conftest import Bench
folder = Path({folder!r})
def slow(cloud, point):
    if point == "create:after" and cloud.calls[-1] == "create b":
        (folder / "under-way").touch()
        while not (folder / "go-on").exists():
            time.sleep(0.02)
memory.MemoryCloud.point = slow
bench = Bench(folder, memory.MemoryCloud(folder / "cloud.json"))
result = bench.up({body!r})
print(bench.said("warning"), bench.said(), flush=True)
sys.exit(result.exit_code)
"""


@pytest.fixture
def engine(tmp_path):
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(tmp_path), body=BODY)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_step_under_way_and_begins_no_other(engine, tmp_path, make_bench, number):
    wait_for("call under way", (tmp_path / "under-way").exists)
    program = psutil.Process(engine.pid).children(recursive=True)
    assert program
    engine.send_signal(number)
    wait_for("end of the program", lambda: not any(p.is_running() for p in program))
    (tmp_path / "go-on").touch()
    output, _ = engine.communicate(timeout=30)
    assert engine.returncode == 130
    assert "interrupted: what was begun has ended" in output
    assert "Ctrl-C again ends at once" in output
    bench = make_bench()
    assert set(bench.things()) == {"a", "b"}
    assert {s.name for s in bench.store().load().resources} >= {"a", "b"}
    assert bench.up(BODY).changes == {"same": 4, "create": 1}


def test_a_second_ctrl_c_ends_at_once_and_the_next_run_finds_what_was_under_way(engine, tmp_path, make_bench):
    wait_for("call under way", (tmp_path / "under-way").exists)
    program = psutil.Process(engine.pid).children(recursive=True)
    engine.send_signal(signal.SIGINT)
    wait_for("end of the program", lambda: not any(p.is_running() for p in program))
    engine.send_signal(signal.SIGINT)
    _, said = engine.communicate(timeout=30)  # `go-on` is not there: the step under way never ends
    assert engine.returncode == 130
    assert "interrupted again: ended at once" in said
    assert "Traceback" not in said
    bench = make_bench()
    assert set(bench.things()) == {"a", "b"}
    assert [operation.state.name for operation in bench.store().load().pending] == ["b"]
    assert bench.store().holder() is None
    assert bench.up(BODY).changes == {"same": 4, "create": 1}
    assert "adopted" in bench.said("info")
    assert len(bench.cloud.objects()) == 3


def test_a_killed_engine_takes_its_program_with_it(engine, tmp_path):
    wait_for("call under way", (tmp_path / "under-way").exists)
    program = psutil.Process(engine.pid).children(recursive=True)
    engine.kill()
    wait_for("end of the program", lambda: not running(program))


def test_a_signal_that_interrupts_no_call_is_heard_while_the_program_runs(bench, tmp_path):
    """It comes to another thread: the main one, which alone runs handlers, is in a call that nothing interrupts."""

    def interrupt() -> None:
        wait_for("holder of the lock", lambda: "running" in bench.said("info"))
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    result = bench.up(f"""
        import asyncio, pathlib

        async def sleep():
            print("running", flush=True)
            await asyncio.sleep(30)
            pathlib.Path({str(tmp_path / "slept")!r}).touch()

        pulumi.export("never", Output.from_input(sleep()))
    """)
    other.join()
    assert result.exit_code == 130
    assert not (tmp_path / "slept").exists()
