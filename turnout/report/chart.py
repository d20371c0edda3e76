"""Charts as SVG that stands in a page: no script, no picture from elsewhere, colours by the page's classes.

Every text goes through ElementTree, which escapes it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

from turnout.report.series import Line, Panel, Stretch
from turnout.report.words import elapsed, number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 880.0, 62.0, 12.0, 26.0, 20.0
HEIGHT = 190.0
COLUMN = 6.0
"""The least width that can be pointed at: windows that are narrower share a tooltip."""
DOTS = 130
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
    for line in panel.lines:
        _line(svg, axes, line)
    _tooltips(svg, axes, panel)
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
        area = "".join(
            f"M{axes.x(each.start):.1f} {edge:g}V{axes.y(each.value):.1f}H{axes.x(each.end):.1f}V{edge:g}Z"
            for each in panel.bounds
        )
        ET.SubElement(svg, "path", {"class": "worse", "d": area})
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
    before: Stretch | None = None
    for each in stretches:
        joins = before is not None and before.end == each.start
        found.append(f"V{axes.y(each.value):.1f}" if joins else f"M{axes.x(each.start):.1f} {axes.y(each.value):.1f}")
        found.append(f"H{axes.x(each.end):.1f}")
        before = each
    return "".join(found)


def _line(svg: ET.Element, axes: Axes, line: Line) -> None:
    """A path that breaks where nothing was measured, and a dot for each point where there is room; a point without
    neighbours is always a dot."""
    runs: list[list[str]] = [[]]
    for before, point in pairwise([None, *line.points]):
        assert point is not None
        value = line.value([point])
        if value is None or not math.isfinite(value):
            runs.append([])
            continue
        if before is not None and before.end != point.start:
            runs.append([])
        runs[-1].append(f"{axes.x(point.start + (point.end - point.start) / 2):.1f} {axes.y(value):.1f}")
    drawn = [run for run in runs if run]
    if not drawn:
        return
    style = f"{line.side.value} quiet" if line.quiet else line.side.value
    path = ET.SubElement(svg, "path", {"class": f"line {style}", "d": "".join("M" + "L".join(run) for run in drawn)})
    ET.SubElement(path, "title").text = line.name
    many = sum(map(len, drawn)) > DOTS
    dots = [place for run in drawn for place in run if not (many or line.quiet) or len(run) == 1]
    if dots:
        ET.SubElement(svg, "path", {"class": f"dots {style}", "d": "".join(f"M{place}h0" for place in dots)})


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


def _tooltips(svg: ET.Element, axes: Axes, panel: Panel) -> None:
    for column in _columns(axes, panel):
        start, end = panel.lines[0].points[column[0]].start, panel.lines[0].points[column[-1]].end
        lines = [_times(start, end)]
        for line in panel.lines:
            points = [line.points[index] for index in column]
            value = line.value(points)
            of = f" of {sum(point.whole for point in points):,.0f} {line.of}" if line.of and value is not None else ""
            lines.append(f"{line.name}: {'not measured' if value is None else number(value, panel.unit)}{of}")
        for name, held in ((panel.bound_name, panel.bounds), ("declared", panel.declared)):
            lines += [f"{name}: {number(each.value, panel.unit)}" for each in held if each.start < end <= each.end][:1]
        _box(svg, "hover", axes.x(start), TOP, axes.x(end), HEIGHT - BOTTOM, "\n".join(lines))


def _columns(axes: Axes, panel: Panel) -> Iterator[list[int]]:
    """Neighbouring windows, by index, that are wide enough together to be pointed at; what was measured and what was not
    never share one."""
    column: list[int] = []
    points = panel.lines[0].points if panel.lines else ()
    seen = [tuple(line.points[index].whole > 0 for line in panel.lines) for index in range(len(points))]
    for index, point in enumerate(points):
        if column:
            first, last = points[column[0]], points[column[-1]]
            wide = axes.x(last.end) - axes.x(first.start) >= COLUMN
            if wide or last.end != point.start or seen[column[-1]] != seen[index]:
                yield column
                column = []
        column.append(index)
    if column:
        yield column


def _box(svg: ET.Element, name: str, left: float, top: float, right: float, bottom: float, title: str) -> None:
    shape = {"x": f"{left:.1f}", "y": f"{top:g}", "width": f"{max(right - left, 0.5):.1f}", "height": f"{bottom - top:g}"}
    ET.SubElement(ET.SubElement(svg, "rect", {"class": name, **shape}), "title").text = title


def _text(parent: ET.Element, x: float, y: float, text: str, anchor: str, name: str = "") -> None:
    style = {"class": name} if name else {}
    ET.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, **style}).text = text


def _times(start: datetime, end: datetime) -> str:
    return f"{start:%H:%M:%S}–{end:%H:%M:%S} ({elapsed(end - start)})"
