"""The sessions an exchange held, or will hold, and which of them are over.

Holidays and early closes come from exchange_calendars.  Every date is tz-naive; every clock is not.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import pandas as pd

from rnntrade.config import Experiment
from rnntrade.errors import ConfigError, DataError

FIRST_YEAR = 1990  # of a calendar, unless earlier sessions are asked for
LAST_YEAR = 2035
COUNTED = (date(2010, 1, 1), date(2020, 1, 1))  # years whose sessions make the mean one's
SETTLING = timedelta(minutes=15)  # after the close, before a bar counts as final


@dataclass(frozen=True, eq=False)
class _Exchange:
    calendar: Any  # exchange_calendars.ExchangeCalendar
    first: date  # the calendar knows every session of first .. last
    last: date


def expected_sessions(calendar: str, start: date, end: date) -> pd.DatetimeIndex:
    """Return the sessions in [start, end).

    Errors: ConfigError for an unknown calendar, DataError for dates that it does not reach.
    """
    if end <= start:
        return pd.DatetimeIndex([], dtype="datetime64[ns]", name="date")
    exchange = _exchange(calendar, min(start.year, FIRST_YEAR))
    _require_known(exchange, calendar, start)
    _require_known(exchange, calendar, end - timedelta(days=1))
    held = pd.DatetimeIndex(exchange.calendar.sessions)
    held = held[(held >= pd.Timestamp(start)) & (held < pd.Timestamp(end))]
    return held.as_unit("ns").rename("date")


def closes(calendar: str, start: date, end: date) -> list[datetime]:
    """Return when each session in [start, end) closes: the exchange's wall time, without a zone.

    Errors: as expected_sessions.
    """
    sessions = expected_sessions(calendar, start, end)
    known = _exchange(calendar, min(start.year, FIRST_YEAR)).calendar
    local = known.closes.loc[sessions].dt.tz_convert(known.tz).dt.tz_localize(None)
    return [close.to_pydatetime() for close in local]


def last_settled(calendar: str, now: datetime) -> pd.Timestamp:
    """Return the last session whose close lies more than SETTLING before `now` (tz-aware)."""
    if now.tzinfo is None:
        raise ValueError("now must have a time zone")
    exchange = _exchange(calendar, FIRST_YEAR)
    _require_known(exchange, calendar, now.date())
    closes = exchange.calendar.closes  # session -> UTC time
    settled = closes.index[closes < pd.Timestamp(now) - SETTLING]
    if settled.empty:
        raise DataError(f"no session of calendar {calendar} was over at {now:%Y-%m-%d %H:%M %Z}.")
    return pd.Timestamp(settled[-1])


def timezone(calendar: str) -> str:
    """Return the name of the exchange's time zone, as in America/New_York."""
    return str(_exchange(calendar, FIRST_YEAR).calendar.tz)


def reach(calendar: str) -> tuple[date, date]:
    """Return the first and last day whose sessions are known."""
    exchange = _exchange(calendar, FIRST_YEAR)
    return exchange.first, exchange.last


def sessions_per_year(calendar: str) -> int:
    """Return the mean number of sessions a year in COUNTED, rounded: 252 in New York, 365 for 24/7.

    A calendar that does not reach back that far counts the years it knows.
    errors  ConfigError for an unknown calendar
    """
    exchange = _exchange(calendar, FIRST_YEAR)
    begin, end = COUNTED
    if exchange.first >= end:
        begin, end = exchange.first, exchange.last
    begin = max(begin, exchange.first)
    return round(len(expected_sessions(calendar, begin, end)) / ((end - begin).days / 365.25))


def with_sessions_per_year(experiment: Experiment) -> Experiment:
    """Return the experiment with the sessions per year of its calendar, unless it has its own."""
    data = experiment.data
    year = data.sessions_per_year or sessions_per_year(data.calendar)
    return replace(experiment, data=replace(data, sessions_per_year=year))


def _require_known(exchange: _Exchange, name: str, day: date) -> None:
    if not exchange.first <= day <= exchange.last:
        raise DataError(
            f"calendar {name} knows the sessions of {exchange.first} to {exchange.last}, "
            f"not those of {day}.  Change data.start or data.end, or choose another data.calendar."
        )


@lru_cache(maxsize=16)
def _exchange(name: str, first_year: int) -> _Exchange:
    """Build a calendar once: it takes up to a second."""
    import exchange_calendars as exchanges

    first, last = date(first_year, 1, 1), date(LAST_YEAR, 12, 31)
    try:
        return _Exchange(exchanges.get_calendar(name, start=first, end=last), first, last)
    except exchanges.errors.InvalidCalendarName as error:
        known = exchanges.get_calendar_names()
        near = get_close_matches(name.upper(), known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "XNYS is New York, XLON London."
        raise ConfigError(f"no exchange calendar {name!r}.  {hint}") from error
    except ValueError:  # its holidays are not known that early, or that late
        bounds = type(exchanges.get_calendar(name))
        earliest, latest = bounds.bound_min(), bounds.bound_max()
        first = max(first, earliest.date()) if earliest is not None else first
        last = min(last, latest.date()) if latest is not None else last
        return _Exchange(exchanges.get_calendar(name, start=first, end=last), first, last)
