"""An API server as far as tests of the provider need one: it keeps objects, and who applied which top-level field, and does
what a test's script says. It has no schema, no defaulting, no merging of lists: the real one is asked in tests/kubernetes."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KINDS = {
    "/api/v1": {"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Pod": "pods", "Event": "events",
                "PersistentVolumeClaim": "persistentvolumeclaims", "Namespace": "namespaces"},
    "/apis/apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"},
    "/apis/batch/v1": {"Job": "jobs"},
    "/apis/networking.k8s.io/v1": {"Ingress": "ingresses"},
    "/apis/discovery.k8s.io/v1": {"EndpointSlice": "endpointslices"},
    "/apis/storage.k8s.io/v1": {"StorageClass": "storageclasses"},
    "/apis/apiextensions.k8s.io/v1": {"CustomResourceDefinition": "customresourcedefinitions"},
}  # fmt: skip
CLUSTER_SCOPED = {"namespaces", "storageclasses", "customresourcedefinitions"}
_PATH = re.compile(
    r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?$"
)
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One request, as the server took it."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass
class Server:
    """`before` may answer in place of the server; `after` sees what was stored, before the answer goes out."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    kinds: dict[str, dict[str, str]] = field(default_factory=lambda: {root: dict(kinds) for root, kinds in KINDS.items()})
    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], Answer | None] = lambda _: None
    after: Callable[[Call], None] = lambda _: None
    lock: threading.RLock = field(default_factory=threading.RLock)
    version: int = 0

    @property
    def kubeconfig(self) -> str:
        """Of a user in namespace `shop`."""
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "elsewhere", "context": {"cluster": "c", "user": "u", "namespace": "other"}},
            ],
        }
        return json.dumps(whole)

    def put(self, path: str, **fields: Any) -> dict[str, Any]:
        """An object that somebody else has made."""
        found = _PATH.match(path)
        assert found is not None, path
        with self.lock:
            metadata = {"name": found["name"], "uid": uuid.uuid4().hex, "generation": 1, **fields.pop("metadata", {})}
            if found["ns"]:
                metadata["namespace"] = found["ns"]
            self.objects[path] = {"metadata": metadata, **fields}
            self._touch(self.objects[path])
            return self.objects[path]

    def changes(self) -> list[str]:
        """The calls that change something, with their place."""
        return [f"{call.method} {call.path}" for call in self.calls if call.method != "GET"]

    def take(self, call: Call) -> Answer:
        with self.lock:
            self.calls.append(call)
        scripted = self.before(call)
        if scripted is not None:
            return scripted
        with self.lock:
            answer = self._answer(call)
        self.after(call)
        return answer

    def _answer(self, call: Call) -> Answer:
        if call.path in self.kinds:
            kinds = self.kinds[call.path].items()
            return 200, {"resources": [{"name": n, "kind": k, "namespaced": n not in CLUSTER_SCOPED} for k, n in kinds]}
        found = _PATH.match(call.path)
        if found is None or found["plural"] not in self.kinds.get(found["root"], {}).values():
            return status(404, "NotFound", "the server could not find the requested resource")
        if found["ns"] and f"/api/v1/namespaces/{found['ns']}" not in self.objects and call.method in ("POST", "PATCH"):
            return status(404, "NotFound", f'namespaces "{found["ns"]}" not found')
        return self._of_object(call, found["plural"], found["name"])

    def _of_object(self, call: Call, plural: str, name: str | None) -> Answer:
        if call.method == "GET" and name is None:
            items = [each for path, each in self.objects.items() if path.startswith(f"{call.path}/")]
            return 200, {"items": [each for each in items if _selected(each, call.query)]}
        if call.method == "POST":
            path = f"{call.path}/{call.body['metadata']['name']}"
            if path in self.objects:
                return status(409, "AlreadyExists", f'{plural} "{call.body["metadata"]["name"]}" already exists')
            return 201, self._stored(path, call, "Update")
        live = self.objects.get(call.path)
        if live is None and not (call.method == "PATCH" and isinstance(call.body, dict)):
            return status(404, "NotFound", f'{plural} "{name}" not found')
        if call.method == "GET":
            return 200, live  # type: ignore[return-value]
        if call.method == "DELETE":
            assert live is not None
            if live["metadata"].get("finalizers"):
                live["metadata"]["deletionTimestamp"] = "now"
                return 200, live
            return 200, {"details": {"uid": self.objects.pop(call.path)["metadata"]["uid"]}}
        if isinstance(call.body, list):
            return self._patched(call, live or {})
        return self._applied(call, live)

    def _patched(self, call: Call, live: dict[str, Any]) -> Answer:
        for step in call.body:
            key = step["path"].removeprefix("/metadata/")
            if key == "resourceVersion" and step["value"] != live["metadata"][key]:
                return status(409, "Conflict", "the object has been modified")
            live["metadata"][key] = step["value"]
        self._touch(live)
        return 200, live

    def _applied(self, call: Call, live: dict[str, Any] | None) -> Answer:
        others = [e for e in (live or {}).get("metadata", {}).get("managedFields", []) if e["manager"] != _manager(call)]
        taken = [
            {"reason": "FieldManagerConflict", "field": f".{name}", "message": f'conflict with "{entry["manager"]}" using v1'}
            for entry in others
            for name in (step[2:] for step in entry["fieldsV1"])
            if name in call.body and live is not None and live.get(name) != call.body[name]
        ]
        if taken and call.query.get("force") != "true":
            return status(409, "Conflict", f"Apply failed with {len(taken)} conflict(s)", causes=taken)
        for entry in others if taken else ():
            for cause in taken:
                entry["fieldsV1"].pop(f"f:{cause['field'][1:]}", None)
        return 200, self._stored(call.path, call, "Apply")

    def _stored(self, path: str, call: Call, operation: str) -> dict[str, Any]:
        old = self.objects.get(path) or {"metadata": {"uid": uuid.uuid4().hex, "generation": 0, "managedFields": []}}
        fields = {f"f:{name}": {} for name in call.body if name not in ("apiVersion", "kind", "metadata")}
        mine = {"manager": _manager(call), "operation": operation, "apiVersion": "v1", "fieldsV1": fields}
        entries = [
            e for e in old["metadata"]["managedFields"] if (e["manager"], e["operation"]) != (mine["manager"], operation)
        ]
        metadata = {**old["metadata"], **call.body["metadata"], "managedFields": [*entries, mine]}
        metadata["generation"] = old["metadata"]["generation"] + 1
        kept = {name: value for name, value in old.items() if any(f"f:{name}" in e["fieldsV1"] for e in entries)}
        status_ = {"status": old["status"]} if "status" in old else {}
        self.objects[path] = {**kept, **status_, **call.body, "metadata": metadata}
        self._touch(self.objects[path])
        return self.objects[path]

    def _touch(self, live: dict[str, Any]) -> None:
        self.version += 1
        live["metadata"]["resourceVersion"] = str(self.version)
        live["metadata"].setdefault("managedFields", [])


def status(code: int, reason: str, message: str, **details: Any) -> Answer:
    """A refusal in the API server's form."""
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details}


def _manager(call: Call) -> str:
    return call.query.get("fieldManager", "nobody")


def _selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    labels = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
    chosen = dict(pair.split("=", 1) for pair in query.get("fieldSelector", "").split(",") if pair)
    uid = (item.get("involvedObject") or {}).get("uid")
    held = item["metadata"].get("labels") or {}
    return all(held.get(k) == v for k, v in labels.items()) and chosen.get("involvedObject.uid", uid) == uid


@contextmanager
def serving() -> Iterator[Server]:
    """The server on a port of its own, with namespaces `shop`, `other` and `default`."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            place = urlsplit(self.path)
            code, told = server.take(Call(self.command, place.path, dict(parse_qsl(place.query)), body))
            raw = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    for name in ("shop", "other", "default"):
        server.put(f"/api/v1/namespaces/{name}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
