from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd
import pytest

from rnntrade.data.sessions import (
    expected_sessions,
    last_day_over,
    last_settled,
    reach,
    timezone,
)
from rnntrade.errors import ConfigError, DataError

pytestmark = [  # exchange_calendars' own
    pytest.mark.filterwarnings("ignore:Series.values returning"),
    pytest.mark.filterwarnings("ignore:DatetimeIndex.weekday is deprecated"),
]


def days(start: date, end: date, calendar: str = "XNYS") -> list[str]:
    return [str(day.date()) for day in expected_sessions(calendar, start, end)]


def test_holidays_and_weekends_are_no_sessions_and_the_end_is_left_out():
    assert days(date(2018, 11, 30), date(2018, 12, 10)) == [
        *("2018-11-30", "2018-12-03", "2018-12-04"),  # the 5th: mourning for President Bush
        *("2018-12-06", "2018-12-07"),
    ]
    assert days(date(2023, 12, 22), date(2024, 1, 2)) == [
        *("2023-12-22", "2023-12-26", "2023-12-27", "2023-12-28", "2023-12-29"),
    ]


def test_nine_years_of_new_york_have_2264_sessions():
    sessions = expected_sessions("XNYS", date(2015, 1, 1), date(2024, 1, 1))
    assert len(sessions) == 2264
    assert (sessions.tz, sessions.name, sessions.unit) == (None, "date", "ns")


def test_an_empty_range_has_no_sessions():
    assert days(date(2024, 1, 2), date(2024, 1, 2)) == []
    assert days(date(2024, 1, 3), date(2024, 1, 2)) == []


def test_sessions_before_1990_are_known_too():
    assert days(date(1987, 10, 16), date(1987, 10, 21)) == [
        "1987-10-16",
        "1987-10-19",
        "1987-10-20",
    ]


@pytest.mark.parametrize(
    ("now", "settled"),
    [
        ("2024-07-03T17:10:00+00:00", "2024-07-02"),  # early close at 13:00 in New York
        ("2024-07-03T17:16:00+00:00", "2024-07-03"),
        ("2024-07-05T12:00:00+00:00", "2024-07-03"),  # Independence Day
        ("2024-07-05T20:15:00+00:00", "2024-07-03"),  # not yet: exactly 15 minutes
        ("2024-07-05T20:15:01+00:00", "2024-07-05"),
        ("2024-07-07T16:20:00-04:00", "2024-07-05"),  # Sunday
    ],
)
def test_a_session_is_settled_some_minutes_after_its_close(now: str, settled: str):
    assert last_settled("XNYS", datetime.fromisoformat(now)) == pd.Timestamp(settled)


def test_a_clock_without_a_zone_is_a_mistake():
    with pytest.raises(ValueError, match="time zone"):
        last_settled("XNYS", datetime(2024, 7, 3))


def test_an_unknown_calendar_brings_near_names():
    with pytest.raises(ConfigError, match=r"'XNYZ'.*XNYS"):
        expected_sessions("XNYZ", date(2020, 1, 1), date(2021, 1, 1))


def test_other_exchanges_have_their_own_days_and_zone():
    assert "2024-01-15" in days(date(2024, 1, 10), date(2024, 1, 20), "XLON")  # New York rests
    assert "2024-01-13" in days(date(2024, 1, 10), date(2024, 1, 20), "24/7")  # a Saturday
    assert timezone("XLON") == "Europe/London"


def test_a_calendar_that_begins_later_says_so():
    assert reach("XTKS")[0] == date(1997, 1, 1)
    assert days(date(1997, 1, 1), date(1997, 1, 8), "XTKS") == ["1997-01-06", "1997-01-07"]
    with pytest.raises(DataError, match="XTKS knows the sessions of 1997-01-01"):
        expected_sessions("XTKS", date(1996, 1, 1), date(1998, 1, 1))
    with pytest.raises(DataError, match="2035-12-31"):
        last_settled("XNYS", datetime(2036, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("calendar", "session", "holiday"),
    [
        ("XTAE", "2019-04-14", "2019-10-09"),  # a Sunday; the Day of Atonement
        ("TASE", "2026-04-17", "2026-09-21"),  # a Friday, as of 2026; the Day of Atonement
        ("ASEX", "2024-05-07", "2024-05-06"),  # orthodox Easter Monday
        ("XBEL", "2024-05-07", "2024-05-06"),
        ("XCYS", "2024-05-08", "2024-05-06"),
        ("BVB", "2024-05-08", "2024-05-06"),
        ("XBOM", "2025-02-01", "2025-02-26"),  # a Saturday, of the budget
        ("XKRX", "1998-03-07", "1999-03-06"),  # Saturdays: until 1998
        ("XMOS", "2009-01-11", "2009-01-07"),  # one Sunday; Christmas
    ],
)
def test_moving_feasts_and_sessions_at_weekends_are_known(
    calendar: str, session: str, holiday: str
):
    for day, count in ((session, 1), (holiday, 0)):
        start = date.fromisoformat(day)
        end = date.fromordinal(start.toordinal() + 1)
        assert len(expected_sessions(calendar, start, end)) == count, day


CALENDARS = exchange_calendars.get_calendar_names()
SOME = ["XNYS", "NYSE", "XLON", "XTKS", "XTAE", "24/7", "CMES", "XKRX"]


@pytest.mark.parametrize("names", [SOME, pytest.param(CALENDARS, marks=pytest.mark.soak)])
def test_calendars_and_aliases_have_sessions_or_say_which_years_they_know(names):
    assert len(CALENDARS) > 100
    for name in names:
        try:
            assert 180 < len(expected_sessions(name, date(2019, 1, 1), date(2020, 1, 1))) <= 365
        except DataError as error:
            first, last = reach(name)
            message = f"knows the sessions of {first} to {last}, not those of 2019-01-01.  Change"
            assert message in str(error), name  # noqa: PT017 either is right
        assert last_settled(name, datetime(2024, 6, 12, tzinfo=UTC)).year == 2024
        assert ZoneInfo(timezone(name))


def test_a_calendar_the_library_cannot_compute_is_one_line(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise ValueError("Special dates\n" + "2020-01-01 " * 10_000)

    monkeypatch.setattr(exchange_calendars, "get_calendar", broken)
    with pytest.raises(DataError, match=r"cannot compute calendar XTSE .*another") as caught:
        expected_sessions("XTSE", date(1989, 1, 1), date(1990, 1, 1))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("year", [1, 1500, 9998])
def test_a_year_that_no_calendar_reaches_is_told_with_those_it_does(year: int):
    with pytest.raises(DataError, match="XNYS knows the sessions of"):
        expected_sessions("XNYS", date(year, 1, 1), date(year + 1, 1, 1))


@pytest.mark.parametrize(
    ("zone", "close", "now", "last"),
    [
        ("UTC", time.max, "2024-06-12T20:30:00+00:00", "2024-06-11"),
        ("UTC", time.max, "2024-06-13T00:14:00+00:00", "2024-06-11"),
        ("UTC", time.max, "2024-06-13T00:15:00+00:00", "2024-06-12"),
        ("Asia/Tokyo", time(15, 30), "2024-06-12T06:46:00+00:00", "2024-06-12"),
        ("America/New_York", time(17), "2024-06-12T20:30:00+00:00", "2024-06-11"),
    ],
)
def test_a_day_is_over_by_the_clock_of_its_own_zone(zone: str, close: time, now: str, last: str):
    assert last_day_over(zone, close, datetime.fromisoformat(now)) == date.fromisoformat(last)
