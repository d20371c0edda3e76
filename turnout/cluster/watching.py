"""The cluster's objects as plain data, kept up to date by watches, and patches of them.

Source: "Kubernetes API Concepts" (Efficient detection of changes): a list, then a watch from its resourceVersion; after an
error anew.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightkube import ApiError, Client, KubeConfig
from lightkube.core.resource import ApiInfo, ResourceDef
from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource
from lightkube.types import PatchType
from turnout_components.cluster_access import learn_types

logger = logging.getLogger(__name__)

Object = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace ("" where there is none) and name."""

MANAGER = "turnout-local"
"""The field manager of what the local cluster writes."""
_AGAIN = 0.2
"""Seconds until the next list after an error."""
_WITHIN = 60.0
"""Seconds for an answer; a busy machine's API server takes ten for a large definition."""
_VERBS = ["delete", "get", "global_list", "global_watch", "list", "patch", "post", "put", "watch"]


@dataclass(frozen=True)
class Kind:
    """A kind of object, and its status subresource, as lightkube wants them. Its registry of kinds is left alone: other code
    may have classes of its own there."""

    name: str
    main: Any
    status: Any
    namespaced: bool


def kind(group: str, version: str, name: str, plural: str, namespaced: bool = True) -> Kind:
    """A kind by its names."""
    base = GenericNamespacedResource if namespaced else GenericGlobalResource
    definition = ResourceDef(group, version, name)
    main = ApiInfo(definition, plural, _VERBS)
    status = ApiInfo(definition, plural, ["patch"], parent=definition, action="status")
    return Kind(name, type(name, (base,), {"_api_info": main}), type(name, (base,), {"_api_info": status}), namespaced)


_GATEWAY = "gateway.networking.k8s.io"
POD = kind("", "v1", "Pod", "pods")
SECRET = kind("", "v1", "Secret", "secrets")
SERVICE = kind("", "v1", "Service", "services")
NODE = kind("", "v1", "Node", "nodes", namespaced=False)
ENDPOINT_SLICE = kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
GATEWAY_CLASS = kind(_GATEWAY, "v1", "GatewayClass", "gatewayclasses", namespaced=False)
GATEWAY = kind(_GATEWAY, "v1", "Gateway", "gateways")
HTTP_ROUTE = kind(_GATEWAY, "v1", "HTTPRoute", "httproutes")
NAMESPACE = kind("", "v1", "Namespace", "namespaces", namespaced=False)
REFERENCE_GRANT = kind(_GATEWAY, "v1beta1", "ReferenceGrant", "referencegrants")
TARGET_GROUP_BINDING = kind("elbv2.k8s.aws", "v1beta1", "TargetGroupBinding", "targetgroupbindings")


def connect(kubeconfig: Path) -> Client:
    """A client of the cluster that the file names, whatever the environment says."""
    learn_types()
    config = KubeConfig.from_file(kubeconfig).get()
    return Client(config=config, timeout=_WITHIN, field_manager=MANAGER, trust_env=False)  # type: ignore[arg-type]


def key_of(found: Object) -> Key:
    """Namespace and name."""
    metadata = found["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def labels_of(found: Object) -> Mapping[str, str]:
    """The object's labels."""
    labels: Mapping[str, str] = found["metadata"].get("labels") or {}
    return labels


def annotations_of(found: Object) -> Mapping[str, str]:
    """The object's annotations."""
    annotations: Mapping[str, str] = found["metadata"].get("annotations") or {}
    return annotations


def patch(client: Client, what: Kind, key: Key, body: Mapping[str, Any], status: bool = False, strategic: bool = False) -> bool:
    """Patches an object, or its status; whether it was there. `strategic`: lists are merged by their keys, as built-in kinds
    have them."""
    how: dict[str, Any] = {"patch_type": PatchType.STRATEGIC if strategic else PatchType.MERGE}
    try:
        client.patch(what.status if status else what.main, key[1], dict(body), **how, **_place(what, key[0]))
    except ApiError as error:
        if error.status.code not in (404, 409):
            raise
        return False
    return True


def _place(what: Kind, namespace: str) -> dict[str, Any]:
    return {"namespace": namespace} if what.namespaced else {}


class Watch:
    """All objects of a kind. `changed` is called after each change, on the watch's own thread."""

    def __init__(self, client: Client, what: Kind, changed: Callable[[], None]) -> None:
        self._client = client
        self._kind = what
        self._changed = changed
        self._objects: dict[Key, Object] = {}
        self._over = threading.Event()
        self.synced = threading.Event()
        """Set when the first list is there."""
        self._thread = threading.Thread(target=self._run, name=f"watch-{what.name}", daemon=True)

    def start(self) -> "Watch":
        """Begins to watch."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Takes up nothing any more; the thread ends with the process."""
        self._over.set()

    def objects(self) -> list[Object]:
        """The objects by namespace and name."""
        held = self._objects
        return [held[key] for key in sorted(held)]

    def get(self, key: Key) -> Object | None:
        """One object."""
        return self._objects.get(key)

    def _run(self) -> None:
        everywhere = _place(self._kind, "*")
        while not self._over.is_set():
            try:
                listing = self._client.list(self._kind.main, **everywhere)
                self._objects = {key_of(found): found for found in listing}
                self.synced.set()
                self._changed()
                version = listing.resourceVersion
                for event, found in self._client.watch(self._kind.main, resource_version=version, **everywhere):
                    if self._over.is_set():
                        return
                    self._take(event, found)
            except Exception as error:
                logger.debug("the watch of %s begins anew: %s", self._kind.name, error)
                self._over.wait(_AGAIN)

    def _take(self, event: str, found: Object) -> None:
        key = key_of(found)
        if event in ("ADDED", "MODIFIED"):
            self._objects = {**self._objects, key: found}
        elif event == "DELETED":
            self._objects = {other: held for other, held in self._objects.items() if other != key}
        else:
            return
        self._changed()
