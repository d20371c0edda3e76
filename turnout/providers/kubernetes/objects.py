"""An object between a program's inputs, the API server and the state: its name, its id, its body, its outputs."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from turnout.engine.provider import AutoName, Properties
from turnout.engine.values import Secret
from turnout.providers.kubernetes.annotations import AUTONAMED
from turnout.providers.kubernetes.tokens import Kind

MANAGER = "__fieldManager"
"""The output that holds the object's field manager, as in states of the provider (`fieldManagerKey`, provider.go)."""
SECRET_FIELDS = ("data", "stringData")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MASK = "[secret]"
_SHORTEST = 3


class MetadataName(AutoName):
    """`metadata.name`, made of the logical name and marked by an annotation where the program gives none (`naming.go` of
    pulumi-kubernetes)."""

    def given(self, inputs: Mapping[str, Any]) -> Any:
        metadata = bare(inputs.get("metadata"))
        return bare(metadata.get("name")) or None if isinstance(metadata, Mapping) else metadata

    def adopted(self, old_inputs: Mapping[str, Any]) -> Any:
        metadata = bare(old_inputs.get("metadata"))
        marks = bare(metadata.get("annotations")) if isinstance(metadata, Mapping) else None
        marked = isinstance(marks, Mapping) and bare(marks.get(AUTONAMED)) == "true"
        return self.given(old_inputs) if marked else None

    def identity(self, inputs: Mapping[str, Any]) -> Any:
        """Another namespace has room for the same name."""
        name, metadata = self.given(inputs), bare(inputs.get("metadata"))
        return name if name is None or not isinstance(metadata, Mapping) else (bare(metadata.get("namespace")), name)

    def is_left_to_others(self, inputs: Mapping[str, Any]) -> bool:
        metadata = bare(inputs.get("metadata"))
        return isinstance(metadata, Mapping) and metadata.get("generateName") is not None

    def named(self, inputs: Mapping[str, Any], name: Any) -> Properties:
        wrapped = inputs.get("metadata")
        metadata = {**(bare(wrapped) or {}), "name": name}
        marks = bare(metadata.get("annotations"))
        if marks is None or isinstance(marks, Mapping):
            metadata["annotations"] = {**(marks or {}), AUTONAMED: "true"}
        return {**inputs, "metadata": Secret(metadata) if isinstance(wrapped, Secret) else metadata}


def bare(value: Any) -> Any:
    """A value without the `Secret` around it; what is inside stays wrapped."""
    return value.value if isinstance(value, Secret) else value


def is_secret(kind: Kind) -> bool:
    return kind.api_version == "v1" and kind.name == "Secret"


def manager_of(token: str) -> str:
    """The field manager of an object that is made with this token: one of its own, as the provider gives each
    (`fieldManagerName`, provider.go), and by which an interrupted create is found again."""
    return f"pulumi-kubernetes-{token[:8]}"


def id_of(namespace: str | None, name: str) -> str:
    """`<namespace>/<name>`, or the name of what has no namespace (`fqObjName`, provider.go)."""
    return f"{namespace}/{name}" if namespace else name


def place_of(id: str) -> tuple[str | None, str]:
    """Namespace and name of an id."""
    namespace, slash, name = id.rpartition("/")
    return (namespace, name) if slash else (None, id)


def body(kind: Kind, inputs: Properties, namespace: str | None, name: str) -> dict[str, Any]:
    """What the API server is sent: the inputs with the object's place, without what is null."""
    metadata = {**(inputs.get("metadata") or {}), "name": name}
    metadata.pop("namespace", None)
    if namespace:
        metadata["namespace"] = namespace
    found = _without_nulls({**inputs, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata})
    assert isinstance(found, dict)
    return found


def outputs(kind: Kind, live: Mapping[str, Any], manager: str) -> Properties:
    """What the state keeps: the live object without its managed fields, which change with every look of a controller, and with
    a Secret's values marked."""
    metadata = {name: value for name, value in live["metadata"].items() if name != "managedFields"}
    found = {**live, "metadata": metadata, MANAGER: manager}
    if is_secret(kind):
        marks = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != LAST_APPLIED}
        metadata.update({"annotations": marks} if "annotations" in metadata else {})
        found.update({name: Secret(found[name]) for name in SECRET_FIELDS if found.get(name) is not None})
    return found


def masked(text: str, inputs: Properties) -> str:
    """A message about a Secret without its values, as they are and as they are stored."""
    leaves = {leaf for name in SECRET_FIELDS for leaf in _texts(inputs.get(name)) if len(leaf) >= _SHORTEST}
    for leaf in sorted(leaves, key=len, reverse=True):
        text = text.replace(leaf, MASK)
    return text


def _texts(values: Any) -> Iterator[str]:
    for value in values.values() if isinstance(values, Mapping) else ():
        if isinstance(value, str):
            yield value
            yield from value.splitlines()
            yield base64.b64encode(value.encode()).decode()
            try:
                yield base64.b64decode(value, validate=True).decode()
            except ValueError:
                continue


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value
