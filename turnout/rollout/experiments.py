"""A rollout's experiment: how long it will take, what its users have shown, and what that means for the rollout."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from turnout_components.experiment_design import ExperimentDesign, Serving, VariantKind
from turnout_components.switch_record import SwitchRecord

from turnout.analysis.experiment import Design, Outcome, Result, judge
from turnout.analysis.measurement import Moments, Side
from turnout.analysis.power import for_conversion, for_mean
from turnout.metrics.provider import MetricProvider
from turnout.metrics.variants import NOBODY
from turnout.rollout.measuring import SPANS_A_LOOK, places, spans_between
from turnout.rollout.status import RolloutStatus

_SIDES = {Serving.STABLE: Side.ACTIVE, Serving.CANDIDATE: Side.CANDIDATE}
MOST_DAYS = 100_000
"""More than any experiment may run."""


class Answer(StrEnum):
    """What an experiment says about the candidate."""

    WINS = "wins"
    """One of its variants is the best of those that are better than the control."""
    WORSE = "worse"
    """Each of its variants is worse than the control."""
    BROKEN = "broken"
    """Users did not come to the variants as divided: nothing that was measured can be trusted."""
    OPEN = "open"


@dataclass(frozen=True)
class Need:
    """What an experiment needs until `smallest` is found as surely as asked. `users`: by variant, the control too."""

    users: Mapping[str, int]
    length: timedelta

    @property
    def said(self) -> str:
        """In one line."""
        users = ", ".join(f"{name} {count:,}" for name, count in self.users.items())
        return f"users needed: {users}; that takes {self.length / timedelta(days=1):.3g} days"


def need(design: ExperimentDesign) -> Need:
    """From the usual rate or deviation and the users of a day, for looks at any time. With several variants it is the
    comparison that takes longest."""
    rivals = [name for name, share in design.split.items() if share and name != design.control]
    length = max((_length(design, name, len(rivals) + 1) for name in rivals), default=timedelta(0))
    a_day = {name: design.users_a_day * share / 100 for name, share in design.split.items() if share}
    return Need({name: round(users * (length / timedelta(days=1))) for name, users in a_day.items()}, length)


def _length(design: ExperimentDesign, rival: str, variants: int) -> timedelta:
    """How long the control and this variant take to have their users."""
    small, large = sorted((design.split[design.control], design.split[rival]))
    needed = for_conversion if design.metric.kind is VariantKind.CONVERSION else for_mean
    users = needed(
        design.usual,
        design.hoped - design.usual,
        variants=variants,
        alpha=design.alpha,
        power=design.power,
        share=small / large,
    ).any_time
    return timedelta(days=min(users / (design.users_a_day * small / 100), MOST_DAYS))


def measured(status: RolloutStatus, metrics: MetricProvider, record: SwitchRecord, key: str, now: datetime) -> RolloutStatus:
    """With the users of the spans that are whole by now and not counted yet. Each user counts in one span, so spans add up.

    Raises `MetricsUnavailable`."""
    design, trial = status.design, status.trial
    if design is None or trial.since is None or trial.until is not None:
        return status
    spans = spans_between(trial.measured_until or trial.since, now - metrics.delay, metrics.period)[:SPANS_A_LOOK]
    if not spans:
        return status
    sides = places(status, record, key)
    found = metrics.variants(design, {name: sides[_SIDES[design.serving(name)]] for name in design.split}, spans)
    totals = dict(trial.totals)
    for counted in found:
        for name, more in (counted or {}).items():
            totals[name] = _added(totals.get(name, NOBODY), more)
    unusable = trial.unusable + sum(counted is None for counted in found)
    after = trial.model_copy(update={"totals": totals, "unusable": unusable, "measured_until": spans[-1].end})
    return status.changed(trial=after)


def _added(one: Moments, other: Moments) -> Moments:
    return Moments(one.count + other.count, one.total + other.total, one.squares + other.squares)


def result(status: RolloutStatus) -> Result | None:
    """What the users so far show; None where no experiment is among the steps, or where nothing can be made of the numbers."""
    design = status.design
    if design is None or contradiction(status):
        return None
    totals = status.trial.totals
    asked = Design(design.name, design.control, design.split, design.smallest, design.alpha, design.higher_is_better)
    return judge(asked, {name: totals.get(name, NOBODY) for name in design.split})


def contradiction(status: RolloutStatus) -> str:
    """Why the totals cannot be values of so many users; "" where they can."""
    design = status.design
    if design is None:
        return ""
    for name, held in status.trial.totals.items():
        if design.metric.kind is VariantKind.CONVERSION and held.total > held.count + 1e-6:
            return f"{name}: {held.total:g} conversions of {held.count} users: count each user once"
        if held.squares * held.count < held.total**2 * (1 - 1e-9) - 1e-9:
            return f"{name}: squares add up to less than the values allow: write the square of each user's value"
    return ""


def answer(status: RolloutStatus) -> tuple[Answer, str]:
    """What it says about the candidate now, and in words."""
    found, design = result(status), status.design
    if found is None or design is None:
        return Answer.OPEN, contradiction(status)
    said = "; ".join([found.said, *([f"{status.trial.unusable} spans could not be used"] if status.trial.unusable else [])])
    if found.ratio.broken:
        return Answer.BROKEN, said
    if found.winner in design.candidates:
        return Answer.WINS, said
    own = [name for name in design.candidates if design.split[name]]
    if all(name in found.compared and found.compared[name].outcome is Outcome.WORSE for name in own):
        return Answer.WORSE, said
    return Answer.OPEN, said
