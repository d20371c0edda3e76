"""Recurrences of scheduled actions: five fields, whether such a time ever comes, and when.

Source: "Scheduled scaling for Amazon EC2 Auto Scaling" (Amazon EC2 Auto Scaling User Guide): "The supported cron expression
format consists of five fields separated by white spaces: [Minute] [Hour] [Day_of_Month] [Month_of_Year] [Day_of_Week]".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LENGTHS = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_FARTHEST = timedelta(days=8 * 366)
"""How far away a recurrence is looked for: a 29 February may be eight years away."""
_PART = re.compile(r"^(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?$")


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text.upper() in self.words:
            return self.words.index(text.upper()) + self.least
        if not text.isdigit() or not self.least <= int(text) <= self.most:
            raise ValueError(f"the {self.name} {text} is not from {self.least} to {self.most}")
        return int(text)

    def values(self, text: str) -> frozenset[int]:
        chosen: set[int] = set()
        for part in text.split(","):
            match = _PART.match(part)
            if match is None:
                raise ValueError(f"the {self.name} {text!r} cannot be read")
            first = self.number(match["first"]) if match["first"] else self.least
            open_end = match["first"] is None or (match["step"] and match["last"] is None)
            last = self.number(match["last"]) if match["last"] else (self.most if open_end else first)
            if last < first or match["step"] == "0":
                raise ValueError(f"the {self.name} {part!r} names nothing")
            chosen.update(range(first, last + 1, int(match["step"] or 1)))
        return frozenset(chosen)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("day of the week", 0, 7, tuple(_DAYS)),
)


def values(expression: str) -> tuple[frozenset[int], ...]:
    """The values that each of the five fields names; Sunday is 0 and 7.

    Raises `ValueError` where it is no cron expression."""
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"it has {len(parts)} fields and not five")
    return tuple(field.values(part) for field, part in zip(_FIELDS, parts, strict=True))


def fault(expression: str) -> str | None:
    """Why a scheduled action cannot recur so, or None. A day of the month and a day of the week widen each other, as in every
    cron; alone, the day of the month must exist in one of the months."""
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"has {len(parts)} fields and not five (minute, hour, day of the month, month, day of the week)"
    try:
        _, _, days, months, _ = (field.values(part) for field, part in zip(_FIELDS, parts, strict=True))
    except ValueError as error:
        return f"is no cron expression: {error}"
    if parts[4] == "*" and min(days) > max(_LENGTHS[month] for month in months):
        return "names a day that none of its months has"
    return None


def zone(name: str | None) -> ZoneInfo:
    """The time zone, UTC where none is named.

    Raises `ValueError` where there is none of this name."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name} is no time zone; name one such as Europe/Berlin") from None


def next_time(expression: str, time_zone: str | None, after: datetime) -> datetime | None:
    """The first time after `after`, or None where it never comes.

    Raises `ValueError` where expression or time zone cannot be read."""
    place = zone(time_zone)
    day = after.astimezone(place).date()
    for days in range(_FARTHEST.days):
        for when in _times_on(expression, place, day + timedelta(days=days)):
            if when > after:
                return when
    return None


def last_time(expression: str, time_zone: str | None, before: datetime) -> datetime | None:
    """The last time until `before`, or None where there was none.

    Raises `ValueError` where expression or time zone cannot be read."""
    place = zone(time_zone)
    day = before.astimezone(place).date()
    for days in range(_FARTHEST.days):
        past = [when for when in _times_on(expression, place, day - timedelta(days=days)) if when <= before]
        if past:
            return past[-1]
    return None


def _times_on(expression: str, place: ZoneInfo, day: date) -> Iterator[datetime]:
    """The day's times in UTC, in their order. A local time that the change to summer time leaves out does not come that day;
    one that comes twice counts once."""
    minutes, hours, days, months, week = values(expression)
    _, _, day_field, _, week_field = expression.split()
    in_week = day.isoweekday() in week or day.isoweekday() % 7 in week
    both = "*" in (day_field, week_field)
    fits = (day.day in days and in_week) if both else (day.day in days or in_week)
    if not fits or day.month not in months:
        return
    for hour in sorted(hours):
        for minute in sorted(minutes):
            local = datetime(day.year, day.month, day.day, hour, minute)
            found = local.replace(tzinfo=place).astimezone(UTC)
            if found.astimezone(place).replace(tzinfo=None) == local:
                yield found
