"""What stands around a node: the metadata service, Auto Scaling's answers, a Vault, and a server's metrics."""

import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INSTANCE = "i-0123456789abcdef0"
IDENTITY = "MIAGCSqGSIb3DQEHAqCA"
ANSWER = '<{0}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><{0}Result/></{0}Response>'


class Handler(BaseHTTPRequestHandler):
    """Asks the service: (status, body) of a method, a path, headers and a body."""

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        status, answer = self.server.service.answer(self.command, self.path, dict(self.headers), body)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    do_GET = do_PUT = do_POST = handle_any

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def serving(service: Any, port: int = 0) -> Iterator[str]:
    """The service's address while it runs on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.service = service  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Metadata:
    """IMDSv2: no answer without a token that it gave ("Use IMDS", Amazon EC2 User Guide)."""

    values: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values.setdefault("meta-data/instance-id", INSTANCE)
        self.values.setdefault("dynamic/instance-identity/pkcs7", IDENTITY)

    def goes_to(self, state: str) -> None:
        self.values["meta-data/autoscaling/target-lifecycle-state"] = state

    def answer(self, method: str, path: str, headers: dict[str, str], _: str) -> tuple[int, str]:
        lower = {name.lower(): value for name, value in headers.items()}
        if method == "PUT" and path == "/latest/api/token":
            return (200, "token") if "x-aws-ec2-metadata-token-ttl-seconds" in lower else (400, "")
        if lower.get("x-aws-ec2-metadata-token") != "token":
            self.refused.append(path)
            return 401, ""
        value = self.values.get(path.removeprefix("/latest/"))
        return (200, value) if value is not None else (404, "")


@dataclass
class AutoScaling:
    """Records what a node tells its group."""

    calls: list[dict[str, str]] = field(default_factory=list)

    def answer(self, _: str, __: str, ___: dict[str, str], body: str) -> tuple[int, str]:
        call = dict(urllib.parse.parse_qsl(body))
        self.calls.append(call)
        return 200, ANSWER.format(call["Action"])

    def of(self, action: str) -> list[dict[str, str]]:
        return [call for call in self.calls if call["Action"] == action]

    def results(self) -> list[tuple[str, str]]:
        """Hook and result of each completed lifecycle action."""
        return [(c["LifecycleHookName"], c["LifecycleActionResult"]) for c in self.of("CompleteLifecycleAction")]


@dataclass
class Vault:
    """Auth method aws, and secrets of a KV engine of version 2 and 1."""

    logins: list[dict[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        if (method, path) == ("POST", "/v1/auth/aws/login"):
            self.logins.append(json.loads(body))
            return 200, json.dumps({"auth": {"client_token": "hvs.1"}})
        if headers.get("X-Vault-Token") != "hvs.1":
            return 403, ""
        data = {"/v1/secret/data/svc": {"data": {"data": {"key": "second"}}}, "/v1/kv/svc": {"data": {"key": "first"}}}
        return (200, json.dumps(data[path])) if path in data else (404, "")


@dataclass
class Exposition:
    """A server's /metrics."""

    text: str = ""

    def answer(self, *_: Any) -> tuple[int, str]:
        return (200, self.text) if self.text else (503, "")
