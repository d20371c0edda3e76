"""What a rollout may expect to see, from the time before it: the input of the information budget. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from turnout_components.rollout_spec import Analyze, Bake, Gate, SetWeight

from turnout.analysis.budget import Line, Stage, Usual, information_budget
from turnout.analysis.measurement import Count, Moments, Sample, Side, Window
from turnout.rollout.evidence import STATISTICAL
from turnout.rollout.status import RolloutStatus


def expected(status: RolloutStatus) -> tuple[Line, ...]:
    """What each gate sees at each weight if traffic stays as it was. A gate of which nothing was measured is left out."""
    gates = [(gate, found) for gate in status.gates if gate.kind in STATISTICAL if (found := usual(gate, status.windows))]
    critical = sum(gate.critical for gate, _ in gates)
    return information_budget(gates, stages(status), _period(status.windows), max(critical, 1)) if gates else ()


def usual(gate: Gate, windows: Sequence[Window]) -> Usual | None:
    """What is usual for the active side alone; None where nothing was measured."""
    found: list[Sample] = []
    seconds = 0.0
    for window in windows:
        sample = window.samples.get(gate.name, {}).get(Side.ACTIVE)
        if sample is not None:
            found.append(sample)
            seconds += window.seconds
    counts = [sample for sample in found if isinstance(sample, Count)]
    moments = [sample for sample in found if isinstance(sample, Moments)]
    number = sum(sample.total for sample in counts) if counts else sum(sample.count for sample in moments)
    if not number or not seconds:
        return None
    if counts:
        return Usual(sum(sample.bad for sample in counts) / number, number / seconds)
    mean = sum(sample.total for sample in moments) / number
    variance = max(0.0, sum(sample.squares for sample in moments) / number - mean**2)
    return Usual(mean, number / seconds, variance**0.5)


def stages(status: RolloutStatus) -> tuple[Stage, ...]:
    """The plan's weights with how long each is looked at."""
    found: list[Stage] = []
    for step in status.plan:
        if isinstance(step, SetWeight):
            found.append(Stage(step.set_weight, timedelta(0), timedelta(0)))
        elif isinstance(step, Bake | Analyze) and found:
            last = found[-1]
            bake = last.bake + (step.bake if isinstance(step, Bake) else timedelta(0))
            more = step.bake if isinstance(step, Bake) else step.analyze
            found[-1] = Stage(last.weight, bake, last.deadline + more)
    return tuple(stage for stage in found if stage.bake)


def _period(windows: Sequence[Window]) -> timedelta:
    return min(window.end - window.start for window in windows)
