"""An operation on a stack, shown while it runs and when it has ended."""

from collections.abc import Mapping
from typing import Any

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.progress import DeploymentProgress, summary
from turnout.cli.session import Session, screen
from turnout.deploy import Operation, Outcome, run


def execute(session: Session, operation: Operation) -> Outcome:
    """Runs the operation with its progress on the screen."""
    with DeploymentProgress(screen(), operation) as progress:
        return run(session.stack, operation, session.home, progress)


def finish(outcome: Outcome, **more: Any) -> None:
    """Shows how it ended. Raises `CommandFailed` with the outcome's code where it failed."""
    if outcome.code:
        raise CommandFailed(Exit(outcome.code), outcome.reason or f"{outcome.operation} failed")
    out = screen()
    out.line(summary(outcome))
    for name, value in sorted(outcome.outputs.items()):
        out.line(f"  {name}: {_plain(value)}")
    out.result(
        {
            "operation": outcome.operation,
            "engine": outcome.engine,
            "changes": dict(outcome.changes),
            "seconds": outcome.seconds,
            "outputs": dict(outcome.outputs),
            **more,
        }
    )


def _plain(value: Any) -> str:
    """An output for people: `blue 100, green 0` for a mapping."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(value[name])}" for name in sorted(value))
    return "–" if value is None else str(value)
