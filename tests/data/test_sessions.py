from datetime import UTC, date, datetime

import pandas as pd
import pytest

from rnntrade.data.sessions import expected_sessions, last_settled, reach, timezone
from rnntrade.errors import ConfigError, DataError

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own


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
