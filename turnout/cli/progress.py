"""Shows a deployment while it happens: a live block on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from turnout.cli.screen import Screen
from turnout.deploy import Outcome
from turnout.preview.text import short
from turnout.progress import Progress, Step, StepState

if TYPE_CHECKING:
    from rich.live import Live

_IN_FLIGHT_SHOWN = 6
_DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created anew",
    "delete-replaced": "deleted the old",
    "refresh": "refreshed",
}


class DeploymentProgress(Progress):
    """A `Progress` on a screen; a context manager, so that a terminal is left in order."""

    def __init__(self, screen: Screen, operation: str) -> None:
        self._console = screen.console
        self._preview = operation == "preview"
        self._in_flight: dict[tuple[str, str], float] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._block, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def header(self, operation: str, stack: str, engine: str) -> None:
        self._print(f"[bold]{operation}[/] stack [bold]{stack}[/] with {_escaped(engine)}")

    def step(self, step: Step) -> None:
        key = (step.type, step.name)
        if step.state is StepState.STARTED:
            self._in_flight[key] = time.monotonic()
            return
        began = self._in_flight.pop(key, time.monotonic())
        if step.state is StepState.FAILED:
            self._print(f"  [red]failed[/] {step.operation} {short(step.type)} {_escaped(step.name)}")
            return
        if not self._preview:  # a preview's steps are shown whole, when all are known
            done, took = _DONE.get(step.operation, step.operation), f" [dim]{time.monotonic() - began:.1f} s[/]"
            self._print(f"  [green]{done:<14}[/] {short(step.type):<28} {_escaped(step.name)}{took}")

    def message(self, severity: str, text: str) -> None:
        color = {"error": "red", "warning": "yellow"}.get(severity, "dim")
        for line in text.splitlines():
            self._print(f"  [{color}]{_escaped(line)}[/]")

    def _print(self, line: str) -> None:
        self._console.print(line)

    def _block(self) -> str:
        now = time.monotonic()
        in_flight = self._in_flight.items()
        rows = [f"  … {short(kind)} {_escaped(name)} [dim]{now - since:.0f} s[/]" for (kind, name), since in in_flight]
        more = len(rows) - _IN_FLIGHT_SHOWN
        return "\n".join(rows[:_IN_FLIGHT_SHOWN] + ([f"  … and {more} more"] if more > 0 else []))


def summary(outcome: Outcome) -> str:
    """One line: what changed, in which time."""
    verbs = {name: count for name, count in outcome.changes.items() if name != "same" and count}
    same = outcome.changes.get("same", 0)
    if not verbs:
        what = f"no changes, {same} resources as they should be" if same else "nothing to do"
    else:
        what = ", ".join(f"{n} {_DONE.get(verb, verb)}" for verb, n in verbs.items())
        what += f", {same} unchanged" if same else ""
    return f"{what} ({outcome.seconds:.1f} s, {outcome.engine})"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
