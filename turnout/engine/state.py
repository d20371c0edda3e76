"""What a stack holds: its resources, and the operations that were begun and never reported finished.

Plain data. Secrets stand inside `inputs` and `outputs` as `turnout.engine.values.Secret`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class ResourceState:
    """One resource as Pulumi's deployment-v3 describes it."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    """`<urn>::<id>` of the provider resource; empty for components and providers themselves."""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    external: bool = False
    """Only read, never managed."""
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: list[str] = field(default_factory=list)
    delete: bool = False
    """Replaced already and still to be deleted: another resource of the same URN is the live one."""
    aliases: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    """Seconds by `create`, `update`, `delete`."""
    import_id: str = ""
    hooks: dict[str, list[str]] = field(default_factory=dict)
    """Names of resource hooks by kind (`before_delete`…), for a delete that runs without the program."""
    init_errors: list[str] = field(default_factory=list)
    """Why the object was made and is not yet what it should be; the next update waits for it again."""
    created: datetime | None = None
    modified: datetime | None = None

    @property
    def name(self) -> str:
        """The logical name: the last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]

    def needs(self) -> set[str]:
        """URNs that must stand before this resource."""
        wanted = {self.parent, provider_urn(self.provider), self.deleted_with, *self.dependencies, *self.replace_with}
        for urns in self.property_dependencies.values():
            wanted.update(urns)
        return wanted - {"", self.urn}


@dataclass(slots=True)
class PendingOperation:
    """An operation that was begun, and of which nobody knows whether it happened."""

    operation: str
    """Pulumi's name of the step: create, update, delete, create-replacement, delete-replaced, read, import."""
    token: str
    """What the provider was given to find the object again."""
    state: ResourceState

    @property
    def urn(self) -> str:
        return self.state.urn


class Snapshot:
    """A stack's state. Resources keep the order in which they came; their URNs change by `rename` only."""

    def __init__(self, resources: Iterable[ResourceState] = (), pending: Iterable[PendingOperation] = ()) -> None:
        self.pending = list(pending)
        self._places = dict(enumerate(resources))
        self._next = len(self._places)
        self._index()

    @property
    def resources(self) -> list[ResourceState]:
        """Every resource; a new list each time."""
        return list(self._places.values())

    def get(self, urn: str) -> ResourceState | None:
        """The live resource of this URN."""
        return next((state for _, state in self._called(urn) if not state.delete), None)

    def put(self, state: ResourceState) -> None:
        """Takes the place of the live resource of the same URN, or comes last."""
        for place, old in self._called(state.urn):
            if old.delete == state.delete and (not state.delete or old.id == state.id):
                self._places[place] = state
                return
        self.append(state)

    def append(self, state: ResourceState) -> None:
        """Comes last, whoever else has its URN."""
        self._places[self._next] = state
        self._by_urn.setdefault(state.urn, []).append(self._next)
        self._next += 1

    def remove(self, state: ResourceState) -> None:
        """Forgets this resource; one that is not here is no error."""
        for place, old in self._called(state.urn):
            if (old.id, old.delete) == (state.id, state.delete):
                del self._places[place]
                self._by_urn[state.urn].remove(place)

    def _called(self, urn: str) -> list[tuple[int, ResourceState]]:
        return [(place, self._places[place]) for place in self._by_urn.get(urn, ())]

    def _index(self) -> None:
        self._by_urn: dict[str, list[int]] = {}
        for place, state in self._places.items():
            self._by_urn.setdefault(state.urn, []).append(place)

    def rename(self, old: str, new: str) -> None:
        """A resource takes another URN (an alias), and so does every reference to it."""

        def renamed(urn: str) -> str:
            return new if urn == old else urn

        for state in self.resources:
            state.urn = renamed(state.urn)
            state.parent = renamed(state.parent)
            state.deleted_with = renamed(state.deleted_with)
            state.dependencies = [renamed(urn) for urn in state.dependencies]
            state.replace_with = [renamed(urn) for urn in state.replace_with]
            state.property_dependencies = {
                name: [renamed(urn) for urn in urns] for name, urns in state.property_dependencies.items()
            }
            if state.provider and provider_urn(state.provider) == old:
                state.provider = f"{new}::{state.provider.rsplit('::', 1)[1]}"
        self._index()

    def doomed(self) -> Iterator[ResourceState]:
        """Replaced resources whose delete is outstanding."""
        return (state for state in self.resources if state.delete)

    def ordered(self) -> list[ResourceState]:
        """Every resource behind those it needs, otherwise in the order in which they came.

        A live resource stands before its replaced namesake, whose dependents may still name the URN."""
        by_urn: dict[str, list[ResourceState]] = {}
        for state in sorted(self.resources, key=lambda state: state.delete):
            by_urn.setdefault(state.urn, []).append(state)
        done: set[int] = set()
        result: list[ResourceState] = []
        for state in self.resources:
            _place(state, by_urn, done, result)
        return result


def provider_urn(reference: str) -> str:
    """The URN in a provider reference `<urn>::<id>`."""
    return reference.rsplit("::", 1)[0] if reference else ""


def _place(state: ResourceState, by_urn: dict[str, list[ResourceState]], done: set[int], result: list[ResourceState]) -> None:
    if id(state) in done:
        return
    done.add(id(state))
    for urn in sorted(state.needs()):
        for needed in by_urn.get(urn, []):
            _place(needed, by_urn, done, result)
    result.append(state)
