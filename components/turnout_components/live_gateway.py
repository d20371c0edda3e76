"""An HTTPRoute of Gateway API as the switch's router: weights of its backends, variants' rules, targets from EndpointSlices.

Weights are in force once the Gateway's controller says so in the route's status; what is written is otherwise only a wish.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from turnout_components import route_rules
from turnout_components.cluster_api import Changed, ClusterApi, ClusterError, Object
from turnout_components.kubernetes_names import ObjectId
from turnout_components.live import Target

ACCEPT_WITHIN = 10.0
"""Seconds that a Gateway's controller has to take what was written."""
POLL = 0.1
TRIES = 10
"""Of a write that meets somebody else's."""
SERVICE_LABEL = "kubernetes.io/service-name"
"""Of an EndpointSlice ("EndpointSlices", Kubernetes)."""
Edit = Callable[[list[route_rules.Rule]], list[route_rules.Rule]]


class GatewayRouter:
    """A `TrafficRouter` over HTTPRoutes and Services, by `Kind/namespace/name`; a target's id is its pod's IP."""

    def __init__(
        self,
        api: ClusterApi,
        *,
        accept_within: float = ACCEPT_WITHIN,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._accept_within, self._sleep, self._clock = api, accept_within, sleep, clock
        self._read: dict[str, Object] = {}
        """Each route as it was read or written last."""
        self._unfollowed = "the new weights are written and in force"

    @property
    def unfollowed(self) -> str:
        return self._unfollowed

    def weights(self, listener: str) -> dict[str, int] | None:
        route = self._route(listener)
        if route is None:
            return None
        rules = route["spec"].get("rules") or []
        place = route_rules.weighted(rules)
        return {} if place is None else route_rules.backends(rules[place], ObjectId.parse(listener).namespace)

    def is_sticky(self, listener: str) -> bool:
        """Whether the weighted rule asks for session persistence ("Session persistence", Gateway API)."""
        rules = ((self._route(listener) or {}).get("spec") or {}).get("rules") or []
        place = route_rules.weighted(rules)
        return place is not None and rules[place].get("sessionPersistence") is not None

    def listener_of(self, target_groups: Collection[str]) -> str | None:
        spaces = sorted({ObjectId.parse(each).namespace for each in target_groups})
        for space in spaces:
            for route in self._api.list("HTTPRoute", space):
                rules = route["spec"].get("rules") or []
                place = route_rules.weighted(rules)
                if place is not None and set(route_rules.backends(rules[place], space)) == set(target_groups):
                    return str(ObjectId("HTTPRoute", space, route["metadata"]["name"]))
        return None

    def set_weights(self, listener: str, weights: Mapping[str, int], *, at_once: bool = False) -> bool:
        """As the protocol says; False when the Gateway's controller did not take them in its time. Session persistence ends
        with the same write: a client's session would come before the weights."""
        space = ObjectId.parse(listener).namespace

        def edit(rules: list[route_rules.Rule]) -> list[route_rules.Rule]:
            put = route_rules.with_weights(rules, weights, space)
            place = route_rules.weighted(put)
            return [_unsticky(rule) if n == place else rule for n, rule in enumerate(put)]

        self._edit(listener, edit, at_once=at_once)
        why = self.refusal(listener, wait=True)
        if why is not None:
            self._unfollowed = (
                f"the weights are written, but {listener} is not in force as written after {self._accept_within:.0f} s: {why}. "
                "Look at the Gateway and its controller"
            )
        return why is None

    def refusal(self, listener: str, *, wait: bool = False) -> str | None:
        deadline = self._clock() + (self._accept_within if wait else 0)
        while True:
            route = self._route(listener)
            why = f"{listener} is gone" if route is None else route_rules.refusal(route)
            if why is None or route is None or self._clock() >= deadline:
                return why
            self._sleep(POLL)

    def variants(self, listener: str) -> dict[str, str]:
        route = self._route(listener)
        rules = route["spec"].get("rules") or [] if route is not None else []
        return route_rules.variants(rules, ObjectId.parse(listener).namespace)

    def put_variants(self, listener: str, targets: Mapping[str, str]) -> None:
        space = ObjectId.parse(listener).namespace
        self._edit(listener, lambda rules: route_rules.with_variants(rules, targets, space))

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:  # noqa: ARG002 -- all at once
        """One write takes them all out, so none goes before another."""
        sent: dict[str, str] = {}

        def edit(rules: list[route_rules.Rule]) -> list[route_rules.Rule]:
            sent.update(route_rules.variants(rules, ObjectId.parse(listener).namespace))
            return route_rules.without(rules, set(sent))

        self._edit(listener, edit, at_once=at_once)
        return bool(sent)

    def mirrored(self, listener: str) -> dict[str, float]:
        """Percent of the weighted rule's requests by the environment's Service that gets copies of them."""
        route = self._route(listener)
        rules = route["spec"].get("rules") or [] if route is not None else []
        return route_rules.mirrored(rules, ObjectId.parse(listener).namespace)

    def put_mirror(self, listener: str, target_group: str | None, percent: int) -> None:
        """Has this Service, and no other environment's, get copies of so many percent; None: none does.

        Raises `ClusterError` where a Gateway does not take it."""
        space = ObjectId.parse(listener).namespace
        self._edit(listener, lambda rules: route_rules.with_mirror(rules, target_group, percent, space))
        if target_group is not None and (why := self.refusal(listener, wait=True)) is not None:
            raise ClusterError(f"copies for {target_group} are not in force: {why}")

    def targets(self, target_group: str) -> list[Target]:
        service = ObjectId.parse(target_group)
        slices = self._api.list("EndpointSlice", service.namespace, {SERVICE_LABEL: service.name})
        ends = [end for each in slices for end in each.get("endpoints") or ()]
        early = self._not_started(service) if any(_state(end) == "unhealthy" for end in ends) else {}
        return [_target(end, early) for end in ends]

    def _not_started(self, service: ObjectId) -> dict[str, str]:
        """Pods of the service whose containers have not passed their startup probe yet, with what they wait for."""
        found = self._api.get("Service", service.namespace, service.name)
        selector = ((found or {}).get("spec") or {}).get("selector") or {}
        pods = self._api.list("Pod", service.namespace, selector) if selector else []
        return {pod["metadata"]["name"]: "Target.InitialHealthChecking" for pod in pods if not _has_started(pod)}

    def _route(self, listener: str) -> Object | None:
        route = ObjectId.parse(listener)
        found = self._api.get("HTTPRoute", route.namespace, route.name)
        if found is not None:
            self._read[listener] = found
        return found

    def _edit(self, listener: str, edit: Edit, *, at_once: bool = False) -> None:
        """Writes the rules as `edit` makes them from those that stand; again when somebody wrote in between. Rules are one
        field to Kubernetes (an atomic list), so a condition is what keeps the others' changes.

        Raises `LookupError` when the route is gone."""
        route = ObjectId.parse(listener)
        found = self._read.get(listener) if at_once else None
        for attempt in range(1, TRIES + 1):
            found = found if found is not None else self._route(listener)
            if found is None:
                raise LookupError(f"{listener} is gone")
            rules = found["spec"].get("rules") or []
            wanted = edit(rules)
            if wanted == rules and not at_once:
                return
            body: dict[str, Any] = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}}
            try:
                written = self._api.patch("HTTPRoute", route.namespace, route.name, {**body, "spec": {"rules": wanted}})
            except Changed:
                if attempt == TRIES:
                    raise
                found = None
                continue
            if written is None:
                raise LookupError(f"{listener} is gone")
            self._read[listener] = written
            return


def _unsticky(rule: route_rules.Rule) -> route_rules.Rule:
    return {key: value for key, value in rule.items() if key != "sessionPersistence"}


def _state(end: Mapping[str, Any]) -> str:
    """The endpoint's conditions under the names that a `Target` uses. One that is not told counts as true, or as `ready` for
    `serving` ("EndpointSlices", conditions); `ready` is also true of what publishes not ready addresses, `serving` is not."""
    told = end.get("conditions") or {}
    ready = told.get("ready") is not False
    if told.get("terminating"):
        return "draining"
    serving = told.get("serving")
    return "healthy" if ready and serving is not False else "unhealthy"


def _target(end: Mapping[str, Any], early: Mapping[str, str]) -> Target:
    state, pod = _state(end), (end.get("targetRef") or {}).get("name", "")
    if state == "unhealthy" and pod in early:
        return Target(end["addresses"][0], "initial", early[pod])
    return Target(end["addresses"][0], state, "not ready" if state == "unhealthy" else "")


def _has_started(pod: Mapping[str, Any]) -> bool:
    """Whether every container has passed its startup probe once ("Pod Lifecycle", container probes): `started` tells."""
    found = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(found) and all(each.get("started") or each.get("restartCount", 0) > 0 for each in found)
