"""What a provider offers the engine: one `ResourceType` for each Pulumi type token.

Property names are Pulumi's (camelCase); values are plain Python. Secrets are unwrapped before a provider sees them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Properties = dict[str, Any]


class ProviderError(Exception):
    """A call to the cloud failed or was refused; the message is shown to the operator as it stands."""


class NotFound(ProviderError):
    """The object is gone."""


@dataclass(frozen=True)
class Fault:
    """An input that is refused before anything is touched. `property` is a Pulumi property path ("" for the whole)."""

    property: str
    reason: str


@dataclass(frozen=True)
class AutoName:
    """How a physical name is made where the program gives none: `<logical name>-<random hex>`.

    A logical name that leaves no room is refused, as pulumi-terraform-bridge does (`NewUniqueName`)."""

    property: str
    max_length: int
    random_length: int = 7


@dataclass(frozen=True)
class Created:
    """What a create or an adoption found: the id and every output, input-named ones included."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Observed:
    """What a read found. `inputs` describes the object as a program would have to: where the live value means the same as
    the old input the old input stands verbatim, so that comparing new inputs with these shows drift and nothing else."""

    inputs: Properties
    outputs: Properties


@dataclass(frozen=True)
class ProviderConfig:
    """An explicit provider's inputs, decoded from JSON text where Pulumi encodes them so."""

    inputs: Mapping[str, Any] = field(default_factory=dict)


class ResourceType(Protocol):
    """One resource type. Implementations raise `ProviderError` with a message for the operator."""

    token: str
    inputs: frozenset[str]
    """Accepted inputs; the engine refuses any other by name."""
    replace_on: frozenset[str]
    """Inputs (top level) whose change replaces the object."""
    volatile: frozenset[str]
    """Outputs that any update may change: unknown in the preview of an update."""
    write_only: frozenset[str]
    """Inputs that only `check`, `create`, `find` right after it, and `update` are given, and that stand in no state, event or
    output. Their change alone is no difference: an input beside them (a version) says when to write again."""
    delete_before_replace: bool
    auto_name: AutoName | None

    def check(self, inputs: Properties) -> list[Fault]:
        """What AWS would refuse. Unknown values (`turnout.engine.values.UNKNOWN`) may stand anywhere and pass."""
        ...

    def create(self, config: ProviderConfig, inputs: Properties, token: str) -> Created:
        """Makes the object. `token` is journalled beforehand: an idempotency token or tag by which `find` finds it."""
        ...

    def find(self, config: ProviderConfig, inputs: Properties, token: str) -> Created | None:
        """The object that an interrupted `create` with these inputs and this token has made, if it has."""
        ...

    def read(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties) -> Observed | None:
        """The object as it is, or None when it is gone."""
        ...

    def update(self, config: ProviderConfig, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        """Changes the object from old to new inputs; returns all outputs. Running it twice is harmless."""
        ...

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        """Deletes the object and waits until it is gone; an object already gone is success. `timeout` in seconds."""
        ...
