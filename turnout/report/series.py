"""A rollout's windows as lines over time: what each chart of its report shows. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.gates import floor_of
from turnout.analysis.measurement import Count, Sample, Side, Window
from turnout.report.words import Unit, number
from turnout.rollout.evidence import STATISTICAL
from turnout.rollout.status import RolloutStatus, State

SIDES = (Side.ACTIVE, Side.CANDIDATE)
LEAD, LEAD_WINDOWS = 0.05, 3
"""How much of the time before a rollout its charts show: a share of its own time, and never fewer windows than these."""
SHOWN_QUIET = "p50"
"""The shown number that is drawn thinner than the others."""


@dataclass(frozen=True)
class Point:
    """What was measured in a window: `part` of `whole`, so that neighbours can be added up. Nothing where `whole` is 0.
    `weight`: the candidate's declared share, in percent."""

    start: datetime
    end: datetime
    weight: int
    part: float = 0.0
    whole: float = 0.0


@dataclass(frozen=True)
class Line:
    """One line of a chart. Its values are `scale` x part / whole; `of` names what `whole` counts, where it counts something.
    `drawn`: as a line, as a thin one (quiet), or as dots alone."""

    name: str
    side: Side
    points: tuple[Point, ...]
    scale: float = 1.0
    of: str = ""
    drawn: str = ""

    def value(self, points: Sequence[Point]) -> float | None:
        """Of one point, or of several together; None where nothing was measured."""
        whole = sum(point.whole for point in points)
        return self.scale * sum(point.part for point in points) / whole if whole > 0 else None


@dataclass(frozen=True)
class Stretch:
    """A value that holds for a time: a declared weight, or what a gate allows."""

    start: datetime
    end: datetime
    value: float


@dataclass(frozen=True)
class Panel:
    """One chart. `bounds`: what is allowed; `worse`: on which side of them ("above", "below", "" where no gate judges);
    `gaps`: when nothing was measured that should have been."""

    key: str
    title: str
    about: str
    unit: Unit
    lines: tuple[Line, ...]
    bounds: tuple[Stretch, ...] = ()
    bound_name: str = "allowed"
    worse: str = ""
    declared: tuple[Stretch, ...] = ()
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    gate: str | None = None

    def since(self, first: datetime) -> "Panel":
        """The same without what is older than `first`."""
        lines = (replace(line, points=tuple(point for point in line.points if point.start >= first)) for line in self.lines)
        gaps = ((max(start, first), end) for start, end in self.gaps if end > first)
        return replace(self, lines=tuple(lines), gaps=tuple(gaps))

    @property
    def from_zero(self) -> bool:
        """Scores are looked at closely; all else begins at nothing."""
        return self.unit is not Unit.SCORE


def extent(status: RolloutStatus) -> tuple[datetime, datetime]:
    """The time that all charts share: from a few windows before the rollout began to the last thing known."""
    windows = status.windows
    known = [window.end for window in windows[-1:]] + [event.at for event in status.events] + [s.at for s in status.shifts]
    last = max([status.began, *known, *([status.ended] if status.ended else [])])
    own = [window.start for window in windows if window.end > status.began - LEAD * (last - status.began)]
    few = [window.start for window in baseline(status)][-LEAD_WINDOWS:]
    return min([status.began, *own[:1], *few[:1]]), last


def baseline(status: RolloutStatus) -> tuple[Window, ...]:
    """What was measured before it began."""
    return tuple(window for window in status.windows if window.end <= status.began)


def panels(status: RolloutStatus) -> list[Panel]:
    """All charts, in the order of the page."""
    gates = [gate for gate in status.gates if gate.kind in STATISTICAL]
    return [_weights(status), *(_gate(gate, status) for gate in gates), *_shown(status), _requests(status)]


def weights(status: RolloutStatus) -> tuple[Stretch, ...]:
    """The candidate's declared shares, 0 to 1, from the beginning of the charts to their end; of users, while an experiment
    divides them."""
    first, last = extent(status)
    edges = [(first, 0.0), *_divided(status), *((shift.at, shift.weight / 100) for shift in status.shifts)]
    if status.state is State.TAKEN_BACK and status.ended is not None:
        edges.append((status.ended, 0.0))
    edges.append((last, edges[-1][1]))
    return tuple(Stretch(start, end, share) for (start, share), (end, _) in pairwise(edges))


def _divided(status: RolloutStatus) -> list[tuple[datetime, float]]:
    """The users of the candidate's variants, who come before all weights."""
    trial = status.trial
    if status.design is None or trial.since is None:
        return []
    return [(trial.since, status.design.share / 100), *([(trial.until, 0.0)] if trial.until is not None else [])]


def _weights(status: RolloutStatus) -> Panel:
    points = tuple(_point(w, w.requests.get(Side.CANDIDATE, 0), sum(w.requests.values())) for w in status.windows)
    return Panel(
        key="weight",
        title=f"Weight of {status.candidate}",
        about="the declared weight as steps, the observed share of each window's requests as squares",
        unit=Unit.SHARE,
        lines=(Line("observed", Side.CANDIDATE, points, of="requests", drawn="alone"),),
        declared=weights(status),
        gaps=_gaps(status, lambda window: sum(window.requests.values()) > 0),
    )


def _requests(status: RolloutStatus) -> Panel:
    def line(side: Side) -> Line:
        points = tuple(
            Point(w.start, w.end, w.weight, w.requests[side], w.seconds)
            if side in w.requests
            else Point(w.start, w.end, w.weight)
            for w in status.windows
        )
        return Line(side.value, side, points)

    return Panel(
        key="requests",
        title="Requests",
        about="requests a second that each side got",
        unit=Unit.RATE,
        lines=tuple(line(side) for side in SIDES),
        gaps=_gaps(status, lambda window: bool(window.requests)),
    )


def _gate(gate: Gate, status: RolloutStatus) -> Panel:
    def measured(window: Window) -> bool:
        return all(side in window.samples.get(gate.name, {}) for side in _loaded(window))

    about, unit, scale = _of_kind(gate, status)
    of = "scores" if gate.kind is GateKind.QUALITY else "requests"
    lines = [Line(side.value, side, tuple(_sampled(gate, side, w) for w in status.windows), scale, of) for side in SIDES]
    return Panel(
        key=f"gate-{gate.name}",
        title=f"Gate {gate.name}",
        about=about,
        unit=unit,
        lines=tuple(lines),
        bounds=tuple(_allowed(gate, status, scale)),
        worse="below" if gate.kind is GateKind.QUALITY else "above",
        gaps=_gaps(status, measured),
        gate=gate.name,
    )


def _of_kind(gate: Gate, status: RolloutStatus) -> tuple[str, Unit, float]:
    """What a gate's chart shows, in which unit, and by what a share is multiplied for it."""
    match gate.kind:
        case GateKind.QUALITY:
            return "mean score of each window", Unit.SCORE, 1.0
        case GateKind.BURN:
            return "how many times too fast the error budget burns in each window", Unit.TIMES, 1 / (1 - gate.objective)
        case GateKind.LATENCY:
            limit = status.thresholds.get(gate.name)
            over = f"over {number(limit, Unit.SECONDS)}, frozen before the first weight" if limit else "over the threshold"
            return f"share of each window's requests that took {over}", Unit.SHARE, 1.0
    return "share of each window's requests that failed", Unit.SHARE, 1.0


def _sampled(gate: Gate, side: Side, window: Window) -> Point:
    sample = window.samples.get(gate.name, {}).get(side)
    return _point(window, *_of(sample)) if sample is not None else _point(window)


def _point(window: Window, part: float = 0.0, whole: float = 0.0) -> Point:
    return Point(window.start, window.end, window.weight, part, whole)


def _of(sample: Sample) -> tuple[float, float]:
    return (sample.bad, sample.total) if isinstance(sample, Count) else (sample.total, sample.count)


def _allowed(gate: Gate, status: RolloutStatus, scale: float) -> Iterator[Stretch]:
    """What the gate allows, as it is judged: by all that was measured of the active side since the first weight, and after
    the full switch by the frozen bound (`turnout.analysis.gates`)."""
    part = whole = 0.0
    for window in status.windows:
        allowed: float | None = None
        if 0 < window.weight < 100:
            if {*SIDES} <= window.samples.get(gate.name, {}).keys():
                more, of = _of(window.samples[gate.name][Side.ACTIVE])
                part, whole = part + more, whole + of
            allowed = _margin(gate, scale, part / whole) if whole else None
        elif window.weight == 100:
            allowed = _frozen(gate, status.bounds.get(gate.name))
        if allowed is not None:
            yield Stretch(window.start, window.end, allowed)


def _frozen(gate: Gate, bound: float | None) -> float | None:
    """What holds after the full switch, in the chart's unit: a latency bound in seconds is the threshold itself."""
    return floor_of(gate) if gate.kind is GateKind.LATENCY and bound is not None and bound == gate.bound else bound


def _margin(gate: Gate, scale: float, active: float) -> float:
    match gate.kind:
        case GateKind.QUALITY:
            return active - gate.allowed
        case GateKind.BURN:
            return gate.allowed
    return scale * max(floor_of(gate), gate.allowed * active)


def _shown(status: RolloutStatus) -> Iterator[Panel]:
    """Response times as a source of measurements gives them: they judge nothing."""
    names = sorted({name for window in status.windows for name in window.shown})
    if not names:
        return

    def line(name: str, side: Side) -> Line:
        values = [(w, w.shown.get(name, {}).get(side)) for w in status.windows]
        points = tuple(
            Point(w.start, w.end, w.weight)
            if value is None or not math.isfinite(value)
            else Point(w.start, w.end, w.weight, value, 1.0)
            for w, value in values
        )
        return Line(f"{name} {side.value}", side, points, drawn="quiet" if name == SHOWN_QUIET else "")

    first, last = extent(status)
    limits = {limit for gate, limit in status.thresholds.items() if any(each.name == gate for each in status.gates)}
    yield Panel(
        key="shown",
        title="Response times",
        about=f"{' and '.join(names)} of each window; {SHOWN_QUIET} is drawn thin. They are shown and judge nothing"
        + ("; the gate counts requests over the frozen threshold" if limits else ""),
        unit=Unit.SECONDS,
        lines=tuple(line(name, side) for name in names for side in SIDES),
        bounds=tuple(Stretch(first, last, limit) for limit in sorted(limits)),
        bound_name="threshold",
        gaps=_gaps(status, lambda w: all(any(side in by for by in w.shown.values()) for side in _loaded(w))),
    )


def _loaded(window: Window) -> list[Side]:
    """The sides that had traffic, so that something should have been measured of them."""
    return [side for side, share in ((Side.ACTIVE, 100 - window.weight), (Side.CANDIDATE, window.weight)) if share > 0]


def _gaps(status: RolloutStatus, measured: Callable[[Window], bool]) -> tuple[tuple[datetime, datetime], ...]:
    """When something should have been measured and was not: windows without it, time between windows, and time after the
    last that is longer than a source needs."""
    found = [(window.start, window.end) for window in status.windows if not measured(window)]
    found += [(before.end, after.start) for before, after in pairwise(status.windows) if after.start > before.end]
    last = extent(status)[1]
    metrics = status.spec.metrics
    until = status.windows[-1].end if status.windows else status.began
    if last - until > metrics.delay + 2 * metrics.period:
        found.append((until, last))
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(found):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
