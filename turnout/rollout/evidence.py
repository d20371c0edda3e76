"""What a rollout's windows say: whether the observed share fits, how long it has baked, and the gates' judgements. Pure."""

import math
from collections.abc import Sequence
from datetime import timedelta

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.gates import derive_bound, judge, judge_bound
from turnout.analysis.measurement import Judgement, Side, Verdict, Window
from turnout.rollout.status import RolloutStatus

STATISTICAL = frozenset({GateKind.ERRORS, GateKind.LATENCY, GateKind.QUALITY, GateKind.BURN})


def fits(window: Window, weight: int) -> bool:
    """Whether the candidate's observed share of a window's requests is the declared one: within four standard deviations of
    a fair split and one percent of the requests. A window without requests fits nothing."""
    total = sum(window.requests.values())
    if total == 0:
        return False
    share = weight / 100
    slack = 4 * math.sqrt(total * share * (1 - share)) + 0.01 * total
    return abs(window.requests.get(Side.CANDIDATE, 0) - share * total) <= slack


def baked(status: RolloutStatus) -> timedelta:
    """How long the weight in force has been observed: the measured time since the first window that it fits.

    Windows without requests do not count, so a clock that jumps and a source of measurements that is silent bake nothing."""
    own = [w for w in status.windows if w.start >= status.weight_since and w.weight == status.weight and not w.mirrored]
    first = next((index for index, window in enumerate(own) if fits(window, status.weight)), len(own))
    return timedelta(seconds=sum(window.seconds for window in own[first:] if sum(window.requests.values())))


def mirrored(status: RolloutStatus) -> timedelta:
    """How long requests were compared that a mirror has copied."""
    return timedelta(seconds=sum(window.seconds for window in status.windows if window.mirrored and window.requests))


def judged(status: RolloutStatus) -> tuple[Judgement, ...]:
    """What every statistical gate says of all that was measured so far."""
    gates = [gate for gate in status.gates if gate.kind in STATISTICAL]
    critical = sum(gate.critical for gate in gates)
    return tuple(_judged(gate, status, max(critical, 1)) for gate in gates)


def _judged(gate: Gate, status: RolloutStatus, critical: int) -> Judgement:
    if status.mirror:
        copied = [window for window in status.windows if window.mirrored]
        critical *= 2 if status.weight else 1
        of_copies = judge(gate, copied, status.next_weight, critical)
        if not status.weight or of_copies.verdict is Verdict.FAIL:
            return of_copies
    if status.weight < 100:
        both = [window for window in status.windows if 0 < window.weight < 100 and not window.mirrored]
        return judge(gate, both, status.next_weight, critical)
    bound = status.bounds.get(gate.name)
    if bound is None:
        return Judgement(gate.name, Verdict.INCONCLUSIVE, f"{gate.name}: no bound was frozen before the full switch")
    return judge_bound(gate, [window for window in status.windows if not window.mirrored], bound, critical)


def frozen_bounds(gates: Sequence[Gate], windows: Sequence[Window]) -> dict[str, float]:
    """What is to hold after the full switch, by gate: given, or from the active side's last sufficient windows."""
    found = {gate.name: gate.bound or derive_bound(gate, windows) for gate in gates if gate.kind in STATISTICAL}
    return {name: bound for name, bound in found.items() if bound is not None}


def failed(gates: Sequence[Gate], judgements: Sequence[Judgement]) -> list[Judgement]:
    """The critical gates that fail."""
    critical = {gate.name for gate in gates if gate.critical}
    return [each for each in judgements if each.verdict is Verdict.FAIL and each.gate in critical]


def open_gates(gates: Sequence[Gate], judgements: Sequence[Judgement]) -> list[Judgement]:
    """The critical gates that do not pass yet."""
    critical = {gate.name for gate in gates if gate.critical}
    return [each for each in judgements if each.verdict is not Verdict.PASS and each.gate in critical]
