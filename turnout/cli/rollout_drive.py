"""Drives a rollout from a terminal: live in a terminal, a line for each thing that happens elsewhere."""

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from turnout.cli import rollout_view as view
from turnout.cli.errors import CommandFailed, Exit
from turnout.cli.session import Session, screen
from turnout.closing import checklist
from turnout.cloud.client import CloudHandle
from turnout.rollout.status import RolloutStatus, State
from turnout.rollout.store import NoRollout
from turnout.rollouts import Rollouts

if TYPE_CHECKING:
    from turnout.rollout.controller import Controller

LOOK = 1.0
"""Seconds between two looks."""
PATIENCE = 300.0
"""Seconds for which a cloud that does not answer is asked again."""
TOLD_AGAIN = 30.0
"""Seconds after which a line says again what is waited for, where nothing else happens."""


def opened(stack: str) -> Rollouts:
    """The stack's rollouts."""
    session = Session(stack)
    access = session.access()
    return Rollouts(access, CloudHandle(access.endpoint, 0, session.home) if access.endpoint else None)


def controller(rollouts: Rollouts, rollout: str) -> "Controller":
    """A driver whose doings are lines on the screen."""
    return rollouts.controller(rollouts.store.read(rollout).spec, lambda line: screen().line(f"{view.clock()}  {line}"))


def drive(rollouts: Rollouts, rollout: str) -> None:
    """Ticks until the rollout is over. Ends the command with 5 where traffic was taken back; who interrupts it leaves the
    rollout where it is, to whoever drives it next.

    Raises what the cloud raises for longer than `PATIENCE`."""
    driver = controller(rollouts, rollout)
    try:
        status = _ticked(driver, rollout)
    except KeyboardInterrupt:
        driver.release(rollout)
        fix = f"drive it on with `turnout rollout run {rollout}`, or end it with `turnout rollout abort`"
        raise CommandFailed(Exit.INTERRUPTED, f"interrupted; the rollout stays where it is: {fix}") from None
    _finish(rollouts, status)


def _ticked(driver: "Controller", rollout: str) -> RolloutStatus:
    trouble = 0.0
    with Watch() as watch:
        while True:
            try:
                tick = driver.tick(rollout)
                trouble = 0.0
            except NoRollout:
                raise
            except Exception as error:
                trouble = trouble or time.monotonic()
                if time.monotonic() - trouble > PATIENCE:
                    raise
                watch.tell(f"! {type(error).__name__}: {error}; asked again")
                time.sleep(LOOK)
                continue
            watch.show(
                tick.status, f"{tick.driven_by} drives it; this one takes over when it stops" if tick.driven_by else tick.waits
            )
            if tick.is_done:
                return tick.status
            time.sleep(LOOK)


class Watch:
    """What stands on the screen between two events."""

    def __init__(self) -> None:
        self._live: Any = None
        self._step, self._told = -1, 0.0

    def __enter__(self) -> "Watch":
        self._context().__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*details)

    def _context(self) -> AbstractContextManager[Any]:
        out = screen()
        if out.as_json or not sys.stdout.isatty():
            return nullcontext()
        from rich.live import Live

        self._live = Live(console=out.tables, refresh_per_second=4, transient=True)
        return self._live  # type: ignore[no-any-return]  # rich is imported late

    @property
    def is_drawn(self) -> bool:
        """Whether it is drawn over and over; else lines are told."""
        return self._live is not None

    def show(self, status: RolloutStatus, waits: str) -> None:
        """The status, or a line where nobody can look at it: when the step changes, and now and then."""
        if self._live is not None:
            self._live.update(view.watched(status, waits, self._live.console))
        elif waits and (status.step != self._step or time.monotonic() - self._told > TOLD_AGAIN):
            self.tell(waits)
        self._step = status.step

    def tell(self, line: str) -> None:
        """A line for whoever waits."""
        self._told = time.monotonic()
        screen().line(f"{view.clock()}  … {line}")


def _finish(rollouts: Rollouts, status: RolloutStatus) -> None:
    out = screen()
    out.show(view.status(status))
    results = checklist(rollouts, status)
    out.show(view.checklist(results))
    out.result(view.document(status, results=results))
    if status.state is State.PROMOTED:
        out.line(f"promoted: {status.candidate} has all traffic. Commit: turnout:traffic.active: {status.candidate}")
    elif status.state is State.FINISHED:
        out.line(f"finished: {status.cause or 'users had no part in it'}")
    else:
        end_taken_back(f"taken back: {status.cause}")


def end_taken_back(text: str) -> NoReturn:
    """Ends the command with 5. In JSON the rollout's document, which is written already, is all that is said."""
    if screen().as_json:
        raise SystemExit(int(Exit.TAKEN_BACK))
    raise CommandFailed(Exit.TAKEN_BACK, text)
