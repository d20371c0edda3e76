"""CloudWatch's statistics of the values in one period. Pure.

Sources: "CloudWatch statistics definitions" (Amazon CloudWatch User Guide): percentile, percentile rank (PR) and trimmed count
(TC), whose lower bound is exclusive and whose upper bound is inclusive; "PutMetricData" (API Reference): of a statistic set
they are known only when all of its values are the same; "GetMetricStatistics" (same): not of negative values.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PLAIN = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_NUMBER = r"(-?\d+(?:\.\d{1,10})?)?"
_RANGE = re.compile(rf"(TC|PR)\({_NUMBER}:{_NUMBER}\)")


class UnknownStatistic(ValueError):
    """A statistic that is not known here; the message names it."""


@dataclass(frozen=True)
class Bag:
    """Values that were put together. `pairs`: each value and how often it came, or None where only the rest is known."""

    count: float
    total: float
    minimum: float
    maximum: float
    pairs: tuple[tuple[float, float], ...] | None

    @staticmethod
    def of(pairs: Iterable[tuple[float, float]]) -> "Bag":
        """A bag of these values; at least one."""
        kept = tuple(pairs)
        values = [value for value, _ in kept]
        total = math.fsum(value * count for value, count in kept)
        return Bag(math.fsum(count for _, count in kept), total, min(values), max(values), kept)

    @staticmethod
    def of_set(count: float, total: float, minimum: float, maximum: float) -> "Bag":
        """A statistic set; its values are known when all are the same."""
        same = minimum == maximum and math.isclose(total, minimum * count)
        return Bag(count, total, minimum, maximum, ((minimum, count),) if same else None)


def check(name: str) -> None:
    """Raises `UnknownStatistic` for the name of a statistic that `statistic` does not know."""
    if name not in PLAIN and not _PERCENTILE.fullmatch(name) and not _cut(name):
        raise UnknownStatistic(
            f"{name!r} is not kept by the local cloud; ask for {', '.join(PLAIN)}, a percentile such as p99.9, or TC(a:b) or "
            "PR(a:b) of absolute values"
        )


def statistic(name: str, bags: Sequence[Bag]) -> float | None:
    """The statistic of all values; None when there are none, or when their distribution is not known.

    Raises `UnknownStatistic`."""
    check(name)
    count = math.fsum(bag.count for bag in bags)
    if not count:
        return None
    match name:
        case "SampleCount":
            return count
        case "Sum":
            return math.fsum(bag.total for bag in bags)
        case "Average":
            return math.fsum(bag.total for bag in bags) / count
        case "Minimum":
            return min(bag.minimum for bag in bags)
        case "Maximum":
            return max(bag.maximum for bag in bags)
    pairs = sorted(pair for bag in bags for pair in bag.pairs or ())
    if any(bag.pairs is None for bag in bags) or pairs[0][0] < 0:
        return None
    return _distributed(name, pairs, count)


def _distributed(name: str, pairs: Sequence[tuple[float, float]], count: float) -> float:
    """A percentile, TC or PR; `pairs` are sorted."""
    cut = _cut(name)
    if cut is None:
        return _percentile(pairs, float(name[1:]) / 100 * count)
    kind, low, high = cut
    inside = math.fsum(number for value, number in pairs if low < value <= high)
    return inside if kind == "TC" else 100 * inside / count


def _percentile(pairs: Sequence[tuple[float, float]], rank: float) -> float:
    """The smallest value that so many values do not exceed."""
    passed = 0.0
    for value, number in pairs:
        passed += number
        if passed >= rank * (1 - 1e-12):
            return value
    return pairs[-1][0]


def _cut(name: str) -> tuple[str, float, float] | None:
    """TC or PR with its bounds, of which one may be open."""
    match = _RANGE.fullmatch(name)
    if match is None or not (match[2] or match[3]):
        return None
    return match[1], float(match[2] or -math.inf), float(match[3] or math.inf)
