"""Recurrences and time zones: when they come and when they last came."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from turnout_components import cron


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("recurrence", "zone", "after", "found"),
    [
        ("0 8 * * *", None, "2026-03-01T07:59:59", "2026-03-01T08:00:00"),
        ("0 8 * * *", None, "2026-03-01T08:00:00", "2026-03-02T08:00:00"),
        ("*/15 * * * *", None, "2026-03-01T08:01:00", "2026-03-01T08:15:00"),
        ("30 0 1 1,6,12 *", None, "2026-01-01T00:30:00", "2026-06-01T00:30:00"),
        ("0 9 * * MON-FRI", None, "2026-11-20T09:00:00", "2026-11-23T09:00:00"),
        ("0 9 * * 7", None, "2026-11-20T09:00:00", "2026-11-22T09:00:00"),
        ("0 9 13 * FRI", None, "2026-11-14T00:00:00", "2026-11-20T09:00:00"),
        ("0 0 29 2 *", None, "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 8 * * *", "Europe/Berlin", "2026-07-01T00:00:00", "2026-07-01T06:00:00"),
        ("0 8 * * *", "Europe/Berlin", "2026-12-01T00:00:00", "2026-12-01T07:00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-30T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("0 0 30 2 *", None, "2026-01-01T00:00:00", None),
    ],
)
def test_a_recurrence_comes_next(recurrence: str, zone: str | None, after: str, found: str | None) -> None:
    assert cron.next_time(recurrence, zone, utc(after)) == (utc(found) if found else None)


def test_the_next_time_is_the_first_minute_that_fits() -> None:
    for seed in range(30):
        chance = Random(seed)
        minutes, hours = sorted(chance.sample(range(60), 2)), sorted(chance.sample(range(24), 2))
        recurrence = f"{minutes[0]},{minutes[1]} {hours[0]},{hours[1]} * * *"
        after = utc("2026-01-01T00:00:00") + timedelta(minutes=chance.randrange(100_000))
        minute = after + timedelta(minutes=1)
        while minute.minute not in minutes or minute.hour not in hours:
            minute += timedelta(minutes=1)
        assert cron.next_time(recurrence, None, after) == minute


@pytest.mark.parametrize(
    ("recurrence", "zone", "before", "found"),
    [
        ("0 8 * * *", None, "2026-03-01T07:59:59", "2026-02-28T08:00:00"),
        ("0 8 * * *", None, "2026-03-01T08:00:00", "2026-03-01T08:00:00"),
        ("0 9 * * MON-FRI", None, "2026-11-22T12:00:00", "2026-11-20T09:00:00"),
        ("0 8 * * *", "Europe/Berlin", "2026-12-01T06:30:00", "2026-11-30T07:00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T01:30:00"),
        ("0 0 29 2 *", None, "2026-01-01T00:00:00", "2024-02-29T00:00:00"),
        ("0 0 30 2 *", None, "2026-01-01T00:00:00", None),
    ],
)
def test_a_recurrence_came_last(recurrence: str, zone: str | None, before: str, found: str | None) -> None:
    assert cron.last_time(recurrence, zone, utc(before)) == (utc(found) if found else None)
