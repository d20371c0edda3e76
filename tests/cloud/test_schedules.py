"""Scheduled actions and one-time expressions: when they come."""

from datetime import UTC, datetime

import pytest

from turnout.cloud import schedules
from turnout.cloud.schedules import Plan


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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
