"""The simulated service behind `benchmarks.gates`: what each side's windows hold, for many rollouts at once."""

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
MINUTES = 150
"""Windows of a minute that a world lasts."""
SPREAD = 0.5
"""Standard deviation of the log of a request's latency; the median is 1."""
PERCENTILE = 0.95
THRESHOLD_MARGIN = 1.2
DAY = 1440
MEMORY = 0.8
"""Correlation of noise with that of the minute before."""
BLIP = 10.0
"""How many times more requests fail in a blip's minute; latency doubles."""
SCORED = 0.3
"""Share of requests whose answer gets a score, 0 or 1."""
GOOD = 0.9


@dataclass(frozen=True)
class Case:
    """A service and a candidate. `effect`: times the errors; `slower`: times the latency; `worse`: drop of the mean score;
    `since`: minute in which these begin; `common`, `own`: standard deviation of noise in the log error rate that both sides
    share or each has for itself (latency a fifth of it); `wave`: amplitude of load and errors over a day; `blip`: one minute of
    trouble on "both" sides or the "candidate"."""

    name: str
    rps: float
    error: float = 0.01
    effect: float = 1.0
    slower: float = 1.0
    worse: float = 0.0
    since: int = 0
    common: float = 0.0
    own: float = 0.0
    wave: float = 0.0
    blip: str = ""
    quality: bool = False


@dataclass(frozen=True)
class Seen:
    """One window of every rollout: (candidate, active) of each number."""

    total: tuple[Array, Array]
    errors: tuple[Array, Array]
    slow: tuple[Array, Array]
    p95: tuple[Array, Array]
    scored: tuple[Array, Array] = field(default=(np.zeros(0), np.zeros(0)))
    right: tuple[Array, Array] = field(default=(np.zeros(0), np.zeros(0)))


class World:
    """Rates and noise of `rollouts` rollouts over time; `look` draws a window at the weights they are at."""

    def __init__(self, case: Case, rollouts: int, seed: int) -> None:
        self.case = case
        self.rng = np.random.default_rng((seed, zlib.crc32(case.name.encode())))
        shape = (rollouts, MINUTES)
        phase = self.rng.uniform(0, 2 * np.pi, (rollouts, 1))
        self.load = 1 + case.wave * np.sin(2 * np.pi * np.arange(MINUTES) / DAY + phase)
        common = self._noise(shape, case.common) + np.log(self.load)
        blips = np.zeros(shape)
        if case.blip:
            blips[np.arange(rollouts), self.rng.integers(0, 20, rollouts)] = 1.0
        on = np.arange(MINUTES) >= case.since
        self.log_error: list[Array] = []
        self.log_slow: list[Array] = []
        for side in (0, 1):
            noise = common + self._noise(shape, case.own)
            blip = blips if case.blip == "both" or (case.blip and side == 0) else np.zeros(shape)
            worse = on * (side == 0)
            self.log_error.append(np.log(case.error) + noise + blip * np.log(BLIP) + worse * np.log(case.effect))
            self.log_slow.append(noise / 5 + blip * np.log(2) + worse * np.log(case.slower))

    def _noise(self, shape: tuple[int, int], deviation: float) -> Array:
        if not deviation:
            return np.zeros(shape)
        noise = self.rng.normal(0, deviation, shape)
        for t in range(1, shape[1]):
            noise[:, t] = MEMORY * noise[:, t - 1] + np.sqrt(1 - MEMORY**2) * noise[:, t]
        return np.asarray(noise - deviation**2 / 2, float)

    def look(self, at: Ints, weight: Ints, rows: Ints | None = None) -> Seen:
        """The windows of all rollouts (or those of `rows`) at their minute, with the candidate's weights in percent."""
        row = np.arange(len(weight)) if rows is None else rows
        total = self.rng.poisson(60 * self.case.rps * self.load[row, at])
        of_c = self.rng.binomial(total, weight / 100)
        sides = (of_c, total - of_c)
        errors, slow, p95, scored, right = [], [], [], [], []
        for side, n in enumerate(sides):
            errors.append(self.rng.binomial(n, np.minimum(np.exp(self.log_error[side][row, at]), 0.9)).astype(float))
            quantile, over = self._latency(n, self.log_slow[side][row, at])
            p95.append(quantile)
            slow.append(over)
            if self.case.quality:
                drop = self.case.worse * (side == 0) * (at >= self.case.since)
                scored.append(self.rng.binomial(n, SCORED).astype(float))
                right.append(self.rng.binomial(scored[-1].astype(int), GOOD - drop).astype(float))
        pair = [(np.asarray(x[0], float), np.asarray(x[1], float)) for x in (sides, errors, slow, p95)]
        return Seen(*pair, *[(x[0], x[1]) for x in (scored, right) if x])

    def expected(self, since: Ints, until: int) -> Array:
        """Failed, slow and wrong answers (kind, rollout) that a candidate with all the traffic gives from minute to minute."""
        minutes = np.arange(MINUTES)
        then = (minutes >= since[:, None]) & (minutes < until)
        requests = 60 * self.case.rps * self.load * then
        over = 1 - ndtr(ndtri(PERCENTILE) + (np.log(THRESHOLD_MARGIN) - self.log_slow[0]) / SPREAD)
        wrong = SCORED * (1 - GOOD + self.case.worse * (minutes >= self.case.since)) * self.case.quality
        shares = (np.minimum(np.exp(self.log_error[0]), 0.9), over, np.broadcast_to(wrong, over.shape))
        return np.stack([(requests * share).sum(axis=1) for share in shares])

    def _latency(self, n: Ints, shift: Array) -> tuple[Array, Array]:
        """The 95th percentile of n latencies (NaN of none) and how many are over the frozen threshold: drawn as an order
        statistic of uniforms (a Beta variable), then the count on either side of it."""
        kth = np.maximum(np.ceil(PERCENTILE * n), 1).astype(int)
        rank = self.rng.beta(kth, np.maximum(n - kth, 0) + 1)
        limit = ndtr(ndtri(PERCENTILE) + (np.log(THRESHOLD_MARGIN) - shift) / SPREAD)
        below = rank < limit
        rest, odds = np.where(below, n - kth, kth - 1), np.where(below, (1 - limit) / (1 - rank), (rank - limit) / rank)
        over = self.rng.binomial(np.maximum(rest, 0), np.clip(odds, 0, 1)) + np.where(below, 0, n - kth + 1)
        quantile = np.exp(SPREAD * ndtri(rank) + shift)
        return np.where(n > 0, quantile, np.nan), np.where(n > 0, over, 0).astype(float)
