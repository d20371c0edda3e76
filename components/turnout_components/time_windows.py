"""When a rollout may raise weight: times of the week (`Mon-Fri 09:00-16:00 Europe/Berlin`), except in freezes
(`2026-12-20/2027-01-02 Europe/Berlin`).

Days are a list or ranges, every day where none is named; the zone is UTC where none is named. A window whose end is not after
its beginning goes over midnight and belongs to the day on which it begins. A freeze is a day or two with a slash, both
included. Local times that a change of the clocks leaves out or doubles are read as RFC 5545, section 3.3.5 says: the first of
two; by the offset before the gap. `zoneinfo` does so with `fold=0` (PEP 495).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from turnout_components.cron import zone

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CLOCK = re.compile(r"^(\d\d):(\d\d)-(\d\d):(\d\d)$")
_DAY = timedelta(days=1)
_BEFORE = 2
"""Days before today whose windows may still be open: yesterday's over midnight, and one more for a gap in local times."""
_AHEAD = 15
"""Days in which a window comes at least once: a week, and another where the first falls into a gap in local times."""


@dataclass(frozen=True)
class Window:
    """Times of the week. `begin` and `end`: from local midnight of the day on which it begins."""

    days: frozenset[int]
    begin: timedelta
    end: timedelta
    place: ZoneInfo

    def opens(self, now: datetime) -> datetime:
        """`now` where it is open, else when it opens next."""
        first = now.astimezone(self.place).date() - timedelta(days=_BEFORE)
        for day in (first + timedelta(days=each) for each in range(_BEFORE + _AHEAD)):
            begin, end = (_instant(day, offset, self.place) for offset in (self.begin, self.end))
            if day.weekday() in self.days and begin < end and now < end:
                return max(begin, now)
        raise AssertionError("a window comes every week")


@dataclass(frozen=True)
class Freeze:
    """Days on which no window is open."""

    begin: datetime
    end: datetime

    def thaws(self, now: datetime) -> datetime:
        """`now` where it does not freeze, else when it ends."""
        return self.end if self.begin <= now < self.end else now


def closed_until(windows: Sequence[str], freezes: Sequence[str], now: datetime) -> datetime | None:
    """When weight may be raised next, in UTC; None: now. Without windows it may at any time that no freeze covers.

    Raises `ValueError` where one cannot be read."""
    open_times, frozen = [window(text) for text in windows], [freeze(text) for text in freezes]
    moment, settled = now, False
    while not settled:
        later = _next(open_times, frozen, moment)
        moment, settled = later, later == moment
    return None if moment == now else moment.astimezone(UTC)


def _next(windows: Iterable[Window], freezes: Iterable[Freeze], moment: datetime) -> datetime:
    """The next moment that may be open: two in a row are the same where it is."""
    opened = min((each.opens(moment) for each in windows), default=moment)
    return max((each.thaws(opened) for each in freezes), default=opened)


@lru_cache(256)
def window(text: str) -> Window:
    """`[days] HH:MM-HH:MM [zone]`.

    Raises `ValueError`."""
    place = next((index for index, part in enumerate(text.split()) if ":" in part), None)
    parts = text.split()
    if place is None or place > 1 or len(parts) > place + 2:
        raise ValueError(f"{text!r} is no window")
    match = _CLOCK.match(parts[place])
    if match is None:
        raise ValueError(f"{parts[place]!r} is no stretch of a day")
    begin, end = (_offset(hour, minute) for hour, minute in (match.groups()[:2], match.groups()[2:]))
    if begin >= _DAY or begin == end:
        raise ValueError(f"{parts[place]} names nothing; the whole day is 00:00-24:00")
    days = _days(parts[0]) if place else frozenset(range(7))
    named = parts[place + 1] if len(parts) > place + 1 else None
    return Window(days, begin, end if end > begin else end + _DAY, zone(named))


@lru_cache(256)
def freeze(text: str) -> Freeze:
    """`YYYY-MM-DD[/YYYY-MM-DD] [zone]`.

    Raises `ValueError`."""
    dates, _, named = text.strip().partition(" ")
    first, _, last = dates.partition("/")
    try:
        begin = date.fromisoformat(first)
        end = date.fromisoformat(last) if last else begin
    except ValueError:
        raise ValueError(f"{dates!r} is no date and no two dates with a slash") from None
    if end < begin:
        raise ValueError(f"{dates} ends before it begins")
    place = zone(named.strip() or None)
    return Freeze(_instant(begin, timedelta(0), place), _instant(end, _DAY, place))


def _offset(hour: str, minute: str) -> timedelta:
    found = timedelta(hours=int(hour), minutes=int(minute))
    if found > _DAY or int(minute) > 59:
        raise ValueError(f"{hour}:{minute} is no time of a day")
    return found


def _days(text: str) -> frozenset[int]:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon` (over Sunday)."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        found.update(day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
    return frozenset(found)


def _day(text: str) -> int:
    if text.title() not in DAYS:
        raise ValueError(f"{text!r} is no day; the days are {', '.join(DAYS)}")
    return DAYS.index(text.title())


def _instant(day: date, offset: timedelta, place: ZoneInfo) -> datetime:
    """A local time of the day, in UTC."""
    midnight = datetime(day.year, day.month, day.day)
    return (midnight + offset).replace(tzinfo=place).astimezone(UTC)
