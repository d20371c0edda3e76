"""A plan as data: what would be created, changed, replaced and deleted, property by property. Pure.

Read from the steps' metadata in the engine events of Pulumi's Automation API, which both engines write (`StepEventMetadata`,
pulumi/pulumi, sdk/go/common/apitype/events.go).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from turnout_components import user_data

from turnout.engine.plan import STACK_TYPE
from turnout.engine.wire import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_TEXT

UNKNOWN = "[unknown]"
"""What an event of the local engine holds where a value is known after the update only."""
SECRET = "[secret]"


class Operation(StrEnum):
    """What happens to a resource. In this order they are told: what can hurt comes first."""

    REPLACE = "replace"
    DELETE = "delete"
    UPDATE = "update"
    CREATE = "create"


@dataclass(frozen=True)
class Property:
    """A place in a resource's inputs with its value before and after, None where it has none. `forces`: a change of it
    replaces the resource."""

    path: str
    before: Any
    after: Any
    forces: bool = False


@dataclass(frozen=True)
class Change:
    """One resource's change; `before` and `after` are all of its inputs."""

    urn: str
    type: str
    operation: Operation
    properties: tuple[Property, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def forced_by(self) -> tuple[str, ...]:
        """The properties that force a replacement."""
        return tuple(dict.fromkeys(each.path.split(".")[0].split("[")[0] for each in self.properties if each.forces))

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "operation": self.operation.value,
            "type": self.type,
            "name": self.name,
            "urn": self.urn,
            "forced_by": list(self.forced_by),
            "properties": [asdict(each) for each in self.properties],
        }


@dataclass(frozen=True)
class Resource:
    """A resource as a revision wants it."""

    urn: str
    type: str
    parent: str
    inputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def pool(self) -> str:
        """The component that it is a part of, or itself."""
        return self.name if f"::{STACK_TYPE}::" in self.parent else self.parent.rpartition("::")[2] or self.name


def resources(steps: Iterable[Mapping[str, Any]], side: str, named: Callable[[str], str] = str) -> tuple[Resource, ...]:
    """All resources before (`old`) or after (`new`) the plan."""
    found = [step.get(side) for step in steps]
    return tuple(
        Resource(state["urn"], state["type"], state.get("parent") or "", _readable(state.get("inputs") or {}, named))
        for state in found
        if state is not None
    )


def changes(steps: Iterable[Mapping[str, Any]], named: Callable[[str], str] = str) -> tuple[Change, ...]:
    """The changes among steps (`StepEventMetadata`), the worst first, then by type and name. `named` makes texts readable."""
    found = [_explained(_change(step, named), step, named) for step in steps if step["op"] in list(Operation)]
    order = list(Operation)
    return tuple(sorted(found, key=lambda each: (order.index(each.operation), each.type, each.name)))


def drifted(step: Mapping[str, Any], named: Callable[[str], str] = str) -> Change | None:
    """What a `refresh` found to be otherwise than recorded: an update or, where it is gone, a deletion by others; None where
    nothing is."""
    if step.get("new") is None:
        return _change({**step, "op": Operation.DELETE}, named)
    found = _change({**step, "op": Operation.UPDATE}, named)
    return found if found.properties else None


def _change(step: Mapping[str, Any], named: Callable[[str], str]) -> Change:
    old, new = ({**_NOTHING, **(step.get(side) or {})} for side in ("old", "new"))
    before, after = (_readable(state["inputs"] or {}, named) for state in (old, new))
    properties: list[Property] = []
    if step.get("old") and step.get("new"):
        forcing = _forcing(step)
        for name in _names(step, before, after):
            values = before.get(name), after.get(name)
            if _alike(*values):  # what others changed of it, or what no input names
                states = tuple(_readable((state["outputs"] or {}).get(name), named) for state in (old, new))
                values = values if states == (None, None) else states
            if not _alike(*values) or name in forcing:
                properties += _differences(name, *values, forcing)
    return Change(step["urn"], step["type"], Operation(step["op"]), tuple(properties), before, after)


def _explained(change: Change, step: Mapping[str, Any], named: Callable[[str], str]) -> Change:
    """With what the engine says to differ also where that means the same, such as a document's spaces: as it is written."""
    if change.properties or change.operation not in (Operation.UPDATE, Operation.REPLACE):
        return change
    olds, news = ((step.get(side) or {}).get("inputs") or {} for side in ("old", "new"))
    forcing = _forcing(step)
    found = [(name, _written(olds.get(name), named), _written(news.get(name), named)) for name in _names(step, olds, news)]
    return replace(change, properties=tuple(Property(*each, any(_overlap(each[0], one) for one in forcing)) for each in found))


def _written(value: Any, named: Callable[[str], str]) -> Any:
    """A document as its text; what is packed by its digest."""
    if not isinstance(value, str) or value == UNKNOWN_TEXT or not isinstance(_readable(value, named), Mapping | list):
        return _readable(value, named)
    return named(value) if value.startswith(("{", "[")) else f"sha256 {hashlib.sha256(value.encode()).hexdigest()[:12]}"


_NOTHING: Mapping[str, Any] = {"inputs": None, "outputs": None}


def _alike(before: Any, after: Any) -> bool:
    """Whether nothing differs; two equal masks may hide different secrets."""
    return bool(before == after) and SECRET not in json.dumps(before)


def _names(step: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The properties that differ: the engine's word for it; where it has none, by comparison."""
    told = [*(step.get("diffs") or ()), *(step.get("detailedDiff") or ()), *(step.get("keys") or ())]
    if not told:
        return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    tops = dict.fromkeys(map(_top, told))
    repeated = {"tagsAll"} if "tags" in tops else set()
    return [name for name in tops if not name.startswith("__") and name not in repeated]


def _forcing(step: Mapping[str, Any]) -> frozenset[str]:
    """Paths whose change replaces the resource: `keys`, more precisely where the detailed difference says so."""
    detailed = step.get("detailedDiff") or {}
    paths = {path for path, one in detailed.items() if str(one.get("diffKind", "")).endswith("-replace")}
    return frozenset(paths | ({_top(key) for key in step.get("keys") or ()} - {_top(path) for path in paths}))


def _top(path: str) -> str:
    """The property that a path begins with."""
    return path.split(".")[0].split("[")[0]


def _readable(value: Any, named: Callable[[str], str]) -> Any:
    """With names for stand-ins; documents as what they hold, so that their parts are compared; masks in one form."""
    if isinstance(value, str):
        return UNKNOWN if value == UNKNOWN_TEXT else _document(named(value), named)
    if isinstance(value, Mapping):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return SECRET
        return {key: _readable(item, named) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, Sequence):
        return [_readable(item, named) for item in value]
    return value


def _document(text: str, named: Callable[[str], str]) -> Any:
    """What a text holds: JSON, or the user data of a node of ours, packed in base64."""
    if text.startswith(("{", "[")) and text not in (UNKNOWN, SECRET):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    files = user_data.unpacked(text)
    if files is None:
        return text
    node = json.loads(files.pop(user_data.NODE))
    scripts = {path: text for path, text in files.items() if not path.startswith(_FROM_NODE)}
    digests = {path: hashlib.sha256(script.encode()).hexdigest()[:12] for path, script in scripts.items()}
    return _readable({**node, "scripts": digests}, named)


_FROM_NODE = "/etc/turnout/"
"""Files that are the node document in other words."""


def _differences(path: str, before: Any, after: Any, forcing: frozenset[str]) -> Iterator[Property]:
    """The leaves that differ; what is said to differ and looks alike as a whole."""
    if before == after:
        yield Property(path, before, after, path in forcing)
        return
    leaves = list(_leaves(path, before, after))
    forces = [any(_overlap(each.path, other) for other in forcing) for each in leaves]
    whole = not any(forces) and path in map(_top, forcing)  # a set's elements have other numbers in the provider
    yield from (replace(each, forces=whole or one) for each, one in zip(leaves, forces, strict=True))


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or stands inside it."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) :][:1] in ("", ".", "[")


def _leaves(path: str, before: Any, after: Any) -> Iterator[Property]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        pairs = [(f"{path}.{key}", before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{path}[{at}]", *both) for at, both in enumerate(zip(before, after, strict=True))]
    else:
        yield Property(path, before, after)
        return
    for place, one, other in pairs:
        if one != other:
            yield from _leaves(place, one, other)
