"""What an A/B experiment shows: whether its users were divided as asked, and which variant is better by how much.

Everything may be looked at at any time and as often as one likes: tests are sequential. Pure.

- Sample ratio: the Bayes factor of a Dirichlet mixture against the split that was asked for (Lindon and Malek, "Anytime-Valid
  Inference For Multinomial Count Data", NeurIPS 2022). Beside it the chi-square test of one look, for people.
- Differences: the mixture sequential probability ratio test with a normal mixture and estimated variances (Johari, Koomen,
  Pekelis and Walsh, "Always Valid Inference: Continuous Monitoring of A/B Tests", Operations Research 2022). It rests on the
  central limit theorem: below `MINIMUM` users a side nothing is said, and heavy tails want capped values.
- Several variants: Holm's method over the variants' p-values, which stay valid at any look.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from scipy.special import chdtrc, stdtr, stdtrit

from turnout.analysis.measurement import Moments

MINIMUM = 200
"""Users of a side below which the normal approximation is not trusted."""
SAMPLE_RATIO_LEVEL = 0.001
"""A broken division makes every other number worthless, a false alarm stops a good experiment: the level is strict."""
_CONCENTRATION = 10_000
"""Weight of the Dirichlet mixture, in users: departures of about 1/√10000 from the split are found soonest."""


class Outcome(StrEnum):
    """What is known of a variant against the control."""

    BETTER = "better"
    WORSE = "worse"
    LIKE = "like"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Design:
    """What was fixed before the experiment began. `smallest`: the absolute difference of means that matters; the tests are
    sharpest there. `split`: percent of all users by variant."""

    name: str
    control: str
    split: Mapping[str, float]
    smallest: float
    alpha: float = 0.05
    higher_is_better: bool = True
    minimum: int = MINIMUM


@dataclass(frozen=True)
class SampleRatio:
    """Whether the users came as the split says. `p_value` is valid at any look, `chi_square` at one look only."""

    p_value: float
    chi_square: float
    broken: bool
    said: str


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Lift:
    """A variant's mean against the control's: the difference, and the ratio less 1, with intervals of one look (Welch's t;
    delta method) and the difference's interval of any look. `relative` is None where the control's mean is not above 0."""

    difference: float
    once: Interval
    any_time: Interval
    p_once: float
    p_any_time: float
    relative: float | None
    relative_once: Interval | None


@dataclass(frozen=True)
class Compared:
    """A variant against the control; `p_value` is Holm's, valid at any look."""

    variant: str
    outcome: Outcome
    lift: Lift
    p_value: float
    said: str


@dataclass(frozen=True)
class Result:
    """What the experiment shows now. `winner`: the best of the variants that are better; None while there is none, or while
    the division is broken."""

    ratio: SampleRatio
    compared: Mapping[str, Compared] = field(default_factory=dict)
    winner: str | None = None
    said: str = ""


def conversions(converted: int, users: int) -> Moments:
    """A conversion metric: each user counts 0 or 1."""
    return Moments(users, float(converted), float(converted))


def sample_ratio(users: Mapping[str, int], split: Mapping[str, float]) -> SampleRatio:
    """Whether users came to the variants in the ratio of `split` (any positive numbers). Variants with share 0 are left out.

    Raises `ValueError` when a variant is not of the split."""
    if strange := sorted(users.keys() - split.keys()):
        raise ValueError(
            f"users of {strange[0]}, which is no variant of the split {dict(split)}; read only its variants' users"
        )
    names = [name for name, share in split.items() if share > 0]
    whole = sum(split[name] for name in names)
    asked = [split[name] / whole for name in names]
    seen = [users.get(name, 0) for name in names]
    total = sum(seen)
    if total == 0:
        return SampleRatio(1.0, 1.0, False, "no users yet")
    p_value = min(1.0, math.exp(-_evidence_of_mixture(seen, asked)))
    chi_square = float(
        chdtrc(len(seen) - 1, sum((n - share * total) ** 2 / (share * total) for n, share in zip(seen, asked, strict=True)))
    )
    stray = sorted(name for name, count in users.items() if count and not split[name])
    broken = p_value <= SAMPLE_RATIO_LEVEL or bool(stray)
    counts = ", ".join(f"{name} {count}" for name, count in zip(names, seen, strict=True))
    wanted = ":".join(f"{split[name]:g}" for name in names)
    if stray:
        said = f"{users[stray[0]]} users of {stray[0]}, whose share is 0: the gateway's split is not the one asked for"
    elif broken:
        said = f"users do not come {wanted} as asked ({counts}; p = {p_value:.2g}): look for what loses or moves users"
    else:
        said = f"users come {wanted} as asked ({counts})"
    return SampleRatio(p_value, chi_square, broken, said)


def _evidence_of_mixture(seen: Sequence[int], asked: Sequence[float]) -> float:
    """Log Bayes factor of the Dirichlet mixture against the split `asked` for."""
    total = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + sum(seen))
    return total + sum(
        math.lgamma(share * _CONCENTRATION + n) - math.lgamma(share * _CONCENTRATION) - n * math.log(share)
        for n, share in zip(seen, asked, strict=True)
    )


def half_width(variance: float, smallest: float, alpha: float) -> float:
    """Of the interval of any look for a difference whose estimate has this variance."""
    mixed = smallest**2
    return math.sqrt(2 * variance * (variance + mixed) / mixed * (-math.log(alpha) + 0.5 * math.log1p(mixed / variance)))


def any_time_p_value(difference: float, variance: float, smallest: float) -> float:
    """The p-value of any look for "no difference"."""
    mixed = smallest**2
    evidence = mixed / (variance + mixed) * difference * (difference / variance) / 2 - 0.5 * math.log1p(mixed / variance)
    return min(1.0, math.exp(-evidence))


def lift(control: Moments, variant: Moments, smallest: float, alpha: float = 0.05) -> Lift | None:
    """The variant against the control; None below 2 users a side or where nothing varies."""
    if min(control.count, variant.count) < 2:
        return None
    a, b = _Mean.of(control), _Mean.of(variant)
    welch = a.squared_error + b.squared_error
    variance = max(welch, _pooled(control, variant))
    if welch <= 0:
        return None
    difference = b.mean - a.mean
    error = math.sqrt(welch)
    parts = (a.squared_error / welch, b.squared_error / welch)  # before they are squared, which could be 0
    freedom = 1 / (parts[0] ** 2 / (control.count - 1) + parts[1] ** 2 / (variant.count - 1))
    once = -float(stdtrit(freedom, alpha / 2)) * error
    wide = half_width(variance, smallest, alpha)
    relative, relative_once = None, None
    if a.mean > 0:
        ratio = b.mean / a.mean
        spread = -float(stdtrit(freedom, alpha / 2)) * math.sqrt(b.squared_error + ratio * ratio * a.squared_error) / a.mean
        relative, relative_once = ratio - 1, Interval(ratio - 1 - spread, ratio - 1 + spread)
    return Lift(
        difference,
        Interval(difference - once, difference + once),
        Interval(difference - wide, difference + wide),
        2 * float(stdtr(freedom, -abs(difference) / error)),
        any_time_p_value(difference, variance, smallest),
        relative,
        relative_once,
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values: each is the smallest family-wise level at which its hypothesis falls (Holm 1979)."""
    adjusted, floor = {}, 0.0
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        floor = max(floor, min(1.0, p_value * (len(p_values) - rank)))
        adjusted[name] = floor
    return adjusted


def judge(design: Design, metric: Mapping[str, Moments]) -> Result:
    """What `metric` (by variant, one value a user) shows. Its counts are the users of the sample ratio.

    Raises `ValueError` when the control or another variant is not of the split."""
    if design.control not in design.split:
        raise ValueError(f"control {design.control!r} is no variant of the split {dict(design.split)}; name one of them")
    ratio = sample_ratio({name: held.count for name, held in metric.items()}, design.split)
    if ratio.broken:
        return Result(ratio, said=f"{design.name}: broken: {ratio.said}")
    rivals = [name for name, share in design.split.items() if share > 0 and name != design.control]
    lifts = {}
    control = metric.get(design.control, Moments(0, 0.0, 0.0))
    for name in rivals:
        held = metric.get(name, Moments(0, 0.0, 0.0))
        enough = min(control.count, held.count) >= design.minimum
        if enough and (found := lift(control, held, design.smallest, design.alpha / len(rivals))) is not None:
            lifts[name] = found
    adjusted = holm({name: lifts[name].p_any_time if name in lifts else 1.0 for name in rivals})
    compared = {name: _compared(design, name, lifts[name], adjusted[name]) for name in rivals if name in lifts}
    better = [name for name, found in compared.items() if found.outcome is Outcome.BETTER]
    winner = max(better, key=lambda name: abs(compared[name].lift.difference), default=None)
    said = "; ".join(found.said for found in compared.values())
    missing = [name for name in rivals if name not in lifts]
    if missing:
        said = "; ".join(filter(None, (said, f"{', '.join(missing)}: too few users, or nothing varies yet")))
    return Result(ratio, compared, winner, f"{design.name}: {said}")


def _compared(design: Design, name: str, found: Lift, p_value: float) -> Compared:
    if p_value <= design.alpha:
        better = (found.difference > 0) == design.higher_is_better
        outcome = Outcome.BETTER if better else Outcome.WORSE
    elif -design.smallest < found.any_time.low and found.any_time.high < design.smallest:
        outcome = Outcome.LIKE
    else:
        outcome = Outcome.UNDECIDED
    by = f"{found.difference:+.4g}" if found.relative is None else f"{found.relative:+.1%} ({found.difference:+.4g})"
    between = f"between {found.any_time.low:+.4g} and {found.any_time.high:+.4g}"
    words = {
        Outcome.BETTER: f"{name} is better than {design.control} by {by}, {between}",
        Outcome.WORSE: f"{name} is worse than {design.control} by {by}, {between}",
        Outcome.LIKE: f"{name} and {design.control} differ by less than {design.smallest:g} ({between})",
        Outcome.UNDECIDED: f"{name} against {design.control} is not decided: {by}, {between}",
    }
    return Compared(name, outcome, found, p_value, f"{words[outcome]}, p = {p_value:.2g}")


@dataclass(frozen=True)
class _Mean:
    mean: float
    squared_error: float

    @classmethod
    def of(cls, held: Moments) -> "_Mean":
        mean = held.total / held.count
        variance = max(0.0, (held.squares - held.count * mean**2) / (held.count - 1))
        return cls(mean, variance / held.count)


def _pooled(one: Moments, other: Moments) -> float:
    """The difference's variance when both sides are one population, as under "no difference": with few conversions a side
    without any would count as certain."""
    count = one.count + other.count
    mean = (one.total + other.total) / count
    variance = max(0.0, (one.squares + other.squares - count * mean**2) / (count - 1))
    return variance * (1 / one.count + 1 / other.count)
