"""Windows and freezes: when they are open, when they open next, the days on which clocks change, and what cannot be read."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnout_components.time_windows import DAYS, closed_until, freeze, window

OFFICE = "Mon-Fri 09:00-16:00 Europe/Berlin"
BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("windows", "now", "opens"),
    [
        ((), "2026-11-21T03:00", None),
        ((OFFICE,), "2026-11-20T08:00", None),
        ((OFFICE,), "2026-11-20T07:59:59", "2026-11-20T08:00"),
        ((OFFICE,), "2026-11-20T14:59:59", None),
        ((OFFICE,), "2026-11-20T15:00", "2026-11-23T08:00"),  # a Friday evening: Monday
        ((OFFICE,), "2026-07-10T14:00", "2026-07-13T07:00"),  # in summer an hour earlier
        (("09:00-16:00",), "2026-11-21T08:00", "2026-11-21T09:00"),  # every day, UTC
        (("00:00-24:00",), "2026-11-21T23:59:59", None),
        (("Sat 00:00-24:00",), "2026-11-22T00:00", "2026-11-28T00:00"),
        (("Sat,Sun 10:00-11:00",), "2026-11-21T12:00", "2026-11-22T10:00"),
        (("fri-mon 10:00-11:00",), "2026-11-23T10:30", None),  # over Sunday
        (("fri-mon 10:00-11:00",), "2026-11-24T10:30", "2026-11-27T10:00"),
        (("Mon 22:00-02:00",), "2026-11-24T01:59", None),  # over midnight it is still Monday's
        (("Mon 22:00-02:00",), "2026-11-24T02:00", "2026-11-30T22:00"),
        (("Mon 22:00-02:00",), "2026-11-23T01:00", "2026-11-23T22:00"),
        (("Mon 22:00-00:00",), "2026-11-24T00:00", "2026-11-30T22:00"),
        (("Mon 09:00-10:00", "Wed 09:00-10:00 America/New_York"), "2026-11-23T10:00", "2026-11-25T14:00"),
        (("09:00-09:30 Asia/Kathmandu",), "2026-11-21T03:00", "2026-11-21T03:15"),
    ],
)
def test_a_window_is_open_or_opens_next(windows: tuple[str, ...], now: str, opens: str | None) -> None:
    assert closed_until(windows, (), utc(now)) == (utc(opens) if opens else None)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        # 2026-03-29: Berlin has no 02:00-03:00. A time in the gap is read by the offset before it.
        ("02:30-05:00 Europe/Berlin", "2026-03-29T01:29", "2026-03-29T01:30"),
        ("02:15-02:45 Europe/Berlin", "2026-03-29T01:14", "2026-03-29T01:15"),
        ("02:45-03:15 Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:45"),  # nothing is left of it that day
        ("Sun 02:45-03:15 Europe/Berlin", "2026-03-29T00:00", "2026-04-05T00:45"),
        ("01:00-03:00 Europe/Berlin", "2026-03-29T00:59", None),
        ("01:00-03:00 Europe/Berlin", "2026-03-29T01:00", "2026-03-29T23:00"),
        # 2026-10-25: 02:00-03:00 comes twice. The first of the two counts.
        ("02:00-02:30 Europe/Berlin", "2026-10-25T00:00", None),
        ("02:00-02:30 Europe/Berlin", "2026-10-25T01:10", "2026-10-26T01:00"),
        ("Sat 22:00-04:00 Europe/Berlin", "2026-10-25T02:59", None),
        ("Sat 22:00-04:00 Europe/Berlin", "2026-10-25T03:00", "2026-10-31T21:00"),
    ],
)
def test_on_days_when_clocks_change(text: str, now: str, opens: str | None) -> None:
    assert closed_until((text,), (), utc(now)) == (utc(opens) if opens else None)


@pytest.mark.parametrize(
    ("windows", "freezes", "now", "opens"),
    [
        ((), ("2026-12-24",), "2026-12-23T23:59:59", None),
        ((), ("2026-12-24",), "2026-12-24T12:00", "2026-12-25T00:00"),
        ((), ("2026-12-24 Europe/Berlin",), "2026-12-23T23:00", "2026-12-24T23:00"),
        ((), ("2026-12-20/2027-01-02",), "2027-01-02T23:59", "2027-01-03T00:00"),
        ((), ("2026-12-24", "2026-12-25"), "2026-12-24T12:00", "2026-12-26T00:00"),  # one follows the other
        ((OFFICE,), ("2026-12-20/2027-01-03 Europe/Berlin",), "2026-12-22T10:00", "2027-01-04T08:00"),
        ((OFFICE,), ("2026-11-23",), "2026-11-20T16:00", "2026-11-24T08:00"),  # the window that comes next is frozen
        (("Mon 22:00-02:00",), ("2026-11-23",), "2026-11-23T12:00", "2026-11-24T00:00"),  # the rest of it
    ],
)
def test_nothing_opens_in_a_freeze(windows: tuple[str, ...], freezes: tuple[str, ...], now: str, opens: str | None) -> None:
    assert closed_until(windows, freezes, utc(now)) == (utc(opens) if opens else None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no window"),
        ("Mon-Fri", "is no window"),
        ("Mon-Fri 9:00-16:00", "'9:00-16:00' is no stretch"),
        ("Mon - Fri 09:00-16:00", "is no window"),
        ("09:00-16:00 Europe/Berlin please", "is no window"),
        ("Mon-Fry 09:00-16:00", "'Fry' is no day; the days are Mon"),
        ("Mon, 09:00-16:00", "'' is no day"),
        ("24:00-24:00", "names nothing; the whole day is 00:00-24:00"),
        ("09:00-09:00", "names nothing"),
        ("09:00-24:01", "24:01 is no time"),
        ("09:60-10:00", "09:60 is no time"),
        ("09:00-16:00 Europe/Berln", "Europe/Berln is no time zone"),
    ],
)
def test_what_is_no_window_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        window(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Christmas", "'Christmas' is no date"),
        ("2026-02-30", "is no date"),
        ("2027-01-02/2026-12-20", "ends before it begins"),
        ("2026-12-24 Mars/Olympus", "Mars/Olympus is no time zone"),
    ],
)
def test_what_is_no_freeze_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        freeze(text)


CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
TEXTS = st.builds(
    lambda days, begin, end, place: f"{','.join(DAYS[day] for day in sorted(days))} {begin}-{end} {place}",
    st.sets(st.integers(0, 6), min_size=1),
    CLOCKS,
    CLOCKS,
    st.sampled_from(("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo")),
).filter(lambda text: text.split()[1][:5] != text.split()[1][6:])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)


def shows(text: str, moment: datetime) -> bool:
    """The same question asked of the wall clock: right on every day without a change of the clocks."""
    days, stretch, place = text.split()
    local = moment.astimezone(ZoneInfo(place))
    begin, end = (time.fromisoformat(part) for part in stretch.split("-"))
    today, yesterday = (DAYS[(local.weekday() - back) % 7] in days for back in (0, 1))
    if begin < end:
        return today and begin <= local.time() < end
    return (today and local.time() >= begin) or (yesterday and local.time() < end)


def changes(text: str, moment: datetime) -> bool:
    """Whether the clocks change within two days."""
    place = ZoneInfo(text.split()[2])
    days = (moment + timedelta(days=each) for each in (-2, 0, 2))
    return len({day.astimezone(place).utcoffset() for day in days}) > 1


@given(TEXTS, MOMENTS)
def test_it_is_open_when_the_wall_clock_says_so(text: str, moment: datetime) -> None:
    if not changes(text, moment):
        assert (closed_until((text,), (), moment) is None) == shows(text, moment)


@given(TEXTS, MOMENTS, st.lists(st.integers(0, 20), max_size=3))
def test_until_it_opens_it_is_closed_and_then_it_is_open(text: str, now: datetime, frozen: list[int]) -> None:
    freezes = [f"{now.date() + timedelta(days=each)}" for each in frozen]
    opens = closed_until((text,), freezes, now)
    if opens is None:
        assert now.date() not in {date.fromisoformat(each) for each in freezes}
        return
    assert opens > now
    assert closed_until((text,), freezes, opens) is None
    for part in range(50):
        assert closed_until((text,), freezes, now + (opens - now) * part / 50) == opens


def test_a_year_of_a_window_has_its_hours() -> None:
    """Minute by minute: the office hours of the 261 working days of 2026, whatever the clocks do."""
    minutes, moment = 0, datetime(2026, 1, 1, tzinfo=BERLIN).astimezone(UTC)
    while (local := moment.astimezone(BERLIN)).year == 2026:
        opens = closed_until((OFFICE,), (), moment)
        if opens is None:
            assert local.weekday() < 5
            assert 9 <= local.hour < 16
            minutes += 15
            moment += timedelta(minutes=15)
        else:
            moment = opens
    assert minutes == 261 * 7 * 60
