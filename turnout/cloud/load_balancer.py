"""The data plane: one Envoy that does what ELBv2 holds, a loopback port for every listener."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from turnout.cloud.envoy import Envoy
from turnout.cloud.envoy_config import Address, UnknownCluster, render
from turnout.cloud.envoy_routes import cluster_name, unsupported
from turnout.cloud.health import HealthBook, Key
from turnout.cloud.ports import Ports
from turnout.cloud.prober import Probe, Prober
from turnout.cloud.world import Forward, Listener, World

logger = logging.getLogger(__name__)


class LoadBalancer:
    """Keeps health checks and Envoy in step with the account.

    `apply` may be called from any thread: requests that change the account call it before they answer."""

    def __init__(
        self,
        envoy: Envoy,
        book: HealthBook,
        prober: Prober,
        ports: Ports,
        read_world: Callable[[], World],
        addresses: Callable[[], Mapping[str, Address]],
    ) -> None:
        self._envoy = envoy
        self._book = book
        self._prober = prober
        self._ports = ports
        self._read_world = read_world
        self._addresses = addresses
        self._listener_ports: dict[str, int] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def apply(self) -> World:
        """Reads the account, takes up targets, puts routes, endpoints and listeners in force; returns what it read."""
        with self._lock:
            world, addresses = self._read_world(), self._addresses()
            self._book.sync(world)
            self._prober.sync(self._probes(world, addresses))
            self._sync_ports(world)
            health = {group.arn: self._book.of_group(group.arn) for group in world.target_groups}
            try:
                self._envoy.write(render(world, health, addresses, self._listener_ports, self._envoy.folder))
            except UnknownCluster as error:
                self._say(str(error))
            for balancer in world.balancers:
                for listener in balancer.listeners:
                    for fault in unsupported(listener):
                        self._say(fault)
            return world

    def _probes(self, world: World, addresses: Mapping[str, Address]) -> dict[Key, Probe]:
        used = world.used()
        return {
            (group.arn, instance): Probe(addresses[instance], group.check)
            for group in world.target_groups
            if group.arn in used
            for instance in group.targets
            if instance in addresses and instance not in group.stopped
        }

    def _sync_ports(self, world: World) -> None:
        listeners = {listener.arn for balancer in world.balancers for listener in balancer.listeners if listener.carried}
        for arn in self._listener_ports.keys() - listeners:
            self._ports.give_back(self._listener_ports.pop(arn))
        for arn in listeners - self._listener_ports.keys():
            self._listener_ports[arn] = self._ports.take()

    def _say(self, fault: str) -> None:
        if fault not in self._said:
            self._said.add(fault)
            logger.warning(fault)

    def progress_drains(self) -> bool:
        """Ends the drains that are over; whether one did."""
        draining = self._book.draining()
        if not draining:
            return False
        with self._lock:
            acknowledged, active, addresses = self._envoy.acknowledged(), self._envoy.in_flight(), self._addresses()
        in_flight = {}
        for arn, instance in draining:
            cluster = cluster_name(arn)
            if acknowledged.get(f"eds_{cluster}.json"):
                port = addresses[instance][1] if instance in addresses else -1
                in_flight[arn, instance] = active.get(cluster, {}).get(port, 0)
        return self._book.progress(in_flight)

    def _url(self, listener: Listener) -> str | None:
        port = self._listener_ports.get(listener.arn)
        return None if port is None else f"http://127.0.0.1:{port}"

    def describe(self, world: World) -> list[dict[str, Any]]:
        """The load balancers as `/_turnout/state` shows them; a listener that is not carried has no `url`."""
        return [
            {
                "arn": balancer.arn,
                "name": balancer.name,
                "listeners": [
                    {
                        "arn": listener.arn,
                        "port": listener.port,
                        "url": self._url(listener),
                        "weights": _weights(listener),
                    }
                    for listener in balancer.listeners
                    if listener.arn in self._listener_ports or not listener.carried
                ],
            }
            for balancer in world.balancers
        ]


def _weights(listener: Listener) -> dict[str, int]:
    default = listener.rules[-1].action
    return dict(default.weights) if isinstance(default, Forward) else {}
