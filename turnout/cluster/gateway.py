"""The gateway: one Envoy that does what Gateways and HTTPRoutes of our class say, and says in their status what it does."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightkube import Client

from turnout.cloud.envoy import Envoy
from turnout.cloud.envoy_config import Address
from turnout.cloud.ports import Ports
from turnout.cloud.processes import Registry
from turnout.cluster import gateway_status, watching
from turnout.cluster.gateway_envoy import Entrance, entrances, name_of, render
from turnout.cluster.gateway_model import CONTROLLER, Gateway, Problem, Snapshot, joined, service_of
from turnout.cluster.gateway_routes import problems, unsupported
from turnout.cluster.watching import GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, Key, Kind, Object, Watch, key_of

logger = logging.getLogger(__name__)

_WATCHED: Mapping[str, Kind] = {
    "classes": GATEWAY_CLASS,
    "gateways": GATEWAY,
    "routes": HTTP_ROUTE,
    "services": watching.SERVICE,
    "slices": watching.ENDPOINT_SLICE,
    "grants": watching.REFERENCE_GRANT,
    "namespaces": watching.NAMESPACE,
}
_TAKEN_UP = 2.0
"""Seconds for which a status waits until Envoy has taken up what it speaks of."""
_CALM = 0.5


class GatewayController:
    """Keeps Envoy and the statuses in step with the objects, on a thread of its own. `start` and `revive` are called on the
    daemon's main thread: Envoy's process is tied to the thread that starts it."""

    def __init__(
        self,
        client: Client,
        folder: Path,
        registry: Registry,
        ports: Ports,
        addresses: Callable[[], Mapping[str, Address]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._envoy = Envoy(folder / "gateway", registry)
        self._ports = ports
        self._addresses = addresses
        self._clock = clock
        self._changed = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watches = {name: Watch(client, kind, self._changed.set) for name, kind in _WATCHED.items()}
        self._entrances: dict[Entrance, int] = {}
        self._gateways: list[Gateway] = []
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    @property
    def envoy(self) -> Envoy:
        """The proxy."""
        return self._envoy

    def start(self) -> None:
        """Starts Envoy and the watches."""
        self._envoy.start()
        for watch in self._watches.values():
            watch.start()
        self._thread.start()

    def revive(self) -> None:
        """Starts Envoy again if it has died."""
        with self._lock:
            self._envoy.revive()

    def poke(self) -> None:
        """Something else has changed: an address, say."""
        self._changed.set()

    def close(self) -> None:
        """Takes up nothing any more."""
        self._over.set()
        self._changed.set()
        for watch in self._watches.values():
            watch.close()

    def _run(self) -> None:
        for watch in self._watches.values():
            watch.synced.wait()
        while not self._over.is_set():
            self._changed.clear()
            try:
                self.apply()
            except Exception:
                logger.exception("the gateway could not catch up with the cluster; it tries again")
            self._changed.wait(_CALM)

    def apply(self) -> None:
        """Reads the objects, puts them in force, writes statuses."""
        objects = {name: watch.objects() for name, watch in self._watches.items()}
        snapshot = Snapshot(**objects, addresses=self._addresses())
        faults = {key_of(route): problem for route in snapshot.routes if (problem := unsupported(route)) is not None}
        gateways, parents = joined(snapshot, faults)
        with self._lock:
            self._sync_ports(gateways)
            self._envoy.write(render(gateways, snapshot, self._entrances, self._envoy.folder))
        self._gateways = gateways
        self._write_statuses(snapshot, gateways, parents)

    def _sync_ports(self, gateways: list[Gateway]) -> None:
        wanted = entrances(gateways)
        for gone in self._entrances.keys() - set(wanted):
            self._ports.give_back(self._entrances.pop(gone))
        for entrance in wanted:
            if entrance not in self._entrances:
                self._entrances = {**self._entrances, entrance: self._ports.take()}

    def _write_statuses(self, snapshot: Snapshot, gateways: list[Gateway], parents: Mapping[Key, list[Any]]) -> None:
        for found in snapshot.classes:
            if found["spec"]["controllerName"] == CONTROLLER:
                self._tell(GATEWAY_CLASS, found, gateway_status.of_class(found))
        routes = {
            key_of(route): gateway_status.of_route(route, parents.get(key_of(route), ()), _backends(route, snapshot))
            for route in snapshot.routes
        }
        news = any(self._news(route, routes[key_of(route)]) for route in snapshot.routes)
        news |= any(self._news(one.found, gateway_status.of_gateway(one, True)) for one in gateways)
        in_force = self._await() if news else True
        for gateway in gateways:
            self._tell(GATEWAY, gateway.found, gateway_status.of_gateway(gateway, in_force))
        for route in snapshot.routes:
            if in_force and (key_of(route) in parents or _was_ours(route)):
                self._tell(HTTP_ROUTE, route, routes[key_of(route)])

    def _news(self, found: Object, status: Mapping[str, Any]) -> bool:
        return gateway_status.dated(status, found.get("status") or {}, self._clock()) is not None

    def _await(self) -> bool:
        """Whether Envoy has taken up listeners and routes: a status that names this generation says that it is in force."""
        files = ["lds.json", *(f"rds_{name_of(entrance)}.json" for entrance in self._entrances)]
        deadline = time.monotonic() + _TAKEN_UP
        while time.monotonic() < deadline and not self._over.is_set():
            taken = self._envoy.acknowledged()
            if all(taken.get(name, False) for name in files):
                return True
            time.sleep(0.002)
        self._changed.set()
        return False

    def _tell(self, kind: Kind, found: Object, status: dict[str, Any]) -> None:
        fresh = gateway_status.dated(status, found.get("status") or {}, self._clock())
        if fresh is not None:
            body = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "status": fresh}
            watching.patch(self._client, kind, key_of(found), body, status=True)

    def url(self, entrance: Entrance) -> str | None:
        """Where a Gateway's port really is."""
        port = self._entrances.get(entrance)
        return None if port is None else f"http://127.0.0.1:{port}"

    def describe(self) -> list[dict[str, Any]]:
        """The Gateways as the state shows them."""
        return [
            {
                "namespace": gateway.key[0],
                "name": gateway.key[1],
                "listeners": [
                    {
                        "name": one.name,
                        "port": one.port,
                        "url": self.url((*gateway.key, one.port)) if one.fault is None else None,
                    }
                    for one in gateway.listeners
                ],
            }
            for gateway in self._gateways
        ]


def _backends(route: Object, snapshot: Snapshot) -> list[Problem]:
    return problems(route, partial(service_of, route=route, snapshot=snapshot))


def _was_ours(route: Object) -> bool:
    """Whether a status of ours stands there: it goes when the route names no Gateway of ours any more."""
    with contextlib.suppress(KeyError, TypeError):
        return any(one["controllerName"] == CONTROLLER for one in route["status"]["parents"])
    return False
