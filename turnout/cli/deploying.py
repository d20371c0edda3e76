"""`turnout up`, `preview` and `destroy`: a deployment, shown."""

import sys
from collections.abc import Mapping
from typing import Any

import typer

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.progress import DeploymentProgress, summary
from turnout.cli.session import Session, screen
from turnout.deploy import Operation, Outcome, check, engine_of, run


def deploy(stack: str, operation: Operation) -> None:
    """Runs the operation and ends the command with its exit code."""
    session = Session(stack)
    if operation == "up" and session.stack.config.get("rollout"):
        from turnout.cli import recreating

        if recreating.is_due(session):
            recreating.up(session)
            return
    finish(execute(session, operation))


def destroy(stack: str, yes: bool) -> None:
    """Destroys after a question, which only a terminal can answer."""
    session = Session(stack)
    check(session.stack, "destroy", engine_of(session.stack))
    if not yes:
        if screen().as_json or not sys.stdin.isatty():
            raise CommandFailed(Exit.REFUSED, f"destroy takes all of stack {stack} down; say --yes")
        if not typer.confirm(f"Take all of stack {stack} ({session.stack.service}, {session.stack.cloud}) down?"):
            raise CommandFailed(Exit.REFUSED, "nothing was destroyed")
    outcome = execute(session, "destroy")
    if outcome.code == 0:
        _end_schedules(session)
    finish(outcome)


def _end_schedules(session: Session) -> None:
    """Ends what a switch has arranged outside the stack: the schedule that deletes a standby's warm pool."""
    try:
        access = session.access()
        record = access.store.read()
        for state in record.environments.values() if record else ():
            if state.group:
                access.step_downs.clear(state.group)
    except Exception as error:
        screen().line(f"a schedule for a standby's warm pool may be left ({error}); it deletes itself when it is due")


def execute(session: Session, operation: Operation) -> Outcome:
    """Runs the operation with its progress on the screen."""
    with DeploymentProgress(screen(), operation) as progress:
        return run(session.stack, operation, session.home, progress)


def finish(outcome: Outcome, **more: Any) -> None:
    """Shows how it ended. Raises `CommandFailed` with the outcome's code where it failed."""
    if outcome.code:
        raise CommandFailed(Exit(outcome.code), "\n".join(outcome.errors) or f"{outcome.operation} failed")
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
