"""Charts as SVG that stands in a page: no script, no picture from elsewhere, colours by the page's classes.

Every text goes through ElementTree, which escapes it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from turnout.report.columns import Column, Value, columns
from turnout.report.series import Line, Panel, Stretch
from turnout.report.words import elapsed, number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 880.0, 62.0, 12.0, 26.0, 20.0
HEIGHT = 190.0
COLUMN = 6.0
"""The least width that can be seen and pointed at: narrower windows are drawn together."""
DOTS = 80
"""More points than this in a line get no dots."""
BADGES = 19.0
"""Marks that are nearer to each other share a badge."""
TICKS = 8
_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800]


@dataclass(frozen=True)
class Mark:
    """A decision: its number in the table, what it was, and how it is drawn (weight, good, bad, hand, note)."""

    number: int
    at: datetime
    said: str
    kind: str


@dataclass(frozen=True)
class Axes:
    """Where times and values are drawn."""

    start: datetime
    end: datetime
    low: float
    high: float

    def x(self, at: datetime) -> float:
        whole = max((self.end - self.start).total_seconds(), 1.0) * 1.015
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - self.start).total_seconds() / whole

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share


def draw(panel: Panel, span: tuple[datetime, datetime], marks: Sequence[Mark], label: str) -> str:
    """One chart as an `<svg>` element. `label` says to those who cannot see it what it shows."""
    ticks = value_ticks(panel)
    axes = Axes(*span, ticks[0], ticks[-1])
    svg = ET.Element("svg", {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "aria-label": label})
    _grid(svg, axes, panel, ticks)
    for start, end in panel.gaps:
        _box(svg, "gap", axes.x(start), TOP, axes.x(end), HEIGHT - BOTTOM, f"not measured {_times(start, end)}")
    _bounds(svg, axes, panel)
    _steps(svg, axes, panel.declared)
    _decisions(svg, axes, marks)
    found = columns(panel, lambda start, end: axes.x(end) - axes.x(start) >= COLUMN)
    for index, line in enumerate(panel.lines):
        _line(svg, axes, line, [(column, column.values[index]) for column in found])
    _tooltips(svg, axes, panel, found)
    _badges(svg, axes, marks)
    return ET.tostring(svg, encoding="unicode")


def value_ticks(panel: Panel) -> list[float]:
    """Round values from the lowest to the highest of the chart, about four."""
    values = [value for line in panel.lines for point in line.points if (value := line.value([point])) is not None]
    values += [each.value for each in (*panel.bounds, *panel.declared)]
    values = [value for value in values if math.isfinite(value)]
    low = 0.0 if panel.from_zero or not values else min(values)
    high = max(values, default=1.0)
    if high <= low:
        low, high = (low - 0.01, high + 0.01) if low else (0.0, 1.0)
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(each * size for each in (1, 2, 2.5, 5, 10) if each * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def time_ticks(start: datetime, end: datetime) -> list[datetime]:
    """Round times between the two."""
    length = (end - start).total_seconds()
    step = next((each for each in _STEPS if length / each <= TICKS), _STEPS[-1])
    first = math.ceil(start.timestamp() / step)
    found = [datetime.fromtimestamp(number * step, UTC) for number in range(first, int(end.timestamp() // step) + 1)]
    return found[:: max(1, math.ceil(len(found) / TICKS))]


def _grid(svg: ET.Element, axes: Axes, panel: Panel, ticks: Sequence[float]) -> None:
    for tick in ticks:
        y = f"{axes.y(tick):.1f}"
        ET.SubElement(svg, "path", {"class": "grid", "d": f"M{LEFT:g} {y}H{WIDTH - RIGHT:g}"})
        _text(svg, LEFT - 6, float(y) + 4, number(tick, panel.unit), "end")
    long = axes.end - axes.start > timedelta(hours=20)
    times = time_ticks(axes.start, axes.end)
    short = len(times) > 1 and times[1] - times[0] < timedelta(minutes=1)
    for at in times:
        x = axes.x(at)
        ET.SubElement(svg, "path", {"class": "grid", "d": f"M{x:.1f} {TOP:g}V{HEIGHT - BOTTOM:g}"})
        _text(svg, x, HEIGHT - 5, f"{at:%m-%d %H:%M}" if long else f"{at:%H:%M:%S}" if short else f"{at:%H:%M}", "middle")


def _bounds(svg: ET.Element, axes: Axes, panel: Panel) -> None:
    """What is allowed as a line, and what is not as a tint."""
    if not panel.bounds:
        return
    if panel.worse:
        edge = TOP if panel.worse == "above" else HEIGHT - BOTTOM
        ET.SubElement(svg, "path", {"class": "worse", "d": _under(_stairs(axes, panel.bounds), edge)})
    bound = ET.SubElement(svg, "path", {"class": "bound", "d": _stairs(axes, panel.bounds)})
    ET.SubElement(bound, "title").text = panel.bound_name
    last = panel.bounds[-1]
    y = axes.y(last.value)
    words = f"{panel.bound_name} {number(last.value, panel.unit)}"
    _text(svg, axes.x(last.end) - 4, y - 5 if y > TOP + 14 else y + 13, words, "end", "name")


def _steps(svg: ET.Element, axes: Axes, stretches: Sequence[Stretch]) -> None:
    if stretches:
        path = ET.SubElement(svg, "path", {"class": "declared", "d": _stairs(axes, stretches)})
        ET.SubElement(path, "title").text = "declared"


def _stairs(axes: Axes, stretches: Sequence[Stretch]) -> str:
    """Levels, joined where one follows the other at once."""
    found: list[str] = []
    for each in stretches:
        left, right, y = f"{axes.x(each.start):.1f}", f"{axes.x(each.end):.1f}", f"{axes.y(each.value):.1f}"
        if len(found) > 1 and found[-1] == f"H{left}":
            level = found[-2].rpartition(" ")[2].removeprefix("V")
            found[-1:] = [] if level == y else [found[-1], f"V{y}"]
        else:
            found.append(f"M{left} {y}")
        found.append(f"H{right}")
    return "".join(found)


def _under(stairs: str, edge: float) -> str:
    """The area between levels and an edge."""
    flights = [flight.split(" ", 1) for flight in stairs.split("M") if flight]
    return "".join(f"M{left} {edge:g}V{rest}V{edge:g}Z" for left, rest in flights)


def _line(svg: ET.Element, axes: Axes, line: Line, values: Iterable[tuple[Column, Value | None]]) -> None:
    """A path that breaks where nothing was measured, a dot for each point where there is room and for each that stands alone;
    where windows are drawn together also the band between their lowest and highest."""
    runs: list[list[tuple[Column, Value]]] = [[]]
    for column, value in values:
        if runs[-1] and (value is None or runs[-1][-1][0].end != column.start):
            runs.append([])
        if value is not None:
            runs[-1].append((column, value))
    drawn = [run for run in runs if run]
    if not drawn:
        return
    style = f"{line.side.value} {line.drawn}".strip()
    band = "".join(_band(axes, run) for run in drawn if any(column.windows > 1 for column, _ in run))
    if band and line.drawn != "quiet":
        ET.SubElement(svg, "path", {"class": f"band {style}", "d": band})
    if line.drawn != "alone":
        path = "".join("M" + "L".join(_place(axes, column, value.value) for column, value in run) for run in drawn)
        ET.SubElement(ET.SubElement(svg, "path", {"class": f"line {style}", "d": path}), "title").text = line.name
    many = line.drawn == "quiet" or (sum(map(len, drawn)) > DOTS and line.drawn != "alone")
    dots = [_place(axes, column, value.value) for run in drawn for column, value in run if not many or len(run) == 1]
    if dots:
        ET.SubElement(svg, "path", {"class": f"dots {style}", "d": "".join(f"M{place}h0" for place in dots)})


def _band(axes: Axes, run: Sequence[tuple[Column, Value]]) -> str:
    highs = [_place(axes, column, value.high) for column, value in run]
    lows = [_place(axes, column, value.low) for column, value in reversed(run)]
    return f"M{'L'.join([*highs, *lows])}Z"


def _place(axes: Axes, column: Column, value: float) -> str:
    return f"{axes.x(column.middle):.1f} {axes.y(value):.1f}"


def _decisions(svg: ET.Element, axes: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        x = axes.x(mark.at)
        ET.SubElement(svg, "path", {"class": f"mark {mark.kind}", "d": f"M{x:.1f} {TOP - 4:g}V{HEIGHT - BOTTOM:g}"})


def _badges(svg: ET.Element, axes: Axes, marks: Sequence[Mark]) -> None:
    """The marks' numbers above the chart; those without room between them as one."""
    groups: list[list[Mark]] = []
    for mark in marks:
        near = groups and axes.x(mark.at) - axes.x(groups[-1][0].at) < BADGES + 4 * (len(groups[-1]) > 1)
        if near:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    for group in groups:
        text = f"{group[0].number}–{group[-1].number}" if len(group) > 1 else f"{group[0].number}"
        kind = next((each for each in ("bad", "good", "weight", "hand") if any(m.kind == each for m in group)), "note")
        badge = ET.SubElement(svg, "g", {"class": f"badge {kind}"})
        width = 7.0 + 6.2 * len(text)
        x = min(axes.x(group[0].at), WIDTH - width / 2)
        shape = {"x": f"{x - width / 2:.1f}", "y": "5", "width": f"{width:.1f}", "height": "16", "rx": "8"}
        ET.SubElement(badge, "rect", shape)
        _text(badge, x, 17, text, "middle")
        ET.SubElement(badge, "title").text = "\n".join(f"{m.number}. {m.at:%H:%M:%S} {m.said}" for m in group)


def _tooltips(svg: ET.Element, axes: Axes, panel: Panel, found: Sequence[Column]) -> None:
    for column in found:
        lines = [f"{_times(column.start, column.end)}{f', {column.windows} windows' if column.windows > 1 else ''}"]
        lines += [_read(panel, line, value, column) for line, value in zip(panel.lines, column.values, strict=True)]
        for name, held in ((panel.bound_name, panel.bounds), ("declared", panel.declared)):
            lines += [f"{name}: {number(each.value, panel.unit)}" for each in held if each.start < column.end <= each.end][:1]
        _box(svg, "hover", axes.x(column.start), TOP, axes.x(column.end), HEIGHT - BOTTOM, "\n".join(lines))


def _read(panel: Panel, line: Line, value: Value | None, column: Column) -> str:
    if value is None:
        return f"{line.name}: {'not measured' if column.loads(line.side) else 'no traffic'}"
    of = f" of {value.whole:,.0f} {line.of}" if line.of else ""
    each = f" ({number(value.low, panel.unit)} to {number(value.high, panel.unit)})" if column.windows > 1 else ""
    return f"{line.name}: {number(value.value, panel.unit)}{of}{each}"


def _box(svg: ET.Element, name: str, left: float, top: float, right: float, bottom: float, title: str) -> None:
    shape = {"x": f"{left:.1f}", "y": f"{top:g}", "width": f"{max(right - left, 0.5):.1f}", "height": f"{bottom - top:g}"}
    ET.SubElement(ET.SubElement(svg, "rect", {"class": name, **shape}), "title").text = title


def _text(parent: ET.Element, x: float, y: float, text: str, anchor: str, name: str = "") -> None:
    style = {"class": name} if name else {}
    ET.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, **style}).text = text


def _times(start: datetime, end: datetime) -> str:
    return f"{start:%H:%M:%S}–{end:%H:%M:%S} ({elapsed(end - start)})"
