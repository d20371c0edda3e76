"""Mean scores, such as the share of right answers: the candidate's against the active's, or against a bound."""

import numpy as np
from numpy.typing import ArrayLike

from turnout.analysis.sequential import Array, Noise, Since, Throughout, mean_gain

STEPS = np.array([1.0, 2.0, 4.0, 8.0])
STEPS_WEIGHTS = np.array([0.3, 0.3, 0.25, 0.15])
"""Differences that evidence looks for, in margins."""
PRIOR_SCORES = 200.0
"""Scores that count as seen before the first: with the other side's variance, or that of answers which are worthless once in
mean/margin times if that is more. A hundred perfect scores do not show that the next are."""
NOISE = 0.01
"""Variance of a difference between windows that is always granted, in squared margins."""


class Spread:
    """Count, sum and squares of one side's scores so far."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count, self.total, self.squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def add(self, count: Array, total: Array, squares: Array) -> None:
        self.count, self.total, self.squares = self.count + count, self.total + total, self.squares + squares

    @property
    def mean(self) -> Array:
        return np.asarray(self.total / np.maximum(self.count, 1), float)

    @property
    def seen(self) -> Array:
        """Variance of the scores."""
        return np.asarray(np.maximum(self.squares / np.maximum(self.count, 1) - self.mean**2, 0), float)

    def variance(self, margin: float, other: ArrayLike = 0.0) -> Array:
        """Of one score, with `PRIOR_SCORES` as seen before."""
        before = np.maximum(margin * np.abs(self.mean), other)
        return np.asarray((self.seen * self.count + PRIOR_SCORES * before) / (self.count + PRIOR_SCORES), float)


class MeanComparison:
    """Evidence on the difference of means (candidate less active) of windows in which both sides were scored."""

    def __init__(self, margin: float, weights: tuple[int, ...], shape: tuple[int, ...] = ()) -> None:
        self.margin = margin
        self.candidate, self.active = Spread(shape), Spread(shape)
        self._fail = Since(shape, STEPS_WEIGHTS)
        self._pass = {w: Throughout(shape, STEPS_WEIGHTS) for w in weights}
        self._noise = Noise(shape, NOISE * margin**2, 4 * NOISE * margin**2)
        self._since = np.zeros((4, *shape, 0))

    def add(self, candidate: tuple[ArrayLike, ...], active: tuple[ArrayLike, ...]) -> None:
        """Take in a window: count, sum and squares of either side."""
        (n_c, t_c, s_c), (n_a, t_a, s_a) = ([np.asarray(x, float) for x in side] for side in (candidate, active))
        self.candidate.add(n_c, t_c, s_c)
        self.active.add(n_a, t_a, s_a)
        self._since = np.concatenate((self._since, np.zeros((*self._since.shape[:-1], 1))), axis=-1)
        self._since += np.stack((n_c, t_c, n_a, t_a))[..., None]
        of_c = self.candidate.variance(self.margin, self.active.seen)
        variance = _over(of_c, n_c) + _over(self.active.variance(self.margin, self.candidate.seen), n_a)
        difference = t_c / np.maximum(n_c, 1) - t_a / np.maximum(n_a, 1)
        seen = variance + self._noise.variance
        self._fail.add(mean_gain(difference, seen, np.zeros_like(seen), -self.margin * STEPS))
        for w, evidence in self._pass.items():
            null = np.full_like(seen, -self.margin * 100 / w)
            evidence.add(mean_gain(difference, seen, null, null[..., None] + self.margin * STEPS * 100 / w))
        self._noise.add(difference, variance)

    def fail_log(self) -> Array:
        """Log evidence against "no worse than the active"."""
        return self._fail.log_e()

    def pass_log(self, weight: int) -> Array:
        """Log evidence against "the service as a whole would be worse by the margin at that weight"."""
        return self._pass[weight].log_e()

    @property
    def difference(self) -> Array:
        """Of all windows."""
        return self.candidate.mean - self.active.mean

    def beyond(self) -> Array:
        """Whether the difference since the likeliest start of a regression is itself beyond the margin."""
        start = self._fail.by_start().argmax(axis=-1)
        n_c, t_c, n_a, t_a = np.take_along_axis(self._since, start[None, ..., None], axis=-1)[..., 0]
        return np.asarray(t_c / np.maximum(n_c, 1) - t_a / np.maximum(n_a, 1) <= -self.margin)


class MeanBound:
    """Evidence on the candidate's mean against `bound`, which already holds the margin."""

    def __init__(self, bound: ArrayLike, margin: float, shape: tuple[int, ...] = (), before: ArrayLike = 0.0) -> None:
        """`before`: variance of the scores before the full switch."""
        self.bound, self.margin, self._before = np.broadcast_to(np.asarray(bound, float), shape), margin, before
        self.candidate = Spread(shape)
        self._fail = Since(shape, STEPS_WEIGHTS)
        self._pass = Throughout(shape, STEPS_WEIGHTS)
        self._noise = Noise(shape, NOISE * margin**2, 4 * NOISE * margin**2)

    def add(self, count: ArrayLike, total: ArrayLike, squares: ArrayLike) -> None:
        """Take in a window."""
        n, t, s = (np.asarray(x, float) for x in (count, total, squares))
        self.candidate.add(n, t, s)
        variance, mean = _over(self.candidate.variance(self.margin, self._before), n), t / np.maximum(n, 1)
        seen, null, steps = variance + self._noise.variance, self.bound, self.margin * STEPS
        self._fail.add(mean_gain(mean, seen, null, null[..., None] - steps))
        self._pass.add(mean_gain(mean, seen, null, null[..., None] + steps))
        self._noise.add(mean, variance)

    def fail_log(self) -> Array:
        """Log evidence against "at least the bound"."""
        return self._fail.log_e()

    def pass_log(self) -> Array:
        """Log evidence against "the bound or less"."""
        return self._pass.log_e()


def _over(variance: Array, count: Array) -> Array:
    """Variance of the mean of so many; infinite of none."""
    return np.asarray(np.where(count > 0, variance / np.maximum(count, 1), np.inf), float)
