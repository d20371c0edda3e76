"""A judgement in one line, for a person who is woken by it."""

from collections.abc import Mapping

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Verdict

VERDICTS = {
    Verdict.FAIL: "no worse is ruled out",
    Verdict.PASS: "worse by the margin is ruled out",
    Verdict.INCONCLUSIVE: "nothing is ruled out yet",
}
BOUND_VERDICTS = {
    Verdict.FAIL: "within the bound is ruled out",
    Verdict.PASS: "beyond the bound is ruled out",
    Verdict.INCONCLUSIVE: "nothing is ruled out yet",
}


def nothing(gate: Gate, where: str) -> str:
    """Of a gate without any sample."""
    return f"{gate.name}: nothing was measured {where} yet"


def counts(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of shares of both sides."""
    times = f"{numbers['ratio']:.2g} times; " if "ratio" in numbers else ""
    late = ""
    if verdict is Verdict.FAIL and "late_candidate" in numbers:
        late = (
            f"; lately {percent(numbers['late_candidate'])} of {numbers['late_total']:,.0f}, "
            f"active {percent(numbers['late_active'])}"
        )
    return (
        f"{gate.name}: {percent(numbers['candidate'])} of {numbers['candidate_total']:,.0f} candidate requests {_bad(gate)}, "
        f"active {percent(numbers['active'])} of {numbers['active_total']:,.0f} "
        f"({times}{percent(numbers['allowed'])} allowed){late}: {_end(gate, verdict, numbers, VERDICTS)}"
    )


def means(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of mean scores of both sides."""
    return (
        f"{gate.name}: candidate {numbers['candidate']:.4g} in {numbers['candidate_total']:,.0f} scores, "
        f"active {numbers['active']:.4g} in {numbers['active_total']:,.0f} "
        f"({numbers['difference']:+.3g}; {-numbers['margin']:.3g} allowed): {_end(gate, verdict, numbers, VERDICTS)}"
    )


def bound_counts(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of the candidate's share alone."""
    rate = f"{percent(numbers['bound'])} allowed"
    if gate.kind is GateKind.BURN:
        burn, now, margin = numbers["burn"], numbers["burn_now"], numbers["margin"]
        rate = f"{burn:.3g} times the error budget, {now:.3g} times now; {margin:.3g} allowed"
    return (
        f"{gate.name}: {percent(numbers['candidate'])} of {numbers['candidate_total']:,.0f} requests {_bad(gate)} "
        f"({rate}): {_end(gate, verdict, numbers, BOUND_VERDICTS)}"
    )


def bound_mean(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of the candidate's mean score alone."""
    return (
        f"{gate.name}: {numbers['candidate']:.4g} in {numbers['candidate_total']:,.0f} scores "
        f"({numbers['bound']:.4g} demanded): {_end(gate, verdict, numbers, BOUND_VERDICTS)}"
    )


def percent(share: float) -> str:
    """0.0412 is 4.1 %."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _bad(gate: Gate) -> str:
    return "were over the threshold" if gate.kind is GateKind.LATENCY else "failed"


def _end(gate: Gate, verdict: Verdict, numbers: Mapping[str, float], words: Mapping[Verdict, str]) -> str:
    if numbers["candidate_total"] < gate.minimum:
        return f"too few samples (minimum {gate.minimum:,})"
    return words[verdict]
