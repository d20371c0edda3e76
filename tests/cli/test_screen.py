"""What a terminal of any width and a pipe get of tables: words wrap, and nothing is lost."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text
from turnout_components.items import create_table
from turnout_components.switch_record import Operator

from tests.cli.conftest import BEGAN, begun
from turnout.analysis.measurement import Judgement, Verdict
from turnout.analysis.said import BOUND_VERDICTS, UNKNOWN, VERDICTS
from turnout.cli import rollout_view as view
from turnout.cli.screen import Screen
from turnout.rollout.status import Event, Lease, RolloutStatus, State

WHY = "errors: worse for certain: " + " ".join(f"word{number}" for number in range(120))
ME = Operator.current()


def rollout(**fields: object) -> RolloutStatus:
    events = tuple(Event(at=BEGAN, what=f"event {number} happened", why=WHY) for number in range(20))
    judgements = (Judgement("errors", Verdict.FAIL, WHY), Judgement("latency", Verdict.PASS, f"latency: {WHY}"))
    status = begun(events=events, judgements=judgements)
    return status.changed(**fields)


def words(text: str) -> list[str]:
    return re.sub(r"[^\w:.%-]+", " ", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)).split()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """What is written is taken for a terminal of so many columns."""

    def of(columns: int) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return of


@pytest.mark.usefixtures("terminal")
def test_what_is_piped_is_neither_cut_nor_broken(capsys: pytest.CaptureFixture[str]) -> None:
    status = rollout(cause=WHY)
    Screen().show(view.status(status, waits=WHY))
    Screen().show(view.history([status.changed(state=State.TAKEN_BACK, ended=BEGAN)]))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("why: ")] == [f"why: {WHY}"]
    assert f"waits: {WHY}" in lines
    assert [line.endswith(WHY) for line in lines if line.startswith("03:00:00")] == [True] * 12
    assert lines[-1] == f"{status.id}  taken back  canary on green, began 2026-01-02 03:00 UTC, took 0s: {WHY}"
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [50, 80, 133])
def test_on_a_terminal_words_wrap_at_its_width_and_none_is_lost(
    columns: int, terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    status = rollout(cause=WHY)
    Screen().show(view.status(status, waits=WHY))
    piped = words(capsys.readouterr().out)
    terminal(columns)
    Screen().show(view.status(status, waits=WHY))
    shown = capsys.readouterr().out
    assert max(len(Text.from_ansi(line)) for line in shown.splitlines()) <= columns
    assert sorted(words(shown)) == sorted(piped)


@pytest.mark.parametrize("lines", [50, 90, 300])
def test_what_is_watched_fits_the_terminal_and_keeps_the_newest(lines: int) -> None:
    console = Console(width=100, height=lines, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    shown = console.render_lines(view.watched(rollout(), "something", console))
    text = "\n".join("".join(segment.text for segment in line) for line in shown)
    assert len(shown) < lines
    assert "event 19 happened" in text
    assert ("event 8 happened" in text) == (lines == 300)


def test_the_status_says_who_drives_and_how_to_when_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "now", lambda: BEGAN)

    def said(lease: Lease | None) -> list[str]:
        return [str(part) for part in view.status(rollout(lease=lease)).renderables]  # type: ignore[attr-defined]  # rich's group

    held = Lease(by=ME, token="mine", expires=BEGAN + timedelta(seconds=9))
    assert f"driven by {ME}" in said(held)
    assert view.document(rollout(lease=held))["driven_by"] == str(ME)
    gone = held.model_copy(update={"expires": BEGAN})
    assert f"! {ME} drove it and is gone: `turnout rollout run` drives it on" in said(gone)
    assert view.document(rollout(lease=gone))["driven_by"] is None
    assert any(line.startswith("nobody drives it just now") for line in said(None))
    over = rollout(state=State.PROMOTED, ended=BEGAN, lease=held)
    assert not [part for part in view.status(over).renderables if "drive" in str(part)]  # type: ignore[attr-defined]  # as above


def test_a_reader_that_has_enough_is_no_defect(project: Path, aws: Callable[[str], Any]) -> None:
    """As in `turnout rollout history | head -1`."""
    create_table(aws("dynamodb"), "turnout-switch", protect=False)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "turnout", "rollout", "history"]
    done = subprocess.run(command, cwd=project, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_the_docs_say_of_a_rollouts_document_is_in_it() -> None:
    text = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    told = text.partition("`note`: the rollout: ")[2].partition("\n- ")[0]
    told = re.sub(r"\([^)]*\)", "", told)
    named = set(re.findall(r"`(\w+)`", told))
    assert {"id", "state", "waits", "driven_by", "checklist", "judgements"} <= named
    assert named <= view.document(rollout()).keys()


def test_the_page_for_who_was_paged_has_the_words_of_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join((Path(__file__).parents[2] / "docs/when-paged.md").read_text().split())
    monkeypatch.setattr(view, "now", lambda: BEGAN)
    alone, dead = (
        str(view.status(rollout(lease=lease)).renderables[1])  # type: ignore[attr-defined]  # rich's group
        for lease in (None, Lease(by=Operator(name="ann", host="ci-1", pid=8750), token="t", expires=BEGAN))
    )
    assert dead in text
    assert alone.partition(":")[0] in text
    for words in (VERDICTS[Verdict.FAIL], BOUND_VERDICTS[Verdict.FAIL], f"inconclusive: … {UNKNOWN}"):
        assert f"`{words}`" in text
