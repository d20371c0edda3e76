"""When scheduled things happen: recurrences in a time zone, and one-time `at()` expressions. Pure; the times are wall-clock.

Sources: "Scheduled scaling for Amazon EC2 Auto Scaling" (five fields, time zones, start and end), Amazon EC2 Auto Scaling User
Guide; "Schedule types in EventBridge Scheduler" (`at(yyyy-mm-ddThh:mm:ss)`), Amazon EventBridge Scheduler User Guide.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from turnout_components import cron

_AT = re.compile(r"^at\((?P<when>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$")
_FARTHEST = timedelta(days=8 * 366)
"""How far ahead a recurrence is looked for: a 29 February may be eight years away."""


def zone(name: str | None) -> ZoneInfo:
    """The time zone, UTC where none is named.

    Raises `ValueError` where there is none of this name."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name} is no time zone; name one such as Europe/Berlin") from None


def at(expression: str, time_zone: str | None) -> datetime | None:
    """The time of a one-time schedule, or None for one that recurs.

    Raises `ValueError` where the time zone is unknown."""
    match = _AT.match(expression)
    return datetime.fromisoformat(match["when"]).replace(tzinfo=zone(time_zone)).astimezone(UTC) if match else None


def next_time(recurrence: str, time_zone: str | None, after: datetime) -> datetime | None:
    """The first time of the recurrence after `after`, or None where it never comes.

    A local time that the change to summer time leaves out does not come that day; one that comes twice counts once.
    Raises `ValueError` where recurrence or time zone cannot be read."""
    minutes, hours, days, months, week = cron.values(recurrence)
    _, _, day_field, _, week_field = recurrence.split()
    place = zone(time_zone)
    local = after.astimezone(place)
    day, last = local.date(), (local + _FARTHEST).date()
    while day <= last:
        in_week = day.isoweekday() in week or day.isoweekday() % 7 in week
        both = "*" in (day_field, week_field)
        fits = (day.day in days and in_week) if both else (day.day in days or in_week)
        for hour in sorted(hours) if fits and day.month in months else ():
            for minute in sorted(minutes):
                when = datetime(day.year, day.month, day.day, hour, minute, tzinfo=place)
                found = when.astimezone(UTC)
                if found > after and found.astimezone(place).replace(tzinfo=None) == when.replace(tzinfo=None):
                    return found
        day += timedelta(days=1)
    return None


@dataclass(frozen=True)
class Plan:
    """A scheduled action's times: one-time (`start` alone), or recurring between `start` and `end`."""

    recurrence: str | None
    time_zone: str | None
    start: datetime | None
    end: datetime | None

    def next(self, after: datetime) -> datetime | None:
        """When it happens first after `after`; with a start, first at the start itself."""
        if self.start is not None and self.start > after:
            return self.start if self.end is None or self.start <= self.end else None
        if self.recurrence is None:
            return None
        found = next_time(self.recurrence, self.time_zone, after)
        return None if found is None or (self.end is not None and found > self.end) else found
