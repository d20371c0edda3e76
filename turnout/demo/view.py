"""How the demo is shown: a live screen on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from turnout.demo.report import UNKNOWN, Phase, Report, Streams
from turnout.demo.traffic import failed
from turnout.progress import Step, StepState

_LINES = 14
_COLORS = {"blue": "blue", "green": "green"}


class View:
    """The demo's screen. It is also the `Progress` of the deployments within the story; a context manager."""

    def __init__(self, console: Console, environment_of: Mapping[str, str]) -> None:
        self._console = console
        self._environment_of = environment_of
        self._lines: list[str] = []
        self._title = ""
        self._busy = ""
        self._steps = 0
        self._numbers: dict[str, Any] | None = None
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._screen, console=self._console, refresh_per_second=6, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            for line in self._lines:
                self._console.print(line)

    def phase(self, number: int, of: int, title: str) -> None:
        """A new chapter begins."""
        self._title, self._busy, self._steps = f"{number}/{of}  {title}", "", 0
        self._line(f"[bold]{number}/{of} {escape(title)}[/]")

    def say(self, text: str) -> None:
        """One line of the story."""
        self._line(f"    {escape(text)}")

    def numbers(self, progress: dict[str, Any]) -> None:
        """The generator's latest figures."""
        self._numbers = progress

    def header(self, operation: str, stack: str, engine: str) -> None:
        self._busy = f"{operation} of stack {stack} with {engine}"

    def step(self, step: Step) -> None:
        if step.state is StepState.STARTED:
            self._busy = f"{step.operation} {step.name} ({self._steps} done)"
        elif step.state is StepState.DONE:
            self._steps += 1

    def message(self, severity: str, text: str) -> None:
        color = {"error": "red", "warning": "yellow"}.get(severity, "dim")
        for line in text.splitlines():
            self._line(f"    [{color}]{escape(line)}[/]")

    def _line(self, markup: str) -> None:
        self._lines.append(markup)
        if self._live is None:
            self._console.print(markup, soft_wrap=True)

    def _screen(self) -> Panel:
        head = f"[bold]{escape(self._title)}[/]   [dim]{time.monotonic() - self._began:.0f} s[/]"
        parts: list[Any] = [head, f"[dim]{escape(self._busy)}[/]"]
        if self._numbers is not None:
            parts += [_shares(self._numbers, self._environment_of), _figures(self._numbers)]
        return Panel(Group(*parts, "", *self._lines[-_LINES:]), title="turnout demo", border_style="cyan")


def _shares(numbers: Mapping[str, Any], environment_of: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for release, environment in environment_of.items():
        share = numbers["shares"].get(release, 0.0)
        color = _COLORS.get(environment, "white")
        bar = ProgressBar(total=1.0, completed=share, width=40, complete_style=color, finished_style=color)
        table.add_row(f"[{color}]{environment}[/]", release, bar, f"{100 * share:5.1f} %")
    return table


def _figures(numbers: Mapping[str, Any]) -> str:
    own = failed(numbers)
    lost = numbers["lost"] - own
    parts = [
        f"{numbers['sent']} requests",
        f"{numbers['rate'] or 0:.{1 if 'window' in numbers else 0}f}/s",
        f"[{'red' if lost else 'green'}]{lost} lost[/]",
        f"[{'red' if own else 'dim'}]{own} release errors[/]",
        _times(numbers),
        f"{_percent(numbers['accuracy'])} right",
    ]
    return "  ".join(parts)


def one_line(numbers: Mapping[str, Any]) -> str:
    """The last second of traffic in a line of the story."""
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in numbers["shares"].items() if name != UNKNOWN)
    when = f"last {numbers['window']:.0f} s" if "window" in numbers else "last second"
    return f"{when}: {shares}; {_times(numbers, ', ')}, accuracy {_percent(numbers['accuracy'])}"


def _times(numbers: Mapping[str, Any], between: str = "  ") -> str:
    """A stream is judged by its first token and the pace of the others, anything else by when it is whole."""
    names = {"TTFT p50": "ttft_p50_ms", "p95": "ttft_p95_ms", "TPOT": "tpot_p50_ms"}
    if "ttft_p50_ms" not in numbers:
        names = {"p50": "p50_ms", "p95": "p95_ms"}
    return between.join(f"{name} {_ms(numbers[key])}" for name, key in names.items())


def summary(report: Report) -> Group:
    """The table at the end; it fits into 80 columns."""
    environments = sorted({name for phase in report.phases for name in phase.shares})
    table = Table(title="what the users saw", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("phase", no_wrap=True)
    times = ("p50 ms", "p95", "p99") if report.streams is None else ("TTFT ms", "p95", "TPOT")
    for column in ("sent", "lost", "errors", *(f"{name} %" for name in environments), *times, "right %"):
        table.add_column(column, justify="right", no_wrap=True)
    for phase in report.phases:
        shares = (f"{100 * phase.shares.get(name, 0):.0f}" for name in environments)
        right = "–" if phase.accuracy is None else f"{100 * phase.accuracy:.1f}"
        counts = (str(phase.sent), _alarming(phase.lost), _alarming(phase.failed))
        table.add_row(phase.name, *counts, *shares, *("–" if t is None else f"{t:.1f}" for t in _phase_times(phase)), right)
    ending = "[green]passed[/]" if report.result == "passed" else f"[red]failed: {escape(report.problem or '')}[/]"
    lines = [] if report.streams is None else [_streams(report.streams)]
    return Group(
        table,
        *lines,
        f"{report.requests_sent} requests, [bold]{report.requests_lost} lost[/] by the switch; "
        f"{report.requests_failed} answered with an error by a bad release",
        f"flip {report.flip_seconds:.1f} s from command to end; rollback {report.rollback_seconds:.2f} s from command to 0 %",
        f"{ending} in {report.seconds:.0f} s with {escape(report.engine)}",
    )


def _phase_times(phase: Phase) -> tuple[float | None, float | None, float | None]:
    if phase.streams is None:
        return phase.latency.p50_ms, phase.latency.p95_ms, phase.latency.p99_ms
    return phase.streams.ttft_p50_ms, phase.streams.ttft_p95_ms, phase.streams.tpot_p50_ms


def _streams(found: Streams) -> str:
    across = f"{found.across_flips} ran across a flip, {_alarming(found.across_flips_cut)} of them cut"
    times = f"TTFT p50 {_ms(found.ttft_p50_ms)}, p95 {_ms(found.ttft_p95_ms)}; TPOT p50 {_ms(found.tpot_p50_ms)}"
    return f"{found.total} streams, [bold]{_alarming(found.cut)} cut[/]; {across}\n{times}; {found.tokens} tokens"


def _alarming(count: int) -> str:
    return f"[red]{count}[/]" if count else "0"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
