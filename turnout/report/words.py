"""Numbers and times as a report writes them."""

import math
from datetime import datetime, timedelta
from enum import StrEnum


class Unit(StrEnum):
    """What a number of a chart or a table is."""

    SHARE = "share"
    SCORE = "score"
    TIMES = "times"
    SECONDS = "seconds"
    RATE = "rate"
    COUNT = "count"
    PLAIN = "plain"


def number(value: float, unit: Unit) -> str:
    """0.0412 as a share is 4.12 %; 0.087 seconds are 87 ms."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    match unit:
        case Unit.SHARE:
            return f"{_short(100 * value)} %"
        case Unit.TIMES:
            return f"{_short(value)} ×"
        case Unit.SECONDS:
            return f"{_short(1000 * value)} ms" if abs(value) < 1 else f"{_short(value)} s"
        case Unit.RATE:
            return f"{_short(value)} /s"
        case Unit.COUNT:
            return f"{value:,.0f}"
        case Unit.SCORE:
            return f"{value:.4g}"
    return _short(value)


def _short(value: float) -> str:
    """Three digits that count, never in powers of ten, with a true minus."""
    if value < 0:
        return f"−{_short(-value)}"
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(value)))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def elapsed(length: timedelta) -> str:
    """75 seconds are 1:15; 90 minutes are 1:30:00."""
    seconds = round(length.total_seconds())
    sign, seconds = ("−", -seconds) if seconds < 0 else ("", seconds)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}" if hours else f"{sign}{minutes}:{seconds:02}"


def moment(at: datetime) -> str:
    """A time with its day."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
