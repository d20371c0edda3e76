"""`turnout refresh` and `turnout stack …`: drift, outputs, history, the state as a file, and who holds it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute
from turnout.cli.session import Session, screen
from turnout.deploy import Outcome
from turnout.stack_state import StackState, StateFailed


def refresh(stack: str, preview: bool) -> None:
    """Shows the drift and, without `preview`, takes it into the state."""
    outcome = execute(Session(stack), "preview_refresh" if preview else "refresh")
    if outcome.code:
        raise CommandFailed(Exit(outcome.code), outcome.reason or "refresh failed")
    out = screen()
    out.line(_summary(outcome))
    drift = [
        {"urn": urn, "type": urn.split("::")[2].rpartition("$")[2], "gone": not lines, "properties": list(lines)}
        for urn, lines in outcome.drift.items()
    ]
    done = {"operation": "refresh", "engine": outcome.engine, "preview": preview, "seconds": outcome.seconds}
    out.result({**done, "drift": drift})


def _summary(outcome: Outcome) -> str:
    gone = sum(not lines for lines in outcome.drift.values())
    changed = len(outcome.drift) - gone
    taken = (
        "the state is as it was" if outcome.operation == "preview_refresh" else "the state has it now; `turnout up` undoes it"
    )
    what = f"drift: {changed} changed, {gone} gone; {taken}" if outcome.drift else "no drift: the cloud is as the state has it"
    return f"{what} ({outcome.seconds:.1f} s, {outcome.engine})"


def show_stacks(stack: str) -> None:
    """A row for each stack of the engine."""
    with _state(stack) as state:
        found = state.all()
    screen().result([{**asdict(each), "engine": state.engine} for each in found])
    rows = [
        (each.name, _at(each.updated), "–" if each.resources is None else str(each.resources), "yes" if each.held else "no")
        for each in found
    ]
    _table(f"stacks of the {state.engine}", ("stack", "last update", "resources", "held"), rows)


def show_history(stack: str, newest: int) -> None:
    """A row for each update."""
    with _state(stack) as state:
        found = state.history(newest)
    screen().result([asdict(each) for each in found])
    rows = [
        (str(each.version or "–"), each.kind, each.result, _at(each.ended), _changes(each.changes), each.message)
        for each in found
    ]
    _table(f"updates of {stack} by the {state.engine}", ("version", "kind", "result", "ended", "changes", "message"), rows)


def show_outputs(stack: str, name: str | None) -> None:
    """All outputs or one; for people a line each."""
    with _state(stack) as state:
        found = state.outputs()
    if name is not None and name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise CommandFailed(Exit.REFUSED, f"stack {stack} has no output {name}; outputs: {known}")
    screen().result(found if name is None else found[name])
    if name is not None:
        screen().line(_text(found[name]))
        return
    for each in sorted(found):
        screen().line(f"{each}: {_text(found[each])}")


def export(stack: str, file: Path | None) -> None:
    """Writes the deployment to a file that only its owner reads, or to stdout."""
    with _state(stack) as state:
        deployment = state.export()
    if file is None:
        print(json.dumps(deployment, indent=2), flush=True)
        return
    try:
        _write(file, json.dumps(deployment, indent=2) + "\n")
    except OSError as error:
        raise CommandFailed(Exit.REFUSED, f"{file} cannot be written: {error.strerror}; name another with --file") from None
    count = len(deployment["deployment"].get("resources") or ())
    screen().line(f"{count} resources of stack {stack} are in {file}; secrets in it are encrypted by the stack's passphrase")
    screen().result({"file": str(file), "resources": count})


def _write(file: Path, text: str) -> None:
    """Also where others could read the file until now; what is no file, as /dev/stdout, keeps its mode."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as written:
        if file.is_file():
            os.fchmod(written.fileno(), 0o600)
        written.write(text)


def replace(stack: str, file: Path) -> None:
    """Imports an export."""
    with _state(stack) as state:
        state.replace(file)
    screen().line(f"the state of stack {stack} is that of {file}; `turnout refresh --preview` compares it with the cloud")
    screen().result({"stack": stack, "imported": str(file)})


def cancel(stack: str) -> None:
    """Stops what holds the stack."""
    with _state(stack) as state:
        said = state.cancel()
    screen().line(said.strip())
    screen().result({"stack": stack, "cancelled": True})


@contextmanager
def _state(stack: str) -> Iterator[StackState]:
    session = Session(stack)
    try:
        yield StackState(session.stack, session.home)
    except StateFailed as failed:
        raise CommandFailed(Exit(failed.code), str(failed)) from None


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    screen().show(table)


def _changes(changes: Any) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in changes.items() if operation != "same") or "none"


def _at(moment: datetime | None) -> str:
    return "–" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
