"""`turnout up` and `destroy`: a deployment, shown."""

import sys

import typer

from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.executing import execute, finish
from turnout.cli.session import Session, screen
from turnout.deploy import check, engine_of


def up(stack: str) -> None:
    """Brings the stack to its config and ends the command with its exit code."""
    session = Session(stack)
    if session.stack.config.get("rollout"):
        from turnout.cli import recreating

        if recreating.is_due(session):
            recreating.up(session)
            return
    finish(execute(session, "up"))


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
