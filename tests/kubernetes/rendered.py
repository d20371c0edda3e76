"""Objects as components register them, and a cluster that takes them as the program's engine would: strictly."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pulumi
from turnout_components.arguments import whole

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))

from recording import record  # the folder is on the path only now

from turnout.engine.provider import ProviderConfig
from turnout.providers.kubernetes import cluster as api
from turnout.providers.kubernetes.tokens import Kind
from turnout.providers.kubernetes.waiting import Clock

Object = dict[str, Any]
_FIRST = ("Namespace", "ServiceAccount", "NetworkPolicy", "Service")


def objects(*components: Callable[[], pulumi.ComponentResource]) -> list[Object]:
    """The Kubernetes objects of components, in an order in which they can be made."""

    def program() -> None:
        for component in components:
            component()

    found = [whole(dict(one.inputs)) for one in record(program).registrations if one.type.startswith("kubernetes:")]
    return sorted(found, key=lambda one: _FIRST.index(one["kind"]) if one["kind"] in _FIRST else len(_FIRST))


def of_kind(found: Iterable[Object], kind: str) -> Object:
    (one,) = (each for each in found if each["kind"] == kind)
    return one


class Strict:
    """A cluster by server-side apply with strict field validation ("Field validation", Kubernetes API Concepts)."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = api.cluster(ProviderConfig({"kubeconfig": str(kubeconfig)}))

    def apply(self, found: Mapping[str, Any], dry_run: bool = False) -> Object:
        query = {"fieldManager": "turnout-tests", "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._api.call("PATCH", self._path(found), _subject(found), query=query, body=found, kind=api.APPLY)

    def evict(self, namespace: str, pod: str) -> None:
        """Raises `ProviderError` where a budget forbids it ("API-initiated Eviction", Kubernetes)."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        asked_at_once = api.Cluster(self._api._client, namespace, Clock(sleep=lambda _: None))
        asked_at_once.call("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", f"eviction of {pod}", body=body)

    def list(self, api_version: str, kind: str, namespace: str, selector: str = "") -> list[Object]:
        group, _, version = api_version.rpartition("/")
        path = self._api.path_of(Kind(group, version, kind), namespace)
        query = {"labelSelector": selector} if selector else {}
        return list(self._api.get(path, f"{kind}s", **query)["items"])

    def delete(self, found: Mapping[str, Any]) -> None:
        self._api.call("DELETE", self._path(found), _subject(found), query={"propagationPolicy": "Foreground"})

    def _path(self, found: Mapping[str, Any]) -> str:
        group, _, version = found["apiVersion"].rpartition("/")
        metadata = found["metadata"]
        return self._api.path_of(Kind(group, version, found["kind"]), metadata.get("namespace"), metadata["name"])


def _subject(found: Mapping[str, Any]) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def pod_of(template: Mapping[str, Any], namespace: str, name: str = "of-a-template") -> Object:
    """The pod that a controller makes of a template."""
    metadata = {**template["metadata"], "name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def until(condition: Callable[[], object], what: str, within: float = 90) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"after {within:.0f} s still not: {what}"
        time.sleep(0.1)
