"""What a provider offers the engine: one `ResourceType` for each Pulumi type token.

Property names are Pulumi's (camelCase); values are plain Python. Secrets are unwrapped before a provider sees them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

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

    def given(self, inputs: Mapping[str, Any]) -> Any:
        """The physical name in these inputs, or None."""
        return inputs.get(self.property)

    def adopted(self, old_inputs: Mapping[str, Any]) -> Any:
        """The name that an object keeps where the program gives none, or None."""
        return self.given(old_inputs)

    def identity(self, inputs: Mapping[str, Any]) -> Any:
        """What only one object can have; None where the program leaves the name to the engine."""
        return self.given(inputs)

    def is_left_to_others(self, inputs: Mapping[str, Any]) -> bool:
        """Whether the cloud makes up the name, from a prefix."""
        return inputs.get(f"{self.property}Prefix") is not None

    def named(self, inputs: Mapping[str, Any], name: Any) -> Properties:
        """These inputs with a name that the program did not give."""
        return {**inputs, self.property: name}


@dataclass(frozen=True)
class Created:
    """What a create or an adoption found: the id and every output, input-named ones included."""

    id: str
    outputs: Properties
    init_errors: tuple[str, ...] = ()
    """Why the object is there and not yet what it should be (Pulumi's `initErrors`): the next update waits for it again."""


@dataclass(frozen=True)
class Observed:
    """What a read found. `inputs` describes the object as a program would have to: where the live value means the same as
    the old input the old input stands verbatim, so that comparing new inputs with these shows drift and nothing else."""

    inputs: Properties
    outputs: Properties
    init_errors: tuple[str, ...] = ()
    """As of `Created`."""


@dataclass(frozen=True)
class ProviderConfig:
    """An explicit provider's inputs, decoded from JSON text where Pulumi encodes them so."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """Seconds that the program gives the resource at hand (`customTimeouts`), by `create`, `update`, `delete`."""


class ResourceType(Protocol):
    """One resource type. Implementations raise `ProviderError` with a message for the operator."""

    token: str
    inputs: frozenset[str]
    """Accepted inputs; the engine refuses any other by name."""
    replace_on: frozenset[str]
    """Inputs whose change replaces the object, by dotted path (`spec.selector`)."""
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


@runtime_checkable
class Prepares(Protocol):
    """A resource type whose inputs a provider completes before they are compared with the state."""

    def prepare(self, config: ProviderConfig, inputs: Properties) -> Properties:
        """The inputs with what the provider's configuration adds (a default namespace) and with `Secret` around what is one
        by its kind. `UNKNOWN` and `Secret` may stand anywhere, in the configuration too. Calls nothing.

        Raises `ValueError` for a configuration that is refused."""
        ...
