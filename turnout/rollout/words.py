"""A rollout's steps and gates in words, as the screen and the report show them."""

from turnout_components.durations import written
from turnout_components.rollout_spec import (
    Analyze,
    Approve,
    Bake,
    Experiment,
    Gate,
    GateKind,
    Mirror,
    SetWeight,
    SmokeTest,
    Step,
)

from turnout.rollout.status import RolloutStatus


def step_name(step: Step | None) -> str:
    """A step in a few words."""
    match step:
        case SetWeight():
            return f"weight {step.set_weight} %"
        case Bake():
            return f"bake {written(step.bake)}"
        case Analyze():
            return f"analyse, {written(step.analyze)} more at most"
        case SmokeTest():
            return f"smoke test: {step.smoke_test}"
        case Mirror():
            return f"mirror {step.mirror} % for {written(step.length)}"
        case Experiment():
            return f"experiment, {written(step.experiment)} at most"
        case Approve():
            return f"approval: {step.approve}"
    return "the end"


def gate_name(gate: Gate, status: RolloutStatus) -> str:
    """What a gate allows, in words."""
    advisory = "" if gate.critical else " (advisory)"
    match gate.kind:
        case GateKind.ERRORS:
            allows = f"error rate at most {gate.allowed:g} times {status.stable}'s"
        case GateKind.LATENCY:
            limit = status.thresholds.get(gate.name)
            frozen = f" = {1000 * limit:.1f} ms, frozen" if limit else ""
            allows = f"p{gate.percentile:g} at most {gate.allowed:g} times {status.stable}'s{frozen}"
        case GateKind.QUALITY:
            allows = f"score at most {gate.allowed:g} below {status.stable}'s"
        case GateKind.BURN:
            allows = f"error budget of {gate.objective:.3%} burns at most {gate.allowed:g} times too fast"
        case _:
            allows = "half of the targets healthy, and never none"
    return f"{allows}{advisory}"
