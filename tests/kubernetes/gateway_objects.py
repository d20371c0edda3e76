"""For tests: objects of Gateway API as the API server would give them, and servers behind their Services."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from turnout.cluster.gateway_model import CONTROLLER, Snapshot

API = "gateway.networking.k8s.io/v1"
NAMESPACE = "shop"


def found(kind: str, name: str, spec: dict[str, Any], namespace: str | None = NAMESPACE, **metadata: Any) -> dict[str, Any]:
    """An object, once stored."""
    own = {"name": name, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1", **metadata}
    return {"apiVersion": API, "kind": kind, "metadata": own | ({"namespace": namespace} if namespace else {}), "spec": spec}


def gateway(*listeners: dict[str, Any]) -> dict[str, Any]:
    """A Gateway of our class; one plain listener on port 80 by default."""
    return found("Gateway", "web", {"gatewayClassName": "ours", "listeners": list(listeners) or [listener()]})


def listener(name: str = "http", port: int = 80, protocol: str = "HTTP", **rest: Any) -> dict[str, Any]:
    """A listener."""
    return {"name": name, "port": port, "protocol": protocol, **rest}


def route(*rules: dict[str, Any], name: str = "digits", **rest: Any) -> dict[str, Any]:
    """A route at the Gateway `web`; `parentRefs` and `hostnames` may be given."""
    spec = {"parentRefs": [{"name": "web"}], "rules": list(rules), **{k: v for k, v in rest.items() if k != "metadata"}}
    return found("HTTPRoute", name, spec, **rest.get("metadata", {}))


def backend(name: str, weight: int | None = None, **rest: Any) -> dict[str, Any]:
    """A reference to a Service's port 80."""
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **rest}


def service(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """A Service with port 80."""
    return found("Service", name, {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}, namespace)


def slice_of(name: str, *endpoints: tuple[str, dict[str, bool]], namespace: str = NAMESPACE) -> dict[str, Any]:
    """The endpoints of a Service: each its address and conditions."""
    held = found("EndpointSlice", f"{name}-1", {}, namespace, labels={"kubernetes.io/service-name": name})
    listed = [{"addresses": [address], "conditions": conditions} for address, conditions in endpoints]
    return {**held, "ports": [{"name": "http", "port": 8000}], "endpoints": listed}


def snapshot(*objects: dict[str, Any], **addresses: int) -> Snapshot:
    """Everything of one cluster; `addresses`: the port behind a pod's address (`a` is 10.0.0.1's)."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for one in objects:
        by_kind.setdefault(one["kind"], []).append(one)
    return Snapshot(
        classes=[found("GatewayClass", "ours", {"controllerName": CONTROLLER}, None)],
        gateways=by_kind.get("Gateway", []),
        routes=by_kind.get("HTTPRoute", []),
        services=by_kind.get("Service", []),
        slices=by_kind.get("EndpointSlice", []),
        grants=by_kind.get("ReferenceGrant", []),
        namespaces=by_kind.get("Namespace", []),
        addresses={ip_of(name): ("127.0.0.1", port) for name, port in addresses.items()},
    )


def ip_of(name: str) -> str:
    """The pod address that stands for a name of one letter."""
    return f"10.0.0.{ord(name)}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        body = json.dumps({"server": server.name, "path": self.path, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(name: str) -> Iterator[Any]:
    """A server that says its name; `server_port` and `asked` (path and headers) are its members."""
    held: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    held.name, held.asked, held.daemon_threads = name, [], True
    threading.Thread(target=held.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield held
    finally:
        held.shutdown()
        held.server_close()
