"""A cluster's API in memory: resourceVersion and generation as Kubernetes counts them, and what a test scripts in between."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from turnout_components.cluster_api import Changed, ClusterError, Object, Unreachable


class FakeCluster:
    """`namespaces` exist. `before` is called once before the next write; `lost` writes take effect and get no answer."""

    def __init__(self, *namespaces: str) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.namespaces = set(namespaces)
        self.writes: list[str] = []
        self.before: Callable[[], object] | None = None
        self.lost = 0
        self.after: Callable[[Object], None] = lambda found: None
        """A controller: sees every object that was written."""
        self._version = 0

    def put(self, kind: str, namespace: str, name: str, **body: Any) -> Object:
        """An object that is there already."""
        meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", **body.pop("metadata", {})}
        return self._store({"kind": kind, "metadata": meta, **body})

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        if kind == "Namespace":
            return {"metadata": {"name": name}} if name in self.namespaces else None
        return _copy(self.objects.get((kind, namespace, name)))

    def list(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None, **fields: str) -> list[Object]:
        found = [each for (k, n, _), each in self.objects.items() if (k, n) == (kind, namespace)]
        if "involvedObject__uid" in fields:
            found = [each for each in found if each["involvedObject"]["uid"] == fields["involvedObject__uid"]]
        wanted = (labels or {}).items()
        return _copy([each for each in found if wanted <= (each["metadata"].get("labels") or {}).items()])

    def create(self, kind: str, body: Object) -> Object:
        self._write(f"create {kind} {body['metadata'].get('name')}")
        place = (kind, body["metadata"]["namespace"], body["metadata"]["name"])
        if place[1] not in self.namespaces:
            raise ClusterError(f'namespaces "{place[1]}" not found')
        if place in self.objects:
            raise Changed(f"{kind} {place[2]} already exists")
        return self._answered(self._store({**_copy(body), "kind": kind}))

    def replace(self, kind: str, body: Object) -> Object:
        self._write(f"replace {kind} {body['metadata']['name']}")
        found = self.objects.get((kind, body["metadata"]["namespace"], body["metadata"]["name"]))
        self._demand(found, body)
        return self._answered(self._store({**_copy(body), "kind": kind}))

    def patch(self, kind: str, namespace: str, name: str, body: Any, how: str = "merge") -> Object | None:
        self._write(f"patch {kind} {name}")
        found = self.objects.get((kind, namespace, name))
        if how == "apply":
            return self._answered(self._store({**_copy(body), "kind": kind}))
        if found is None:
            return None
        self._demand(found, body)
        return self._answered(self._store(_merged(found, body)))

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        self._write(f"delete {kind} {name}")
        return self.objects.pop((kind, namespace, name), None) is not None

    def log(self, namespace: str, pod: str, container: str, seconds: int) -> Sequence[str]:  # noqa: ARG002
        """Nothing was written."""
        return []

    def _write(self, what: str) -> None:
        self.writes.append(what)
        if self.before is not None:
            act, self.before = self.before, None
            act()

    def _demand(self, found: Object | None, body: Object) -> None:
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if found is None or (wanted is not None and wanted != found["metadata"]["resourceVersion"]):
            raise Changed("the object has been modified")

    def _store(self, body: Object) -> Object:
        place = (body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        before = self.objects.get(place)
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        changed = before is None or before.get("spec") != body.get("spec")
        body["metadata"]["generation"] = (before["metadata"]["generation"] if before else 0) + changed
        self.objects[place] = body
        self.after(body)
        return _copy(body)

    def _answered(self, found: Object) -> Object:
        if self.lost:
            self.lost -= 1
            raise Unreachable("no answer")
        return found


def _merged(old: Any, new: Any) -> Any:
    """RFC 7386."""
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return _copy(new)
    kept = {key: value for key, value in old.items() if key not in new}
    return {**kept, **{key: _merged(old.get(key, {}), value) for key, value in new.items() if value is not None}}


def accepting(route: Object) -> None:
    """A Gateway's controller that takes every route at once."""
    if route["kind"] == "HTTPRoute":
        answer(route, "True")


def answer(route: Object, status: str, kind: str = "Accepted", reason: str = "") -> None:
    """What a controller says of this generation of a route."""
    generation = route["metadata"]["generation"]
    conditions = [
        {"type": each, "status": status if each == kind else "True", "observedGeneration": generation, "reason": reason}
        for each in ("Accepted", "ResolvedRefs")
    ]
    route["status"] = {"parents": [{"parentRef": {"name": "gw"}, "controllerName": "c", "conditions": conditions}]}


def _copy(found: Any) -> Any:
    """What is sent and answered is nobody's own; pickled, that is several times as fast as `copy.deepcopy`."""
    return pickle.loads(pickle.dumps(found))
