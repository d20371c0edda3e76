"""A world on paper: cases say what they would make and change, and nothing is called."""

from itertools import count
from typing import Any
from unittest.mock import MagicMock

from tests.providers.conftest import TYPES, World
from turnout.engine.provider import Created, Properties, ProviderConfig


class Named(dict[str, Any]):
    """Outputs of any name, each another."""

    def __init__(self, id: str, given: Properties) -> None:
        super().__init__(given)
        self._id = id

    def __missing__(self, name: str) -> Any:
        return [] if name.endswith("Options") else f"{self._id}-{name}"


class Paper(World):
    """Makes objects of consecutive ids."""

    def __init__(self) -> None:
        super().__init__(ProviderConfig())
        self._ids = count()

    def api(self, service: str) -> Any:
        return MagicMock(name=f"{service}-{next(self._ids)}")

    def make(self, token: str, **inputs: Any) -> Created:
        id = f"{token.rsplit(':', 1)[1]}-{next(self._ids)}"
        made = Created(id, Named(id, inputs))
        self.made.append((TYPES[token], made, inputs))
        return made


def written_changes(case: Any) -> set[str]:
    """The inputs that a case's updates change."""
    world = Paper()
    inputs, found = case.inputs(world), set[str]()
    for change in case.updates(world):
        found |= {name for name, value in change.items() if inputs.get(name) != value}
        inputs = {**inputs, **change}
    return found
