"""The sessions an exchange held, or will hold, and which of them are over.

Holidays and early closes come from exchange_calendars.  Every date is tz-naive; every clock is not,
but for those of a schedule (RFC 5545, as in calendars): they show the exchange's own wall time, and
the scheduler applies the zone, so that daylight saving moves nothing.

exchange_calendars 4.13 defines its own offsets through `_apply`, which pandas 3.1 has renamed to
`_add_datetime`: without `_import_calendars` Athens, Belgrade, Bucharest, Nicosia and Tel Aviv
cannot be built, and Bombay, Seoul and Moscow lose their sessions on Saturdays and Sundays.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import groupby
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from rnntrade.config import Experiment
from rnntrade.errors import ConfigError, DataError

FIRST = date(2026, 1, 1)  # of a schedule; fixed, or the rules would change every day
STAMP = "%Y%m%dT%H%M%S"
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FIRST_YEAR = 1990  # of a calendar, unless earlier sessions are asked for
LAST_YEAR = 2035
COUNTED = (date(2010, 1, 1), date(2020, 1, 1))  # years whose sessions make the mean one's
EARLIEST_YEAR = 1800  # of any calendar
SETTLING = timedelta(minutes=15)  # after the close, before a bar counts as final
BROKEN = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError)


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
    exchange = _exchange(calendar, max(min(start.year, FIRST_YEAR), EARLIEST_YEAR))
    _require_known(exchange, calendar, start)
    _require_known(exchange, calendar, end - timedelta(days=1))
    held = pd.DatetimeIndex(exchange.calendar.sessions)
    held = held[(held >= pd.Timestamp(start)) & (held < pd.Timestamp(end))]
    return held.as_unit("ns").rename("date")


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


def last_day_over(zone: str, close: time, now: datetime) -> date:
    """Return the last day of a time zone whose `close` lies more than SETTLING before `now`."""
    local = now.astimezone(ZoneInfo(zone)) - SETTLING
    return local.date() if local.time() > close else local.date() - timedelta(days=1)


def timezone(calendar: str) -> str:
    """Return the name of the exchange's time zone, as in America/New_York."""
    return str(_exchange(calendar, FIRST_YEAR).calendar.tz)


def reach(calendar: str) -> tuple[date, date]:
    """Return the first and last day whose sessions are known."""
    exchange = _exchange(calendar, FIRST_YEAR)
    return exchange.first, exchange.last


def action_times(calendar: str, minutes: int) -> list[datetime]:
    """Return `minutes` after the close of every session from FIRST to the calendar's end.

    A session that closes early is acted on early.
    Errors: ConfigError for an unknown calendar.
    """
    last = reach(calendar)[1]
    known = _exchange(calendar, FIRST_YEAR).calendar
    sessions = expected_sessions(calendar, FIRST, last + timedelta(days=1))
    local = known.closes.loc[sessions].dt.tz_convert(known.tz).dt.tz_localize(None)
    return [close.to_pydatetime() + timedelta(minutes=minutes) for close in local]


def recurrence(calendar: str, minutes: int) -> str:
    """Return the rule whose occurrences are the action times, exactly: a line a year and part.

    RRULE   the weekdays at the usual time, for ever: after the calendar's end nothing stops
    EXDATE  days of that rule without a session, or with another close
    RDATE   the times after those other closes
    """
    times = set(action_times(calendar, minutes))
    usual = Counter(time.time() for time in times).most_common(1)[0][0]
    weekdays = sorted({time.weekday() for time in times if time.time() == usual})
    known = (reach(calendar)[1] - FIRST).days + 1
    days = (datetime.combine(FIRST + timedelta(days=day), usual) for day in range(known))
    ruled = {day for day in days if day.weekday() in weekdays}
    return "\n".join(
        [
            f"DTSTART:{min(ruled):{STAMP}}",
            f"RRULE:FREQ=WEEKLY;BYDAY={','.join(DAYS[day] for day in weekdays)}",
            *_dates("EXDATE", ruled - times),
            *_dates("RDATE", times - ruled),
        ]
    )


def _dates(name: str, times: set[datetime]) -> list[str]:
    """One line a year."""
    years = groupby(sorted(times), key=lambda time: time.year)
    return [f"{name}:{','.join(f'{time:{STAMP}}' for time in group)}" for _, group in years]


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
            f"not those of {day}.  Change data.start or data.end, choose another data.calendar, or "
            "install a newer exchange_calendars."
        )


@lru_cache(maxsize=32)
def _exchange(name: str, first_year: int) -> _Exchange:
    """Build a calendar once: most take 0.1 seconds, Seoul takes some."""
    exchanges = _import_calendars()
    first, last = date(first_year, 1, 1), date(LAST_YEAR, 12, 31)
    try:
        return _Exchange(exchanges.get_calendar(name, start=first, end=last), first, last)
    except exchanges.errors.InvalidCalendarName as error:
        known = exchanges.get_calendar_names()
        near = get_close_matches(name.upper(), known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "XNYS is New York, XLON London."
        raise ConfigError(f"no exchange calendar {name!r}.  {hint}") from error
    except (*BROKEN, ValueError):  # its holidays are not known that early, or that late
        pass
    try:
        bounds = type(exchanges.get_calendar(name))
        earliest, latest = bounds.bound_min(), bounds.bound_max()
        first = max(first, earliest.date()) if earliest is not None else first
        last = min(last, latest.date()) if latest is not None else last
        return _Exchange(exchanges.get_calendar(name, start=first, end=last), first, last)
    except (*BROKEN, ValueError) as error:
        cause = " ".join(str(error).split())[:80]
        raise DataError(
            f"exchange_calendars {version('exchange_calendars')} cannot compute calendar {name} "
            f"({type(error).__name__}: {cause}).  Choose another data.calendar."
        ) from error


@cache
def _import_calendars() -> ModuleType:
    """Import exchange_calendars, and give its offsets the method that pandas 3.1 calls."""
    import exchange_calendars as exchanges
    from exchange_calendars import tase_holidays
    from exchange_calendars.pandas_extensions import offsets

    for module in (offsets, tase_holidays):
        for kind in vars(module).values():
            if isinstance(kind, type) and "_apply" in vars(kind):
                kind._add_datetime = kind._apply  # type: ignore[attr-defined]
    changing = offsets.CompositeCustomBusinessDay  # other weekdays in some years
    changing._supports_daily_offset_mask = False  # or pandas looks at one set of weekdays only
    changing._add_datetime = _next_session
    return exchanges  # type: ignore[no-any-return]  # not typed


def _next_session(changing: Any, day: datetime) -> datetime:
    """Return the session after `day`."""
    while True:
        day += timedelta(days=1)
        rule = next(
            (
                rule
                for first, last, rule in changing.business_days
                if (first is None or first <= day) and (last is None or day <= last)
            ),
            changing,
        )
        if np.is_busday(np.datetime64(day.date()), busdaycal=rule.calendar):
            return day
