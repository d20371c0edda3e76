"""A judgement in one line, for a person who is woken by it: what is certain first, then the numbers."""

from collections.abc import Mapping

from turnout_components.rollout_spec import Gate, GateKind

from turnout.analysis.measurement import Verdict

UNKNOWN = "cannot tell yet"
VERDICTS = {
    Verdict.FAIL: "worse for certain",
    Verdict.PASS: "not worse by the margin for certain",
    Verdict.INCONCLUSIVE: UNKNOWN,
}
"""Of a comparison with the other side. "For certain": docs/gates.md says how seldom that is wrong."""
BOUND_VERDICTS = {
    Verdict.FAIL: "beyond the bound for certain",
    Verdict.PASS: "within the bound for certain",
    Verdict.INCONCLUSIVE: UNKNOWN,
}


def nothing(gate: Gate, where: str) -> str:
    """Of a gate without any sample."""
    return f"{gate.name}: {UNKNOWN}: nothing was measured {where}"


def counts(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of shares of both sides."""
    times = f"{_short(numbers['ratio'])} times; " if "ratio" in numbers else ""
    late = ""
    if verdict is Verdict.FAIL and "late_candidate" in numbers:
        late = (
            f"; lately {percent(numbers['late_candidate'])} of {numbers['late_total']:,.0f}, "
            f"active {percent(numbers['late_active'])}"
        )
    seen = (
        f"{percent(numbers['candidate'])} of {numbers['candidate_total']:,.0f} candidate requests {_bad(gate)}, "
        f"active {percent(numbers['active'])} of {numbers['active_total']:,.0f} "
        f"({times}{percent(numbers['allowed'])} allowed){late}"
    )
    return _line(gate, VERDICTS[verdict], numbers, seen)


def means(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of mean scores of both sides."""
    active = f"active {numbers['active']:.4g} in {numbers['active_total']:,.0f}"
    allowed = f"{numbers['difference']:+.3g}; {-numbers['margin']:.3g} allowed"
    return _line(gate, VERDICTS[verdict], numbers, f"candidate {_mean(numbers)}, {active} ({allowed})")


def bound_counts(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of the candidate's share alone."""
    rate = f"{percent(numbers['bound'])} allowed"
    if gate.kind is GateKind.BURN:
        burn, now, margin = numbers["burn"], numbers["burn_now"], numbers["margin"]
        rate = f"{burn:.3g} times the error budget, {now:.3g} times now; {margin:.3g} allowed"
    seen = f"{percent(numbers['candidate'])} of {numbers['candidate_total']:,.0f} requests {_bad(gate)} ({rate})"
    return _line(gate, BOUND_VERDICTS[verdict], numbers, seen)


def bound_mean(gate: Gate, verdict: Verdict, numbers: Mapping[str, float]) -> str:
    """Of the candidate's mean score alone."""
    return _line(gate, BOUND_VERDICTS[verdict], numbers, f"{_mean(numbers)} ({numbers['bound']:.4g} demanded)")


def percent(share: float) -> str:
    """0.0412 is 4.1 %."""
    return f"{_short(100 * share)} %"


def _short(value: float) -> str:
    """Two digits that count, never in powers of ten."""
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


def _line(gate: Gate, words: str, numbers: Mapping[str, float], seen: str) -> str:
    few = f", too few samples (minimum {gate.minimum:,})" if numbers["candidate_total"] < gate.minimum else ""
    return f"{gate.name}: {words}{few}: {seen}"


def _mean(numbers: Mapping[str, float]) -> str:
    return f"{numbers['candidate']:.4g} in {numbers['candidate_total']:,.0f} scores"


def _bad(gate: Gate) -> str:
    return "were over the threshold" if gate.kind is GateKind.LATENCY else "failed"
