"""The mirror: an Envoy beside a model server that sends a copy of a share of its requests to a candidate's instances. Pure.

Users get the server's own answers and never wait for a copy: Envoy sends copies on their own and throws their answers away
("request_mirror_policies", Envoy's reference of route.RouteAction). What is copied carries `MIRROR_HEADER` on both ways, so
that both servers log just these requests; the copy's host ends with `-shadow`. A request without `x-request-id` gets one.

Share and targets are in files that Envoy watches: they change without a restart, when the file is replaced by a rename.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from turnout_components.checks import Fault

MIRROR_HEADER = "x-turnout-mirrored"
"""On a request that was copied and on its copy: `1`."""
TIMEOUT = 5.0
"""Seconds that a copy may take (seed 000)."""
IN_FLIGHT = 256
"""Copies under way at most: a slow candidate costs the node a bounded amount of memory."""
WAITING = 64
"""Copies that wait for a connection at most; what is above is not sent."""
Address = tuple[str, int]

_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters."
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SERVER, _CANDIDATE, _ROUTES = "server", "candidate", "mirror"
_NO_LIMIT = 1_000_000_000
_UPSTREAM_IDLE = "30s"
"""Below a server's keep-alive: Envoy never sends into a connection that is being closed."""


@dataclass(frozen=True)
class Mirror:
    """What is copied: `share` percent of the requests whose path begins with `prefix`, to one of `targets` each."""

    share: float
    targets: tuple[Address, ...]
    prefix: str = "/v1/"
    timeout: float = TIMEOUT

    def for_storage(self) -> dict[str, Any]:
        """As plain JSON."""
        targets = [f"{host}:{port}" for host, port in self.targets]
        return {"share": self.share, "targets": targets, "prefix": self.prefix, "timeout": self.timeout}

    @classmethod
    def from_storage(cls, data: Mapping[str, Any]) -> "Mirror":
        """Back from `for_storage`.

        Raises `KeyError` or `ValueError` for what is none."""
        targets = tuple((host, int(port)) for host, _, port in (str(each).rpartition(":") for each in data["targets"]))
        return cls(float(data["share"]), targets, str(data["prefix"]), float(data["timeout"]))


@dataclass(frozen=True)
class Place:
    """Where the mirror's Envoy stands: it listens at `listen`, before the model server at `server`, and watches `folder`."""

    listen: Address
    server: Address
    folder: PurePath
    admin: Address = field(default=("127.0.0.1", 0))


def faults(mirror: Mirror) -> list[Fault]:
    """What is wrong with a mirror."""
    wrong = []
    if not 0 <= mirror.share <= 100:
        wrong.append(Fault("share", mirror.share, "is no share", "write percent from 0 to 100"))
    if not mirror.prefix.startswith("/"):
        wrong.append(Fault("prefix", mirror.prefix, "begins no path", "write a path such as /v1/"))
    if mirror.timeout <= 0:
        wrong.append(Fault("timeout", mirror.timeout, "leaves no time", "write seconds above 0, such as 5"))
    return wrong


def bootstrap(place: Place) -> dict[str, Any]:
    """What Envoy starts with. Its routes and the candidate's cluster are the files of `files`, which must be there before."""
    return {
        "node": {"id": "turnout-mirror", "cluster": "turnout"},
        "admin": {"address": _socket(place.admin)},
        "dynamic_resources": {"cds_config": _source(place.folder, "cds.json")},
        "static_resources": {"listeners": [_listener(place)], "clusters": [_server(place.server)]},
        "layered_runtime": {
            "layers": [{"name": "static", "static_layer": {"overload.global_downstream_max_connections": _NO_LIMIT}}]
        },
    }


def files(mirror: Mirror, version: int) -> dict[str, str]:
    """Text by file name in the place's folder. `version` rises with each change; Envoy shows the one in force as
    `http.mirror.rds.mirror.version_text`."""
    routes = {"@type": _TYPE + "envoy.config.route.v3.RouteConfiguration", **_routes(mirror)}
    cluster = {"@type": _TYPE + "envoy.config.cluster.v3.Cluster", **_candidate(mirror)}
    found = {"rds.json": routes, "cds.json": cluster}
    return {name: json.dumps({"version_info": str(version), "resources": [resource]}) for name, resource in found.items()}


def _routes(mirror: Mirror) -> dict[str, Any]:
    # The choice is made by the match and not by the policy's own fraction: so the request knows that it is copied.
    alone = {"route": {"cluster": _SERVER, "timeout": "0s"}, "request_headers_to_remove": [MIRROR_HEADER]}
    routes: list[dict[str, Any]] = [{"match": {"prefix": "/"}, **alone}]
    if mirror.share > 0 and mirror.targets:
        fraction = {"numerator": round(mirror.share * 10_000), "denominator": "MILLION"}
        copied = {
            "match": {"prefix": mirror.prefix, "runtime_fraction": {"default_value": fraction}},
            "route": {"cluster": _SERVER, "timeout": "0s", "request_mirror_policies": [{"cluster": _CANDIDATE}]},
            "request_headers_to_add": [
                {"header": {"key": MIRROR_HEADER, "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ],
        }
        routes.insert(0, copied)
    return {"name": _ROUTES, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def _listener(place: Place) -> dict[str, Any]:
    manager = {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": _ROUTES,
        "rds": {"route_config_name": _ROUTES, "config_source": _source(place.folder, "rds.json")},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _FILTERS + "http.router.v3.Router", "suppress_envoy_headers": True},
            }
        ],
        "generate_request_id": True,
        "skip_xff_append": True,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        # The load balancer in front closes first, by its own idle timeout of at most 4000 s.
        "common_http_protocol_options": {"idle_timeout": "4100s"},
    }
    return {
        "name": _ROUTES,
        "address": _socket(place.listen),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _server(address: Address) -> dict[str, Any]:
    limits = {key: _NO_LIMIT for key in ("max_connections", "max_pending_requests", "max_requests", "max_retries")}
    return _cluster(_SERVER, (address,), limits, {"idle_timeout": _UPSTREAM_IDLE}, "10s")


def _candidate(mirror: Mirror) -> dict[str, Any]:
    """The copies' time is the stream's: they would else wait as long as their request's route, which is without end."""
    limits = {"max_connections": IN_FLIGHT, "max_requests": IN_FLIGHT, "max_pending_requests": WAITING}
    options = {"idle_timeout": _UPSTREAM_IDLE, "max_stream_duration": f"{mirror.timeout:g}s"}
    return _cluster(_CANDIDATE, mirror.targets, limits, options, "1s")


def _cluster(
    name: str, addresses: tuple[Address, ...], limits: Mapping[str, int], options: Mapping[str, str], connect: str
) -> dict[str, Any]:
    hosts = [{"endpoint": {"address": _socket(address)}} for address in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": connect,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
        "circuit_breakers": {"thresholds": [dict(limits)]},
        "typed_extension_protocol_options": {
            _OPTIONS: {
                "@type": _TYPE + _OPTIONS,
                "common_http_protocol_options": dict(options),
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _source(folder: PurePath, name: str) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(folder / name), "watched_directory": {"path": str(folder)}},
    }


def _socket(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}
