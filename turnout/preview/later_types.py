"""What the local engine can create, imported while the program imports its own: the API of AWS takes a fifth of a second."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Thread

from turnout.engine.program import Order, ProgramSpec, Running, Say
from turnout.engine.provider import ResourceType


class LaterTypes(Mapping[str, ResourceType]):
    """Every resource type by its Pulumi token, known when the first is asked for."""

    @cached_property
    def _types(self) -> Mapping[str, ResourceType]:
        from turnout.providers import registry

        return registry()

    def after(self, program: ProgramSpec) -> ProgramSpec:
        """The program; once it has started, a thread makes the types known."""
        return _LoadingBeside(program, self)

    def __getitem__(self, token: str) -> ResourceType:
        return self._types[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


@dataclass(frozen=True)
class _LoadingBeside:
    program: ProgramSpec
    types: LaterTypes

    def start(self, order: Order, say: Say) -> Running:
        running = self.program.start(order, say)
        Thread(target=len, args=(self.types,), daemon=True).start()
        return running
