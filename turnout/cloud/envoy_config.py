"""Envoy's configuration from what ELBv2 holds. Pure: the same world gives the same files.

Envoy only forwards: health is decided by `health.py`, so there are no Envoy health checks, no panic routing, no retries
and no circuit breakers. Where Envoy answers itself its status is mapped to an ALB's ("Troubleshoot your Application
Load Balancers": 502 for a target that refuses or resets the connection, 503 without targets, 504 when the idle timeout
is over).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turnout.cloud.envoy_routes import cluster_name, forwarded, listener_name, route_configuration
from turnout.cloud.health import DRAINING, Target, serving
from turnout.cloud.world import Balancer, Listener, TargetGroup, World

Address = tuple[str, int]

_TYPE = "type.googleapis.com/"
_LISTENER = _TYPE + "envoy.config.listener.v3.Listener"
_CLUSTER = _TYPE + "envoy.config.cluster.v3.Cluster"
ROUTES = _TYPE + "envoy.config.route.v3.RouteConfiguration"
_ENDPOINTS = _TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
_MANAGER = _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPE + "envoy.extensions.filters.http.router.v3.Router"
_HTTP_OPTIONS = _TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_STATS = _TYPE + "envoy.extensions.access_loggers.stats.v3.Config"

RESPONSE_TIME = "alb.response_time"
"""The histogram of microseconds to a target's first byte; its tag is the cluster."""
_NO_LIMIT = 1_000_000_000
_IDLE_TIMEOUT = 60
_CONNECT_TIMEOUT = "10s"
"""An ALB gives a target 10 seconds to take a connection ("HTTP 504: Gateway timeout")."""


class UnknownCluster(ValueError):
    """A route to a target group that does not exist: Envoy would accept it and answer 503."""


@dataclass(frozen=True)
class Files:
    """File name to resources: `routes`, `endpoints` one file each; `clusters` and `listeners` by resource name."""

    routes: Mapping[str, dict[str, Any]]
    endpoints: Mapping[str, dict[str, Any]]
    clusters: Mapping[str, dict[str, Any]]
    listeners: Mapping[str, dict[str, Any]]


def document(resources: list[dict[str, Any]], version: int) -> str:
    """A discovery response as a file's text."""
    return json.dumps({"version_info": str(version), "resources": resources})


def bootstrap(folder: Path) -> dict[str, Any]:
    """What Envoy starts with: listeners and clusters from `folder`, admin on a loopback port of the kernel's choice."""
    return {
        "node": {"id": "turnout", "cluster": "turnout"},
        "stats_flush_interval": "0.2s",
        "admin": {"address": _socket("127.0.0.1", 0)},
        "dynamic_resources": {"lds_config": _source(folder / "lds.json"), "cds_config": _source(folder / "cds.json")},
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": {"overload.global_downstream_max_connections": _NO_LIMIT}},
            ]
        },
    }


def render(
    world: World,
    health: Mapping[str, Mapping[str, Target]],
    addresses: Mapping[str, Address],
    ports: Mapping[str, int],
    folder: Path,
) -> Files:
    """The files for this world. `health`: targets by target group; `addresses`: where an instance listens; `ports`: the
    loopback port of each listener.

    Raises `UnknownCluster` for a forward to a target group that does not exist."""
    idle = _idle_timeouts(world)
    clusters = {
        cluster_name(group.arn): _cluster(group, idle.get(group.arn, _IDLE_TIMEOUT), folder) for group in world.target_groups
    }
    endpoints = {
        cluster_name(group.arn): _assignment(group, health.get(group.arn, {}), addresses) for group in world.target_groups
    }
    listeners, routes = {}, {}
    for balancer in world.balancers:
        for listener in (each for each in balancer.listeners if each.carried):
            name = listener_name(listener.arn)
            _check(listener, frozenset(clusters))
            routes[name] = {"@type": ROUTES, **route_configuration(listener)}
            listeners[name] = _listener(listener, balancer, ports[listener.arn], folder)
    return Files(routes, endpoints, clusters, listeners)


def _check(listener: Listener, clusters: frozenset[str]) -> None:
    missing = [arn for arn in forwarded(listener) if cluster_name(arn) not in clusters]
    if missing:
        raise UnknownCluster(f"listener {listener.arn} forwards to {missing[0]}, which does not exist; its routes stay")


def _idle_timeouts(world: World) -> dict[str, int]:
    """The shortest idle timeout of the balancers that use a target group: a connection to a target lives no longer."""
    idle: dict[str, int] = {}
    for balancer in world.balancers:
        for arn in {arn for listener in balancer.listeners for arn in forwarded(listener)}:
            idle[arn] = min(balancer.idle_timeout, idle.get(arn, balancer.idle_timeout))
    return idle


def statuses(targets: Mapping[str, Target]) -> dict[str, str]:
    """Envoy's health status of each target of a group: HEALTHY gets requests, the others finish what they have."""
    states = {name: target.state for name, target in targets.items()}
    chosen = serving(states)
    return {
        name: "HEALTHY" if name in chosen else "DRAINING" if state == DRAINING else "UNHEALTHY"
        for name, state in states.items()
    }


def _assignment(group: TargetGroup, targets: Mapping[str, Target], addresses: Mapping[str, Address]) -> dict[str, Any]:
    found = {addresses[name]: status for name, status in sorted(statuses(targets).items()) if name in addresses}
    return assignment(cluster_name(group.arn), found)


def assignment(name: str, hosts: Mapping[Address, str]) -> dict[str, Any]:
    """A cluster's endpoints with Envoy's health status of each."""
    endpoints = [{"endpoint": {"address": _socket(*address)}, "health_status": status} for address, status in hosts.items()]
    return {"@type": _ENDPOINTS, "cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}


def _cluster(group: TargetGroup, idle_timeout: int, folder: Path) -> dict[str, Any]:
    policy = "LEAST_REQUEST" if group.algorithm == "least_outstanding_requests" else "ROUND_ROBIN"
    return cluster(cluster_name(group.arn), policy, idle_timeout, folder)


def cluster(name: str, policy: str, idle_timeout: int, folder: Path) -> dict[str, Any]:
    """A cluster whose endpoints are a file of their own. Envoy decides nothing of their health, and sends nothing twice."""
    limits = {key: _NO_LIMIT for key in ("max_connections", "max_pending_requests", "max_requests", "max_retries")}
    return {
        "@type": _CLUSTER,
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _source(folder / f"eds_{name}.json"), "service_name": name},
        "connect_timeout": _CONNECT_TIMEOUT,
        "lb_policy": policy,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "common_http_protocol_options": {"idle_timeout": f"{idle_timeout}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _listener(listener: Listener, balancer: Balancer, port: int, folder: Path) -> dict[str, Any]:
    manager = {
        "use_remote_address": True,
        "skip_xff_append": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_name": "awselb/2.0",
        "server_header_transformation": "APPEND_IF_ABSENT",
        "stream_idle_timeout": f"{balancer.idle_timeout}s",
        "common_http_protocol_options": {"idle_timeout": f"{balancer.idle_timeout}s"},
        "local_reply_config": {"mappers": [_bad_gateway()]},
        "access_log": [{"name": "envoy.access_loggers.stats", "typed_config": _response_times()}],
    }
    return http_listener(listener_name(listener.arn), port, folder, manager)


def http_listener(name: str, port: int, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A loopback listener whose routes are a file of their own; `settings` of its connection manager."""
    manager = {
        "@type": _MANAGER,
        "stat_prefix": name,
        "rds": {"route_config_name": name, "config_source": _source(folder / f"rds_{name}.json")},
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER, "suppress_envoy_headers": True}}
        ],
        **settings,
    }
    return {
        "@type": _LISTENER,
        "name": name,
        "address": _socket("127.0.0.1", port),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _bad_gateway() -> dict[str, Any]:
    """A target that refuses, resets or garbles: Envoy says 503, an ALB 502."""
    flags = {"response_flag_filter": {"flags": ["UF", "UC", "UR", "LR", "UPE"]}}
    return {"filter": flags, "status_code": 502}


def _response_times() -> dict[str, Any]:
    """TargetResponseTime: from the request's last byte to the target until the answer's first ("CloudWatch metrics for your
    Application Load Balancer"); a target that does not answer has none."""
    prefix, _, name = RESPONSE_TIME.partition(".")
    tag = {"name": "cluster", "value_format": "%UPSTREAM_CLUSTER_RAW%"}
    value = "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%"
    histogram = {"stat": {"name": name, "tags": [tag]}, "unit": "Microseconds", "value_format": value}
    return {"@type": _STATS, "stat_prefix": prefix, "histograms": [histogram]}


def _source(path: Path) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
    }


def _socket(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
