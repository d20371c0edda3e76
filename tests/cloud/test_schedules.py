"""Recurrences, time zones, one-time expressions: when they come."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from turnout.cloud import schedules
from turnout.cloud.schedules import Plan, next_time


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
    assert next_time(recurrence, zone, utc(after)) == (utc(found) if found else None)


def test_the_next_time_is_the_first_minute_that_fits() -> None:
    for seed in range(30):
        chance = Random(seed)
        minutes, hours = sorted(chance.sample(range(60), 2)), sorted(chance.sample(range(24), 2))
        recurrence = f"{minutes[0]},{minutes[1]} {hours[0]},{hours[1]} * * *"
        after = utc("2026-01-01T00:00:00") + timedelta(minutes=chance.randrange(100_000))
        minute = after + timedelta(minutes=1)
        while minute.minute not in minutes or minute.hour not in hours:
            minute += timedelta(minutes=1)
        assert next_time(recurrence, None, after) == minute


def test_a_plan_begins_with_its_start_and_ends_with_its_end() -> None:
    start, end = utc("2026-05-01T10:30:00"), utc("2026-05-03T00:00:00")
    once = Plan(None, None, start, None)
    assert once.next(utc("2026-04-01T00:00:00")) == start
    assert once.next(start) is None
    recurring = Plan("0 8 * * *", None, start, end)
    assert recurring.next(utc("2026-04-01T00:00:00")) == start
    assert recurring.next(start) == utc("2026-05-02T08:00:00")
    assert recurring.next(utc("2026-05-02T08:00:00")) is None
    assert Plan("0 8 * * *", None, None, None).next(start) == utc("2026-05-02T08:00:00")


def test_one_time_expressions_are_read_in_their_time_zone_and_others_are_not_one_time() -> None:
    assert schedules.at("at(2026-11-20T13:00:00)", None) == utc("2026-11-20T13:00:00")
    assert schedules.at("at(2026-11-20T13:00:00)", "Asia/Tokyo") == utc("2026-11-20T04:00:00")
    assert schedules.at("rate(5 minutes)", None) is None
    with pytest.raises(ValueError, match="Nowhere/Town is no time zone"):
        schedules.at("at(2026-11-20T13:00:00)", "Nowhere/Town")
