"""Envoy's files of the cluster's Gateways. Pure.

A Gateway's listeners of one port are one Envoy listener on a loopback port; hostnames are Envoy's virtual hosts, of which it
takes the most specific, as "API specification" (Listener, HTTPRoute: hostnames), Gateway API, demands.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from turnout.cloud.envoy_config import ROUTES, Files, assignment, cluster, http_listener
from turnout.cluster.gateway_model import Attached, Gateway, Service, Snapshot, covers, service_of
from turnout.cluster.gateway_routes import Ranked, in_order, ranked, services

_IDLE = 60
"""Seconds after which an idle connection to a server is closed: below the servers' own keep-alive."""
_MANAGER: Mapping[str, Any] = {
    "use_remote_address": True,
    "generate_request_id": True,
    "preserve_external_request_id": True,
    "server_header_transformation": "PASS_THROUGH",
    "stream_idle_timeout": "0s",
    "strip_any_host_port": True,
}

Entrance = tuple[str, str, int]
"""A Gateway's namespace and name, and a port of its listeners."""


def name_of(entrance: Entrance) -> str:
    """Envoy's name of the listener and its routes."""
    namespace, gateway, port = entrance
    return f"gw_{namespace}_{gateway}_{port}"


def entrances(gateways: Sequence[Gateway]) -> list[Entrance]:
    """The ports on which Gateways are to listen."""
    found = {(*gateway.key, one.port): None for gateway in gateways for one in gateway.listeners if one.fault is None}
    return list(found)


def render(gateways: Sequence[Gateway], snapshot: Snapshot, ports: Mapping[Entrance, int], folder: Path) -> Files:
    """The files. `ports`: the loopback port of each entrance."""
    known: dict[str, Service] = {}
    routes, listeners = {}, {}
    for entrance in entrances(gateways):
        attached = _attached(gateways, entrance)
        for one in attached:
            held = services(one.route, partial(service_of, route=one.route, snapshot=snapshot))
            known |= {service.name: service for service in held}
        name = name_of(entrance)
        routes[name] = {"@type": ROUTES, "name": name, "virtual_hosts": _hosts(attached, snapshot)}
        listeners[name] = http_listener(name, ports[entrance], folder, _MANAGER)
    clusters = {name: cluster(name, "ROUND_ROBIN", _IDLE, folder) for name in known}
    endpoints = {name: assignment(name, service.endpoints) for name, service in known.items()}
    return Files(routes, endpoints, clusters, listeners)


def _attached(gateways: Sequence[Gateway], entrance: Entrance) -> list[Attached]:
    return [
        attached
        for gateway in gateways
        for one in gateway.listeners
        if (*gateway.key, one.port) == entrance and one.fault is None
        for attached in one.attached
    ]


def _hosts(attached: Sequence[Attached], snapshot: Snapshot) -> list[dict[str, Any]]:
    """A virtual host for each hostname: its routes, then those of the wider names that cover it."""
    by_name: dict[str, list[Ranked]] = {}
    for one in attached:
        found = ranked(one.route, partial(service_of, route=one.route, snapshot=snapshot))
        for hostname in one.hostnames:
            by_name.setdefault(hostname, []).extend(found)
    return [{"name": name, "domains": [name], "routes": _with_wider(name, by_name)} for name in by_name]


def _with_wider(name: str, by_name: Mapping[str, list[Ranked]]) -> list[dict[str, Any]]:
    wider = sorted((other for other in by_name if covers(other, name)), key=len, reverse=True)
    return [route for other in wider for route in in_order(by_name[other])]
