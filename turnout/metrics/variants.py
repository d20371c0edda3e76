"""What an experiment's metric says of each variant: users with the sum and the squares of their values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template

from turnout_components.experiment_design import ExperimentDesign, VariantKind

from turnout.analysis.measurement import Moments
from turnout.metrics.cloudwatch_measures import Series, Statistic, Values, whole
from turnout.metrics.provider import Place, names_of

NOBODY = Moments(0, 0.0, 0.0)
_LARGEST = 1e100
"""Of a span's sum or squares: what is made of larger numbers is infinite, and nothing could be judged any more."""
_MOST_USERS = 10**12
"""Of a variant in a span."""


def names(design: ExperimentDesign, variant: str, place: Place) -> dict[str, str]:
    """What stands for `$service`, `$variant` and the others."""
    return {**names_of(place), "variant": variant, "experiment": design.name}


@dataclass(frozen=True)
class VariantMeasure:
    """A variant in CloudWatch: a metric with one value a user; of a mean a second one with the values' squares."""

    series: Series
    squares: Series | None

    @classmethod
    def of(cls, design: ExperimentDesign, variant: str, place: Place) -> "VariantMeasure":
        """The design's metric with the variant's names filled in."""
        metric, known = design.metric, names(design, variant, place)
        filled = {key: Template(value).substitute(known) for key, value in metric.dimensions.items()}
        where = tuple(sorted(filled.items()))
        squares = Series(str(metric.namespace), metric.squares, where) if metric.squares else None
        return cls(Series(str(metric.namespace), str(metric.name), where), squares)

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What is needed of each period."""
        own = tuple(map(self.series.stat, ("SampleCount", "Sum", "Minimum", "Maximum")))
        return own if self.squares is None else (*own, *map(self.squares.stat, ("SampleCount", "Sum")))

    def moments(self, values: Values) -> Moments | None:
        """The users of one period; None where the numbers contradict each other, or one of them is missing."""
        known = [values[item] for item in self.statistics if item in values]
        if not known:
            return NOBODY
        if len(known) < len(self.statistics) or not all(abs(value) <= _LARGEST for value in known):
            return None
        count, total, low, high = (values[self.series.stat(name)] for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
        users = whole(count)
        if users is None or users > _MOST_USERS:
            return None
        if not users * low - _slack(users, low) <= total <= users * high + _slack(users, high):
            return None
        if self.squares is None:
            return Moments(users, total, total) if low >= 0 and high <= 1 else None
        squared, squares = values[self.squares.stat("SampleCount")], values[self.squares.stat("Sum")]
        return Moments(users, total, squares) if whole(squared) == users else None


def _slack(users: int, value: float) -> float:
    return 1e-6 * max(1.0, abs(value)) * users


def counted(asked: Mapping[str, VariantMeasure], values: Values) -> Mapping[str, Moments] | None:
    """One period of all variants; None where one of them cannot be used: without it the others would seem to be too many."""
    found = {name: measure.moments(values) for name, measure in asked.items()}
    usable = {name: moments for name, moments in found.items() if moments is not None}
    return usable if len(usable) == len(found) else None


def grown(
    design: ExperimentDesign, counters: Mapping[str, Sequence[Sequence[float | None]]], number: int
) -> Mapping[str, Moments] | None:
    """The span of that number by counters: users, sum and, of a mean, squares of each variant, a value a span.

    A sum may grow in another span than its users: only totals are held against each other. A counter without a sample has not
    grown yet; one that is not finite, or more than can be, makes the span unusable."""
    found = {}
    for name, series in counters.items():
        grew = [values[number] or 0.0 for values in series]
        if not all(0 <= value <= _LARGEST for value in grew) or grew[0] > _MOST_USERS:
            return None
        squares = grew[1] if design.metric.kind is VariantKind.CONVERSION else grew[2]
        found[name] = Moments(round(grew[0]), grew[1], squares)
    return found
