"""The command line: arguments, tables, progress and exit codes; no logic."""

from turnout import interrupts
from turnout.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """The `turnout` command."""
    interrupts.install()
    app(prog_name="turnout")
