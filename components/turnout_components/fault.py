"""A fault of a value, and its refusal. Also on nodes, which have Python 3.9."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is wrong with a value and how to put it right. `field` is a path below what was checked ("" for itself)."""

    field: str
    value: object
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field} = {self.value!r}: {self.reason}; {self.fix}"


def refuse(faults: Iterable[Fault]) -> None:
    """Raises `ValueError` with a line for each fault."""
    if lines := [str(fault) for fault in faults]:
        raise ValueError("\n".join(lines))
