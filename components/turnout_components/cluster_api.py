"""A cluster's objects as plain dictionaries, read and written through lightkube as the field manager `turnout`.

An object that is not there is None; a write whose condition (`metadata.resourceVersion`) is not met raises `Changed`.
lightkube is imported on first use: commands that touch no cluster stay quick.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

FIELD_MANAGER = "turnout"
Object = dict[str, Any]
Patch = Literal["merge", "json", "apply"]
KINDS: Mapping[str, tuple[str, str, str]] = {
    "ConfigMap": ("", "v1", "configmaps"),
    "Event": ("", "v1", "events"),
    "Namespace": ("", "v1", "namespaces"),
    "Pod": ("", "v1", "pods"),
    "PodLog": ("", "v1", "pods/log"),
    "Service": ("", "v1", "services"),
    "Deployment": ("apps", "v1", "deployments"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "HorizontalPodAutoscaler": ("autoscaling", "v2", "horizontalpodautoscalers"),
    "CronJob": ("batch", "v1", "cronjobs"),
    "Lease": ("coordination.k8s.io", "v1", "leases"),
    "EndpointSlice": ("discovery.k8s.io", "v1", "endpointslices"),
    "Gateway": ("gateway.networking.k8s.io", "v1", "gateways"),
    "HTTPRoute": ("gateway.networking.k8s.io", "v1", "httproutes"),
    "ScaledObject": ("keda.sh", "v1alpha1", "scaledobjects"),
    "LeaderWorkerSet": ("leaderworkerset.x-k8s.io", "v1", "leaderworkersets"),
    "SelfSubjectAccessReview": ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
}
"""Group, version and plural of the kinds that the switch works with."""
_GLOBAL = ("Namespace", "SelfSubjectAccessReview")


class ClusterError(Exception):
    """The cluster refused, or does not answer; the message says what and where."""


class Unreachable(ClusterError):
    """No answer came: what was written may stand or not."""


class Changed(ClusterError):
    """The object is not what it was when it was read, or exists already."""


class ClusterApi(Protocol):
    """The calls that the switch makes. All raise `ClusterError`."""

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""

    def list(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None, **fields: str) -> list[Object]:
        """The namespace's objects with these labels and fields (`involvedObject__uid="…"`); none where the kind is unknown."""

    def create(self, kind: str, body: Object) -> Object:
        """Makes it. Raises `Changed` when it exists."""

    def replace(self, kind: str, body: Object) -> Object:
        """Puts the whole object in place. Raises `Changed` when its resourceVersion is not the newest, or it is gone."""

    def patch(self, kind: str, namespace: str, name: str, body: Any, how: Patch = "merge") -> Object | None:
        """Changes what `body` names; None when the object is gone. Raises `Changed` when a resourceVersion in it is not the
        newest, or a test of a JSON patch fails."""

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Whether it was there."""

    def log(self, namespace: str, pod: str, container: str, seconds: int) -> Sequence[str]:
        """What the container has written in the last `seconds`, by line; nothing of a pod that is gone."""


class LightkubeApi:
    """`ClusterApi` over lightkube. `connect` makes its client, again where the cluster does not know its token any more."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._client: Any = None

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        where = {} if kind in _GLOBAL else {"namespace": namespace}
        found: Object | None = self._called(
            kind, namespace, name, lambda client, res: client.get(res, name, **where), gone=None
        )
        return found

    def list(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None, **fields: str) -> list[Object]:
        chosen = {name.replace("__", "."): value for name, value in fields.items()} or None
        found: list[Object] = self._called(
            kind,
            namespace,
            "",
            lambda client, res: list(client.list(res, namespace=namespace, labels=dict(labels or {}) or None, fields=chosen)),
            gone=[],
        )
        return found

    def create(self, kind: str, body: Object) -> Object:
        meta = body["metadata"]

        def call(client: Any, res: Any) -> Any:
            return client.create(res(**_typed(kind, body)), field_manager=FIELD_MANAGER)

        return _there(self._called(kind, meta.get("namespace", ""), meta.get("name", ""), call))

    def replace(self, kind: str, body: Object) -> Object:
        meta = body["metadata"]

        def call(client: Any, res: Any) -> Any:
            return client.replace(res(**_typed(kind, body)), field_manager=FIELD_MANAGER)

        found = self._called(kind, meta["namespace"], meta["name"], call, gone=None)
        if found is None:
            raise Changed(f"{kind}/{meta['namespace']}/{meta['name']} is gone")
        return _there(found)

    def patch(self, kind: str, namespace: str, name: str, body: Any, how: Patch = "merge") -> Object | None:
        from lightkube.types import PatchType

        types = {"merge": PatchType.MERGE, "json": PatchType.JSON, "apply": PatchType.APPLY}
        force = {"force": True} if how == "apply" else {}

        def call(client: Any, res: Any) -> Any:
            shaped = res(**_typed(kind, body)) if how == "apply" else body
            where = {"namespace": namespace, "patch_type": types[how], "field_manager": FIELD_MANAGER}
            return client.patch(res, name, shaped, **where, **force)

        found: Object | None = self._called(kind, namespace, name, call, gone=None)
        return found

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        def call(client: Any, res: Any) -> bool:
            client.delete(res, name, namespace=namespace)
            return True

        return bool(self._called(kind, namespace, name, call, gone=False))

    def log(self, namespace: str, pod: str, container: str, seconds: int) -> Sequence[str]:
        where: dict[str, Any] = {"namespace": namespace, "container": container, "since": seconds, "newlines": False}
        found: Sequence[str] = self._called("PodLog", namespace, pod, lambda client, _: list(client.log(pod, **where)), gone=[])
        return found

    def _called(self, kind: str, namespace: str, name: str, call: Callable[[Any, Any], Any], **gone: Any) -> Any:
        what = "/".join(part for part in (kind, namespace, name) if part)
        for last in (False, True):
            with _translated(what):
                if self._client is None:
                    self._client = self._connect()
                try:
                    return _plain(call(self._client, _resource(kind)))
                except Exception as error:
                    code = _code(error)
                    if code == 404 and "gone" in gone:
                        return gone["gone"]
                    if code != 401 or last:
                        raise
                    self._client = None
        raise AssertionError("unreachable")


def _get(client: Any, res: Any, name: str, **where: str) -> Any:
    return client.get(res, name, **where)


def _there(found: Any) -> Object:
    assert isinstance(found, dict)
    return found


def _typed(kind: str, body: Object) -> Object:
    group, version, _ = KINDS[kind]
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, **body}


@functools.cache
def _resource(kind: str) -> Any:
    """lightkube's class of the kind: of our own, so that no other part of a program meets it in lightkube's registry."""
    from lightkube.core.resource import GlobalResource
    from lightkube.generic_resource import Generic, GenericNamespacedResource, create_api_info

    group, version, plural = KINDS[kind]
    base = (GlobalResource, Generic) if kind in _GLOBAL else (GenericNamespacedResource,)
    return type(kind, base, {"_api_info": create_api_info(group, version, kind, plural)})


def _plain(found: Any) -> Any:
    """lightkube's objects are dictionaries already, except for their metadata."""
    if isinstance(found, list):
        return [_plain(each) for each in found]
    return found.to_dict() if hasattr(found, "to_dict") else found


def _code(error: Exception) -> int:
    status = getattr(error, "status", None)
    response = getattr(error, "response", None)
    return int(getattr(status, "code", None) or getattr(response, "status_code", None) or 0)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClusterError:
        raise
    except Exception as error:
        code, kinds = _code(error), {kind.__name__ for kind in type(error).__mro__}
        if "ConfigError" in kinds:
            raise ClusterError(f"the cluster's kubeconfig cannot be used: {error}") from error
        if code == 409 or (code == 422 and "the server rejected our request due to an error in our request" in str(error)):
            raise Changed(f"{what}: {error}") from error
        if code:
            raise ClusterError(f"{what}: the cluster refuses ({code}): {error}") from error
        if "TransportError" in kinds or isinstance(error, OSError):
            raise Unreachable(f"{what}: the cluster does not answer ({type(error).__name__}: {error})") from error
        raise
