"""Times as an operator writes them in config."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

DURATION = "write a number and s, m, h or d, such as 90s, 10m or 24h"
_DURATION = re.compile(r"^(?P<number>\d{1,6})(?P<unit>[smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: Any) -> Any:
    """`90s`, `10m`, `24h` or `7d` as a timedelta; a timedelta stays what it is.

    Raises `ValueError`."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("is no duration")
    return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})


def written(length: timedelta) -> str:
    """The shortest way to write a duration of whole seconds."""
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[timedelta, BeforeValidator(duration), PlainSerializer(written)]
