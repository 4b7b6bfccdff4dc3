"""The rules, as Prefect's own schedule reads them, against the calendar itself."""

import asyncio
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd
import pytest
from prefect.client.schemas.schedules import MAX_RRULE_LENGTH
from prefect.server.schemas.schedules import RRuleSchedule

from rnntrade.data.sessions import action_times, recurrence, timezone

pytestmark = [  # exchange_calendars' own
    pytest.mark.filterwarnings("ignore:Series.values returning"),
    pytest.mark.filterwarnings("ignore:DatetimeIndex.weekday is deprecated"),
]

NEW_YORK = ZoneInfo("America/New_York")


def fired(calendar: str, minutes: int, year: int) -> list[datetime]:
    """When Prefect's scheduler would start a run in that year."""
    zone = ZoneInfo(timezone(calendar))
    schedule = RRuleSchedule(rrule=recurrence(calendar, minutes), timezone=zone.key)
    start, end = (datetime(year + more, 1, 1, tzinfo=zone) for more in (0, 1))
    dates = asyncio.run(schedule.get_dates(start=start, end=end - timedelta(seconds=1)))
    return [datetime.fromisoformat(day.isoformat()) for day in dates]


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XTKS", "XHKG"])
@pytest.mark.parametrize("minutes", [20, 45])
def test_prefect_acts_after_every_close_and_at_no_other_time(calendar: str, minutes: int):
    known = exchange_calendars.get_calendar(calendar, start="2026-01-01", end="2035-12-31")
    wait = pd.Timedelta(minutes=minutes)
    for year in range(2026, 2036):
        expected = known.closes[known.closes.dt.year == year] + wait
        assert [pd.Timestamp(time) for time in fired(calendar, minutes, year)] == list(expected)


def test_the_clock_on_the_wall_is_the_same_in_summer_and_winter():
    by_day = {time.date(): time for time in fired("XNYS", 45, 2027)}
    march, april = by_day[date(2027, 3, 12)], by_day[date(2027, 3, 15)]  # changed on the 14th
    october, november = by_day[date(2027, 11, 5)], by_day[date(2027, 11, 8)]
    for time in (march, april, october, november):
        assert time.astimezone(NEW_YORK).strftime("%H:%M") == "16:45"
    offsets = [time.astimezone(NEW_YORK).utcoffset() for time in (march, april, october, november)]
    assert [offset / timedelta(hours=1) for offset in offsets if offset] == [-5, -4, -4, -5]


def test_around_a_known_holiday_and_early_close():
    # Thanksgiving 2026 is 26 November; on the 27th New York closes at 13:00
    times = [f"{time.astimezone(NEW_YORK):%d %H:%M}" for time in fired("XNYS", 20, 2026)]
    week = [time for time in times[-28:] if "24" <= time[:2] <= "30"]
    assert week[:4] == ["24 16:20", "25 16:20", "27 13:20", "30 16:20"]


def test_actions_follow_early_closes_on_the_wall_clock_of_the_exchange():
    def closes(calendar: str, first: date, last: date) -> list[datetime]:
        return [time for time in action_times(calendar, 0) if first <= time.date() <= last]

    assert closes("XNYS", date(2026, 11, 25), date(2026, 11, 28)) == [
        datetime(2026, 11, 25, 16, 0),
        datetime(2026, 11, 27, 13, 0),
    ]
    assert closes("XTKS", date(2026, 11, 2), date(2026, 11, 4)) == [
        datetime(2026, 11, 2, 15, 30),
        datetime(2026, 11, 4, 15, 30),
    ]


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XTKS", "XHKG", "24/7"])
def test_a_rule_is_short_enough_for_prefect(calendar: str):
    assert len(recurrence(calendar, 45)) < MAX_RRULE_LENGTH


def test_an_action_after_midnight_belongs_to_the_next_day():
    assert action_times("24/7", 20)[:2] == [
        datetime(2026, 1, 2, 0, 20),
        datetime(2026, 1, 3, 0, 20),
    ]
    assert fired("24/7", 20, 2027)[0].astimezone(ZoneInfo("UTC")).strftime("%m-%d %H:%M") == (
        "01-01 00:20"
    )
