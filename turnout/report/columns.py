"""Neighbouring windows taken together where a chart has no room for each. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.analysis.measurement import Side
from turnout.report.series import Line, Panel, Point


@dataclass(frozen=True)
class Value:
    """A line's value over a column; `low` and `high` are its windows' own, `whole` is what it was measured of."""

    value: float
    low: float
    high: float
    whole: float


@dataclass(frozen=True)
class Column:
    """So many windows from `start` to `end` at one declared weight, with each line's value; None where nothing was measured."""

    start: datetime
    end: datetime
    weight: int
    windows: int
    values: tuple[Value | None, ...]

    def loads(self, side: Side) -> bool:
        """Whether that side had traffic."""
        return self.weight > 0 if side is Side.CANDIDATE else self.weight < 100

    @property
    def middle(self) -> datetime:
        return self.start + (self.end - self.start) / 2


def columns(panel: Panel, is_wide: Callable[[datetime, datetime], bool]) -> list[Column]:
    """The panel's windows, joined until they are wide enough. Windows of different weights are never joined, nor are those
    that were measured with those that were not: a gap stays a gap."""
    return [_column(panel, indexes) for indexes in _grouped(panel, is_wide)]


def _grouped(panel: Panel, is_wide: Callable[[datetime, datetime], bool]) -> Iterator[list[int]]:
    points = panel.lines[0].points if panel.lines else ()
    together: list[int] = []
    for index in range(len(points)):
        if together:
            first, last = points[together[0]], points[together[-1]]
            if is_wide(first.start, last.end) or not _alike(panel, together[-1], index):
                yield together
                together = []
        together.append(index)
    if together:
        yield together


def _alike(panel: Panel, before: int, after: int) -> bool:
    pairs = [(line.points[before], line.points[after]) for line in panel.lines]
    return all(b.end == a.start and b.weight == a.weight and (b.whole > 0) == (a.whole > 0) for b, a in pairs)


def _column(panel: Panel, indexes: Sequence[int]) -> Column:
    first, last = (panel.lines[0].points[index] for index in (indexes[0], indexes[-1]))
    values = tuple(_value(line, [line.points[index] for index in indexes]) for line in panel.lines)
    return Column(first.start, last.end, first.weight, len(indexes), values)


def _value(line: Line, points: Sequence[Point]) -> Value | None:
    whole = line.value(points)
    own = [value for point in points if (value := line.value([point])) is not None]
    return None if whole is None else Value(whole, min(own), max(own), sum(point.whole for point in points))
