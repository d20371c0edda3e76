"""A program's process that is started before its order is known."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from turnout.engine.program import LocalProgram


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE}


def test_a_begun_program_runs_as_any_other(bench: Any) -> None:
    with closing(bench.program('Thing("a", size=1, opts=on())').begun()) as begun:
        result = bench.deployment().up(begun)

    assert (result.exit_code, result.changes.get("create")) == (0, 3), result
    assert set(bench.things()) == {"a"}


def test_a_programs_own_package_is_its_own_whatever_stands_ready_for_tests(bench: Any) -> None:
    own = bench.folder / "infra"
    own.mkdir()
    (own / "__init__.py").write_text("SIZE = 7\n")
    result = bench.up('import infra\nThing("a", size=infra.SIZE, opts=on())')

    assert result.exit_code == 0, bench.said()
    assert bench.things()["a"]["inputs"]["size"] == 7


@pytest.mark.usefixtures("started_programs")
def test_a_begun_program_without_an_order_ends_when_it_is_closed(tmp_path: Path) -> None:
    before = children()
    begun = LocalProgram(tmp_path / "main.py", tmp_path).begun()
    assert len(children() - before) == 1

    begun.close()

    assert children() == before


def test_a_begun_program_ends_with_an_engine_that_never_had_an_order(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "turnout.engine.launch"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
