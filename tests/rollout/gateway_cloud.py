"""A service's route and workloads on a cluster's API in memory, behind the switch's own router and workloads.

Tests call things by the same names as in `fakes.FakeCloud`; here they stand for objects of Kubernetes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from fake_cluster import FakeCluster, answer
from fakes import BLUE_TG, GREEN_TG, Clock
from turnout_components import route_rules
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL
from turnout_components.live import Group, Target, shares
from turnout_components.live_gateway import SERVICE_LABEL, GatewayRouter
from turnout_components.live_workloads import ClusterWorkloads
from turnout_components.standby import Launch

SPACE = "shop"
ROUTE = f"HTTPRoute/{SPACE}/svc"
SERVICES = {BLUE_TG: f"Service/{SPACE}/svc-blue", GREEN_TG: f"Service/{SPACE}/svc-green"}
_TOLD = {service: name for name, service in SERVICES.items()}
FOREIGN = {
    "matches": [{"path": {"type": "Exact", "value": "/status"}}],
    "filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 302, "path": {"type": "ReplaceFullPath"}}}],
}
"""A rule that somebody else has made: it is there before, during and after every rollout."""
_WEIGHTED = {
    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
    "timeouts": {"request": "60s"},
    "backendRefs": [{"name": "svc-blue", "port": 80, "weight": 100}, {"name": "svc-green", "port": 80, "weight": 0}],
}


class RouteByName(GatewayRouter):
    """For a mirror: the route and its Services by the names that tests have for them. `before` comes before every call,
    `before_put` before one that begins a mirror."""

    def __init__(self, cluster: FakeCluster, before: Callable[[], None], before_put: Callable[[], None]) -> None:
        super().__init__(cluster)
        self._before, self._before_put = before, before_put

    def mirrored(self, listener: str) -> dict[str, float]:  # noqa: ARG002 -- there is one
        self._before()
        return {_TOLD[service]: share for service, share in super().mirrored(ROUTE).items()}

    def put_mirror(self, listener: str, target_group: str | None, percent: int) -> None:  # noqa: ARG002
        if target_group is not None:
            self._before_put()
        self._before()
        super().put_mirror(ROUTE, None if target_group is None else SERVICES[target_group], percent)


class View(GatewayRouter, ClusterWorkloads):
    """The platform's view, with a clock of its own: nobody waits for a Gateway."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.waited = 0.0
        GatewayRouter.__init__(self, cluster, sleep=self._later, clock=lambda: self.waited)
        ClusterWorkloads.__init__(self, cluster)

    def _later(self, seconds: float) -> None:
        self.waited += seconds


class GatewayCloud:
    """As `rollout_world.TrackedCloud`. Pods follow their workload's replicas; `follows`: a Gateway takes what is written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.cluster = FakeCluster(SPACE)
        self.view = View(self.cluster)
        self.calls: list[str] = []
        self._follows = True
        self.history: list[tuple[datetime, int]] = [(datetime.min.replace(tzinfo=clock.now.tzinfo), 0)]
        self.rules: list[tuple[datetime, dict[str, str]]] = []
        self.copied: list[tuple[datetime, int]] = []
        """The shares of requests that were copied to the candidate, and since when."""
        self.before_weights: Callable[[dict[str, int]], None] = lambda weights: None
        self.before_rules: Callable[[], None] = lambda: None
        self.on_set_minimum: Callable[[str, int], None] | None = None
        self._watching = True
        self.cluster.after = self._controllers
        spec = {"parentRefs": [{"name": "gw"}], "rules": [FOREIGN, _WEIGHTED]}
        self.cluster.put("HTTPRoute", SPACE, "svc", spec=spec)

    def _controllers(self, found: dict[str, Any]) -> None:
        """What a Gateway's, an autoscaler's and a Deployment's controllers do with what was written."""
        name = found["metadata"]["name"]
        if found["kind"] == "HTTPRoute":
            if self._follows:
                answer(found, "True")
            self._track(found["spec"]["rules"])
        elif found["kind"] == "HorizontalPodAutoscaler" and self._watching:
            workload = self.cluster.objects["Deployment", SPACE, name]
            if 0 < workload["spec"]["replicas"] < found["spec"]["minReplicas"]:
                workload["spec"]["replicas"] = found["spec"]["minReplicas"]
                self._resized(name)
        elif found["kind"] == "Deployment" and self._watching:
            self._resized(name)

    def _track(self, rules: list[dict[str, Any]]) -> None:
        weight = self._told_weights(rules)[GREEN_TG]
        sent = self._told_variants(rules)
        if self._watching and weight != self.history[-1][1]:
            self.history.append((self._clock(), weight))
        if self._watching and sent != (self.rules[-1][1] if self.rules else {}):
            self.rules.append((self._clock(), sent))
        share = int(self.mirrored.get(SERVICES[GREEN_TG], 0))
        if share != (self.copied[-1][1] if self.copied else 0):
            self.copied.append((self._clock(), share))

    def _resized(self, name: str) -> None:
        pods = [pod for (kind, _, _), pod in self.cluster.objects.items() if kind == "Pod"]
        wanted = self.cluster.objects["Deployment", SPACE, name]["spec"]["replicas"]
        if self.on_set_minimum is not None and wanted != sum(pod["metadata"]["labels"]["workload"] == name for pod in pods):
            self.on_set_minimum(name, wanted)

    def _told_weights(self, rules: list[dict[str, Any]]) -> dict[str, int]:
        place = route_rules.weighted(rules)
        assert place is not None
        return {_TOLD[service]: weight for service, weight in shares(route_rules.backends(rules[place], SPACE)).items()}

    def _told_variants(self, rules: list[dict[str, Any]]) -> dict[str, str]:
        return {variant: _TOLD[service] for variant, service in route_rules.variants(rules, SPACE).items()}

    @property
    def follows(self) -> bool:
        return self._follows

    @follows.setter
    def follows(self, follows: bool) -> None:
        self._follows = follows
        if follows:
            answer(self.route, "True")

    @property
    def route(self) -> dict[str, Any]:
        """The route as it stands."""
        return self.cluster.objects["HTTPRoute", SPACE, "svc"]

    def _by_hand(self, rules: list[dict[str, Any]]) -> None:
        """Somebody else writes, and nobody remembers when."""
        self._watching = False
        spec = {**self.route["spec"], "rules": rules}
        self.cluster.put("HTTPRoute", SPACE, "svc", spec=spec)
        self._watching = True

    @property
    def listener_weights(self) -> dict[str, int] | None:
        return self._told_weights(self.route["spec"]["rules"]) if ("HTTPRoute", SPACE, "svc") in self.cluster.objects else None

    @listener_weights.setter
    def listener_weights(self, weights: dict[str, int] | None) -> None:
        if weights is None:
            del self.cluster.objects["HTTPRoute", SPACE, "svc"]
        else:
            named = {SERVICES[name]: weight for name, weight in weights.items()}
            self._by_hand(route_rules.with_weights(self.route["spec"]["rules"], named, SPACE))

    @property
    def sent(self) -> dict[str, str]:
        return self._told_variants(self.route["spec"]["rules"])

    @sent.setter
    def sent(self, targets: dict[str, str]) -> None:
        named = {variant: SERVICES[name] for variant, name in targets.items()}
        self._by_hand(route_rules.with_variants(self.route["spec"]["rules"], named, SPACE))

    @property
    def mirrored(self) -> dict[str, float]:
        """Percent of requests by the Service that gets copies of them."""
        return route_rules.mirrored(self.route["spec"]["rules"], SPACE)

    @mirrored.setter
    def mirrored(self, shares: dict[str, int]) -> None:
        rules = self.route["spec"]["rules"]
        for service, percent in shares.items():
            rules = route_rules.with_mirror(rules, service, percent, SPACE)
        self._by_hand(rules)

    @property
    def sticky(self) -> bool:
        return self.view.is_sticky(ROUTE)

    @sticky.setter
    def sticky(self, on: bool) -> None:
        rules = self.route["spec"]["rules"]
        self._by_hand([{**rule, **({"sessionPersistence": {}} if on else {})} for rule in rules])

    @property
    def groups(self) -> dict[str, Group]:
        found = {name: self.group(name) for name in ("g-blue", "g-green")}
        return {name: group for name, group in found.items() if group is not None}

    @property
    def weights_put(self) -> list[int]:
        """The candidate's weights, in the order in which they came into force, each once."""
        found = [weight for _, weight in self.history]
        return [weight for index, weight in enumerate(found) if index == 0 or weight != found[index - 1]]

    def serve(
        self, name: str, target_group: str, count: int, *, minimum: int = 1, maximum: int = 10, state: str = "healthy"
    ) -> None:
        """`count` pods of the workload, all ready or not."""
        self._watching = False
        labels, ready = {"workload": name}, state == "healthy"
        spec = {"replicas": max(count, minimum), "selector": {"matchLabels": labels}}
        self.cluster.put("Deployment", SPACE, name, spec=spec)
        bounds = {"minReplicas": minimum, "maxReplicas": maximum}
        self.cluster.put("HorizontalPodAutoscaler", SPACE, name, spec=bounds)
        owner = [{"uid": f"uid-{name}", "controller": True}]
        self.cluster.put("ReplicaSet", SPACE, f"{name}-1", metadata={"labels": labels, "ownerReferences": owner})
        for place in [key for key in self.cluster.objects if key[0] == "Pod" and key[2].startswith(name)]:
            del self.cluster.objects[place]
        ends = []
        for n in range(count):
            pod, ip = f"{name}-{n}", f"10.0.{SERVICES[target_group].endswith('green'):d}.{n + 1}"
            own = {**labels, ENVIRONMENT_LABEL: name.removeprefix("g-")}
            meta = {"labels": own, "ownerReferences": [{"uid": f"uid-{name}-1", "controller": True}]}
            told = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-02T03:00:00Z"}]
            status = {"podIP": ip, "phase": "Running", "conditions": told}
            self.cluster.put("Pod", SPACE, pod, metadata={"creationTimestamp": "2026-01-02T02:59:00Z", **meta}, status=status)
            ends.append({"addresses": [ip], "conditions": {"ready": ready}, "targetRef": {"name": pod}})
        service = SERVICES[target_group].rpartition("/")[2]
        self.cluster.put("EndpointSlice", SPACE, service, metadata={"labels": {SERVICE_LABEL: service}}, endpoints=ends)
        self._watching = True

    def share(self, start: datetime, end: datetime) -> float:
        """The candidate's mean share of a stretch of time, 0 to 1."""
        total = 0.0
        for index, (at, weight) in enumerate(self.history):
            until = self.history[index + 1][0] if index + 1 < len(self.history) else end
            total += weight / 100 * max(0.0, (min(until, end) - max(at, start)).total_seconds())
        return total / (end - start).total_seconds()

    @property
    def unfollowed(self) -> str:
        return self.view.unfollowed

    def weights(self, listener: str) -> dict[str, int] | None:  # noqa: ARG002 -- there is one
        found = self.view.weights(ROUTE)
        return None if found is None else {_TOLD[service]: weight for service, weight in found.items()}

    def is_sticky(self, listener: str) -> bool:  # noqa: ARG002
        return self.view.is_sticky(ROUTE)

    def refusal(self, listener: str, *, wait: bool = False) -> str | None:  # noqa: ARG002
        return self.view.refusal(ROUTE, wait=wait)

    def set_weights(self, listener: str, weights: Mapping[str, int], *, at_once: bool = False) -> bool:  # noqa: ARG002
        self.before_weights(dict(weights))
        self.calls.append(f"weights {dict(weights)}")
        return self.view.set_weights(ROUTE, {SERVICES[name]: weight for name, weight in weights.items()}, at_once=at_once)

    def variants(self, listener: str) -> dict[str, str]:  # noqa: ARG002
        return {variant: _TOLD[service] for variant, service in self.view.variants(ROUTE).items()}

    def put_variants(self, listener: str, targets: Mapping[str, str]) -> None:  # noqa: ARG002
        self.before_rules()
        self.calls.append(f"put variants {dict(targets)}")
        self.view.put_variants(ROUTE, {variant: SERVICES[name] for variant, name in targets.items()})

    def clear_variants(self, listener: str, first: str | None, *, at_once: bool = False) -> bool:  # noqa: ARG002
        self.before_rules()
        if self.sent:
            self.calls.append(f"clear variants, {first} first")
        return self.view.clear_variants(ROUTE, None if first is None else SERVICES[first], at_once=at_once)

    def targets(self, target_group: str) -> list[Target]:
        return self.view.targets(SERVICES[target_group])

    def group(self, name: str) -> Group | None:
        found = self.view.group(_workload(name))
        return None if found is None else replace(found, name=name)

    def set_minimum(self, name: str, minimum: int, maximum: int = 0) -> None:
        self.calls.append(f"minimum {name} {minimum}")
        self.view.set_minimum(_workload(name), minimum, maximum)

    def hold(self, name: str, size: int) -> None:
        self.calls.append(f"hold {name} {size}")
        self.view.hold(_workload(name), size)

    def let_scale(self, name: str, minimum: int, maximum: int) -> None:
        self.calls.append(f"let scale {name} {minimum} {maximum}")
        self.view.let_scale(_workload(name), minimum, maximum)

    def restore(self, before: Group) -> None:
        self.calls.append(f"restore {before.name} {before.minimum}")
        self.view.restore(replace(before, name=_workload(before.name)))

    def warm(self, name: str) -> int:
        return self.view.warm(_workload(name))

    def launches(self, name: str) -> list[Launch]:
        return self.view.launches(_workload(name))

    def coming(self, name: str) -> list[bool]:
        return self.view.coming(_workload(name))

    def failed_launch(self, name: str) -> str | None:
        return self.view.failed_launch(_workload(name))


def _workload(name: str) -> str:
    return f"Deployment/{SPACE}/{name}"
