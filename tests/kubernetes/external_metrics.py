"""A metrics adapter for tests: the external metrics API behind a real API server, with values that a test sets.

"Support for metrics APIs" (Kubernetes, Horizontal Pod Autoscaling): external.metrics.k8s.io is served by whoever an APIService
names; here by way of a Service of type ExternalName, for the API server looks up its host as any other.
"""

import datetime
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.kubernetes.rendered import Strict, until
from turnout.cluster.certificates import Authority

GROUP = "/apis/external.metrics.k8s.io/v1beta1"
DISCOVERY = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": []}


class Adapter(ThreadingHTTPServer):
    """`values`: by namespace, metric and label selector. What is not in it has no value."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.values: dict[tuple[str, str, str], str] = {}
        self.asked: list[tuple[str, str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        Authority(folder, datetime.datetime.now(datetime.UTC)).issue("adapter", "adapter")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "adapter.crt", folder / "adapter.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Adapter

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = url.path.removeprefix(f"{GROUP}/namespaces/").split("/")
        if url.path == GROUP:
            self._answer(200, DISCOVERY)
        elif url.path.startswith(GROUP) and len(parts) == 2:
            selector = unquote(parse_qs(url.query).get("labelSelector", [""])[0])
            asked = (parts[0], parts[1], selector)
            self.server.asked.append(asked)
            self._answer(200, _listed(parts[1], self.server.values.get(asked)))
        else:
            self._answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest shows what failed."""


def _listed(metric: str, value: str | None) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {"metricName": metric, "metricLabels": {}, "timestamp": now, "value": value}
    items = [] if value is None else [item]
    return {"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": items}


@contextmanager
def served(strict: Strict, namespace: str, folder: Path) -> Iterator[Adapter]:
    """An adapter that the cluster's API server asks, until it ends."""
    adapter = Adapter(folder)
    thread = threading.Thread(target=adapter.serve_forever, daemon=True)
    thread.start()
    port = adapter.server_address[1]
    service = {"name": "metrics", "namespace": namespace}
    outside = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    strict.apply({"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": outside})
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {**service, "port": port},
        },
    }
    strict.apply(registration)
    try:
        until(lambda: _is_available(strict), "the adapter's API is there")
        yield adapter
    finally:
        strict.delete(registration)
        adapter.shutdown()
        thread.join(10)
        adapter.server_close()


def _is_available(strict: Strict) -> bool:
    found = strict.list("apiregistration.k8s.io/v1", "APIService", "")
    ours = [one for one in found if one["metadata"]["name"] == "v1beta1.external.metrics.k8s.io"]
    conditions = ours[0].get("status", {}).get("conditions", []) if ours else []
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)
