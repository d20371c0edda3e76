"""Pulumi's wire format for property values: protobuf Structs with signatures for secrets, outputs and references.

The signatures are those of `pulumi.runtime.rpc`; assets and archives are refused, since no component uses them.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from turnout.engine.values import UNKNOWN, Secret, Unknown

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class WireError(ValueError):
    """A value that the local engine does not take."""


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties in `struct`, with `Secret` and `UNKNOWN` where the wire says so.

    Raises `WireError` for assets and archives."""
    return {key: _from_wire(value) for key, value in json_format.MessageToDict(struct).items()}


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """`properties` for the SDK; what is None is left out, as Pulumi's engine does."""
    struct = struct_pb2.Struct()
    struct.update({key: _to_wire(value) for key, value in properties.items() if value is not None})
    return struct


def _from_wire(value: Any) -> Any:
    if isinstance(value, str):
        return UNKNOWN if value == UNKNOWN_TEXT else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_from_wire(item) for item in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE_KEY)
    if signature is None:
        return {key: _from_wire(item) for key, item in value.items()}
    if signature == SECRET_SIGNATURE:
        return Secret(_from_wire(value["value"]))
    if signature == _RESOURCE:
        return _from_wire(value.get("id") or value["urn"])
    if signature == _OUTPUT:
        inner = _from_wire(value["value"]) if "value" in value else UNKNOWN
        return Secret(inner) if value.get("secret") else inner
    raise WireError("assets and archives are not supported by the local engine")


def _to_wire(value: Any) -> Any:
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": _to_wire(value.value)}
    if isinstance(value, Mapping):
        return {key: _to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_wire(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """`value` without its `Secret` wrappers."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def has_secret(value: Any) -> bool:
    """Whether a secret stands anywhere in `value`."""
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    return isinstance(value, Secret) or (isinstance(value, (list, tuple)) and any(has_secret(item) for item in value))


def has_unknown(value: Any) -> bool:
    """Whether something that only an update will tell stands anywhere in `value`."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    return isinstance(value, Unknown) or (isinstance(value, (list, tuple)) and any(has_unknown(item) for item in value))
