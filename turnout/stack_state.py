"""What an engine keeps of a stack: outputs, history, the state itself and who holds it, by Pulumi's Automation API.

The same commands go to Pulumi and to the local engine (`deploy.engine_of`); no cloud is asked, so none needs to run. Secrets
stay as the engine encrypts them: nothing here asks for them in the open.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout.deploy import check, engine_of, failure, options
from turnout.stacks import Stack

if TYPE_CHECKING:
    from pulumi import automation as auto


class StateFailed(Exception):
    """The engine refused or failed; `code` is the exit code of docs/cli.md."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Kept:
    """A stack that the engine knows."""

    name: str
    resources: int | None
    """None where the engine cannot say."""
    updated: datetime | None
    held: bool
    """An update of it runs."""


@dataclass(frozen=True)
class Update:
    """An update that has ended, or runs (`ended` is None)."""

    version: int | None
    kind: str
    result: str
    began: datetime
    ended: datetime | None
    message: str
    changes: Mapping[str, int]


class StackState:
    """One stack's state on its engine. Every method raises `StateFailed`.

    Raises `DeployError` where no engine on this machine may touch the stack."""

    def __init__(self, stack: Stack, home: Path, engine: str | None = None) -> None:
        self.engine = engine or engine_of(stack)
        check(stack, "refresh", self.engine)
        self._stack = stack
        self._home = home

    @cached_property
    def _workspace(self) -> "auto.LocalWorkspace":
        from pulumi import automation as auto

        given = options(self.engine, self._home, {})
        return auto.LocalWorkspace(work_dir=str(self._stack.root), pulumi_command=given.pulumi_command, env_vars=given.env_vars)

    def all(self) -> list[Kept]:
        """Every stack of the project that this engine keeps."""
        from pulumi.automation.errors import CommandError

        try:
            found = self._workspace.list_stacks()
        except CommandError as error:
            raise _failed(error) from None
        return [Kept(s.name, s.resource_count, _utc(s.last_update), bool(s.update_in_progress)) for s in found]

    def history(self, newest: int) -> list[Update]:
        """The newest updates, the last one first."""
        size = ["--page-size", str(newest), "--page", "1"]
        entries = json.loads(self._run("stack", "history", "--json", *size))
        return [
            Update(
                version=entry.get("version"),
                kind=entry["kind"],
                result=entry["result"],
                began=datetime.fromisoformat(entry["startTime"]),
                ended=datetime.fromisoformat(entry["endTime"]) if "endTime" in entry else None,
                message=entry.get("message", ""),
                changes=entry.get("resourceChanges") or {},
            )
            for entry in entries
        ]

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secret ones as `[secret]`."""
        return dict(json.loads(self._run("stack", "output", "--json")))

    def export(self) -> dict[str, Any]:
        """The state as a Pulumi deployment, its secrets encrypted."""
        return dict(json.loads(self._run("stack", "export")))

    def replace(self, file: Path) -> None:
        """Puts an export in the place of the state."""
        self._run("stack", "import", "--file", str(file.resolve()))

    def cancel(self) -> str:
        """Stops the update that holds the stack, or takes away the name that a dead one left; returns what the engine said."""
        return self._run("cancel", "--yes")

    def _run(self, *words: str) -> str:
        from pulumi.automation.errors import CommandError, StackNotFoundError

        workspace = self._workspace
        arguments = [*words, "--stack", self._stack.name]
        try:
            done = workspace.pulumi_command.run(arguments, str(self._stack.root), dict(workspace.env_vars))
        except StackNotFoundError:
            where = f"the {self.engine} keeps no stack {self._stack.name}"
            raise StateFailed(f"{where}: nothing was deployed here, or it was removed; `turnout up` makes it", 2) from None
        except CommandError as error:
            raise _failed(error) from None
        return str(done.stdout)


def _utc(moment: datetime | None) -> datetime | None:
    """The Automation API gives a stack's last update in UTC and without saying so (`StackSummary`)."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _failed(error: Exception) -> StateFailed:
    code, lines = failure(error)
    return StateFailed("\n".join(lines) or str(error), code)
