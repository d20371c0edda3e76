"""Who carries requests before and after a plan, and what of it would interrupt the service. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from turnout_components.durations import duration
from turnout_components.standby import Keep, StandbyPolicy

from turnout.preview.changes import Change, Operation, Resource
from turnout.preview.fleet import GROUP

LISTENER = "aws:lb/listener:Listener"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
TARGETS = "aws:lb/targetGroup:TargetGroup"
_REFERENCE = re.compile(r"\$\{(?P<name>[^}]+)\.(?:arn|id)\}")


@dataclass(frozen=True)
class Interruption:
    """A change that takes servers or ways away from users while they carry requests."""

    resource: str
    said: str


def told(before: Mapping[str, Any] | None, after: Mapping[str, Any], traffic: Mapping[str, Any]) -> str:
    """The switch in a line: `traffic: blue 100 → green 100; standby blue kept full for 24 h`. `before` and `after` are the
    stack's outputs, `traffic` the config's section of that name; "" where the outputs name no weights."""
    then, now = _weights((before or {}).get("weights")), _weights(after.get("weights"))
    if not now:
        return ""
    if not then:
        return f"traffic: {_shares(now)} (a new stack)"
    if then == now:
        return f"traffic: {_shares(now)}, unchanged"
    left = [name for name, weight in then.items() if weight and not now.get(name)]
    kept = f"; standby {left[0]} {_kept(traffic.get('standby') or {})}" if len(left) == 1 else ""
    return f"traffic: {_shares(then)} → {_shares(now)}{kept}"


def interruptions(before: Iterable[Resource], changes: Iterable[Change]) -> tuple[Interruption, ...]:
    """What the plan replaces or deletes of what carries requests now."""
    held = list(before)
    carrying = {name: weight for each in held if each.type == LISTENER for name, weight in _carried(each.inputs) if weight}
    active = {each.urn for each in held if _serves(each, carrying)}
    gone = [change for change in changes if change.operation in (Operation.REPLACE, Operation.DELETE) and change.urn in active]
    return tuple(Interruption(change.name, _interrupts(change)) for change in gone)


def _serves(resource: Resource, carrying: Mapping[str, int]) -> bool:
    if resource.type == LISTENER:
        return any(weight for _, weight in _carried(resource.inputs))
    if resource.type == TARGETS:
        return resource.name in carrying
    if resource.type == GROUP:
        return any(name in carrying for arn in resource.inputs.get("targetGroupArns") or () for name in _names(arn))
    return resource.type == BALANCER and bool(carrying)


def _interrupts(change: Change) -> str:
    what = {LISTENER: "a listener that carries requests", TARGETS: "a target group that carries requests"}
    kind = {**what, GROUP: "an active pool", BALANCER: "the load balancer"}[change.type]
    if change.operation is Operation.DELETE:
        return f"{kind} would be deleted"
    return f"{kind} would be replaced, because of {', '.join(change.forced_by)}"


def _carried(listener: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Target groups of a listener's default actions by logical name, with their weights."""
    found = []
    for action in listener.get("defaultActions") or ():
        groups: Sequence[Mapping[str, Any]] = (action.get("forward") or {}).get("targetGroups") or ()
        single = [{"arn": action["targetGroupArn"], "weight": 1}] if action.get("targetGroupArn") else []
        found += [(name, int(one.get("weight", 1))) for one in (*groups, *single) for name in _names(one.get("arn"))]
    return found


def _names(reference: Any) -> list[str]:
    """The resource that an ARN is of; an ARN that is written out stands for itself."""
    match = _REFERENCE.fullmatch(str(reference))
    return [match["name"] if match else str(reference)]


def _weights(found: Any) -> dict[str, int]:
    if not isinstance(found, Mapping):
        return {}
    return {str(name): int(weight) for name, weight in found.items() if isinstance(weight, (int, float))}


def _shares(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()) if weight) or "nobody"


def _kept(standby: Mapping[str, Any]) -> str:
    keep = Keep(standby.get("keep", StandbyPolicy.keep))
    length = duration(standby["retain_for"]) if "retain_for" in standby else StandbyPolicy.retain_for
    hours = length / timedelta(hours=1)
    return f"kept {keep} for {hours:g} h"
