"""Puts the readiness gates of target groups into new pods, as the AWS Load Balancer Controller's webhook does: the other half
of the stand-in (`target_groups.py`).

Sources: "Pod readiness gate", AWS Load Balancer Controller; "Dynamic Admission Control", Kubernetes.
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lightkube import Client

from turnout.cluster import webhooks
from turnout.cluster.target_groups import gate_of
from turnout.cluster.watching import SERVICE, TARGET_GROUP_BINDING, Object, key_of, labels_of

_GATES = "/spec/readinessGates"


def missing_gates(pod: Object, bindings: Iterable[Object], services: Iterable[Object]) -> list[str]:
    """The gates that a new pod lacks: of each binding of its namespace whose Service selects it."""
    selectors = {key_of(service): service["spec"].get("selector") or {} for service in services}
    held = {gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()}
    gates = []
    for binding in bindings:
        selector = selectors.get((key_of(binding)[0], binding["spec"]["serviceRef"]["name"]))
        chosen = selector and selector.items() <= labels_of(pod).items()
        if chosen and binding["spec"].get("targetType") == "ip" and gate_of(binding) not in held:
            gates.append(gate_of(binding))
    return gates


def patches(pod: Object, gates: Iterable[str]) -> list[dict[str, Any]]:
    """The changes that add the gates ("JavaScript Object Notation (JSON) Patch", RFC 6902)."""
    added = [{"op": "add", "path": f"{_GATES}/-", "value": {"conditionType": gate}} for gate in gates]
    empty = [] if pod["spec"].get("readinessGates") else [{"op": "add", "path": _GATES, "value": []}]
    return [*empty, *added] if added else []


class ReadinessGates:
    """Answers the API server for each new pod of a namespace with the controller's label."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._authority = webhooks.certify(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="readiness-gates", daemon=True)

    def start(self) -> None:
        """Begins; from now on pods get their gates."""
        self._thread.start()
        webhooks.register_gates(self._client, f"https://127.0.0.1:{self._server.server_address[1]}", self._authority)

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, review: Mapping[str, Any]) -> dict[str, Any]:
        """The review with its answer. What is bound is asked of the API server now: a watch might not know yet what was made
        just before the pod."""
        request = review["request"]
        bindings = self._client.list(TARGET_GROUP_BINDING.main, namespace=request["namespace"])
        services = self._client.list(SERVICE.main, namespace=request["namespace"])
        changes = patches(request["object"], missing_gates(request["object"], bindings, services))
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        if changes:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(changes).encode()).decode()}
        return {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, gates: ReadinessGates, *connection: Any) -> None:
        self._gates = gates
        super().__init__(*connection)

    def do_POST(self) -> None:
        """A review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self._gates.answer(review)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The API server tells of a webhook that fails."""
