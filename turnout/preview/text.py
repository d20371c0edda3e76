"""A plan as lines for a terminal or a log. Pure."""

import json
from collections.abc import Iterator
from typing import Any

from turnout.preview.changes import UNKNOWN, Change, Operation, Property
from turnout.preview.plan import Plan

SIGNS = {Operation.CREATE: "+", Operation.UPDATE: "~", Operation.REPLACE: "±", Operation.DELETE: "-"}
LONGEST = 100
"""Characters of a value."""


def lines(plan: Plan) -> Iterator[str]:
    """What a merge would do to one stack."""
    yield f"stack {plan.stack}: {plan.counted}"
    if plan.traffic:
        yield f"  {plan.traffic}"
    for pool in plan.pools:
        parts = [f"{label} {pool.before.told(of)} → {pool.after.told(of)}" for label, of in MEASURES]
        yield f"  pool {pool.name}: {', '.join(parts)}"
    for stop in plan.interruptions:
        yield f"  ! interrupts the service: {stop.resource}: {stop.said}"
    for key in plan.secrets:
        yield f"  ! the secret {key} is another"
    for change in plan.changes:
        yield f"  {SIGNS[change.operation]} {change.operation:<8}{short(change.type):<30} {change.name}{_why(change)}"
        for each in change.properties:
            yield f"      {difference(each)}"


MEASURES = (("instances", "instances"), ("GPUs", "gpus"), ("GPU memory in GiB", "gib"))


def short(kind: str) -> str:
    """`aws:lb/targetGroup:TargetGroup` as `lb TargetGroup`."""
    package, _, rest = kind.partition(":")
    module, _, name = rest.partition(":")
    return f"{module.partition('/')[0]} {name}" if package == "aws" and name else kind.rpartition(":")[2]


def difference(one: Property) -> str:
    """`maxSize: 12 → 14`."""
    return f"{one.path}: {value(one.before)} → {value(one.after)}{'   (forces replacement)' if one.forces else ''}"


def value(found: Any) -> str:
    """A value in a line, whatever it holds."""
    if found is None:
        return "(none)"
    if found == UNKNOWN:
        return "(known after the update)"
    text = found if isinstance(found, str) and found.isprintable() else json.dumps(found, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _why(change: Change) -> str:
    return f" (forced by {', '.join(change.forced_by)})" if change.forced_by else ""
