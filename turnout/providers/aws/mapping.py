"""Between Pulumi's camelCase properties and boto3's members, and what a live object means for the old inputs."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

Renames = Mapping[str, str]
"""Pulumi's name -> boto3's, where they differ by more than the case of letters."""

_NO_RENAMES: Renames = {}
_TRUE = {"true": True, "false": False}


def to_members(shape: Shape, value: Any, renames: Renames = _NO_RENAMES) -> Any:
    """A Pulumi value as boto3 wants it: names by botocore's shape, numbers and booleans from their text.

    A single block stands for a list of one where the shape wants a list. Raises KeyError for a name the shape lacks."""
    if isinstance(shape, StructureShape):
        return {
            (member := _member(shape, renames.get(name, name))): to_members(shape.members[member], inner, renames)
            for name, inner in value.items()
            if inner is not None
        }
    if isinstance(shape, ListShape):
        return [to_members(shape.member, item, renames) for item in (value if isinstance(value, list) else [value])]
    if isinstance(shape, MapShape):
        return dict(value)
    return _scalar(shape.type_name, value)


def _member(shape: StructureShape, name: str) -> str:
    for member in shape.members:
        if member.lower() == name.lower():
            return str(member)
    raise KeyError(f"{shape.name} has no member {name}")


def _scalar(kind: str, value: Any) -> Any:
    if kind == "boolean" and isinstance(value, str):
        return _TRUE[value.lower()]
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("double", "float"):
        return float(value)
    if kind == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def from_members(value: Any, renames: Renames = _NO_RENAMES) -> Any:
    """The way back: boto3's members under Pulumi's names."""
    back = {member.lower(): name for name, member in renames.items()}

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {back.get(key.lower(), key[:1].lower() + key[1:]): walk(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        return node

    return walk(value)


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(value)} for key, value in sorted(tags.items())]


def tag_map(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}


def fits(old: Any, live: Any) -> bool:
    """Whether the live value means what the declared one says. A block's undeclared parts are not compared; lists are sets."""
    if old is None:
        return True
    if isinstance(old, dict):
        return isinstance(live, dict) and all(fits(value, live.get(name)) for name, value in old.items())
    if isinstance(old, list):
        return isinstance(live, list) and len(old) == len(live) and _paired(old, list(live))
    return _same_scalar(old, live)


def _paired(old: list[Any], live: list[Any]) -> bool:
    for item in old:
        match = next((index for index, candidate in enumerate(live) if fits(item, candidate)), None)
        if match is None:
            return False
        del live[match]
    return True


def _same_scalar(old: Any, live: Any) -> bool:
    if old == live:
        return True
    if live is None:
        return old in (False, "")
    if isinstance(old, bool) or isinstance(live, bool):
        return str(old).lower() == str(live).lower()
    try:
        return float(old) == float(live)
    except (TypeError, ValueError):
        return str(old) == str(live)


def same_json(left: Any, right: Any) -> bool:
    """Whether two JSON documents say the same; a lone string equals a list of it, as in IAM policies."""
    try:
        return bool(_canonical(json.loads(left)) == _canonical(json.loads(right)))
    except (TypeError, ValueError):
        return bool(left == right)


def _canonical(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _canonical(value) for key, value in node.items()}
    if isinstance(node, list):
        items = [_canonical(item) for item in node]
        return items[0] if len(items) == 1 else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return node


def reflect(
    old: Mapping[str, Any],
    live: Mapping[str, Any],
    *,
    inputs: frozenset[str],
    defaults: Mapping[str, Any],
    exact: frozenset[str] = frozenset(),
    ordered: frozenset[str] = frozenset(),
    documents: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The inputs that describe the live object: an old one verbatim where the live value means the same.

    `defaults` are the undeclared inputs whose drift shows: AWS's value where a program says nothing. `exact` blocks are
    compared whole, `ordered` lists item by item, `documents` as JSON. What `live` does not hold stays as it was."""
    found = dict(old)
    for name in inputs & live.keys():
        value = live[name]
        if old.get(name) is None:
            if (name in defaults and _departs(defaults[name], value)) or (name in exact and value):
                found[name] = value
        elif name in documents:
            found[name] = old[name] if same_json(old[name], value) else value
        elif name in exact or name in ordered:
            found[name] = old[name] if old[name] == value else value
        elif not fits(old[name], value):
            found[name] = _blend(old[name], value)
    return found


def _departs(default: Any, value: Any) -> bool:
    return bool(value) if default is None else not fits(default, value)


def _blend(old: Any, live: Any) -> Any:
    """The live value in the declared one's form: only its parts, and its items in its order where there are as many."""
    if isinstance(old, dict) and isinstance(live, dict):
        return {name: value if fits(value, live.get(name)) else _blend(value, live.get(name)) for name, value in old.items()}
    if isinstance(old, list) and isinstance(live, list) and len(old) == len(live):
        rest, found = list(live), []
        for item in old:
            rest.remove(nearest := max(rest, key=lambda candidate: _likeness(item, candidate)))
            found.append(item if fits(item, nearest) else _blend(item, nearest))
        return found
    return live


def _likeness(old: Any, live: Any) -> int:
    """How many parts of a declared item a live one has; texts, which name things, before numbers; a whole fit counts most."""
    if fits(old, live):
        return sys.maxsize
    if isinstance(old, dict) and isinstance(live, dict):
        alike = [value for name, value in old.items() if value is not None and fits(value, live.get(name))]
        return sum(100 if isinstance(value, str) else 1 for value in alike)
    return 0
