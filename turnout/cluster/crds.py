"""Puts the custom resources of turnout/cluster/versions.py into a cluster."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from lightkube import ApiError, Client
from lightkube.generic_resource import GenericGlobalResource, create_global_resource

_FIELD_MANAGER = "turnout-crds"
_RESOURCES = {
    kind: create_global_resource(group, "v1", kind, plural)
    for group, kind, plural in (
        ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
    )
}


class CrdError(RuntimeError):
    """A definition is not in force; the message names it."""


def install(client: Client, folder: Path, within: float = 60.0) -> list[str]:
    """Puts in every definition below `folder` and returns their names when the API server serves them all.

    Raises `CrdError` when one is not served `within` these seconds."""
    names = []
    for document in documents(folder):
        _put(client, document)
        if document["kind"] == "CustomResourceDefinition":
            names.append(document["metadata"]["name"])
    _await(client, set(names), within)
    return names


def _put(client: Client, document: dict[str, Any]) -> None:
    """Creates it, and applies what is there already: to apply these large objects costs the API server half as much again."""
    found = _RESOURCES[document["kind"]].from_dict(document)
    try:
        client.create(found, field_manager=_FIELD_MANAGER)
    except ApiError as error:
        if error.status.code != 409:
            raise
        client.apply(found, field_manager=_FIELD_MANAGER, force=True)


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """Every object in the YAML files below the folder, without the status that generators leave."""
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document:
                document.pop("status", None)
                yield document


def _await(client: Client, wanted: set[str], within: float) -> None:
    deadline = time.monotonic() + within
    while missing := wanted - _served(client):
        if time.monotonic() > deadline:
            raise CrdError(f"the API server does not serve {', '.join(sorted(missing))} after {within:.0f} s")
        time.sleep(0.1)


def _served(client: Client) -> set[str]:
    return {_name(found) for found in client.list(_RESOURCES["CustomResourceDefinition"]) if _is_served(found)}


def _is_served(definition: GenericGlobalResource) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)


def _name(definition: GenericGlobalResource) -> str:
    return str(definition.metadata.name) if definition.metadata else ""
