"""A plan as data: what would be created, changed, replaced and deleted, property by property. Pure.

Read from the steps' metadata in the engine events of Pulumi's Automation API, which both engines write.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

UNKNOWN = "[unknown]"
"""What an event holds where a value is known after the update only."""


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
        return self.parent.rpartition("::")[2] or self.name


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
    found = [_change(step, named) for step in steps if step["op"] in list(Operation)]
    order = list(Operation)
    return tuple(sorted(found, key=lambda each: (order.index(each.operation), each.type, each.name)))


def _change(step: Mapping[str, Any], named: Callable[[str], str]) -> Change:
    before, after = (_readable((step.get(side) or {}).get("inputs") or {}, named) for side in ("old", "new"))
    forcing = frozenset(step.get("keys") or ())
    names = step.get("diffs") or () if before and after else ()
    properties = [each for name in names for each in _differences(name, before.get(name), after.get(name), name in forcing)]
    return Change(step["urn"], step["type"], Operation(step["op"]), tuple(properties), before, after)


def _readable(value: Any, named: Callable[[str], str]) -> Any:
    """With names for stand-ins, and JSON documents as what they hold: their parts are compared."""
    if isinstance(value, str):
        return _document(named(value))
    if isinstance(value, Mapping):
        return {key: _readable(item, named) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_readable(item, named) for item in value]
    return value


def _document(text: str) -> Any:
    if not text.startswith(("{", "[")) or text == UNKNOWN:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _differences(path: str, before: Any, after: Any, forces: bool) -> Iterator[Property]:
    """The leaves that differ. Two equal masks hide different secrets, so what is said to differ and looks alike is told."""
    if before == after:
        yield Property(path, before, after, forces)
        return
    yield from _leaves(path, before, after, forces)


def _leaves(path: str, before: Any, after: Any, forces: bool) -> Iterator[Property]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        pairs = [(f"{path}.{key}", before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{path}[{at}]", *both) for at, both in enumerate(zip(before, after, strict=True))]
    else:
        yield Property(path, before, after, forces)
        return
    for place, one, other in pairs:
        if one != other:
            yield from _leaves(place, one, other, forces)
