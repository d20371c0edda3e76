"""Who owns which field of an object: its `metadata.managedFields` ("Server-Side Apply", Kubernetes).

A set of fields is a tree as in FieldsV1: `f:<name>` a field, `k:<json>` an item of a list of maps by its keys, `v:<json>` a
value in a set, `.` the thing itself.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Tree = Mapping[str, Any]
TAKEN_OVER = (
    # (beginning of the manager's name, operation)
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
)
"""Managers whose fields an update takes over (`fixCSAFieldManagers`, await.go of pulumi-kubernetes): what a person did by
kubectl is no other controller's claim."""


def entries(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The managed-fields entries of a live object."""
    return list((live.get("metadata") or {}).get("managedFields") or [])


def is_managed_by(live: Mapping[str, Any], manager: str) -> bool:
    """Whether this manager ever wrote the object and still owns a field of it."""
    return any(entry.get("manager") == manager for entry in entries(live))


def everything(live: Mapping[str, Any]) -> Tree:
    """All managed fields together, whoever owns them: they tell how a list's items are told apart."""
    return _union(entry.get("fieldsV1") or {} for entry in entries(live))


def taken_over(live: Mapping[str, Any], manager: str) -> list[dict[str, Any]] | None:
    """The entries as they stand after `manager` took over, for its applies, what it wrote by its create and what kubectl wrote;
    None where there is nothing to take."""
    old = entries(live)
    taken = [entry for entry in old if _is_taken(entry, manager)]
    if not taken:
        return None
    own = [entry for entry in old if entry.get("manager") == manager and entry.get("operation") == "Apply"]
    fields = _union(entry.get("fieldsV1") or {} for entry in [*own, *taken])
    first = (own or taken)[0]
    merged = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": first["apiVersion"],
        "time": first.get("time"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return [*(entry for entry in old if entry not in own and entry not in taken), merged]


def holders(live: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Managers that own what stands at a path of FieldsV1 steps."""
    return [str(entry.get("manager")) for entry in entries(live) if _has(entry.get("fieldsV1") or {}, path)]


def value_step(value: Any) -> str:
    """The step to a value in a set."""
    return f"v:{json.dumps(value, separators=(',', ':'))}"


def _is_taken(entry: Mapping[str, Any], manager: str) -> bool:
    name, operation = str(entry.get("manager") or ""), entry.get("operation")
    if entry.get("subresource"):
        return False
    return (name == manager and operation == "Update") or any(name.startswith(n) and operation == o for n, o in TAKEN_OVER)


def _has(tree: Tree, path: tuple[str, ...]) -> bool:
    return not path or (path[0] in tree and _has(tree[path[0]] or {}, path[1:]))


def _union(trees: Iterable[Tree]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for tree in trees:
        for step, below in tree.items():
            result[step] = _union([result.get(step) or {}, below or {}])
    return result
