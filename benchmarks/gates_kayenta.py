"""The judge that Kayenta documents ("How canary judgment works", Spinnaker): Mann-Whitney intervals, tolerance, scores.

Written after MannWhitney.scala, MannWhitneyClassifier.scala, IQRDetector.scala and WeightedSumScorer.scala of
spinnaker/kayenta; its test suites' own examples are the tests here.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from benchmarks.gates_world import Array

CONFIDENCE = 0.98
TOLERANCE = 0.25
IQR_FACTOR = 3.0


class Class(StrEnum):
    PASS = "Pass"
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"


def outliers(data: Sequence[float], factor: float = IQR_FACTOR, reduce_sensitivity: bool = True) -> list[bool]:
    """Which values lie outside the quartiles by `factor` times their range; reduced: and outside the 1st and 99th percentile.

    Percentiles stand at p (n + 1), so of fewer than 99 values reduced sensitivity never finds any.
    """
    if not data:
        return []
    low, high, first, last = np.percentile(data, [25, 75, 1, 99], method="weibull")
    fences = low - factor * (high - low), high + factor * (high - low)
    if reduce_sensitivity:
        fences = min(first, fences[0]), max(last, fences[1])
    return [bool(x < fences[0] or x > fences[1]) for x in data]


def interval(candidate: Sequence[float], baseline: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Confidence interval and estimate of how far the candidate is shifted: the asymptotic one of R's wilcox.test."""
    x, y = np.asarray(candidate, float), np.asarray(baseline, float)
    least, most = float(x.min() - y.max()), float(x.max() - y.min())
    z = float(norm.ppf((1 + confidence) / 2))

    def root(quantile: float) -> float:
        lower, upper = _difference(least, quantile, x, y), _difference(most, quantile, x, y)
        if lower <= 0:
            return least
        if upper >= 0:
            return most
        return float(brentq(_difference, least, most, args=(quantile, x, y), xtol=1e-9))

    return root(z), root(-z), root(0)


def _difference(shift: float, quantile: float, x: Array, y: Array) -> float:
    """How far the rank sum of x - shift is from what equal distributions give, in standard deviations, less `quantile`."""
    n, m = len(x), len(y)
    ranks = rankdata(np.concatenate((x - shift, y)))
    ties = np.unique(ranks, return_counts=True)[1].astype(float)
    excess = ranks[:n].sum() - n * (n + 1) / 2 - n * m / 2
    sigma = np.sqrt(n * m / 12 * (n + m + 1 - (ties**3 - ties).sum() / ((n + m) * (n + m - 1))))
    return float((excess - np.sign(excess) * 0.5) / sigma - quantile)


def classify(
    candidate: Sequence[float],
    baseline: Sequence[float],
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    directions: str = "either",
    allowed_increase: float = 1.0,
) -> Class:
    """High where the interval lies above `tolerance` times the estimate and the means' ratio is at least `allowed_increase`."""
    if not len(candidate) or not len(baseline):
        return Class.NODATA
    if sorted(candidate) == sorted(baseline) or len({*candidate, *baseline}) == 1:
        return Class.PASS
    low, high, estimate = interval(candidate, baseline, confidence)
    limit = tolerance * abs(estimate)
    mean = float(np.mean(baseline))
    ratio = float(np.mean(candidate)) / mean if mean else 1.0
    if directions in ("increase", "either") and low > limit and ratio >= allowed_increase:
        return Class.HIGH
    if directions in ("decrease", "either") and high < -limit:
        return Class.LOW
    return Class.PASS


def score(groups: Mapping[str, Sequence[Class]], weights: Mapping[str, float]) -> float:
    """The weighted share of passing metrics, 0 to 100; groups without a weight share what is left."""
    open_groups = [name for name in groups if name not in weights]
    rest = (100 - sum(weights.values())) / len(open_groups) if open_groups else 0.0
    total = 0.0
    for name, classes in groups.items():
        judged = [c for c in classes if c is not Class.NODATA]
        if judged:
            total += sum(c is Class.PASS for c in judged) / len(judged) * weights.get(name, rest)
    return total


def lower_bounds(candidate: ArrayLike, baseline: ArrayLike, confidence: Sequence[float]) -> tuple[list[Array], Array]:
    """`interval`'s lower ends and estimate for many series at once (…, points), untied: order statistics of the differences."""
    x, y = np.asarray(candidate, float), np.asarray(baseline, float)
    n, m = x.shape[-1], y.shape[-1]
    falling = -np.sort(-(x[..., :, None] - y[..., None, :]).reshape(*x.shape[:-1], n * m), axis=-1)
    sigma = np.sqrt(n * m * (n + m + 1) / 12)
    places = [n * m / 2 + 0.5 + float(norm.ppf((1 + c) / 2)) * sigma for c in confidence]
    lows = [falling[..., min(int(np.floor(place)), n * m - 1)] for place in places]
    return lows, np.median(falling, axis=-1)
