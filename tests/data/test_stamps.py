"""Which session a stamp belongs to: one market, one clock, and an odd stamp decides for itself."""

from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest

from rnntrade.data import stamps
from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import DataError

pytestmark = pytest.mark.filterwarnings(  # exchange_calendars' own
    "ignore:Series.values returning", "ignore:DatetimeIndex.weekday"
)

PATH = Path("AAA.csv")
ZONES = {
    "XNYS": "America/New_York",
    "XLON": "Europe/London",
    "XETR": "Europe/Berlin",
    "XTKS": "Asia/Tokyo",
    "XASX": "Australia/Sydney",
    "XBOM": "Asia/Kolkata",
    "24/7": "UTC",
}


def read(cells: list[object] | pd.Series, calendar: str = "XNYS") -> list[str]:
    column = pd.Series(cells)
    column = column.set_axis(range(1, len(column) + 1))
    return [f"{day:%Y-%m-%d}" for day in stamps.read(column, calendar, PATH)]


def days(calendar: str, first: str = "2019-02-25", end: str = "2019-04-30") -> pd.DatetimeIndex:
    """Sessions of winter and summer; the clocks change on 10 March and on the 31st."""
    return expected_sessions(calendar, pd.Timestamp(first).date(), pd.Timestamp(end).date())


def written(dates: pd.DatetimeIndex) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in dates]


def midnights(calendar: str, zone: str) -> pd.DatetimeIndex:
    """Midnights of the exchange, on the clock of a zone."""
    return days(calendar).tz_localize(ZONES[calendar]).tz_convert(zone)


@pytest.mark.parametrize("calendar", ZONES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("form", ["text", "stamps"])
def test_midnights_in_any_zone_belong_to_their_own_date(calendar: str, zone: str, form: str):
    own = days(calendar).tz_localize(zone)
    cells = list(own.strftime("%Y-%m-%d %H:%M:%S%z")) if form == "text" else own.to_series()
    assert read(cells, calendar) == written(days(calendar))


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "24/7"])
@pytest.mark.parametrize("clock", ["14:32:00", "16:00:00", "21:00:00"])
def test_a_last_stamp_with_a_clock_time_decides_about_itself_only(calendar: str, clock: str):
    dates = written(days(calendar))
    cells = [f"{day} 00:00:00+00:00" for day in dates]
    cells[-1] = f"{dates[-1]} {clock}+00:00"
    assert read(cells, calendar) == dates


def test_a_last_stamp_after_midnight_in_utc_is_of_the_evening_before_in_new_york():
    cells = ["2019-02-26 00:00:00+00:00", "2019-02-27 00:00:00+00:00", "2019-03-01 02:00:00+00:00"]
    assert read(cells) == ["2019-02-26", "2019-02-27", "2019-02-28"]


@pytest.mark.parametrize("calendar", ZONES)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("form", ["text", "stamps", "epoch"])
def test_midnights_of_the_exchange_on_another_clock_are_taken_to_the_exchange(
    calendar: str, zone: str, form: str
):
    moved = midnights(calendar, zone)
    cells = {
        "text": list(moved.strftime("%Y-%m-%dT%H:%M:%S%z")),
        "stamps": moved.to_series(),
        "epoch": pd.Series(moved.as_unit("s").asi8),
    }[form]
    assert read(cells, calendar) == written(days(calendar))


@pytest.mark.parametrize("calendar", ["XLON", "XETR", "XTKS", "XASX"])
def test_midnights_written_in_utc_without_a_zone_are_taken_to_the_exchange(calendar: str):
    cells = list(midnights(calendar, "UTC").strftime("%Y-%m-%d %H:%M:%S"))
    assert read(cells, calendar) == written(days(calendar))


@pytest.mark.parametrize(
    ("calendar", "zone", "zoned"),
    [
        ("XETR", "Europe/Berlin", True),
        ("XETR", "Europe/Berlin", False),
        ("XLON", "Europe/London", True),
        ("XLON", "Europe/London", False),
        ("XTKS", "Asia/Tokyo", True),
        ("XASX", "Australia/Sydney", True),
        ("XBOM", "Asia/Kolkata", True),
        ("XHKG", "Asia/Hong_Kong", True),
    ],
)
def test_midnights_of_another_exchange_are_refused_with_the_calendar_that_fits(
    calendar: str, zone: str, zoned: bool
):
    moved = days(calendar).tz_localize(zone).tz_convert("UTC")
    cells = list(moved.strftime("%Y-%m-%d %H:%M:%S" + ("%z" if zoned else "")))
    with pytest.raises(DataError, match=f"AAA.csv.*{zone}.*data.calendar={calendar}"):
        read(cells, "XNYS")


@pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XTKS"])
@pytest.mark.parametrize("clock", ["09:30", "16:00", "20:00"])
@pytest.mark.parametrize("zone", ["UTC", "own", ""])
def test_opens_and_closes_belong_to_the_day_of_the_exchange(calendar: str, clock: str, zone: str):
    own = pd.DatetimeIndex([f"{day} {clock}" for day in written(days(calendar))])
    if zone:
        own = own.tz_localize(ZONES[calendar])
    if zone == "UTC":
        own = own.tz_convert("UTC")
    cells = list(own.strftime("%Y-%m-%d %H:%M:%S%z"))
    assert read(cells, calendar) == written(days(calendar))


def test_a_second_before_midnight_ends_its_day_around_the_clock():
    cells = [f"{day}T23:59:59.999Z" for day in written(days("24/7"))]
    assert read(cells, "24/7") == written(days("24/7"))
    weekdays = [f"{day}T23:59:59.999Z" for day in written(days("XETR"))]
    assert read(weekdays, "XETR") == written(days("XETR"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["text", "number"])
def test_times_since_1970_are_read_in_every_unit(unit: str, kind: str):
    own = days("24/7").tz_localize(UTC).as_unit(unit).asi8
    cells = pd.Series(own if kind == "number" else own.astype("str"))
    assert read(cells, "24/7") == written(days("24/7"))


@pytest.mark.parametrize(
    "text",
    [
        *("2019-01-15", "2019/1/15", "2019.01.15", "20190115", "15.01.2019", "15/1/2019"),
        *("1/15/2019", "01-15-2019", "1/15/19", "Jan 15, 2019", "January 15, 2019", "15-Jan-19"),
        *(
            "15-Jan-2019",
            "15JAN2019",
            "2019-Jan-15",
            "Tue, Jan 15, 2019",
            "Tuesday, 15 January 2019",
        ),
        *(
            "2019-01-15T00:00:00Z",
            "2019-01-15 00:00:00.000000",
            "2019-01-15+00:00",
            "20190115 000000",
        ),
        *("15.01.2019 00:00:00.000 GMT+0100", "1/15/2019 12:00:00 AM", "1/15/2019 4:00 PM"),
        *(
            "1/15/2019 16:00:00",
            "2019-01-15 00:00:00 UTC",
            "2019-01-15 00:00:00-05:00",
            "Jan. 15, 2019",
        ),
        "Tue Jan 15 2019 00:00:00 GMT-0500 (Eastern Standard Time)",
    ],
)
def test_dates_are_read_as_vendors_write_them(text: str):
    assert read([text]) == ["2019-01-15"]


def test_one_day_above_12_decides_about_all_rows():
    assert read(["1/4/2019", "1/15/2019"]) == ["2019-01-04", "2019-01-15"]
    assert read(["1/4/2019", "15/4/2019"]) == ["2019-04-01", "2019-04-15"]
    assert read(["30/1/19", "31/1/19", "01/02/19"]) == ["2019-01-30", "2019-01-31", "2019-02-01"]


@pytest.mark.parametrize(
    "cells",
    [
        ["1/15/2019", "15/1/2019"],
        ["2019-01-15", "soon"],
        ["2019-01-15", "2019-02-30"],
        ["43467", "43468"],
        ["0001-01-01", "0001-01-02"],
        ["1.5463E+12", "1.5464E+12"],
        [True, False],
        ["2019-01-15", "2019-01-16 25:00"],
        ["2019-01-15", None],
    ],
)
def test_what_is_no_date_is_shown_with_its_row(cells: list[object]):
    with pytest.raises(DataError, match=r"AAA.csv: .* in row \d is not a date"):
        read(cells)
