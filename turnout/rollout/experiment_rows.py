"""What an experiment has shown so far, variant by variant: for the screen, the report and programs. Pure."""

from dataclasses import dataclass

from turnout.metrics.variants import NOBODY
from turnout.rollout.experiments import contradiction, result
from turnout.rollout.status import RolloutStatus

COLUMNS = ("variant", "served by", "users", "mean", "against control", "between (any look)", "p", "outcome")


@dataclass(frozen=True)
class VariantRow:
    """One variant. `mean`: of its users' values, None without users. Against the control, None where too few users came: the
    difference of means with its interval and p-value of any look, and the ratio less 1. `outcome` is "" for the control."""

    variant: str
    environment: str
    users: int
    mean: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    relative: float | None = None
    p_value: float | None = None
    outcome: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as `COLUMNS` name it."""
        by = "–" if self.difference is None else f"{self.difference:+.4g}"
        ratio = "" if self.relative is None else f" ({self.relative:+.1%})"
        between = "–" if self.low is None or self.high is None else f"{self.low:+.4g} to {self.high:+.4g}"
        mean = "–" if self.mean is None else f"{self.mean:.4g}"
        p_value = "–" if self.p_value is None else f"{self.p_value:.2g}"
        return self.variant, self.environment, f"{self.users:,}", mean, by + ratio, between, p_value, self.outcome or "–"


def rows(status: RolloutStatus) -> tuple[VariantRow, ...]:
    """A row a variant, the control first; none where no experiment is among the steps or none has begun."""
    design, found = status.design, result(status)
    if design is None or status.trial.since is None:
        return ()
    places = design.environments(status.stable, status.candidate)
    made = []
    for name in sorted(design.split, key=lambda name: name != design.control):
        held = status.trial.totals.get(name, NOBODY)
        mean = held.total / held.count if held.count else None
        compared = found.compared.get(name) if found else None
        if compared is None:
            made.append(VariantRow(name, places[name], held.count, mean, outcome="" if name == design.control else "undecided"))
            continue
        lift = compared.lift
        made.append(
            VariantRow(
                name,
                places[name],
                held.count,
                mean,
                lift.difference,
                lift.any_time.low,
                lift.any_time.high,
                lift.relative,
                compared.p_value,
                compared.outcome.value,
            )
        )
    return tuple(made)


def division(status: RolloutStatus) -> str:
    """Whether users came as they were divided, or why nothing can be said; and how many spans could not be used."""
    found = result(status)
    said = found.ratio.said if found is not None else contradiction(status)
    unusable = f"{status.trial.unusable} spans could not be used" if status.trial.unusable else ""
    return "; ".join(filter(None, (said, unusable)))
