"""What every command shares: its options, and the stack and cloud that they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from turnout.cli.screen import Screen

if TYPE_CHECKING:
    from turnout.access import Access
    from turnout.stacks import Stack

_screen = Screen()


def _choose_output(as_json: bool) -> bool:
    _screen.as_json = as_json
    return as_json


StackOption = Annotated[str, typer.Option("--stack", "-s", envvar="TURNOUT_STACK", help="The stack to work on.")]
JsonOption = Annotated[
    bool,
    typer.Option("--json", is_eager=True, callback=_choose_output, help="One JSON document on stdout (docs/cli.md)."),
]


def screen() -> Screen:
    """The screen of the command that runs."""
    return _screen


class Session:
    """The project around the current folder, and one of its stacks.

    Raises `StackError` where either cannot be used."""

    def __init__(self, stack: str) -> None:
        from turnout import stacks

        self.root = stacks.find_root(Path.cwd())
        self.home = stacks.home_of(self.root)
        self.stack: Stack = stacks.load(self.root, stack)

    def access(self) -> "Access":
        """Raises `CloudUnreachable` where the stack is local and no local cloud runs."""
        from turnout.access import connect

        return connect(self.stack, self.home)
