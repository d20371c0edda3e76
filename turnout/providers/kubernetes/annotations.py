"""Annotations by which a program tells the provider how to treat an object (provider/pkg/metadata of pulumi-kubernetes)."""

from collections.abc import Mapping
from typing import Any

from turnout.engine.provider import Fault
from turnout.providers.kubernetes import wait_for

PREFIX = "pulumi.com/"
AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"
TIMEOUT = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
KNOWN = frozenset({AUTONAMED, SKIP_AWAIT, WAIT_FOR, TIMEOUT, PATCH_FORCE, PROPAGATION})
"""`replaceUnready` and `patchFieldManager` are not: nothing of the kit says them."""
_POLICIES = {"foreground": "Foreground", "background": "Background", "orphan": "Orphan"}


def annotation(inputs: Mapping[str, Any], name: str) -> str:
    """Its text; "" where it is not given, or not known yet."""
    metadata = inputs.get("metadata")
    given = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    value = given.get(name) if isinstance(given, Mapping) else None
    return value if isinstance(value, str) else ""


def is_true(inputs: Mapping[str, Any], name: str) -> bool:
    return annotation(inputs, name) == "true"


def timeout(inputs: Mapping[str, Any]) -> float | None:
    """Seconds to wait, where the annotation says so (`TimeoutDuration`, overrides.go of pulumi-kubernetes)."""
    given = annotation(inputs, TIMEOUT)
    return float(given) if given.isdecimal() else None


def propagation(inputs: Mapping[str, Any]) -> str:
    """What becomes of dependents when the object is deleted: Foreground unless told otherwise (`DeletionPropagation`)."""
    return _POLICIES.get(annotation(inputs, PROPAGATION).lower(), "Foreground")


def faults(inputs: Mapping[str, Any]) -> list[Fault]:
    """Annotations of this prefix that the local engine lacks, and values that mean nothing."""
    metadata = inputs.get("metadata")
    given = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(given, Mapping):
        return []
    found = []
    for name, value in given.items():
        if name.startswith(PREFIX) and (reason := _fault(name, value)):
            found.append(Fault(f"metadata.annotations[{name}]", reason))
    return found


def _fault(name: str, value: Any) -> str:
    if name not in KNOWN:
        return "is not supported by the local engine"
    if not isinstance(value, str):
        return ""  # not known yet, or no text at all, which the API server refuses
    if name == TIMEOUT and not value.isdecimal():
        return f"{value!r} is no whole number of seconds"
    if name == PROPAGATION and value.lower() not in _POLICIES:
        return f"{value!r} is none of {', '.join(_POLICIES)}"
    if name in (SKIP_AWAIT, PATCH_FORCE, AUTONAMED) and value not in ("true", "false"):
        return f"{value!r} is neither true nor false"
    if name == WAIT_FOR:
        try:
            wait_for.expressions(value)
        except ValueError as error:
            return str(error)
    return ""
