"""What Gateways and HTTPRoutes are told of themselves. Pure.

Source: "API specification" (GatewayStatus, ListenerStatus, RouteParentStatus), Gateway API.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from turnout.cluster.gateway_model import CONTROLLER, GROUP, Gateway, Listener, Parent, Problem
from turnout.cluster.watching import Object

_KIND = {"group": GROUP, "kind": "HTTPRoute"}


def of_class(found: Object) -> dict[str, Any]:
    """A GatewayClass of ours."""
    return {"conditions": [_condition("Accepted", None, "Accepted", found)]}


def of_gateway(gateway: Gateway, in_force: bool) -> dict[str, Any]:
    """A Gateway's status. `in_force`: whether Envoy has taken up its listeners."""
    wrong = [one for one in gateway.listeners if one.fault is not None]
    names = ", ".join(one.name for one in wrong)
    faulty = Problem("ListenersNotValid", f"not served: {names}") if wrong else None
    served = None if len(wrong) < len(gateway.listeners) else Problem("Invalid", f"not served: {names}")
    programmed = served or (None if in_force else Problem("Pending", "Envoy has not taken it up yet"))
    return {
        "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
        "conditions": [
            # "Accepted" stays True while some listener is served; the reason says that others are not.
            _condition("Accepted", served, faulty.reason if faulty else "Accepted", gateway.found, names),
            _condition("Programmed", programmed, "Programmed", gateway.found),
        ],
        "listeners": [_listener(one, gateway.found, in_force) for one in gateway.listeners],
    }


def _listener(listener: Listener, gateway: Object, in_force: bool) -> dict[str, Any]:
    kinds = [_KIND] if listener.kinds_fault is None or listener.attached else []
    pending = None if in_force else Problem("Pending", "Envoy has not taken it up yet")
    return {
        "name": listener.name,
        "supportedKinds": kinds,
        "attachedRoutes": len(listener.attached),
        "conditions": [
            _condition("Accepted", listener.fault, "Accepted", gateway),
            _condition("Programmed", _as(listener.fault, "Invalid") or pending, "Programmed", gateway),
            _condition("ResolvedRefs", listener.kinds_fault, "ResolvedRefs", gateway),
            {**_condition("Conflicted", None, "NoConflicts", gateway), "status": "False"},
        ],
    }


def _as(problem: Problem | None, reason: str) -> Problem | None:
    return None if problem is None else Problem(reason, problem.message)


def of_route(route: Object, parents: Sequence[Parent], problems: Sequence[Problem]) -> dict[str, Any]:
    """A route's status: what its references to Gateways of ours came to, beside what other controllers have written.
    `problems`: of its backends."""
    others = [one for one in (route.get("status") or {}).get("parents") or () if one["controllerName"] != CONTROLLER]
    message = "; ".join(dict.fromkeys(one.message for one in problems))
    unresolved = Problem(problems[0].reason, message) if problems else None
    return {
        "parents": [
            *others,
            *(
                {
                    "parentRef": dict(parent.reference),
                    "controllerName": CONTROLLER,
                    "conditions": [
                        _condition("Accepted", parent.problem, "Accepted", route),
                        _condition("ResolvedRefs", unresolved, "ResolvedRefs", route),
                    ],
                }
                for parent in parents
            ),
        ]
    }


def _condition(kind: str, problem: Problem | None, good: str, found: Object, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True" if problem is None else "False",
        "reason": good if problem is None else problem.reason,
        "message": message if problem is None else problem.message,
        "observedGeneration": found["metadata"]["generation"],
    }


def dated(status: Mapping[str, Any], before: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """The status with the moment of each condition's last change of status, or None where it says what `before` says."""
    held = _conditions(before)
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fresh: dict[str, Any] = _dated(status, held, moment, ())
    return None if _subset(fresh, before) else fresh


def _conditions(status: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """The moment of every condition in the status, by where it stands, its type and its status."""
    found = {(*path, one["type"], one["status"]): one["lastTransitionTime"] for one in status.get("conditions") or ()}
    for name, key in (("listeners", "name"), ("parents", "parentRef")):
        for one in status.get(name) or ():
            found |= _conditions(one, (*path, str(_plain(one[key]))))
    return found


def _plain(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, Mapping) else value


def _dated(
    status: Mapping[str, Any], held: Mapping[tuple[str, ...], str], moment: str, path: tuple[str, ...]
) -> dict[str, Any]:
    fresh = dict(status)
    if "conditions" in status:
        fresh["conditions"] = [
            {"lastTransitionTime": held.get((*path, one["type"], one["status"]), moment), **one} for one in status["conditions"]
        ]
    for name, key in (("listeners", "name"), ("parents", "parentRef")):
        if name in status:
            fresh[name] = [_dated(one, held, moment, (*path, str(_plain(one[key])))) for one in status[name]]
    return fresh


def _subset(wanted: Any, held: Any) -> bool:
    """Whether all that is wanted stands there."""
    if isinstance(wanted, Mapping):
        return isinstance(held, Mapping) and all(_subset(value, held.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(held, list) and len(held) == len(wanted) and all(map(_subset, wanted, held))
    return bool(wanted == held)
