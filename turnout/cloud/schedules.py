"""When scheduled things happen: recurrences in a time zone, and one-time `at()` expressions. Pure; the times are wall-clock.

Sources: "Scheduled scaling for Amazon EC2 Auto Scaling" (five fields, time zones, start and end), Amazon EC2 Auto Scaling User
Guide; "Schedule types in EventBridge Scheduler" (`at(yyyy-mm-ddThh:mm:ss)`), Amazon EventBridge Scheduler User Guide.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from turnout_components import cron

_AT = re.compile(r"^at\((?P<when>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$")


def at(expression: str, time_zone: str | None) -> datetime | None:
    """The time of a one-time schedule, or None for one that recurs.

    Raises `ValueError` where the time zone is unknown."""
    match = _AT.match(expression)
    return datetime.fromisoformat(match["when"]).replace(tzinfo=cron.zone(time_zone)).astimezone(UTC) if match else None


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
        found = cron.next_time(self.recurrence, self.time_zone, after)
        return None if found is None or (self.end is not None and found > self.end) else found
