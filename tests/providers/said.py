"""Whether a description holds what was declared: every text and number of it, wherever AWS has put it."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from turnout.engine.provider import Properties

_OFF = ("false", "-1", "")
_ON_ITS_OWN = (".DesiredCapacity", ".Alarms")
"""A group grows to its least size and stays there; a policy's alarms are AWS's own, and moto leaves them behind."""


def leaves(node: Any) -> Iterator[str]:
    """Every text, number and boolean, as text in small letters; those of JSON documents too."""
    if isinstance(node, dict):
        for value in node.values():
            yield from leaves(value)
    elif isinstance(node, list):
        for item in node:
            yield from leaves(item)
    elif isinstance(node, str) and node[:1] in "{[" and node:
        yield from leaves(json.loads(node))
    elif isinstance(node, datetime):
        yield f"{node:%Y-%m-%dT%H:%M:%SZ}".lower()
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield f"{node:g}" if abs(node) < 1e6 else str(int(node))
    elif node is not None:
        yield str(node).lower()


def missing(described: Any, declared: Properties) -> dict[str, list[str]]:
    """For each input what of it the description does not say. What is turned off, or left as it is, AWS need not mention."""
    held = set(leaves(described))
    everything = "\n".join(held)
    found = {}
    for name, value in declared.items():
        if isinstance(value, dict) and value.get("enabled") is False:
            continue
        unsaid = [part for part in leaves(value) if part not in _OFF and part not in held and not _within(part, everything)]
        if unsaid:
            found[name] = unsaid
    return found


def _within(part: str, everything: str) -> bool:
    """A name stands in an ARN, a number nowhere but by itself."""
    return len(part) > 2 and not part.replace(".", "").isdigit() and part in everything


def changes(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Where two descriptions differ, by path. What is off, empty or not there is the same; tags have no order."""
    before, after = _by_key(before), _by_key(after)
    if path.endswith(_ON_ITS_OWN) or (before is None and ".attributes." in path):  # moto shows an attribute once it was set
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for name in before.keys() | after.keys():
            found |= changes(before.get(name), after.get(name), f"{path}.{name}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(sorted(before, key=str), sorted(after, key=str), strict=True)
        return {where: what for index, pair in enumerate(pairs) for where, what in changes(*pair, f"{path}[{index}]").items()}
    empty = (None, "", False, "false", [], {}, "None")
    return {} if before == after or (before in empty and after in empty) else {path: (before, after)}


def _by_key(node: Any) -> Any:
    for key, value in (("Key", "Value"), ("TagKey", "TagValue")):
        if isinstance(node, list) and node and all(isinstance(item, dict) and key in item and value in item for item in node):
            return {item[key]: {name: held for name, held in item.items() if name != key} for item in node}
    return node
