"""Who carries requests before and after a plan, and what of it would interrupt the service. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from turnout_components.durations import duration
from turnout_components.policy_resources import at, each, whole
from turnout_components.policy_traffic import BALANCERS, LISTENERS, TARGET_GROUPS, names_releases
from turnout_components.standby import Keep, StandbyPolicy

from turnout.preview import routes
from turnout.preview.changes import UNKNOWN, Change, Operation, Resource
from turnout.preview.fleet import GROUP

ATTACHMENT = "aws:autoscaling/attachment:Attachment"
_REFERENCE = re.compile(r"\$\{(?P<name>[^}]+)\.(?:arn|id|name)\}")


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
    kept = f"; standby {left[0]} {_kept(at(traffic, 'standby'))}" if len(left) == 1 else ""
    return f"traffic: {_shares(then)} → {_shares(now)}{kept}"


def live(held: Iterable[Resource], environments: Iterable[str], told: Any) -> Mapping[str, int]:
    """Weights as the stack's listener or route has them, by environment. `told`: the output `weights`, which stands for what
    that does not show (a target group that is not made yet); without it target groups and Services name themselves."""
    held = list(held)
    moved: list[dict[str, int | None]] = [dict(_carried(one.inputs)) for one in held if one.type in LISTENERS]
    moved += [
        {name: weight for (_, name), weight in routes.carried(one).items()} for one in held if routes.is_a(one, routes.ROUTE)
    ]
    shown = max(moved, key=len, default={})
    names = _weights(told) or dict.fromkeys(environments, 0)
    by_name = {name: [w for group, w in shown.items() if group == name or group.endswith(f"-{name}")] for name in names}
    if names and all(len(found) == 1 and found[0] is not None for found in by_name.values()):
        return {name: found[0] for name, found in by_name.items() if found[0] is not None}
    return _weights(told) or _weights(shown)


def interruptions(before: Iterable[Resource], changes: Iterable[Change]) -> tuple[Interruption, ...]:
    """What the plan takes away of what carries requests now."""
    held, changes = list(before), list(changes)
    carrying = _Carrying.of(held)
    active = {one.urn for one in held if carrying.uses(one)}
    said = [(change.name, _interrupts(change, carrying)) for change in changes if change.urn in active]
    said += routes.interruptions(held, changes, carrying.targets)
    return tuple(Interruption(name, why) for name, why in said if why)


@dataclass(frozen=True)
class _Carrying:
    """Who carries requests: listeners, and by logical name target groups with weight, pools attached to them, load balancers in
    front. A listener for tests, which leads nowhere but to what a switch's listener leads to, carries none."""

    listeners: frozenset[str]
    targets: frozenset[str]
    pools: frozenset[str]
    balancers: frozenset[str]

    @classmethod
    def of(cls, held: list[Resource]) -> "_Carrying":
        listeners = [one for one in held if one.type in LISTENERS and _weighty(one.inputs)]
        switched = {name for one in listeners if names_releases(one.inputs.get("tags")) for name, _ in _carried(one.inputs)}
        listeners = [
            one for one in listeners if names_releases(one.inputs.get("tags")) or not switched.issuperset(_weighty(one.inputs))
        ]
        targets = frozenset(name for one in listeners for name in _weighty(one.inputs))
        attached = [one for one in held if one.type == ATTACHMENT and _name(one.inputs.get("lbTargetGroupArn")) in targets]
        pools = frozenset(_name(one.inputs.get("autoscalingGroupName")) for one in attached)
        urns = frozenset(one.urn for one in listeners)
        return cls(urns, targets, pools, frozenset(_name(one.inputs.get("loadBalancerArn")) for one in listeners))

    def uses(self, resource: Resource) -> bool:
        if resource.type in LISTENERS:
            return resource.urn in self.listeners
        if resource.type in TARGET_GROUPS:
            return resource.name in self.targets
        if resource.type == ATTACHMENT:
            return _name(resource.inputs.get("lbTargetGroupArn")) in self.targets
        if resource.type == GROUP:
            return bool(self.behind(resource.inputs)) or bool({resource.name, resource.inputs.get("name")} & self.pools)
        return resource.type in BALANCERS and (resource.name in self.balancers or not self.balancers.isdisjoint(_NOWHERE))

    def behind(self, pool: Mapping[str, Any]) -> set[str]:
        """The target groups that a pool serves, of those with weight."""
        return {_name(arn) for arn in each(pool.get("targetGroupArns"))} & self.targets


_NOWHERE = frozenset({"None", UNKNOWN})
"""A listener that does not tell whose it is: it may be of any load balancer."""


def _interrupts(change: Change, carrying: _Carrying) -> str:
    """Why a change of what carries requests interrupts the service; "" where it does not."""
    kinds = {
        **dict.fromkeys(LISTENERS, "a listener that carries requests"),
        **dict.fromkeys(TARGET_GROUPS, "a target group that carries requests"),
        **dict.fromkeys(BALANCERS, "the load balancer"),
        GROUP: "an active pool",
        ATTACHMENT: "what puts an active pool behind its target group",
    }
    kind = kinds[change.type]
    if change.operation is Operation.DELETE:
        return f"{kind} would be deleted"
    if change.operation is Operation.REPLACE:
        return f"{kind} would be replaced, because of {', '.join(change.forced_by)}"
    return _taken(change, kind, carrying)


def _taken(change: Change, kind: str, carrying: _Carrying) -> str:
    """What an update in place takes away from users."""
    moved = [key for key in ("port", "protocol") if change.before.get(key) != change.after.get(key)]
    if change.type in LISTENERS and moved:
        told = ", ".join(f"{key} {change.before.get(key)} to {change.after.get(key)}" for key in moved)
        return f"{kind} would go from {told}: nothing answers where users ask"
    if change.type in LISTENERS and not _weighty(change.after) and UNKNOWN not in str(change.after.get("defaultActions")):
        return f"{kind} would send them to nobody"
    if change.type == GROUP and whole(change.after.get("maxSize")) == 0:
        return f"{kind} would have no instances"
    if change.type == GROUP and UNKNOWN not in each(change.after.get("targetGroupArns")):
        left = sorted(carrying.behind(change.before) - carrying.behind(change.after))
        return f"{kind} would leave {', '.join(left)}" if left else ""
    return ""


def _weighty(listener: Mapping[str, Any]) -> list[str]:
    """The target groups to which a listener sends requests, by logical name."""
    return [name for name, weight in _carried(listener) if weight != 0]


def _carried(listener: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """Target groups of a listener's default actions by logical name, with their weights; None where one is not known yet."""
    found = []
    for action in each(listener.get("defaultActions")):
        groups = each(at(action, "forward.targetGroups"))
        if not groups and at(action, "targetGroupArn"):
            groups = [{"arn": action["targetGroupArn"]}]
        for one in groups:
            weight = at(one, "weight")
            found.append((_name(at(one, "arn")), 1 if weight is None else whole(weight)))
    return found


def _name(reference: Any) -> str:
    """The resource that an ARN, id or name is of; one that is written out stands for itself."""
    match = _REFERENCE.fullmatch(str(reference))
    return match["name"] if match else str(reference)


def _weights(found: Any) -> dict[str, int]:
    if not isinstance(found, Mapping):
        return {}
    return {str(name): int(weight) for name, weight in found.items() if isinstance(weight, (int, float))}


def _shares(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()) if weight) or "nobody"


def _kept(standby: Any) -> str:
    """What config says of it; of another program's config, in which that means something else, what would be by default."""
    given = standby if isinstance(standby, Mapping) else {}
    try:
        keep = Keep(given.get("keep", StandbyPolicy.keep))
        length = duration(given["retain_for"]) if "retain_for" in given else StandbyPolicy.retain_for
    except (TypeError, ValueError):
        keep, length = StandbyPolicy.keep, StandbyPolicy.retain_for
    hours = length / timedelta(hours=1)
    return f"kept {keep} for {hours:g} h"
