"""The command line: arguments, tables, progress and exit codes; no logic."""

from turnout.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """The `turnout` command."""
    app(prog_name="turnout")
