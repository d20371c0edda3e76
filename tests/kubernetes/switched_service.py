"""A service on a real API server as the switch sees it: workloads, Services, its route, and a Gateway's controller."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType
from turnout_components.cluster_access import by_kubeconfig
from turnout_components.cluster_api import ClusterError, _resource
from turnout_components.gate import Candidate, SwitchGate
from turnout_components.items_cluster import ClusterItems
from turnout_components.kubernetes_names import ENVIRONMENT_LABEL
from turnout_components.live_gateway import GatewayRouter
from turnout_components.live_workloads import ClusterWorkloads
from turnout_components.resolve import EnvironmentConfig, SwitchConfig
from turnout_components.standby import StandbyPolicy
from turnout_components.step_down_cluster import ClusterStepDowns
from turnout_components.switch_record import Operator, RecordStore, Traffic

BLUE_RELEASE, GREEN_RELEASE = "llm-1@sha256:" + "1" * 64, "llm-2@sha256:" + "2" * 64
RELEASES = {"blue": BLUE_RELEASE, "green": GREEN_RELEASE}
ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
WITHIN = 60.0
"""Seconds for what a controller of Kubernetes does."""


class View(GatewayRouter, ClusterWorkloads):
    def __init__(self, api: Any, accept_within: float) -> None:
        GatewayRouter.__init__(self, api, accept_within=accept_within)
        ClusterWorkloads.__init__(self, api)


class Service:
    """The service `svc` in its own namespace, which holds its record too."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self.api = self.connect()
        self.store = self.store_of()
        self.view = View(self.api, accept_within=20)
        self.listener = f"HTTPRoute/{namespace}/svc"
        self.groups: dict[str, str | None] = {"blue": None, "green": None}

    def connect(self) -> Any:
        """The API as another process would have it."""
        return by_kubeconfig(kubeconfig=str(self.kubeconfig))

    def store_of(self) -> RecordStore:
        return RecordStore(ClusterItems(self.connect(), self.namespace), "svc", "prod")

    def deploy(self, environment: str, replicas: int, *, version: str = "1", **selector: str) -> str:
        """A workload of the environment; `selector`: labels of nodes that it wants."""
        name = f"svc-{environment}-{version}"
        labels = {ENVIRONMENT_LABEL: environment, "version": version}
        container = {"name": "server", "image": "server@sha256:" + "a" * 64, "ports": [{"name": "http", "containerPort": 8000}]}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "nodeSelector": selector}},
        }
        self.api.create("Deployment", {"metadata": {"name": name, "namespace": self.namespace}, "spec": spec})
        return f"Deployment/{self.namespace}/{name}"

    def expose(self) -> None:
        """Both environments' Services."""
        for environment in RELEASES:
            ports = [{"name": "http", "port": 80, "targetPort": "http"}]
            spec = {"selector": {ENVIRONMENT_LABEL: environment}, "ports": ports}
            self.api.create("Service", {"metadata": {"name": f"svc-{environment}", "namespace": self.namespace}, "spec": spec})

    def service(self, environment: str) -> str:
        return f"Service/{self.namespace}/svc-{environment}"

    def engine_writes(self, active: str) -> None:
        """What an update does to the route between the gate's two hooks: it applies it whole, as its own field manager."""
        refs = [
            {"kind": "Service", "name": f"svc-{name}", "port": 80, "weight": 100 if name == active else 0} for name in RELEASES
        ]
        spec = {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": refs}]}
        body = {**ROUTE, "metadata": {"name": "svc", "namespace": self.namespace}, "spec": spec}
        client = self.api._connect()
        kind = _resource("HTTPRoute")
        client.apply(kind(**body), field_manager="pulumi", force=True)

    def gate(self, active: str, *, timeout: float = 60, operator: Operator | None = None, **changes: Any) -> SwitchGate:
        """The gate of an update that wants all traffic at `active`."""
        config = SwitchConfig(
            Traffic.all_to(active, ("blue", "green")),
            {name: EnvironmentConfig(RELEASES[name] if self.groups[name] else None, 1, 6) for name in RELEASES},
            StandbyPolicy(),
        )
        view = View(self.connect(), changes.get("accept_within", 20))
        step_downs = ClusterStepDowns(self.connect())
        within = timedelta(seconds=timeout)
        return SwitchGate(self.store_of(), view, config, timeout=within, step_downs=step_downs, operator=operator)

    def candidates(self) -> dict[str, Candidate]:
        return {
            name: Candidate(self.service(name), self.groups[name], RELEASES[name] if self.groups[name] else None, 1, 6)
            for name in RELEASES
        }

    async def before(self, gate: SwitchGate, active: str) -> None:
        await gate.before(self.candidates(), Traffic.all_to(active, ("blue", "green")).weights)

    async def move(self, active: str, **settings: Any) -> None:
        """A whole update."""
        gate = self.gate(active, **settings)
        await self.before(gate, active)
        await asyncio.to_thread(self.engine_writes, active)
        await gate.after(self.listener, self.candidates())

    @property
    def weights(self) -> dict[str, int]:
        found = self.view.weights(self.listener) or {}
        return {name: found[self.service(name)] for name in RELEASES}

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Waits for what a controller is to do."""
        deadline = time.monotonic() + WITHIN
        while not holds():
            assert time.monotonic() < deadline, f"not within {WITHIN:.0f} s: {what}"
            time.sleep(0.1)


@contextmanager
def controller(service: Service, *, takes: bool = True) -> Iterator[None]:
    """What a Gateway's controller does to the status of the namespace's routes: takes every generation, or refuses it."""
    done = threading.Event()
    api = service.connect()

    def look() -> None:
        for route in api.list("HTTPRoute", service.namespace):
            generation = route["metadata"]["generation"]
            parents = (route.get("status") or {}).get("parents") or [{}]
            if (parents[0].get("conditions") or [{}])[0].get("observedGeneration") == generation:
                continue
            conditions = [
                {
                    "type": kind,
                    "status": "True" if takes else "False",
                    "reason": kind if takes else "NotAllowedByListeners",
                    "message": "",
                    "observedGeneration": generation,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
                for kind in ("Accepted", "ResolvedRefs")
            ]
            parent = {"parentRef": {"name": "gw"}, "controllerName": "turnout.dev/test", "conditions": conditions}
            put_status(api, route, {"parents": [parent]})

    def run() -> None:
        while not done.wait(0.1):
            try:
                look()
            except ClusterError:
                continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def put_status(api: Any, route: dict[str, Any], status: dict[str, Any]) -> None:
    """Writes a route's status, which is a resource of its own."""
    kind = create_namespaced_resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
    meta = route["metadata"]
    api._connect().patch(kind.Status, meta["name"], {"status": status}, namespace=meta["namespace"], patch_type=PatchType.MERGE)
