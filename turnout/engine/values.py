"""Values that a property can hold beside plain Python: secrets, and what is not known yet."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that is never shown and never written in plain text."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


class Unknown:
    """The one value of this type, `UNKNOWN`, stands for what only an update will tell."""

    def __repr__(self) -> str:
        return "[unknown]"


UNKNOWN = Unknown()
