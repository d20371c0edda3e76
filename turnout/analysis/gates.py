"""Judges a gate: what its windows show, as a verdict with the numbers behind it. Pure functions of the list of windows.

FAIL rejects "no worse" and its estimate is beyond the margin; PASS rejects "worse by the margin or more"; all else is
INCONCLUSIVE. Either may be asked for after every window (docs/gates.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import log

import numpy as np
from turnout_components.rollout_spec import MARGINS, Gate, GateKind

from turnout.analysis import said
from turnout.analysis.counts import CountBound, CountComparison
from turnout.analysis.history import worst_mean, worst_share
from turnout.analysis.means import MeanBound, MeanComparison, Spread
from turnout.analysis.measurement import Count, Judgement, Moments, Sample, Side, Verdict, Window
from turnout.analysis.sequential import Array

ALPHA = 0.01
"""Probability that a rollout is taken back by mistake: all critical gates, steps and looks together."""
COMPARED, AFTER = 0.3, 0.1
"""The parts of it that are spent while both sides carry weight, and after the full switch. The rest is held back for what no
hypothesis describes, such as a bad minute on top of noise that lasts (docs/gates.md has the figures)."""
MISS = 0.01
"""Probability that a gate passes a candidate that is worse by the margin."""
DOUBT = log(10)
"""Log evidence against a candidate with which it does not pass, though less than what takes it back."""
SHARE_AT_MOST = 0.9
"""A bound on a share is no higher: there has to be something beyond it."""
BURN_SECONDS = 300.0
"""The short window of a burn rate ("Alerting on SLOs", The Site Reliability Workbook: 5 min beside 1 h): it must burn now."""


def fail_at(critical_gates: int, compared: bool = True) -> float:
    """Log evidence from which a gate fails, where so many can take the rollout back."""
    part = COMPARED if compared else AFTER
    return log(max(critical_gates, 1) / (ALPHA * part))


def pass_at() -> float:
    """Log evidence from which a gate passes."""
    return log(1 / MISS)


def floor_of(gate: Gate) -> float:
    """A share of bad requests that is never too high: what the percentile leaves over the threshold, or the margin times what
    the objective lets fail (at most `bound`)."""
    if gate.kind is GateKind.LATENCY:
        return 1 - gate.percentile / 100
    promised = min(gate.allowed * (1 - gate.objective), SHARE_AT_MOST)
    return promised if gate.bound is None else min(promised, gate.bound)


def decide(against: Array, beyond: Array, in_favour: Array, critical_gates: int, compared: bool = True) -> Array:
    """-1 Fail, 1 Pass, 0 Inconclusive: log evidence against the candidate, whether the estimate is beyond the margin, and log
    evidence in its favour."""
    failed = (against >= fail_at(critical_gates, compared)) & (beyond > 0)
    passed = (in_favour >= pass_at()) & (against < DOUBT)
    return np.where(failed, -1.0, np.where(passed, 1.0, 0.0))


def judge(gate: Gate, windows: Sequence[Window], next_weight: int, critical_gates: int) -> Judgement:
    """Judge by all windows so far in which both sides carried weight, before `next_weight` percent is given.

    Raises ValueError for a gate of kind health, or samples that do not fit the kind.
    """
    _refuse_health(gate)
    pairs = list(_pairs(gate, windows))
    if not pairs:
        return Judgement(gate.name, Verdict.INCONCLUSIVE, said.nothing(gate, "on both sides"))
    if gate.kind is GateKind.QUALITY:
        return _compare_means(gate, pairs, next_weight, critical_gates)
    return _compare_counts(gate, pairs, next_weight, critical_gates)


def judge_bound(gate: Gate, windows: Sequence[Window], bound: float, critical_gates: int) -> Judgement:
    """Judge by the windows in which the candidate carried all weight. `bound` (the margin is in it): an error rate; of latency
    a share of requests over the threshold that the samples were counted by, or the gate's own bound in seconds where that is
    the threshold; a score; a burn rate. Earlier windows tell how scores vary; they are not judged.

    Raises ValueError for a gate of kind health, or samples that do not fit the kind.
    """
    _refuse_health(gate)
    alone = [(w, w.samples[gate.name][Side.CANDIDATE]) for w in windows if w.weight >= 100 and _has(gate, w, Side.CANDIDATE)]
    if not alone:
        return Judgement(gate.name, Verdict.INCONCLUSIVE, said.nothing(gate, "after the full switch"))
    if gate.kind is GateKind.QUALITY:
        before = Spread(())
        for window in windows:
            if window.weight < 100 and _has(gate, window, Side.ACTIVE):
                scores = _moments(window.samples[gate.name][Side.ACTIVE])
                before.add(*map(np.asarray, (scores.count, scores.total, scores.squares)))
        return _bound_mean(gate, [_moments(sample) for _, sample in alone], bound, before, critical_gates)
    share = bound * (1 - gate.objective) if gate.kind is GateKind.BURN else bound
    if gate.kind is GateKind.LATENCY and bound == gate.bound:
        share = floor_of(gate)
    samples = [_count(gate, sample) for _, sample in alone]
    return _bound_count(gate, [w for w, _ in alone], samples, share, critical_gates)


def derive_bound(gate: Gate, windows: Sequence[Window]) -> float | None:
    """The bound after the full switch, from what the active side was at its worst during the rollout (`history.worst_share`);
    None while it has fewer than `minimum` samples. `judge_bound` takes it as it is: the margin is in it."""
    if gate.kind is GateKind.BURN:
        return gate.allowed
    seen = [w.samples[gate.name][Side.ACTIVE] for w in windows if w.weight < 100 and _has(gate, w, Side.ACTIVE)]
    if gate.kind is GateKind.HEALTH or sum(_size(sample) for sample in seen) < gate.minimum:
        return None
    if gate.kind is GateKind.QUALITY:
        return worst_mean([(m.total, m.count) for m in map(_moments, seen)]) - gate.allowed
    share = worst_share([(c.bad, c.total) for c in (_count(gate, sample) for sample in seen)])
    return min(max(floor_of(gate), gate.allowed * share), SHARE_AT_MOST)


def _compare_counts(gate: Gate, pairs: list[tuple[Window, Sample, Sample]], weight: int, critical: int) -> Judgement:
    margin = MARGINS[GateKind.ERRORS] if gate.kind is GateKind.BURN else gate.allowed
    test = CountComparison(floor_of(gate), margin, (weight,))
    counts = [(_count(gate, c), _count(gate, a)) for _, c, a in pairs]
    for c, a in counts:
        test.add(c.bad, c.total, a.bad, a.total)
    seen, against = test.estimate(), test.fail_log()
    if gate.kind is GateKind.BURN:
        bound = gate.allowed * (1 - gate.objective)
        burn = _bound_count(gate, [w for w, _, _ in pairs], [c for c, _ in counts], bound, critical, compared=True)
        no_better = bool(against >= fail_at(critical)) and bool(seen.share_c >= margin * seen.share_a)
        if burn.verdict is Verdict.FAIL and not no_better:
            return Judgement(gate.name, Verdict.INCONCLUSIVE, f"{burn.said}; but the active burns as well", burn.numbers)
        return burn
    in_favour, beyond = test.pass_log(weight), test.beyond(seen)
    bad_c, total_c, bad_a, total_a = (float(x) for x in test.sums)
    numbers = {
        "candidate": bad_c / total_c,
        "candidate_bad": bad_c,
        "candidate_total": total_c,
        "active": bad_a / total_a,
        "active_bad": bad_a,
        "active_total": total_a,
        "allowed": max(test.floor, margin * bad_a / total_a),
        "margin": margin,
        **_evidence(against, in_favour, critical),
    }
    if bad_a:
        numbers["ratio"] = numbers["candidate"] / numbers["active"]
    if float(seen.total_c) < total_c:
        numbers |= {
            "late_candidate": float(seen.share_c),
            "late_active": float(seen.share_a),
            "late_total": float(seen.total_c),
        }
    verdict = _verdict(decide(against, beyond, in_favour, critical), gate, total_c)
    return Judgement(gate.name, verdict, said.counts(gate, verdict, numbers), numbers)


def _compare_means(gate: Gate, pairs: list[tuple[Window, Sample, Sample]], weight: int, critical: int) -> Judgement:
    test = MeanComparison(gate.allowed, (weight,))
    for _, candidate, active in pairs:
        c, a = _moments(candidate), _moments(active)
        test.add((c.count, c.total, c.squares), (a.count, a.total, a.squares))
    against, in_favour = test.fail_log(), test.pass_log(weight)
    numbers = {
        "candidate": float(test.candidate.mean),
        "candidate_total": float(test.candidate.count),
        "active": float(test.active.mean),
        "active_total": float(test.active.count),
        "difference": float(test.difference),
        "margin": gate.allowed,
        **_evidence(against, in_favour, critical),
    }
    decided = decide(against, test.beyond(), in_favour, critical)
    verdict = _verdict(decided, gate, numbers["candidate_total"])
    return Judgement(gate.name, verdict, said.means(gate, verdict, numbers), numbers)


def _bound_count(
    gate: Gate, windows: list[Window], samples: list[Count], share: float, critical: int, compared: bool = False
) -> Judgement:
    share = min(share, SHARE_AT_MOST)
    test = CountBound(share, MARGINS[GateKind.ERRORS] if gate.kind is GateKind.BURN else gate.allowed)
    for sample in samples:
        test.add(sample.bad, sample.total)
    bad, total = float(test.bad), float(test.total)
    numbers = {"candidate": bad / total, "candidate_bad": bad, "candidate_total": total, "bound": share}
    beyond = np.asarray(True)
    if gate.kind is GateKind.BURN:
        recent = [
            s for w, s in zip(windows, samples, strict=True) if (windows[-1].end - w.start).total_seconds() <= BURN_SECONDS
        ]
        now = sum(s.bad for s in recent or samples[-1:]) / sum(s.total for s in recent or samples[-1:])
        budget = 1 - gate.objective
        numbers |= {"burn": bad / total / budget, "burn_now": now / budget, "margin": share / budget}
        beyond = np.asarray(now >= share)
    numbers |= _evidence(test.fail_log(), test.pass_log(), critical, compared)
    decided = decide(test.fail_log(), beyond, test.pass_log(), critical, compared)
    verdict = _verdict(decided, gate, total)
    return Judgement(gate.name, verdict, said.bound_counts(gate, verdict, numbers), numbers)


def _bound_mean(gate: Gate, samples: list[Moments], bound: float, before: Spread, critical: int) -> Judgement:
    test = MeanBound(bound, gate.allowed, before=before.seen)
    for sample in samples:
        test.add(sample.count, sample.total, sample.squares)
    numbers = {
        "candidate": float(test.candidate.mean),
        "candidate_total": float(test.candidate.count),
        "bound": bound,
        **_evidence(test.fail_log(), test.pass_log(), critical, compared=False),
    }
    decided = decide(test.fail_log(), np.asarray(True), test.pass_log(), critical, compared=False)
    verdict = _verdict(decided, gate, numbers["candidate_total"])
    return Judgement(gate.name, verdict, said.bound_mean(gate, verdict, numbers), numbers)


def _evidence(against: Array, in_favour: Array, critical: int, compared: bool = True) -> Mapping[str, float]:
    """Log evidence of both verdicts and what each needs."""
    return {
        "against": float(against),
        "against_needed": fail_at(critical, compared),
        "in_favour": float(in_favour),
        "in_favour_needed": pass_at(),
    }


def _verdict(decided: Array, gate: Gate, samples: float) -> Verdict:
    if samples < gate.minimum:
        return Verdict.INCONCLUSIVE
    return {-1: Verdict.FAIL, 1: Verdict.PASS}.get(int(decided), Verdict.INCONCLUSIVE)


def _refuse_health(gate: Gate) -> None:
    if gate.kind is GateKind.HEALTH:
        raise ValueError(f"gate {gate.name} is of kind health: target health is no sample; judge it by the targets")


def _pairs(gate: Gate, windows: Sequence[Window]) -> Iterator[tuple[Window, Sample, Sample]]:
    for window in windows:
        if window.weight < 100 and _has(gate, window, Side.CANDIDATE) and _has(gate, window, Side.ACTIVE):
            yield window, window.samples[gate.name][Side.CANDIDATE], window.samples[gate.name][Side.ACTIVE]


def _has(gate: Gate, window: Window, side: Side) -> bool:
    sample = window.samples.get(gate.name, {}).get(side)
    return sample is not None and _size(sample) > 0


def _size(sample: Sample) -> int:
    return sample.total if isinstance(sample, Count) else sample.count


def _count(gate: Gate, sample: Sample) -> Count:
    if isinstance(sample, Count):
        return sample
    raise ValueError(f"gate {gate.name} of kind {gate.kind} was given scores; it needs counts of bad requests")


def _moments(sample: Sample) -> Moments:
    """Counts are scores of 0 and 1."""
    if isinstance(sample, Moments):
        return sample
    good = float(sample.total - sample.bad)
    return Moments(sample.total, good, good)
