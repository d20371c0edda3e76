"""What counters and histograms counted in spans of time, from their raw samples. Pure.

PromQL's `increase` extrapolates to the ends of its range and forgets what a series counted before its first sample: of one
failed request it makes 1.3, or none. Here a span has what was counted between the last sample before it and its own last
one, so that spans add up. A smaller value than before is a counter that began again (a restart); a series that was not there
before began at 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turnout.analysis.measurement import Count, Moments, Sample, Side

Bounds = Sequence[tuple[float, float]]
"""Starts and ends of spans, in seconds since 1970."""
Counted = list[float | None]
"""One value a span; None where no sample lies in it."""


@dataclass(frozen=True)
class Series:
    """A series' labels and its samples (seconds since 1970, value), oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


def increases(series: Series, bounds: Bounds) -> Counted:
    """What a counter counted in each span."""
    steps = []
    before = 0.0
    for moment, value in series.samples:
        steps.append((moment, value - before if value >= before else value))
        before = value
    return [_sum([step for moment, step in steps if start < moment <= end]) for start, end in bounds]


def total(found: Sequence[Series], bounds: Bounds) -> Counted:
    """What all of these counters counted in each span."""
    each = [increases(series, bounds) for series in found]
    return [_sum([counted[number] for counted in each]) for number in range(len(bounds))]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def buckets(found: Sequence[Series], bounds: Bounds) -> dict[float, Counted]:
    """What a histogram counted up to each of its bounds (seconds; the last is infinite)."""
    by_bound: dict[float, list[Series]] = {}
    for series in found:
        by_bound.setdefault(float(series.labels.get("le", "nan")), []).append(series)
    return {bound: total(by_bound[bound], bounds) for bound in sorted(by_bound) if bound == bound}


def cut(threshold: float, sides: Sequence[Mapping[float, Counted]]) -> float | None:
    """The largest bound up to the threshold that all sides have: the same for all, so that equal sides stay equal, and
    against the candidate where a share over the threshold is judged."""
    common = set.intersection(*(set(side) for side in sides)) if sides else set()
    return max((bound for bound in common if bound <= threshold), default=None)


def slow(side: Mapping[float, Counted], bound: float, number: int) -> Sample | None:
    """The requests of a span over a bound."""
    fast, everything = side[bound][number], side.get(math.inf, {number: None})[number]
    if fast is None or everything is None or not 0 <= fast <= everything < math.inf or not everything:
        return None
    return Count(round(everything) - round(fast), round(everything))


def percentile(side: Mapping[float, Counted], percent: float, number: int) -> float | None:
    """The percentile of a span in seconds, linear inside its bucket, as PromQL's `histogram_quantile`; of the last bucket its
    lower bound."""
    counted = [(bound, values[number]) for bound, values in side.items()]
    known = [(bound, value) for bound, value in counted if value is not None and math.isfinite(value)]
    if not known or known[-1][0] != math.inf or known[-1][1] <= 0:
        return None
    rank = percent / 100 * known[-1][1]
    low, below = 0.0, 0.0
    for bound, value in known:
        if value >= rank and value > below:
            return low if bound == math.inf else low + (bound - low) * (rank - below) / (value - below)
        low, below = bound, value
    return None


def failed(bad: float | None, everything: float | None, side: Side) -> Sample | None:
    """Failed requests of all; nothing is counted of a series without samples. A part of a request counts against the
    candidate."""
    if everything is None or not 0 < everything < math.inf or not 0 <= (bad or 0.0) <= everything + 1e-6:
        return None
    part = math.ceil((bad or 0.0) - 1e-6) if side is Side.CANDIDATE else math.floor((bad or 0.0) + 1e-6)
    count = round(everything)
    return Count(min(part, count), count) if count else None


def scored(score: float | None, everything: float | None) -> Sample | None:
    """The moments of scores from 0 to 1: their squares are at most their sum, and exactly that of 0 and 1."""
    if everything is None or not 0 < everything < math.inf or not 0 <= (score or 0.0) <= everything + 1e-6:
        return None
    count = round(everything)
    return Moments(count, score or 0.0, score or 0.0) if count else None
