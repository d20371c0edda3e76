"""Shares of bad requests: the candidate's against the active's in the same windows, or against a bound."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from turnout.analysis.sequential import Array, Noise, Since, Throughout, log_of, ratio_gain, share_gain

WORSE = np.array([1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
WORSE_WEIGHTS = np.array([0.2, 0.3, 0.2, 0.15, 0.1, 0.05])
"""How many times worse a candidate may turn out: what the evidence against it looks for, and how much of each."""
BETTER = np.array([1.0, 0.7, 0.4, 0.1])
BETTER_WEIGHTS = np.array([0.55, 0.2, 0.15, 0.1])
"""What the evidence for it looks for: as good as the active, or better."""
NOISE = 0.005
"""Variance of the log ratio from window to window that is expected beyond counting, before any is measured."""
NOISE_SCALE = 0.02
"""How precisely a pair of windows would have to show it (see `Noise`)."""
MEMORY = 12.0
"""How much more the sum of some windows varies than such pairs tell, as noise lasts: a first-order autoregression with a
correlation of 0.8 from minute to minute has 8 in three windows, 18 in five."""


@dataclass(frozen=True)
class Estimate:
    """What the evidence of one verdict saw: bad and total requests of both sides since the likeliest start."""

    bad_c: Array
    total_c: Array
    bad_a: Array
    total_a: Array

    @property
    def share_c(self) -> Array:
        return self.bad_c / np.maximum(self.total_c, 1)

    @property
    def share_a(self) -> Array:
        return self.bad_a / np.maximum(self.total_a, 1)


class CountComparison:
    """Evidence of windows in which both sides carried weight. `floor`: a share that is never too high for a candidate,
    `margin`: how many times the active's it may be otherwise; `weights`: the next weights in percent that may be asked for."""

    def __init__(self, floor: float, margin: float, weights: tuple[int, ...], shape: tuple[int, ...] = ()) -> None:
        self.floor, self.margin = floor, margin
        self._fail = Since(shape, WORSE_WEIGHTS)
        self._by_ratio = {w: Throughout(shape, BETTER_WEIGHTS) for w in weights}
        self._by_share = {w: Throughout(shape, BETTER_WEIGHTS) for w in weights}
        self._noise = Noise(shape, NOISE, NOISE_SCALE)
        self._since = np.zeros((4, *shape, 0))

    def add(self, bad_c: ArrayLike, total_c: ArrayLike, bad_a: ArrayLike, total_a: ArrayLike) -> None:
        """Take in a window."""
        k_c, n_c, k_a, n_a = (np.asarray(x, float) for x in (bad_c, total_c, bad_a, total_a))
        drift = MEMORY * self._noise.variance
        share = n_c / np.maximum(n_c + n_a, 1)
        calm = (1 + (k_c + k_a) * share * (1 - share) * drift)[..., None]
        self._fail.add(ratio_gain((k_c, k_a), (n_c, n_a), np.ones_like(k_c), WORSE) / calm)
        self._since = np.concatenate((self._since, np.zeros((*self._since.shape[:-1], 1))), axis=-1)
        self._since += np.stack((k_c, n_c, k_a, n_a))[..., None]
        for w, evidence in self._by_ratio.items():
            null = np.full_like(k_c, 1 + (self.margin - 1) * 100 / w)
            evidence.add(ratio_gain((k_c, k_a), (n_c, n_a), null, BETTER) / calm)
        usual = self._usual()
        calm = (1 + n_c * self.floor * drift)[..., None]
        for w, evidence in self._by_share.items():
            null = np.minimum(usual + (self.floor - usual) * 100 / w, 0.9)
            evidence.add(share_gain(k_c, n_c, null, usual[..., None] * BETTER) / calm)
        self._noise.add(_log_share(k_c, n_c) - _log_share(k_a, n_a), 1 / (k_c + 0.5) + 1 / (k_a + 0.5))

    def _usual(self) -> Array:
        """The active's share so far (as if one bad request in 1/floor had been seen before), at most floor / margin."""
        _, _, bad, total = self._since[..., 0]
        return np.asarray(np.clip((bad + 1) / (total + 1 / self.floor), self.floor / 20, self.floor / self.margin), float)

    @property
    def sums(self) -> Array:
        """Bad and total of the candidate, bad and total of the active, over all windows."""
        return self._since[..., 0]

    def fail_log(self) -> Array:
        """Log evidence against "no worse than the active"."""
        return self._fail.log_e()

    def pass_log(self, weight: int) -> Array:
        """Log evidence against "the service as a whole would be worse by the margin at that weight"."""
        either = np.stack((self._by_ratio[weight].log_e(), self._by_share[weight].log_e()))
        return np.asarray(np.logaddexp(*either) - np.log(2), float)

    def estimate(self) -> Estimate:
        """Since the likeliest start of a regression."""
        if not self._fail.starts:
            return Estimate(*np.zeros(self._since.shape[:-1]))
        start = self._fail.by_start().argmax(axis=-1)
        return Estimate(*np.take_along_axis(self._since, start[None, ..., None], axis=-1)[..., 0])

    def beyond(self, seen: Estimate) -> Array:
        """Whether the estimate itself is beyond the margin."""
        return np.asarray(seen.share_c >= np.maximum(self.floor, self.margin * seen.share_a))


class CountBound:
    """Evidence of the candidate's share against `bound`, which already holds the margin."""

    def __init__(self, bound: ArrayLike, margin: float, shape: tuple[int, ...] = ()) -> None:
        self.bound = np.broadcast_to(np.asarray(bound, float), shape)
        wide = self.bound[..., None]
        self._worse = np.minimum(wide * WORSE, (1 + wide * 4) / 5)
        self._better = wide / margin * BETTER
        self._fail = Since(shape, WORSE_WEIGHTS)
        self._pass = Throughout(shape, BETTER_WEIGHTS)
        self._noise = Noise(shape, NOISE, NOISE_SCALE)
        self.bad = np.zeros(shape)
        self.total = np.zeros(shape)

    def add(self, bad: ArrayLike, total: ArrayLike) -> None:
        """Take in a window."""
        k, n = np.asarray(bad, float), np.asarray(total, float)
        calm = (1 + n * self.bound * (1 - self.bound) * MEMORY * self._noise.variance)[..., None]
        self._fail.add(share_gain(k, n, self.bound, self._worse) / calm)
        self._pass.add(share_gain(k, n, self.bound, self._better) / calm)
        self._noise.add(_log_share(k, n), 1 / (k + 0.5))
        self.bad, self.total = self.bad + k, self.total + n

    def fail_log(self) -> Array:
        """Log evidence against "at most the bound"."""
        return self._fail.log_e()

    def pass_log(self) -> Array:
        """Log evidence against "the bound or more"."""
        return self._pass.log_e()


def _log_share(bad: Array, total: Array) -> Array:
    return log_of((bad + 0.5) / (total + 1))
