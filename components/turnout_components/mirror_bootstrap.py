"""What a mirror's Envoy starts with; its routes and the candidate's cluster are the files of `mirror.files`. Pure."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from turnout_components.mirror import ROUTES, SERVER, TYPE, UPSTREAM_IDLE, Address, cluster, socket

_FILTERS = TYPE + "envoy.extensions.filters."
_NO_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Place:
    """Where the mirror's Envoy stands: it listens at `listen`, before the model server at `server`, and watches `folder`."""

    listen: Address
    server: Address
    folder: PurePath
    admin: Address = field(default=("127.0.0.1", 0))


def bootstrap(place: Place) -> dict[str, Any]:
    """What Envoy starts with. Its routes and the candidate's cluster are the files of `files`, which must be there before."""
    return {
        "node": {"id": "turnout-mirror", "cluster": "turnout"},
        "admin": {"address": socket(place.admin)},
        "dynamic_resources": {"cds_config": _source(place.folder, "cds.json")},
        "static_resources": {"listeners": [_listener(place)], "clusters": [_server(place.server)]},
        "layered_runtime": {
            "layers": [{"name": "static", "static_layer": {"overload.global_downstream_max_connections": _NO_LIMIT}}]
        },
    }


def _listener(place: Place) -> dict[str, Any]:
    manager = {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": ROUTES,
        "rds": {"route_config_name": ROUTES, "config_source": _source(place.folder, "rds.json")},
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
        "name": ROUTES,
        "address": socket(place.listen),
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _server(address: Address) -> dict[str, Any]:
    limits = {key: _NO_LIMIT for key in ("max_connections", "max_pending_requests", "max_requests", "max_retries")}
    return cluster(SERVER, (address,), limits, {"idle_timeout": UPSTREAM_IDLE}, "10s")


def _source(folder: PurePath, name: str) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(folder / name), "watched_directory": {"path": str(folder)}},
    }
