"""The command line: arguments, tables, progress and exit codes; no logic."""

import gc

from turnout import interrupts
from turnout.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """The `turnout` command."""
    interrupts.install()
    try:
        app(prog_name="turnout")
    finally:
        gc.freeze()  # or the interpreter looks for garbage in all that is there before it ends: a fifth of a second
