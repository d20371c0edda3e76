"""What an A/B experiment shows: each figure against a second way to it, and its promises by simulation, looked at again and
again."""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import betaln, gammaln

from turnout.analysis import experiment, power
from turnout.analysis.experiment import (
    Design,
    Outcome,
    Result,
    any_time_p_value,
    conversions,
    half_width,
    holm,
    judge,
    lift,
    sample_ratio,
)
from turnout.analysis.measurement import Moments

ALPHA = 0.05
EVEN = {"control": 50, "candidate": 50}
DESIGN = Design("answers", "control", EVEN, smallest=0.01)


def moments(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.sum()), float((values**2).sum()))


def at_most(rate: float, runs: int) -> float:
    """Hits among `runs` that a true `rate` exceeds once in a thousand times."""
    return float(stats.binom.isf(0.001, runs, rate))


def looks(rng: np.random.Generator, rates: tuple[float, ...], users: int, number: int) -> Iterator[list[Moments]]:
    """Conversions of each side so far, at so many looks with `users` more of each side."""
    held = np.zeros(len(rates), dtype=int)
    for look in range(1, number + 1):
        held += rng.binomial(users, rates)
        yield [conversions(int(converted), users * look) for converted in held]


# -- the division ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "split"),
    [((821_588, 815_482), (50, 50)), ((510, 490), (50, 50)), ((30, 8, 2), (70, 20, 10)), ((1, 0), (90, 10)), ((0, 7), (99, 1))],
)
def test_a_ratio_is_judged_as_by_the_librarys_distributions(seen: tuple[int, ...], split: tuple[float, ...]) -> None:
    names, total, shares = "abc"[: len(seen)], sum(seen), [each / sum(split) for each in split]
    found = sample_ratio(dict(zip(names, seen, strict=True)), dict(zip(names, split, strict=True)))
    mixture = stats.dirichlet_multinomial.logpmf(seen, [experiment._CONCENTRATION * share for share in shares], total)
    evidence = float(mixture - stats.multinomial.logpmf(seen, total, shares))
    assert found.p_value == pytest.approx(min(1.0, math.exp(-evidence)), rel=1e-6)
    assert found.chi_square == pytest.approx(stats.chisquare(seen, [share * total for share in shares]).pvalue, rel=1e-9)


def test_the_ratio_of_a_published_experiment_is_found_broken() -> None:
    # Kohavi, Tang and Xu, Trustworthy Online Controlled Experiments, chapter 3: a scorecard that misses 0.7 % of one side
    found = sample_ratio({"control": 821_588, "candidate": 815_482}, EVEN)
    assert found.chi_square == pytest.approx(1.8e-6, rel=0.02)
    assert found.broken
    assert found.p_value < 1e-3
    assert "do not come 50:50" in found.said


def test_the_sequential_ratio_is_the_bayes_factor_by_hand() -> None:
    seen, asked = [5200, 2300, 2500], [0.5, 0.25, 0.25]
    prior = [10_000 * share for share in asked]
    after = sum(gammaln(a + n) for a, n in zip(prior, seen, strict=True)) - gammaln(sum(prior) + sum(seen))
    before = sum(map(gammaln, prior)) - gammaln(sum(prior))
    evidence = after - before - sum(n * math.log(share) for n, share in zip(seen, asked, strict=True))
    found = sample_ratio(dict(zip("abc", seen, strict=True)), {"a": 50, "b": 25, "c": 25})
    assert found.p_value == pytest.approx(math.exp(-evidence), rel=1e-6)
    two = sample_ratio({"a": 540, "b": 460}, {"a": 1, "b": 1})
    beta = betaln(5540, 5460) - betaln(5000, 5000) + 1000 * math.log(2)
    assert two.p_value == pytest.approx(min(1.0, math.exp(-beta)), rel=1e-6)


def test_looking_at_a_sound_ratio_again_and_again_raises_no_more_alarms_than_the_level() -> None:
    rng, runs = np.random.default_rng(1), 300
    sequential = once = 0
    for _ in range(runs):
        seen = np.cumsum(rng.multinomial(100, [0.5, 0.3, 0.2], size=40), axis=0)
        found = [sample_ratio(dict(zip("abc", map(int, row), strict=True)), {"a": 50, "b": 30, "c": 20}) for row in seen]
        sequential += min(each.p_value for each in found) <= ALPHA
        once += min(each.chi_square for each in found) <= ALPHA
    print(f"false alarms at {ALPHA}: sequential {sequential / runs:.3f}, chi-square at every look {once / runs:.3f}")
    assert sequential <= at_most(ALPHA, runs)
    assert once > 3 * ALPHA * runs


def test_a_variant_without_a_share_must_have_no_users() -> None:
    split = {"control": 10, "candidate": 10, "later": 0}
    assert not sample_ratio({"control": 1000, "candidate": 990}, split).broken
    stray = sample_ratio({"control": 1000, "candidate": 990, "later": 1}, split)
    assert (stray.broken, stray.said.split(",")[0]) == (True, "1 users of later")
    assert not sample_ratio({}, split).broken
    with pytest.raises(ValueError, match="users of other, which is no variant"):
        sample_ratio({"other": 1}, split)


# -- differences -------------------------------------------------------------------------------------------------------


def test_an_interval_of_one_look_is_welchs() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(10, 2, 300), rng.normal(10.5, 5, 900)
    found = lift(moments(a), moments(b), smallest=0.5)
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert found is not None
    assert found.p_once == pytest.approx(theirs.pvalue, rel=1e-9)
    between = theirs.confidence_interval(0.95)
    assert (found.once.low, found.once.high) == pytest.approx((between.low, between.high), rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [(1e-100, 1e-100), (1e-110, 1e45), (1e45, 1e-110), (1e50, 1e50)])
def test_values_of_any_size_are_judged(a: float, b: float) -> None:
    """A user's value may be anything: what raised here would raise at every look of a rollout."""
    one, other = (Moments(1000, value * 500, value * value * 400) for value in (a, b))
    for smallest in (1e-50, 1.0, 1e50):
        found = lift(one, other, smallest)
        assert found is None or 0 <= found.p_any_time <= 1


def test_the_relative_interval_covers_the_true_lift_as_often_as_it_says() -> None:
    rng, runs = np.random.default_rng(3), 1500
    covered = 0
    for _ in range(runs):
        a, b = rng.gamma(2, 5, 800), rng.gamma(2, 5.5, 400)
        found = lift(moments(a), moments(b), smallest=0.5)
        assert found is not None
        assert found.relative_once is not None
        covered += found.relative_once.low <= 0.1 <= found.relative_once.high
    assert at_most(0.95, runs) >= covered >= runs - at_most(0.05, runs)


def test_the_any_time_p_value_is_the_mixture_by_numerical_integration() -> None:
    for difference, variance, smallest in ((0.011, 1e-5, 0.01), (0.002, 1e-4, 0.02), (-0.3, 0.01, 0.1)):
        spread = math.sqrt(variance)
        mixture, _ = quad(
            lambda effect: (
                stats.norm.pdf(difference, effect, spread) * stats.norm.pdf(effect, 0, smallest)  # noqa: B023 -- used at once
            ),
            -20 * smallest,
            20 * smallest,
            points=[difference],
            limit=200,
        )
        expected = min(1.0, stats.norm.pdf(difference, 0, spread) / mixture)
        assert any_time_p_value(difference, variance, smallest) == pytest.approx(expected, rel=1e-6)


def test_the_any_time_interval_and_p_value_say_the_same() -> None:
    edge = half_width(1e-5, 0.01, ALPHA)
    assert any_time_p_value(edge, 1e-5, 0.01) == pytest.approx(ALPHA)
    assert edge > 1.96 * math.sqrt(1e-5)


@pytest.mark.parametrize(("rate", "users"), [(0.05, 200), (0.005, 400), (0.5, 200)])
def test_peeking_finds_no_more_differences_that_are_not_there_than_alpha(rate: float, users: int) -> None:
    rng, runs = np.random.default_rng(4), 500
    sequential = peeked = 0
    for _ in range(runs):
        found = [lift(a, b, smallest=rate / 5) for a, b in looks(rng, (rate, rate), users, 30)]
        sequential += min(each.p_any_time for each in found if each is not None) <= ALPHA
        peeked += min(each.p_once for each in found if each is not None) <= ALPHA
    print(f"rate {rate}: sequential {sequential / runs:.3f}, Welch at every look {peeked / runs:.3f}")
    assert sequential <= at_most(ALPHA, runs)
    assert peeked > 3 * ALPHA * runs


def test_peeking_at_a_skewed_metric_of_unequal_sides_keeps_alpha() -> None:
    rng, runs = np.random.default_rng(5), 300
    hits = 0
    for _ in range(runs):
        a, b = rng.exponential(10, 8000), rng.lognormal(math.log(10) - 0.5, 1, 2000)
        pairs = [(moments(a[: 4 * n]), moments(b[:n])) for n in range(200, 2001, 100)]
        found = [lift(*pair, smallest=1.0) for pair in pairs]
        hits += min(each.p_any_time for each in found if each is not None) <= ALPHA
    assert hits <= at_most(ALPHA, runs)


# -- beforehand --------------------------------------------------------------------------------------------------------


def test_users_needed_are_those_of_published_examples() -> None:
    # R, power.prop.test: p1 = .50, p2 = .75, power = .90 gives n = 76.7
    assert power.for_conversion(0.5, 0.25, power=0.9).one_look == 77
    # Kohavi, Longbotham, Sommerfield and Henne, "Controlled experiments on the web": 16 σ²/Δ², 5 % and a twentieth of it
    assert power.for_mean(math.sqrt(0.0475), 0.0025).one_look == pytest.approx(16 * 0.0475 / 0.0025**2, rel=0.02)
    assert power.for_conversion(0.05, 0.0025).one_look == pytest.approx(121_600, rel=0.02)


def test_with_the_users_that_were_asked_for_the_effect_is_seen_as_often_as_promised() -> None:
    rng, runs = np.random.default_rng(6), 400
    need = power.for_conversion(0.1, 0.02)
    assert need.one_look < need.any_time < 3 * need.one_look
    once = seen = 0
    for _ in range(runs):
        a, b = (conversions(int(rng.binomial(need.one_look, rate)), need.one_look) for rate in (0.1, 0.12))
        found = lift(a, b, smallest=0.02)
        once += found is not None and found.p_once <= ALPHA
        a, b = (conversions(int(rng.binomial(need.any_time, rate)), need.any_time) for rate in (0.1, 0.12))
        found = lift(a, b, smallest=0.02)
        seen += found is not None and found.p_any_time <= ALPHA
    print(f"needed {need}: seen in one look {once / runs:.2f}, at the end of looks at any time {seen / runs:.2f}")
    assert at_most(0.8, runs) >= once >= runs - at_most(0.2, runs)
    assert at_most(0.8, runs) >= seen >= runs - at_most(0.2, runs)


def test_more_variants_and_smaller_sides_need_more_users() -> None:
    two, four = power.for_mean(3, 0.1), power.for_mean(3, 0.1, variants=4)
    assert four.one_look > two.one_look
    assert four.any_time > two.any_time
    assert power.for_mean(3, 0.1, share=0.25).one_look == pytest.approx(two.one_look * 0.625, abs=1)
    assert power.days(two.any_time, 2, 10_000, taking_part=20) == math.ceil(two.any_time * 2 / 2000)


def test_the_smallest_effect_of_so_many_users_needs_so_many_users() -> None:
    effect = power.smallest_conversion_effect(0.05, 50_000)
    assert power.for_conversion(0.05, effect).any_time == pytest.approx(50_000, rel=1e-3)
    effect = power.smallest_mean_effect(3, 50_000, variants=3)
    assert power.for_mean(3, effect, variants=3).any_time == pytest.approx(50_000, rel=1e-3)
    assert power.smallest_conversion_effect(0.5, 3) == math.inf


@pytest.mark.parametrize(("rate", "effect"), [(0.5, 0), (0, 0.1), (0.9, 0.2)])
def test_an_effect_that_cannot_be_is_refused(rate: float, effect: float) -> None:
    with pytest.raises(ValueError, match=r"rate .* must"):
        power.for_conversion(rate, effect)
    with pytest.raises(ValueError, match="must not be 0"):
        power.for_mean(1, 0)
    with pytest.raises(ValueError, match="share"):
        power.for_mean(1, 1, share=2)


# -- several variants, and the verdict ---------------------------------------------------------------------------------


def test_holm_is_the_closed_test_with_bonferronis_parts() -> None:
    p_values = {"a": 0.011, "b": 0.02, "c": 0.6, "d": 0.001}
    adjusted = holm(p_values)
    for name, p_value in adjusted.items():
        others = [each for each in p_values if each != name]
        families = [[name, *chosen] for size in range(len(others) + 1) for chosen in combinations(others, size)]
        closed = max(min(1.0, len(family) * min(p_values[each] for each in family)) for family in families)
        assert p_value == pytest.approx(closed)
    assert holm({}) == {}


def test_three_variants_like_the_control_yield_a_winner_no_more_often_than_alpha() -> None:
    rng, runs = np.random.default_rng(7), 200
    split = {"control": 25.0, "a": 25.0, "b": 25.0, "c": 25.0}
    design = Design("answers", "control", split, smallest=0.02)
    hits = 0
    for _ in range(runs):
        results = [judge(design, dict(zip(split, held, strict=True))) for held in looks(rng, (0.1,) * 4, 500, 12)]
        hits += any(found.outcome in (Outcome.BETTER, Outcome.WORSE) for each in results for found in each.compared.values())
    assert hits <= at_most(ALPHA, runs)


def shown(control: int, candidate: int, users: int = 20_000, design: Design = DESIGN) -> Result:
    return judge(design, {"control": conversions(control, users), "candidate": conversions(candidate, users)})


def test_a_better_variant_wins_and_a_line_says_by_how_much() -> None:
    found = shown(1000, 1300)
    assert (found.winner, found.compared["candidate"].outcome) == ("candidate", Outcome.BETTER)
    assert found.said.startswith("answers: candidate is better than control by +30.0% (+0.015), between +0.00")
    assert shown(1300, 1000).compared["candidate"].outcome is Outcome.WORSE
    assert shown(1300, 1000).winner is None


def test_where_less_is_better_the_lower_mean_wins() -> None:
    fewer = Design("latency", "control", EVEN, smallest=0.01, higher_is_better=False)
    assert shown(1300, 1000, design=fewer).winner == "candidate"
    assert shown(1000, 1300, design=fewer).compared["candidate"].outcome is Outcome.WORSE


def test_little_is_undecided_and_much_of_the_same_is_like() -> None:
    assert shown(1000, 1120).compared["candidate"].outcome is Outcome.UNDECIDED
    assert shown(5000, 5010, 100_000).compared["candidate"].outcome is Outcome.LIKE
    assert shown(5000, 5010, 100_000).winner is None
    few = shown(1, 40, 199)
    assert (dict(few.compared), few.winner) == ({}, None)
    assert "candidate: too few users" in few.said


def test_of_several_better_variants_the_best_wins() -> None:
    split = {"control": 40, "a": 20, "b": 20, "absent": 0}
    design = Design("answers", "control", split, smallest=0.01)
    metric = {"control": conversions(2000, 40_000), "a": conversions(1300, 20_000), "b": conversions(1400, 20_000)}
    found = judge(design, metric)
    assert (found.winner, sorted(found.compared)) == ("b", ["a", "b"])
    assert judge(design, {"control": metric["control"]}).ratio.broken


def test_a_broken_division_has_no_winner() -> None:
    found = judge(DESIGN, {"control": conversions(1000, 20_000), "candidate": conversions(1300, 21_000)})
    assert (found.ratio.broken, found.winner, dict(found.compared)) == (True, None, {})
    assert found.said.startswith("answers: broken: users do not come 50:50 as asked (control 20000, candidate 21000; p = ")
    with pytest.raises(ValueError, match="control 'old' is no variant"):
        judge(Design("answers", "old", EVEN, 0.01), {})
