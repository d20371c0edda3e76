"""How many users an A/B experiment needs, before it begins.

Two answers each: for one look at the end (the textbook's), and for a look at any time, which is how `experiment` judges and
needs more. The effects are absolute: 0.01 is one percentage point of conversion, or 0.01 of the metric's own unit. With
several variants against one control every comparison gets an equal part of `alpha` (Bonferroni; `experiment` then judges by
Holm's method, which needs no more).
"""

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtri

from turnout.analysis.experiment import half_width

_MOST = 70.0
"""Logarithm of more users than any effect above 1e-12 needs."""


@dataclass(frozen=True)
class Need:
    """Users of each variant: for one look at the end, and for looks at any time."""

    one_look: int
    any_time: int


def for_conversion(
    rate: float, effect: float, *, variants: int = 2, alpha: float = 0.05, power: float = 0.8, share: float = 1.0
) -> Need:
    """Users for a conversion `rate` of the control and an absolute `effect` of a variant, either way.

    One look: n = (z(1-α/2) √(2 p̄ q̄) + z(power) √(p₁q₁ + p₂q₂))² / effect² (Fleiss, Levin and Paik, Statistical Methods for
    Rates and Proportions, without the continuity correction). `share`: as in `for_mean`.

    Raises `ValueError` for a rate or an effect that cannot be."""
    other = rate + effect
    if not 0 < rate < 1 or not 0 < other < 1 or effect == 0:
        raise ValueError(f"rate {rate} and rate + effect {other} must lie between 0 and 1 and differ")
    null = 2 * ((rate + other) / 2) * (1 - (rate + other) / 2)
    real = rate * (1 - rate) + other * (1 - other)
    return _need(effect, null, real, variants, alpha, power, share)


def for_mean(
    deviation: float, effect: float, *, variants: int = 2, alpha: float = 0.05, power: float = 0.8, share: float = 1.0
) -> Need:
    """Users for a metric with this standard `deviation` between users and an absolute `effect`.

    One look: n = 2 deviation² (z(1-α/2) + z(power))² / effect². `share`: the smaller variant's users by the control's; the
    answer is the smaller variant's.

    Raises `ValueError` for a deviation or an effect that cannot be."""
    if deviation <= 0 or effect == 0:
        raise ValueError(f"deviation {deviation} must be above 0 and effect {effect} must not be 0")
    return _need(effect, 2 * deviation**2, 2 * deviation**2, variants, alpha, power, share)


def smallest_conversion_effect(rate: float, users: int, *, variants: int = 2, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest rise of a conversion rate that `users` of each variant show, looked at at any time; infinite when none."""
    most = (1 - rate) * (1 - 1e-9)

    def missing(effect: float) -> float:
        return for_conversion(rate, effect, variants=variants, alpha=alpha, power=power).any_time - users

    return math.inf if missing(most) > 0 else float(brentq(missing, 1e-7, most, xtol=1e-9))


def smallest_mean_effect(deviation: float, users: int, *, variants: int = 2, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference of means that `users` of each variant show, looked at at any time."""
    variance = 2 * deviation**2 / users

    def missing(effect: float) -> float:
        return _reach(effect, variance, variance, _each(alpha, variants), power) - effect

    return float(brentq(missing, deviation * 1e-6, deviation * 1e6))


def days(users: int, variants: int, users_a_day: float, taking_part: float = 100) -> int:
    """Days until each of so many variants has its users, `taking_part` percent of new users a day going to them equally."""
    return math.ceil(users * variants / (users_a_day * taking_part / 100))


def _each(alpha: float, variants: int) -> float:
    """The level of each comparison with the control."""
    return alpha / (variants - 1)


def _need(effect: float, null: float, real: float, variants: int, alpha: float, power: float, share: float) -> Need:
    """`null` and `real`: the variance of a difference between two users, without and with the effect."""
    if not 0 < share <= 1:
        raise ValueError(f"share {share} must be above 0 and at most 1")
    level, size = _each(alpha, variants), abs(effect)
    uneven = (1 + share) / 2
    once = (-ndtri(level / 2) * math.sqrt(null) + ndtri(power) * math.sqrt(real)) ** 2 / size**2 * uneven

    def missing(log_users: float) -> float:
        users = math.exp(log_users)
        return _reach(size, null * uneven / users, real * uneven / users, level, power) - size

    any_time = math.exp(float(brentq(missing, 0.0, _MOST, xtol=1e-9))) if missing(0.0) > 0 else 1.0
    return Need(math.ceil(once), math.ceil(any_time))


def _reach(effect: float, null: float, real: float, level: float, power: float) -> float:
    """The effect that is seen with this power when the difference has these variances: it clears the interval's half width.
    Earlier looks only add to the power."""
    return half_width(null, effect, level) + float(ndtri(power)) * math.sqrt(real)
