"""The e-processes, against exact likelihoods, brute force and simulation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import binom, hypergeom, norm

from turnout.analysis.counts import BETTER, BETTER_WEIGHTS, WORSE, WORSE_WEIGHTS, CountBound, CountComparison
from turnout.analysis.means import MeanComparison
from turnout.analysis.sequential import Array, Noise, Since, Throughout, mean_gain, prior, ratio_gain, share_gain

ALPHA = 0.05


def test_the_ratio_gains_by_the_binomial_likelihood_of_the_candidates_part() -> None:
    k_c, n_c, k_a, n_a, null = 7, 300, 20, 5700, 1.5
    parts = [r * n_c / (r * n_c + n_a) for r in (null, *WORSE)]
    exact = [binom.logpmf(k_c, k_c + k_a, part) for part in parts]
    assert ratio_gain((k_c, k_a), (n_c, n_a), null, WORSE) == pytest.approx([x - exact[0] for x in exact[1:]])


def test_share_and_mean_gain_by_their_likelihoods() -> None:
    shares = np.array([0.1, 0.5])
    exact = binom.logpmf(3, 40, shares) - binom.logpmf(3, 40, 0.05)
    assert share_gain(3, 40, 0.05, shares) == pytest.approx(exact)
    means = np.array([-0.02, 0.1])
    exact = norm.logpdf(0.03, means, 0.2) - norm.logpdf(0.03, 0.0, 0.2)
    assert mean_gain(0.03, 0.04, 0.0, means) == pytest.approx(exact)


def test_a_window_without_one_side_tells_nothing() -> None:
    assert not ratio_gain((0, 3), (0, 50), 1.0, WORSE).any()
    assert not ratio_gain((3, 0), (50, 0), 1.0, WORSE).any()
    assert not mean_gain(0.5, np.inf, 0.0, np.array([1.0])).any()


@pytest.mark.parametrize("temper", [1.0, 3.7])
@pytest.mark.parametrize(("k", "n_c", "n_a"), [(1, 5, 95), (12, 30, 70), (40, 100, 100)])
def test_on_average_no_window_gains_while_the_candidate_is_no_worse(k: int, n_c: int, n_a: int, temper: float) -> None:
    outcomes = np.arange(k + 1)
    gains = np.exp(ratio_gain((outcomes, k - outcomes), (np.full(k + 1, n_c), np.full(k + 1, n_a)), 1.0, WORSE) / temper)
    binomial = binom.pmf(outcomes, k, n_c / (n_c + n_a)) @ gains
    drawn = hypergeom.pmf(outcomes, n_c + n_a, n_c, k) @ gains
    if temper == 1:
        assert binomial == pytest.approx(np.ones(len(WORSE)))
    assert (binomial <= 1 + 1e-9).all()
    assert (drawn <= binomial + 1e-9).all()
    better = binom.pmf(outcomes, k, 0.5 * n_c / (0.5 * n_c + n_a)) @ gains
    assert (better < 1).all()


def clipped(gains: Array) -> float:
    """A sum in which the largest (positive) counts no more than the next."""
    best, second = sorted([*gains, 0.0, 0.0])[-1:-3:-1]
    return float(gains.sum() - best + second)


def test_the_mixture_over_starts_is_what_brute_force_adds_up() -> None:
    gains = np.random.default_rng(3).normal(0, 2, (9, len(WORSE)))
    since = Since((), WORSE_WEIGHTS)
    for i in range(9):
        since.add(gains[i])
        terms = [
            np.log(weight * share) + clipped(gains[start : i + 1, g])
            for start, share in enumerate(prior(i + 1))
            for g, weight in enumerate(WORSE_WEIGHTS)
        ]
        assert float(since.log_e()) == pytest.approx(float(logsumexp(terms)))


def test_the_mixture_over_windows_left_out_is_what_brute_force_adds_up() -> None:
    gains = np.random.default_rng(4).normal(0, 2, (9, len(BETTER)))
    whole = Throughout((), BETTER_WEIGHTS)
    for i in range(9):
        whole.add(gains[i])
        shares = (1 - Throughout.EVERY) * prior(i + 1)
        terms = []
        for g, weight in enumerate(BETTER_WEIGHTS):
            total = clipped(gains[: i + 1, g])
            terms.append(np.log(weight * (1 - shares.sum())) + total)
            terms += [np.log(weight * share) + total - gains[u, g] for u, share in enumerate(shares)]
        assert float(whole.log_e()) == pytest.approx(float(logsumexp(terms)))


def test_weights_of_starts_fall_and_never_pass_one() -> None:
    assert list(prior(3)) == pytest.approx([1 / 2, 1 / 4, 1 / 12])
    assert all(a > b for a, b in pairwise(prior(50)))
    assert prior(10_000).sum() == pytest.approx(1, abs=1e-3)


def test_one_window_alone_is_no_evidence() -> None:
    since, whole = Since((), WORSE_WEIGHTS), Throughout((), BETTER_WEIGHTS)
    since.add(np.full(len(WORSE), 300.0))
    whole.add(np.full(len(BETTER), 300.0))
    assert float(since.log_e()) <= 0
    assert float(whole.log_e()) <= 0


def worst_of(ratio: float, rps: float, rollouts: int = 1500, windows: int = 30, error: float = 0.02) -> tuple[Array, Array]:
    """The highest evidence of each kind ever seen, by rollout, at a true ratio and 25 % of the traffic."""
    rng = np.random.default_rng(11)
    test = CountComparison(0.0015, 1.5, (100,), (rollouts,))
    against, in_favour = np.full(rollouts, -np.inf), np.full(rollouts, -np.inf)
    for _ in range(windows):
        n_c, n_a = rng.poisson(15 * rps, rollouts), rng.poisson(45 * rps, rollouts)
        test.add(rng.binomial(n_c, error * ratio), n_c, rng.binomial(n_a, error), n_a)
        against, in_favour = np.maximum(against, test.fail_log()), np.maximum(in_favour, test.pass_log(100))
    return against, in_favour


@pytest.mark.parametrize("rps", [1.0, 20.0])
def test_evidence_misleads_no_more_often_than_it_says_however_often_one_looks(rps: float) -> None:
    same, _ = worst_of(1.0, rps)
    _, at_margin = worst_of(1.5, rps)
    noise = 3 * (ALPHA * (1 - ALPHA) / 1500) ** 0.5
    assert (same >= np.log(1 / ALPHA)).mean() <= ALPHA + noise
    assert (at_margin >= np.log(1 / ALPHA)).mean() <= ALPHA + noise


def test_evidence_finds_what_is_there() -> None:
    twice, _ = worst_of(2.0, 20.0)
    _, same = worst_of(1.0, 20.0)
    assert (twice >= np.log(1 / ALPHA)).mean() > 0.98
    assert (same >= np.log(1 / ALPHA)).mean() > 0.9


def test_a_bound_misleads_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(5)
    test = CountBound(0.03, 1.5, (1500,))
    against, in_favour = np.full(1500, -np.inf), np.full(1500, -np.inf)
    for _ in range(30):
        n = rng.poisson(300, 1500)
        test.add(rng.binomial(n, 0.03), n)
        against, in_favour = np.maximum(against, test.fail_log()), np.maximum(in_favour, test.pass_log())
    assert max((against >= np.log(1 / ALPHA)).mean(), (in_favour >= np.log(1 / ALPHA)).mean()) <= ALPHA + 0.017


@pytest.mark.parametrize("good", [0.9, 0.99])
def test_differences_of_scores_mislead_no_more_often_than_they_say(good: float) -> None:
    rng, rollouts = np.random.default_rng(6), 1500
    same, lower = MeanComparison(0.02, (100,), (rollouts,)), MeanComparison(0.02, (100,), (rollouts,))
    against, in_favour = np.full(rollouts, -np.inf), np.full(rollouts, -np.inf)
    for _ in range(30):
        n_c, n_a = rng.poisson(20, rollouts), rng.poisson(60, rollouts)
        right = rng.binomial(n_a, good)
        for test, rate in ((same, good), (lower, good - 0.02)):
            k = rng.binomial(n_c, rate)
            test.add((n_c, k, k), (n_a, right, right))
        against = np.maximum(against, same.fail_log())
        in_favour = np.maximum(in_favour, lower.pass_log(100))
    assert (against >= np.log(1 / ALPHA)).mean() <= ALPHA + 0.017
    assert (in_favour >= np.log(1 / ALPHA)).mean() <= ALPHA + 0.017


def test_noise_is_measured_where_windows_are_rich_and_granted_where_they_are_poor() -> None:
    rng = np.random.default_rng(7)
    for counting, expected in ((0.001, (0.02, 0.06)), (2.0, (0.004, 0.006))):
        noise = Noise((200,), 0.005, 0.02)
        for _ in range(40):
            noise.add(rng.normal(0, (0.05 + counting) ** 0.5, 200), counting)
        low, high = expected
        assert low < float(np.mean(noise.variance)) < high


def test_a_jump_is_hardly_noise() -> None:
    noise = Noise((), 0.005, 0.02)
    for value in (0.0, 0.0, 0.0, 2.0, 2.0, 2.0):
        noise.add(value, 0.001)
    assert float(noise.variance) < 0.01


def test_a_gap_is_no_pair_of_windows() -> None:
    noise = Noise((), 0.005, 0.02)
    noise.add(0.0, 0.001)
    noise.add(5.0, np.inf)
    noise.add(0.0, 0.001)
    assert float(noise.variance) == pytest.approx(0.005)
