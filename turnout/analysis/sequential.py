"""Evidence that may be looked at after every window: e-processes in logarithms, over any number of rollouts at once.

An e-process starts at 1 and, while its null hypothesis holds, does not grow on average; so the probability that it ever
reaches 1/alpha is at most alpha (Ville's inequality; Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe
anytime-valid inference", 2023). Arrays are (…) a quantity for each rollout; a last axis holds the alternatives of a mixture.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

Array = NDArray[np.float64]
CERTAIN = 500.0
"""Where log evidence stops: nobody needs more, and its exponential is still a number."""


def ratio_gain(bad: tuple[ArrayLike, ArrayLike], total: tuple[ArrayLike, ArrayLike], null: ArrayLike, other: Array) -> Array:
    """Log likelihood ratio of `other` over `null`, ratios of the candidate's rate to the active's, from one window.

    Pairs are (candidate, active). Given the window's bad requests of both sides, the candidate's are
    Binomial(k, r n_c / (r n_c + n_a)): what raises both rates cancels (the comparison of two Poisson means: Przyborowski and
    Wilenski, Biometrika 31, 1940). Drawn without replacement they vary less, which only makes the test cautious (Hoeffding,
    JASA 58, 1963, theorem 4).
    """
    (bad_c, bad_a), (total_c, total_a) = (_wide(*bad), _wide(*total))
    r0 = np.asarray(null, float)[..., None]
    shares = (total_c * r0 + total_a) / np.maximum(total_c * other + total_a, 1e-300)
    both = np.where((total_c > 0) & (total_a > 0), 1.0, 0.0)
    return np.asarray(both * (bad_c * np.log(other / r0) + (bad_c + bad_a) * np.log(np.maximum(shares, 1e-300))), float)


def share_gain(bad: ArrayLike, total: ArrayLike, null: ArrayLike, other: ArrayLike) -> Array:
    """Log likelihood ratio of the share `other` (…, alternatives) over the share `null` (…) from one window's requests."""
    k, n = _wide(bad, total)
    p0, p1 = np.asarray(null, float)[..., None], np.asarray(other, float)
    return np.asarray(xlogy(k, p1 / p0) + xlogy(n - k, (1 - p1) / (1 - p0)), float)


def mean_gain(mean: ArrayLike, variance: ArrayLike, null: ArrayLike, other: ArrayLike) -> Array:
    """Log likelihood ratio of the mean `other` over `null` from one observation with that variance, which is normal."""
    x, v = _wide(mean, variance)
    m0, m1 = np.asarray(null, float)[..., None], np.asarray(other, float)
    gain = (m1 - m0) * (x - (m0 + m1) / 2) / np.where(v > 0, v, 1.0)
    return np.asarray(np.where((v > 0) & np.isfinite(v), gain, 0.0), float)


def _wide(*values: ArrayLike) -> list[Array]:
    return [np.asarray(value, float)[..., None] for value in values]


class Since:
    """Evidence against a candidate: a mixture over alternatives and over the window from which they hold, so that what begins
    late is found. In the evidence of each start the most telling window counts no more than the next: one window alone
    decides nothing, whatever happened in it."""

    def __init__(self, shape: tuple[int, ...], weights: Array) -> None:
        self._weights = weights / weights.sum()
        self._sums = np.zeros((*shape, 0, len(weights)))
        self._best = np.zeros_like(self._sums)
        self._second = np.zeros_like(self._sums)

    def add(self, gain: Array) -> None:
        """Take in one window's log likelihood ratios (…, alternatives)."""
        fresh = np.zeros((*self._sums.shape[:-2], 1, self._sums.shape[-1]))
        self._sums, self._best, self._second = (
            np.concatenate((x, fresh), axis=-2) for x in (self._sums, self._best, self._second)
        )
        gain = gain[..., None, :]
        self._sums += gain
        np.maximum(self._second, np.minimum(self._best, gain), out=self._second)
        np.maximum(self._best, gain, out=self._best)

    @property
    def starts(self) -> int:
        return int(self._sums.shape[-2])

    def by_start(self) -> Array:
        """Weighted evidence (…, starts), not its log."""
        kept = np.minimum(self._sums - self._best + self._second, CERTAIN)
        return np.asarray((np.exp(kept) @ self._weights) * prior(self.starts), float)

    def log_e(self) -> Array:
        """The log of the e-process, which stops at `CERTAIN`; 0 before the first window."""
        if not self.starts:
            return np.zeros(self._sums.shape[:-2])
        return log_of(self.by_start().sum(axis=-1))


class Throughout:
    """Evidence in favour of a candidate, from the first window on: a mixture over alternatives, and over nothing or one window
    that is left out, so that one bad minute does not spoil an hour. The most telling window counts no more than the next."""

    EVERY = 0.7
    """Weight of leaving nothing out."""

    def __init__(self, shape: tuple[int, ...], weights: Array) -> None:
        self._weights = np.log(weights / weights.sum())
        self._sums = np.zeros((*shape, len(weights)))
        self._best = np.zeros_like(self._sums)
        self._second = np.zeros_like(self._sums)
        self._without = np.full_like(self._sums, -np.inf)
        self._windows = 0

    def add(self, gain: Array) -> None:
        """Take in one window's log likelihood ratios (…, alternatives)."""
        self._windows += 1
        self._sums = self._sums + gain
        self._second = np.maximum(self._second, np.minimum(self._best, gain))
        self._best = np.maximum(self._best, gain)
        share = (1 - self.EVERY) * prior(self._windows)[-1]
        self._without = np.logaddexp(self._without, np.log(share) - gain)

    def log_e(self) -> Array:
        """The log of the e-process; 0 before the first window."""
        yet = 1 - (1 - self.EVERY) * prior(self._windows).sum()
        mixed = np.logaddexp(np.log(yet), self._without)
        return np.asarray(np.logaddexp.reduce(self._sums - self._best + self._second + mixed + self._weights, axis=-1), float)


@lru_cache(256)
def prior(windows: int) -> Array:
    """Weights of the first so many windows: 1/2, 1/4, 1/12, 1/24, … falling as 1/s²; their sum never passes 1."""
    s = np.arange(1, windows + 1, dtype=float)
    weights = np.asarray(np.where(s == 1, 0.5, 0.5 / np.maximum((s - 1) * s, 1)), float)
    weights.flags.writeable = False
    return weights


class Noise:
    """How much a rate moves from window to window beyond counting: variance of its log (or of a mean), from windows past.

    Half the squared difference of successive windows less what counting explains, weighted by its precision and shrunk to
    `floor` as if `PRIOR` pairs had shown that with no error but `scale`; a lasting change enters one difference only. Where
    windows hold few bad requests their weight is next to nothing and the floor stays.
    """

    PRIOR = 4.0
    SURPRISE = 4.0
    """How many times what is expected one pair may count: a jump is no noise."""

    def __init__(self, shape: tuple[int, ...], floor: float, scale: float) -> None:
        self.floor, self.scale = floor, scale
        self._weight = np.full(shape, self.PRIOR / scale**2)
        self._total = self._weight * floor
        self._last: tuple[Array, Array] | None = None

    @property
    def variance(self) -> Array:
        return np.asarray(np.maximum(self._total / self._weight, self.floor), float)

    def add(self, value: ArrayLike, variance: ArrayLike) -> None:
        """One window's value with the variance that counting gives it; infinite or NaN where it has none."""
        x, v = np.asarray(value, float), np.asarray(variance, float)
        if self._last is not None:
            counting = (v + self._last[1]) / 2
            usable = np.isfinite(counting)
            counting = np.where(usable, counting, 1.0)
            weight = np.where(usable, 1 / (counting + self.scale) ** 2, 0.0)
            self._weight = self._weight + weight
            extra = np.minimum((x - self._last[0]) ** 2 / 2, self.SURPRISE * (counting + self.variance)) - counting
            self._total = self._total + weight * extra
        self._last = x, v


def log_of(value: Any) -> Array:
    """Log without a warning at 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(value), float)
