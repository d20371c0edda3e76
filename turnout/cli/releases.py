"""`turnout releases`: manifests, where they run, and what happened to them."""

import re
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from turnout_components.live import utc_now
from turnout_components.release import ReleaseError, name_of, parse
from turnout_components.switch_record import Operator, SwitchRecord

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.stacks import Stack

_HISTORY_SHOWN = 12
_DIGEST = re.compile("@sha256:[0-9a-f]{64}")


def show(stack: str) -> None:
    """Prints releases and history."""
    session = Session(stack)
    found = gather(session.stack, session.access().store.read())
    out = screen()
    out.result(found)
    if not out.as_json:
        out.show(_releases_table(found))
        for row in found["releases"]:
            if row["id"]:
                out.line(row["id"])
        out.show(_history_table(found))


def accept(stack: str, release: str) -> None:
    """Takes the unstable mark off a release.

    Raises `CommandFailed` when it has none."""
    session = Session(stack)
    store = session.access().store
    by = str(Operator.current())

    def accepted(record: SwitchRecord) -> SwitchRecord:
        try:
            return record.accepted(release, utc_now(), by)
        except KeyError:
            marked = ", ".join(mark.release for mark in record.unstable.values()) or "none"
            raise CommandFailed(Exit.REFUSED, f"{release} is not marked unstable; marked: {marked}") from None

    store.update(accepted)
    screen().line(f"{release} may carry traffic again")
    screen().result({"accepted": release, "by": by})


def gather(stack: Stack, record: SwitchRecord | None) -> dict[str, Any]:
    """The document of `turnout releases list --json` (docs/cli.md)."""
    running: dict[str, list[str]] = {}
    for name, state in (record.environments if record and record.traffic else {}).items():
        if state.release:
            running.setdefault(state.release, []).append(name)
    unstable = record.unstable if record else {}
    releases: list[dict[str, Any]] = []
    for path in sorted(stack.releases.glob("*.yaml")):
        try:
            release = parse(path)
        except ReleaseError as error:
            nothing: dict[str, Any] = {"id": None, "model": None, "runs_in": [], "unstable": None}
            releases.append({"name": path.stem, **nothing, "fault": str(error)})
            continue
        mark = unstable.get(release.digest)
        releases.append(
            {
                "name": release.name,
                "id": release.id,
                "model": f"{release.model.name} {release.model.version}",
                "runs_in": running.pop(release.id, []),
                "unstable": mark.reason if mark else None,
                "fault": None,
            }
        )
    gone = [{"id": release, "runs_in": names} for release, names in running.items()]
    history = [entry.model_dump(mode="json") for entry in reversed(record.history)] if record else []
    return {"folder": str(stack.releases), "releases": releases, "without_manifest": gone, "history": history}


def _releases_table(found: dict[str, Any]) -> Table:
    table = Table(title="releases", title_justify="left")
    for column in ("name", "model", "runs in", "note"):
        table.add_column(column, overflow="fold")
    for row in found["releases"]:
        table.add_row(row["name"], row["model"] or "–", ", ".join(row["runs_in"]) or "–", _note(row))
    for row in found["without_manifest"]:
        table.add_row(_name(row["id"]), "–", ", ".join(row["runs_in"]), "[yellow]its manifest is gone or changed[/]")
    return table


def _note(row: dict[str, Any]) -> str:
    if row["fault"]:
        return f"[red]{escape(row['fault'])}[/]"
    return f"[yellow]unstable: {escape(row['unstable'])}[/]" if row["unstable"] else ""


def _history_table(found: dict[str, Any]) -> Table:
    table = Table(title="history, newest first", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("at (UTC)", "what", "environments", "by", "note"):
        table.add_column(column, overflow="fold")
    for entry in found["history"][:_HISTORY_SHOWN]:
        weights = entry["traffic"]["weights"] if entry["traffic"] else {}
        environments = "\n".join(f"{n} {weights.get(n, 0):>3} % {_name(r)}" for n, r in entry["releases"].items())
        at = entry["at"][5:19].replace("T", " ")
        note = _DIGEST.sub("", entry["note"])
        table.add_row(at, entry["kind"], environments or "–", escape(entry["by"].partition(" ")[0]), escape(note))
    return table


def _name(release: str | None) -> str:
    return name_of(release) if release else "–"
