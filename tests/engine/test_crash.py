"""kill -9 of the engine at every point of a step: the next run ends in the same state and nothing is made twice."""

import subprocess
import sys
from pathlib import Path

import pytest

BEFORE = 'a = Thing("a", size=1, color="red", opts=on())\nThing("gone", opts=on())'
AFTER = 'a = Thing("a", size=2, color="red", opts=on())\nb = Thing("b", tags={"a": a.serial}, opts=on())'
REPLACED = AFTER.replace("red", "blue")

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from conftest import Bench
from memory import MemoryCloud
folder = Path({folder!r})
Bench(folder, MemoryCloud(folder / "cloud.json", die_at={point!r})).up({body!r})
"""


def killed_up(folder: Path, body: str, point: str) -> int:
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(folder), point=point, body=body)
    return subprocess.run([sys.executable, "-c", script], timeout=60, check=False, cwd=Path(__file__).parents[2]).returncode


@pytest.mark.parametrize(
    ("body", "point"),
    [
        (AFTER, "create:before:1"),
        (AFTER, "create:after:1"),
        (AFTER, "update:before:1"),
        (AFTER, "update:after:1"),
        (AFTER, "delete:before:1"),
        (AFTER, "delete:after:1"),
        (REPLACED, "create:after:1"),
        (REPLACED, "create:after:2"),
        (REPLACED, "delete:after:1"),
        (REPLACED, "delete:before:2"),
    ],
)
def test_the_run_after_a_kill_ends_as_if_there_had_been_none(make_bench, tmp_path, body, point):
    assert make_bench().up(BEFORE).exit_code == 0
    assert killed_up(tmp_path, body, point) == -9
    bench = make_bench()
    assert bench.up(body).exit_code == 0, bench.said()
    assert sorted(o["inputs"]["name"].split("-")[0] for o in bench.cloud.objects().values()) == ["a", "b"]
    assert bench.things()["a"]["inputs"]["size"] == 2
    assert bench.up(body).changes == {"same": 4}
    assert bench.store().load().pending == []


def test_a_preview_after_a_kill_tells_what_was_interrupted_and_settles_nothing(make_bench, tmp_path):
    assert make_bench().up(BEFORE).exit_code == 0
    assert killed_up(tmp_path, AFTER, "create:after:1") == -9
    bench = make_bench()
    assert bench.preview(AFTER).exit_code == 0
    assert bench.said("warning") == "an update was interrupted at its create: the next up or refresh looks for what it did\n"
    assert bench.deployment().preview_refresh().exit_code == 0
    assert "interrupted at its create" in bench.said("warning")
    assert [operation.state.name for operation in bench.store().load().pending] == ["b"]
    assert bench.deployment().refresh().exit_code == 0
    assert bench.store().load().pending == []
    assert bench.preview(AFTER).changes == {"same": 4, "delete": 1}
    assert bench.said("warning") == ""
