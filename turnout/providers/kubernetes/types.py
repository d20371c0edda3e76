"""Every Kubernetes object as a resource type of the engine: one implementation serves every kind.

As the provider does: a create that fails where the object is there already (`Use client-side create to prevent silent upsert of
existing objects`, pulumi-kubernetes #4278), server-side apply for every change, and a wait until the object is ready.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from turnout.engine.provider import AutoName, Created, Fault, Observed, Properties, ProviderConfig, ProviderError
from turnout.engine.values import Secret
from turnout.providers.kubernetes import annotations, objects, readying, removing
from turnout.providers.kubernetes.annotations import PATCH_FORCE, is_true
from turnout.providers.kubernetes.cluster import APPLY, JSON_PATCH, Cluster, cluster, refuse_options
from turnout.providers.kubernetes.drift import reflected
from turnout.providers.kubernetes.errors import Absent, ApiError, conflict
from turnout.providers.kubernetes.fields import is_managed_by, taken_over
from turnout.providers.kubernetes.immutable import replace_on
from turnout.providers.kubernetes.tokens import Kind
from turnout.providers.kubernetes.waiting import Clock, Deadline

LONGEST_NAME, RANDOM = 253, 8
APPEARS_SECONDS = 15.0
"""How long a create waits for its namespace, or for its kind to be served: both may be of the same update."""
_TRIES = 5
_SERVERS_OWN = ("generateName", "managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
_STRICT = {"fieldValidation": "Strict"}
"""An unknown or doubled field is an error and no warning ("Field validation", Kubernetes API Concepts)."""


class _Any(frozenset[str]):
    """The API server knows the fields of its kinds, and refuses others by name."""

    def __contains__(self, name: object) -> bool:
        return name != "status"


class KubernetesType:
    """One kind. `clock` is for tests."""

    inputs: frozenset[str] = _Any()
    volatile = frozenset({"status"})
    write_only: frozenset[str] = frozenset()
    delete_before_replace = False
    auto_name: AutoName | None = objects.MetadataName("metadata.name", LONGEST_NAME, RANDOM)

    def __init__(self, token: str, kind: Kind, clock: Clock | None = None) -> None:
        self.token, self.kind, self._clock = token, kind, clock or Clock()
        self.replace_on = replace_on(kind)

    def prepare(self, config: ProviderConfig, inputs: Properties) -> Properties:
        """The inputs in the provider's namespace, where they name none; a Secret's values are secrets whoever wrote them."""
        refuse_options(config.inputs)
        found = dict(inputs)
        namespace, metadata = config.inputs.get("namespace"), inputs.get("metadata") or {}
        if namespace is not None and self.kind.is_assumed_namespaced and isinstance(objects.bare(metadata), Mapping):
            whole = objects.bare(metadata)
            placed = {**whole, "namespace": whole.get("namespace") or namespace}
            found["metadata"] = Secret(placed) if isinstance(metadata, Secret) else placed
        for name in objects.SECRET_FIELDS if objects.is_secret(self.kind) else ():
            if found.get(name) is not None and not isinstance(found[name], Secret):
                found[name] = Secret(found[name])
        return found

    def check(self, inputs: Properties) -> list[Fault]:
        faults = []
        for name, wanted in (("apiVersion", self.kind.api_version), ("kind", self.kind.name)):
            given = inputs.get(name)
            if (given is None or isinstance(given, str)) and given != wanted:
                faults.append(Fault(name, f"is {given!r}; {self.token} has {wanted!r}"))
        metadata = inputs.get("metadata")
        if isinstance(metadata, str | int | float | list):
            return [*faults, Fault("metadata", "is no object")]
        given = metadata if isinstance(metadata, Mapping) else {}
        lacking = [name for name in _SERVERS_OWN if given.get(name) is not None]
        faults += [Fault(f"metadata.{name}", "is not supported by the local engine") for name in lacking]
        return [*faults, *annotations.faults(inputs)]

    def create(self, config: ProviderConfig, inputs: Properties, token: str) -> Created:
        api, manager = cluster(config), objects.manager_of(token)
        with self._discreet(inputs):
            live = self._when_it_can_be(lambda: self._made(api, config, inputs, manager))
            seconds = readying.seconds_for(self.kind, inputs, config, "create")
            live = readying.until_ready(self.kind, live, inputs, api, seconds, self._clock)
        return Created(self._id(live), objects.outputs(self.kind, live, manager))

    def find(self, config: ProviderConfig, inputs: Properties, token: str) -> Created | None:
        api, manager = cluster(config), objects.manager_of(token)
        try:
            namespace, name = self._place(api, inputs)
            live = api.get(api.path_of(self.kind, namespace, name), self._subject(namespace, name))
        except Absent:
            return None
        if not is_managed_by(live, manager):
            return None
        lacking = readying.init_errors(self.kind, live, inputs, api)
        return Created(self._id(live), objects.outputs(self.kind, live, manager), lacking)

    def read(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties) -> Observed | None:
        api = cluster(config)
        namespace, name = objects.place_of(id)
        try:
            live = api.get(api.path_of(self.kind, namespace, name), self._subject(namespace, name))
        except Absent:
            return None
        lacking = readying.init_errors(self.kind, live, inputs, api)
        manager = str(outputs.get(objects.MANAGER) or "")
        return Observed(reflected(inputs, live), objects.outputs(self.kind, live, manager), lacking)

    def update(self, config: ProviderConfig, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        api = cluster(config)
        namespace, name = objects.place_of(id)
        manager = str(outputs.get(objects.MANAGER) or "") or objects.manager_of("")
        path, subject = api.path_of(self.kind, namespace, name), self._subject(namespace, name)
        wanted = objects.body(self.kind, new, namespace, name)
        with self._discreet(new):
            live = self._changed(api, path, subject, wanted, manager, _forces(config, new))
            seconds = readying.seconds_for(self.kind, new, config, "update")
            live = readying.until_ready(self.kind, live, new, api, seconds, self._clock)
        return objects.outputs(self.kind, live, manager)

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        api = cluster(config)
        namespace, name = objects.place_of(id)
        try:
            path = api.path_of(self.kind, namespace, name)
        except Absent:
            return  # its kind is gone, and with it every object
        given = config.timeouts.get("delete") or annotations.timeout(inputs)
        seconds = given or min(timeout, removing.seconds_for(self.kind))
        policy, subject = annotations.propagation(inputs), self._subject(namespace, name)
        removing.remove(self.kind, path, subject, inputs, policy, api, (seconds, self._clock))

    def _made(self, api: Cluster, config: ProviderConfig, inputs: Properties, manager: str) -> dict[str, Any]:
        namespace, name = self._place(api, inputs)
        wanted, subject = objects.body(self.kind, inputs, namespace, name), self._subject(namespace, name)
        if config.inputs.get("upsertExistingObjects"):
            return self._applied(
                api, api.path_of(self.kind, namespace, name), subject, wanted, manager, _forces(config, inputs)
            )
        try:
            path = api.path_of(self.kind, namespace)
            return api.call("POST", path, f"creating {subject}", query={**_STRICT, "fieldManager": manager}, body=wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            raise ProviderError(
                f"{subject} is there already and not of this stack: give the program's another metadata.name, or an alias "
                "where a resource was renamed; upsertExistingObjects of the provider takes existing objects over"
            ) from None

    def _changed(
        self, api: Cluster, path: str, subject: str, wanted: dict[str, Any], manager: str, force: bool
    ) -> dict[str, Any]:
        """Brings the object to what is wanted. Begins again where somebody else wrote it in between."""
        for left in reversed(range(_TRIES)):
            try:
                live = api.get(path, subject)
                if self.kind.name == "CustomResourceDefinition":
                    return self._put(api, path, subject, wanted, manager, live)
                if (entries := taken_over(live, manager)) is not None:
                    version = live["metadata"]["resourceVersion"]
                    steps = [
                        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
                        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                    ]
                    api.call("PATCH", path, f"updating {subject}", body=steps, kind=JSON_PATCH)
                return self._applied(api, path, subject, wanted, manager, force)
            except Absent:
                raise ProviderError(f"{subject} is gone; `turnout refresh` takes that into the state") from None
            except ApiError as error:
                if error.reason != "Conflict" or error.is_conflict_of_fields or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _applied(
        self, api: Cluster, path: str, subject: str, wanted: dict[str, Any], manager: str, force: bool
    ) -> dict[str, Any]:
        query = {**_STRICT, "fieldManager": manager, "force": str(force).lower()}
        try:
            return api.call("PATCH", path, f"applying {subject}", query=query, body=wanted, kind=APPLY)
        except ApiError as error:
            raise conflict(error, subject, manager) if error.is_conflict_of_fields else error from None

    def _put(
        self, api: Cluster, path: str, subject: str, wanted: dict[str, Any], manager: str, live: dict[str, Any]
    ) -> dict[str, Any]:
        """A definition is replaced as a whole, in place (`updateResource`, await.go of pulumi-kubernetes)."""
        whole = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
        return api.call("PUT", path, f"updating {subject}", query={**_STRICT, "fieldManager": manager}, body=whole)

    def _when_it_can_be(self, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        deadline = Deadline(APPEARS_SECONDS, self._clock)
        while True:
            try:
                return make()
            except Absent:
                if not deadline.rest():
                    raise

    def _place(self, api: Cluster, inputs: Properties) -> tuple[str | None, str]:
        metadata = inputs.get("metadata") or {}
        namespace = metadata.get("namespace") or api.namespace
        return (namespace if api.is_namespaced(self.kind) else None), str(metadata["name"])

    def _subject(self, namespace: str | None, name: str) -> str:
        return f"{self.kind} {objects.id_of(namespace, name)}"

    def _id(self, live: Mapping[str, Any]) -> str:
        return objects.id_of(live["metadata"].get("namespace"), live["metadata"]["name"])

    @contextmanager
    def _discreet(self, inputs: Properties) -> Iterator[None]:
        """What an API server says about a Secret is told without its values."""
        try:
            yield
        except ProviderError as error:
            if objects.is_secret(self.kind):
                error.args = (objects.masked(str(error), inputs),)
            raise


def _forces(config: ProviderConfig, inputs: Properties) -> bool:
    """Whether fields of others are taken over (`patchForce`, await.go of pulumi-kubernetes)."""
    return is_true(inputs, PATCH_FORCE) or bool(config.inputs.get("enablePatchForce"))
