"""Which session a date or time stamp of a file belongs to.

Dates are read in the formats that vendors write.  1/4/2019 is January in one country and April in
another: all rows together decide, or the file is refused with both readings.

A midnight, in whatever zone, belongs to its own date, and any other instant to the date of the
exchange's clock.  Each stamp is judged by itself, so that a last one with the time of its download
changes no other.  A file whose stamps are all midnights of the exchange in another zone's clock
(22:00 and 23:00 for Frankfurt in UTC) is converted as a whole.  Where the stamps are midnights of
another exchange, and the sessions of `data.calendar` do not fit, the file is refused.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from rnntrade.data import sessions
from rnntrade.data.formats import first
from rnntrade.errors import DataError

CLOCK = re.compile(
    r"^(?P<day>.*?\d)"
    r"(?:[T ]\s*(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?|\d{6}))?"
    r"(?P<zone>Z| ?(?:UTC|GMT)| ?(?:UTC|GMT)?[+-]\d{2}(?(clock):?|:)\d{2})?"
    r"(?: \(.*\))?$"
)
WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,. ]+", re.IGNORECASE)
EPOCHS = ((10, "s"), (13, "ms"), (16, "us"), (19, "ns"))  # digits at most
YEAR_FIRST = ("%Y %m %d", "%Y%m%d", "%Y %b %d", "%Y %B %d")
MONTH_NAMED = ("%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%d%b%Y", "%d %b %y", "%d%b%y")
DAY_OR_MONTH_FIRST = {"day first": "%d %m %Y", "month first": "%m %d %Y"}
TWO_DIGIT_YEARS = {"day first": "%d %m %y", "month first": "%m %d %y", "year first": "%y %m %d"}
ZONES = {  # calendars to name for a zone
    "America/New_York": ("XNYS",),
    "Europe/London": ("XLON",),
    "Europe/Berlin": ("XETR", "XPAR", "XMIL", "XMAD", "XSWX", "XSTO"),
    "Europe/Helsinki": ("XHEL",),
    "Europe/Istanbul": ("XIST",),
    "Africa/Johannesburg": ("XJSE",),
    "Asia/Kolkata": ("XBOM",),
    "Asia/Hong_Kong": ("XHKG", "XSHG", "XTAI", "XSES"),
    "Asia/Tokyo": ("XTKS",),  # building XKRX takes ten seconds
    "Australia/Sydney": ("XASX",),
    "Pacific/Auckland": ("XNZE",),
    "America/Sao_Paulo": ("BVMF",),
    "America/Chicago": ("CMES",),
    "UTC": ("24/7",),
}
YEARS = (1700, 2200)  # of prices
INSTANT: Final = "datetime64[ns, UTC]"


def read(column: pd.Series, calendar: str, path: Path) -> pd.DatetimeIndex:
    """Return session dates; DataError shows the row and the readings there are."""
    own, instant = _parsed(column, path)
    if own.isna().any():
        raise _no_date(column, own.isna(), path)
    own = own.astype("datetime64[ns]")
    day = own.dt.normalize()
    timed = own.ne(day)
    if not timed.any():
        return pd.DatetimeIndex(day)
    naive = instant.isna()
    instants = instant.where(~naive, own.dt.tz_localize("UTC"))
    zone = sessions.timezone(calendar)
    local = instants.dt.tz_convert(zone).dt.tz_localize(None)
    if _midnights(local) and not _midnights(own):
        return pd.DatetimeIndex(local.dt.normalize()).as_unit("ns")
    moved = local.dt.normalize()
    by_itself = day.where(~timed | naive, moved)
    readings = [by_itself, moved.where(~naive, day), day]
    odd = [_outside(dates, calendar) for dates in readings]
    best = odd.index(min(odd))
    if odd[best] and timed.sum() > 1:
        _refuse_zone(instants, naive, odd[best], calendar, path)
    return pd.DatetimeIndex(readings[best]).as_unit("ns")


def _midnights(stamps: pd.Series) -> bool:
    """All stamps but the last ones, which may be of the day of the download, are midnights."""
    off = stamps.ne(stamps.dt.normalize())
    return int(off.sum()) <= min(1, len(off) - 1)


def _outside(dates: pd.Series, calendar: str) -> int:
    """Count bars on days that are not sessions."""
    earliest, latest = sessions.reach(calendar)
    inside = dates[(dates >= pd.Timestamp(earliest)) & (dates <= pd.Timestamp(latest))]
    if inside.empty:
        return 0
    first, last = inside.min().date(), inside.max().date() + timedelta(days=1)
    return int((~inside.isin(sessions.expected_sessions(calendar, first, last))).sum())


def _refuse_zone(
    instants: pd.Series, naive: pd.Series, odd: int, calendar: str, path: Path
) -> None:
    """Raise DataError if the stamps are midnights of another exchange that fits better."""
    for zone, calendars in ZONES.items():
        local = instants.dt.tz_convert(zone).dt.tz_localize(None)
        if not _midnights(local):
            continue
        dates = local.dt.normalize()
        fits = {name: _outside(dates, name) for name in calendars}
        name = min(calendars, key=lambda name: fits[name])
        if fits[name] < odd and name != calendar:
            written = " written in UTC" if naive.any() else ""
            raise DataError(
                f"{path}: {odd} of its {len(dates)} bars fall on days without a session of "
                f"{calendar}, but its time stamps are midnights of {zone}{written}.  Set "
                f"data.calendar={name}, or the calendar of the exchange in that zone."
            )


def _parsed(column: pd.Series, path: Path) -> tuple[pd.Series, pd.Series]:
    """Return the stamps as written, and as UTC instants; NaT for no date, and where no zone is."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None), column.dt.tz_convert("UTC").astype(INSTANT)
    none = pd.Series(pd.NaT, index=column.index, dtype=INSTANT)
    if column.dtype.kind == "M":
        return column, none
    text = column.astype("str").str.strip()
    if column.dtype.kind in "iuf":
        text = text.str.replace(r"\.0$", "", regex=True)
    if text.str.fullmatch(r"\d{9,19}(?:\.\d*)?").all():
        instant = text.map(_epoch).astype(INSTANT)
        return instant.dt.tz_localize(None), instant
    parts = text.str.extract(CLOCK)
    own = _days(parts["day"], column, path) + _clocks(parts["clock"])
    zone = parts["zone"].str.replace(r"^ |(?:UTC|GMT)(?=.)|:", "", regex=True)
    hours = zone.str.extract(r"^([+-]\d\d)(\d\d)$").astype("float64")
    offset = hours[0] * 60 + hours[1] * hours[0].lt(0).map({True: -1, False: 1})
    offset = offset.where(~zone.isin(["Z", "UTC", "GMT"]), 0.0)
    instant = (own - pd.to_timedelta(offset, unit="min")).dt.tz_localize("UTC").astype(INSTANT)
    return own, instant.where(parts["zone"].notna(), none)


def _epoch(text: str) -> pd.Timestamp:
    """Read a count since 1970; its number of digits tells the unit, from 1973 to 2286."""
    digits = text.partition(".")[0]
    unit = next(unit for most, unit in EPOCHS if len(digits) <= most)
    return pd.Timestamp(int(digits), unit=unit, tz="UTC")


def _clocks(text: pd.Series) -> pd.Series:
    """Return times of day as Timedelta; none at all counts as midnight."""
    text = text.fillna("00:00").str.replace(",", ".").str.replace(r"\.(?=[Mm]|$)", "", regex=True)
    text = text.str.replace(r"^(\d\d)(\d\d)(\d\d)$", r"\1:\2:\3", regex=True)
    half = text.str.extract(r"([AaPp])[Mm]$", expand=False).str.lower()
    bare = text.str.replace(r" ?[AaPp][Mm]$", "", regex=True)
    bare = bare.str.replace(r"^(\d{1,2}:\d{2})$", r"\1:00", regex=True)
    clock = pd.to_timedelta(bare, errors="coerce")
    hours = pd.Timedelta(hours=12)
    clock = clock.where(half.isna() | (clock < hours), clock - hours)  # 12:00 AM is midnight
    clock = clock.where(half.ne("p"), clock + hours).astype("timedelta64[ns]")
    return clock.where(clock < 2 * hours)


def _days(text: pd.Series, column: pd.Series, path: Path) -> pd.Series:
    """Read dates in the one format that fits all rows; DataError if none does, or two do."""
    plain = text.fillna("").str.replace(WEEKDAY, "", regex=True)
    plain = plain.str.replace(r"[\s,./-]+", " ", regex=True).str.strip()
    for layout in (*YEAR_FIRST, *MONTH_NAMED):
        if (days := _dates(plain, layout)).notna().all():
            return days
    short = plain.str.fullmatch(r"\d{1,2} \d{1,2} \d{2}").all()
    layouts = TWO_DIGIT_YEARS if short else DAY_OR_MONTH_FIRST
    read = {order: _dates(plain, layout) for order, layout in layouts.items()}
    fitting = {order: days for order, days in read.items() if days.notna().all()}
    if short:  # 15/1/19 is not of 2015 if the rows would then be out of order
        ordered = {
            order: days
            for order, days in fitting.items()
            if days.is_monotonic_increasing or days.is_monotonic_decreasing
        }
        fitting = ordered or fitting
    elif text.str.contains(".", regex=False).all() and "day first" in fitting:
        return fitting["day first"]  # 02.01.2019 means the same wherever it is written
    if len(fitting) > 1:
        (one_order, one), (other_order, other), *_ = fitting.items()
        row = first(one.ne(other))
        raise DataError(
            f"{path}: {str(column[row])!r} in row {row} can be read as {one[row]:%Y-%m-%d} "
            f"({one_order}) or as {other[row]:%Y-%m-%d} ({other_order}), and no other row decides "
            "it.  Write dates as YYYY-MM-DD."
        )
    if not fitting:  # show a row that the layout of most of the others does not fit
        every = (*YEAR_FIRST, *MONTH_NAMED, *DAY_OR_MONTH_FIRST.values())
        unread = [_dates(plain, layout).isna() for layout in every]
        raise _no_date(column, min(unread, key=lambda wrong: wrong.sum()), path)
    return next(iter(fitting.values()))


def _dates(plain: pd.Series, layout: str) -> pd.Series:
    if layout == "%Y%m%d":
        plain = plain.where(plain.str.fullmatch(r"\d{8}"), "")
    days = pd.to_datetime(plain, format=layout, errors="coerce")
    return days.where(days.dt.year.between(*YEARS)).astype("datetime64[ns]")


def _no_date(column: pd.Series, wrong: pd.Series, path: Path) -> DataError:
    row = first(wrong)
    return DataError(
        f"{path}: {str(column[row])[:40]!r} in row {row} is not a date.  Write dates as YYYY-MM-DD."
    )
