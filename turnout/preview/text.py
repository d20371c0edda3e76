"""A plan as lines for a terminal or a log. Pure."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from turnout.preview.changes import UNKNOWN, Change, Operation, Property
from turnout.preview.findings import Finding, Level, by_policy, counted, undecided
from turnout.preview.plan import Plan

SIGNS = {Operation.CREATE: "+", Operation.UPDATE: "~", Operation.REPLACE: "±", Operation.DELETE: "-"}
LONGEST = 100
"""Characters of a value."""
_SHOWN_BEFORE = 20
"""Characters of a long value before what differs."""


def lines(plan: Plan) -> Iterator[str]:
    """What would be done to one stack, and what others did."""
    yield from map(plain, _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"stack {plan.stack}: {plan.counted}"
    if plan.traffic:
        yield f"  {plan.traffic}"
    for pool in plan.pools:
        shown = [(label, of) for label, of in MEASURES if pool.unit != "pods" or of != "gib"]
        shown[0] = (pool.unit, shown[0][1])
        parts = [f"{label} {pool.before.told(of)} → {pool.after.told(of)}" for label, of in shown]
        yield f"  pool {pool.name}: {', '.join(parts)}"
    for stop in plan.interruptions:
        yield f"  ! interrupts the service: {stop.resource}: {stop.said}"
    yield from _policies(plan.findings)
    for key in plan.secrets:
        yield f"  ! the secret {key} is another"
    for change in plan.changes:
        yield f"  {SIGNS[change.operation]} {change.operation:<8}{short(change.type):<30} {change.name}{_why(change)}"
        for each in change.properties:
            yield f"      {difference(each)}"
    for change in plan.drift:
        yield f"  ≠ {drift_word(change):<8}{short(change.type):<30} {change.name}"
        for each in change.properties:
            yield f"      {difference(each)}"


def drift_word(drift: Change) -> str:
    """What others did to a resource, in a word."""
    return "gone" if drift.operation is Operation.DELETE else "drifted"


def _policies(found: Sequence[Finding]) -> Iterator[str]:
    """What policies found, by policy; what could not be looked at yet in a line."""
    if found:
        yield f"  policies: {counted(found)}"
    for group in by_policy(found):
        first = group[0]
        yield f"  {'✗' if first.level is Level.MANDATORY else '!'} {first.policy} ({first.label}): {first.demand}"
        for each in group:
            yield f"      {each.said}"
    if names := undecided(found):
        yield f"  ? not looked at, as what they ask for is known after the update only: {names}"


MEASURES = (("instances", "instances"), ("GPUs", "gpus"), ("GPU memory in GiB", "gib"))


def short(kind: str) -> str:
    """`aws:lb/targetGroup:TargetGroup` as `lb TargetGroup`."""
    package, _, rest = kind.partition(":")
    module, _, name = rest.partition(":")
    return f"{module.partition('/')[0]} {name}" if package == "aws" and name else kind.rpartition(":")[2]


def difference(one: Property) -> str:
    """`maxSize: 12 → 14`."""
    before, after = values(one)
    return f"{one.path}: {before} → {after}{'   (forces replacement)' if one.forces else ''}"


def values(one: Property) -> tuple[str, str]:
    """A property's values before and after, each in a line, whatever it holds; of long ones what differs."""
    texts = _text(one.before), _text(one.after)
    shared = next((at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), min(map(len, texts)))
    start = max(0, shared - _SHOWN_BEFORE) if max(map(len, texts)) > LONGEST else 0
    before, after = (_cut(text, start) for text in texts)
    return before, after


def _cut(text: str, start: int) -> str:
    if len(text) <= LONGEST:
        return text
    shown = text[start : start + LONGEST]
    return f"{'…' if start else ''}{shown}{'…' if start + LONGEST < len(text) else ''} ({len(text)} characters)"


def _text(found: Any) -> str:
    if found is None:
        return "(none)"
    if found == UNKNOWN:
        return "(known after the update)"
    return plain(found) if isinstance(found, str) else plain(json.dumps(found, ensure_ascii=False, sort_keys=True))


def plain(text: str) -> str:
    """In one line and without what steers a terminal or turns the direction of writing."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _why(change: Change) -> str:
    return f" (forced by {', '.join(change.forced_by)})" if change.forced_by else ""
