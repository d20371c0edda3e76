"""What commands write: tables and lines for people, or one JSON document for programs."""

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


UNCUT = 100_000
"""Columns where no terminal sets a limit: what goes into a file or another program is never cut, nor broken."""


class Screen:
    """Where one command's output goes. With `as_json` stdout has the document alone, and progress goes to stderr."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @property
    def console(self) -> "Console":
        """The console for progress, a line for each thing."""
        from rich.console import Console

        return Console(file=sys.stderr if self.as_json else sys.stdout, highlight=False, soft_wrap=True)

    @property
    def tables(self) -> "Console":
        """The console for what has columns: on a terminal words wrap at its width, elsewhere every row is one line."""
        from rich.console import Console

        found = Console(highlight=False)
        return found if found.is_terminal else Console(highlight=False, width=UNCUT)

    def line(self, text: str) -> None:
        """A plain line for people; nothing in JSON."""
        if not self.as_json:
            print(text, flush=True)

    def show(self, renderable: "RenderableType") -> None:
        """A table or the like for people; nothing in JSON."""
        if self.as_json:
            return
        console = self.tables
        with console.capture() as shown:
            console.print(renderable)
        print("\n".join(line.rstrip() for line in shown.get().splitlines()), flush=True)

    def result(self, document: Any) -> None:
        """The JSON document; nothing for people."""
        if self.as_json:
            print(json.dumps(document, indent=2, default=_plain), flush=True)

    def told(self, code: int, message: str) -> None:
        """What went wrong, as JSON on stdout."""
        print(json.dumps({"error": {"code": int(code), "message": message}}, indent=2), flush=True)

    def error(self, code: int, message: str) -> None:
        """What went wrong: on stderr, and in JSON as `{"error": {"code", "message"}}` on stdout."""
        if self.as_json:
            self.told(code, message)
        lines = message.splitlines() or [message]
        print("\n".join([f"error: {lines[0]}", *(f"       {line}" for line in lines[1:])]), file=sys.stderr, flush=True)


def _plain(value: Any) -> str:
    """Times as ISO 8601 writes them; of everything else its text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
