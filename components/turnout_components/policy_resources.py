"""A resource as a policy sees it: its inputs or outputs, of which a preview may not know all. Plain values, no Pulumi.

A check yields a `Fault` for what is wrong, and an `Undecided` for what it would have to know and cannot yet: what is not known
is neither taken for right nor for wrong.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from turnout_components.checks import Fault


class _Unknown:
    """What only an update will know."""

    def __repr__(self) -> str:
        return "(not known yet)"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Undecided:
    """A property that is not known yet, and that a check depends on."""

    path: str


Found = Iterable[Fault | Undecided]


@dataclass(frozen=True)
class Resource:
    """`props` are inputs where one resource is judged, outputs where the whole stack is, by Pulumi's names."""

    urn: str
    props: Mapping[str, Any]
    protect: bool = False
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """URNs of the resources that each property comes from."""
    provider: Mapping[str, Any] = field(default_factory=dict)
    """Inputs of its provider."""

    @property
    def stack(self) -> str:
        """The stack in `urn:pulumi:<stack>::<project>::<parents' types$type>::<name>`."""
        return self.urn.split("::")[0].rpartition(":")[2]

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]

    def get(self, path: str) -> Any:
        """What is at `path`, such as `metadataOptions.httpTokens`; None where nothing is."""
        return at(self.props, path)

    def tags(self) -> Any:
        """Tags by key, also where they are a list (an auto scaling group's); UNKNOWN where a key is not known."""
        found = self.get("tags")
        if found is UNKNOWN or isinstance(found, Mapping):
            return found
        by_key = {at(one, "key"): at(one, "value") for one in each(found)}
        return UNKNOWN if UNKNOWN in by_key else by_key


Stack = Sequence[Resource]
StackFound = Iterable[tuple[Resource | None, Fault | Undecided]]


def at(value: Any, path: str) -> Any:
    """What is at a path of keys and indices; None where nothing is, UNKNOWN from where it is not known."""
    for part in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def each(value: Any) -> list[Any]:
    """The members of a list; what is alone is a list of one, as some properties are either."""
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def whole(value: Any) -> int | None:
    """A number, also one that a provider takes as text; None for what is none."""
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def yes(value: Any) -> bool:
    """Whether a property is true, also one that a provider takes as text."""
    return value is True or str(value).lower() == "true"


def of(stack: Stack, *types: str) -> Iterator[Resource]:
    """The stack's resources of these types."""
    return (resource for resource in stack if resource.type in types)


def leads_to(resource: Resource, path: str, target: Resource, output: str) -> bool:
    """Whether what is at `path` comes from `target`, or holds that output of it. Where a property comes from is known before
    its value is."""
    value, members = target.get(output), each(resource.get(path))
    known = value is not None and value is not UNKNOWN
    return target.urn in resource.needs.get(path.partition(".")[0], ()) or (known and value in members)


def document(text: Any) -> Any:
    """A JSON document that is given as text; UNKNOWN where it is not known yet, None where it is none."""
    if text is UNKNOWN or isinstance(text, Mapping):
        return text
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
