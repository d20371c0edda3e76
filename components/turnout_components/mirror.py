"""The mirror: an Envoy beside a model server that sends a copy of a share of its requests to a candidate's instances. Pure.
Also on nodes, which have Python 3.9: there `mirror_node` writes its files.

Users get the server's own answers and never wait for a copy: Envoy sends copies on their own and throws their answers away
("request_mirror_policies", Envoy's reference of route.RouteAction). What is copied carries `MIRROR_HEADER` on both ways, so
that both servers log just these requests; the copy's host ends with `-shadow`. A request without `x-request-id` gets one.

Share and targets are in files that Envoy watches: they change without a restart, when the file is replaced by a rename.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnout_components.fault import Fault

MIRROR_HEADER = "x-turnout-mirrored"
"""On a request that was copied and on its copy: `1`."""
TIMEOUT = 5.0
"""Seconds that a copy may take (seed 000)."""
TIMEOUT_AT_MOST = 3600.0
IN_FLIGHT = 256
"""Copies under way at most: a slow candidate costs the node a bounded amount of memory."""
WAITING = 64
"""Copies that wait for a connection at most; what is above is not sent."""
Address = tuple[str, int]

TYPE = "type.googleapis.com/"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
SERVER, ROUTES = "server", "mirror"
_CANDIDATE = "candidate"
UPSTREAM_IDLE = "30s"
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


def faults(mirror: Mirror) -> list[Fault]:
    """What is wrong with a mirror."""
    wrong = []
    if not 0 <= mirror.share <= 100:
        wrong.append(Fault("share", mirror.share, "is no share", "write percent from 0 to 100"))
    if not mirror.prefix.startswith("/"):
        wrong.append(Fault("prefix", mirror.prefix, "begins no path", "write a path such as /v1/"))
    if not 0 < mirror.timeout <= TIMEOUT_AT_MOST:
        fix = f"write seconds above 0 and up to {TIMEOUT_AT_MOST:g}, such as 5"
        wrong.append(Fault("timeout", mirror.timeout, "is no time for a copy", fix))
    fix = "write the private addresses of the candidate's instances"
    wrong += [
        Fault("targets", f"{host}:{port}", "is no instance", fix)
        for host, port in mirror.targets
        if not _is_instance(host, port)
    ]
    return wrong


def _is_instance(host: str, port: int) -> bool:
    """Whether an instance may have this address: the metadata service (link-local) and the node itself may get no copies."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    kinds = (address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified, address.is_reserved)
    return 0 < port < 65536 and not any(kinds)


def files(mirror: Mirror, version: int) -> dict[str, str]:
    """Text by file name in the place's folder. `version` rises with each change; Envoy shows the one in force as
    `http.mirror.rds.mirror.version_text`."""
    routes = {"@type": TYPE + "envoy.config.route.v3.RouteConfiguration", **_routes(mirror)}
    cluster = {"@type": TYPE + "envoy.config.cluster.v3.Cluster", **_candidate(mirror)}
    found = {"rds.json": routes, "cds.json": cluster}
    return {name: json.dumps({"version_info": str(version), "resources": [resource]}) for name, resource in found.items()}


def _routes(mirror: Mirror) -> dict[str, Any]:
    # The choice is made by the match and not by the policy's own fraction: so the request knows that it is copied.
    alone = {"route": {"cluster": SERVER, "timeout": "0s"}, "request_headers_to_remove": [MIRROR_HEADER]}
    routes: list[dict[str, Any]] = [{"match": {"prefix": "/"}, **alone}]
    if mirror.share > 0 and mirror.targets:
        fraction = {"numerator": round(mirror.share * 10_000), "denominator": "MILLION"}
        copied = {
            "match": {"prefix": mirror.prefix, "runtime_fraction": {"default_value": fraction}},
            "route": {"cluster": SERVER, "timeout": "0s", "request_mirror_policies": [{"cluster": _CANDIDATE}]},
            "request_headers_to_add": [
                {"header": {"key": MIRROR_HEADER, "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            ],
        }
        routes.insert(0, copied)
    return {"name": ROUTES, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def _candidate(mirror: Mirror) -> dict[str, Any]:
    """The copies' time is the stream's: they would else wait as long as their request's route, which is without end."""
    limits = {"max_connections": IN_FLIGHT, "max_requests": IN_FLIGHT, "max_pending_requests": WAITING}
    options = {"idle_timeout": UPSTREAM_IDLE, "max_stream_duration": f"{mirror.timeout:g}s"}
    return cluster(_CANDIDATE, mirror.targets, limits, options, "1s")


def cluster(
    name: str, addresses: tuple[Address, ...], limits: Mapping[str, int], options: Mapping[str, str], connect: str
) -> dict[str, Any]:
    hosts = [{"endpoint": {"address": socket(address)}} for address in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": connect,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]},
        "circuit_breakers": {"thresholds": [dict(limits)]},
        "typed_extension_protocol_options": {
            _OPTIONS: {
                "@type": TYPE + _OPTIONS,
                "common_http_protocol_options": dict(options),
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def socket(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}
