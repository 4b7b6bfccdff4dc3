"""When to act after each close, as a rule that schedulers read (RFC 5545, as in calendars).

Clocks show the exchange's own wall time and carry no zone: the scheduler applies the zone, so that
daylight saving moves nothing.
"""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import groupby

from rnntrade.data.sessions import closes, reach

FIRST = date(2026, 1, 1)  # fixed, or the rules would change every day
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def action_times(calendar: str, minutes: int) -> list[datetime]:
    """Return `minutes` after the close of every session from FIRST to the calendar's end.

    A session that closes early is acted on early.
    Errors: ConfigError for an unknown calendar.
    """
    wait = timedelta(minutes=minutes)
    last = reach(calendar)[1]
    return [close + wait for close in closes(calendar, FIRST, last + timedelta(days=1))]


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
            f"DTSTART:{_stamp(min(ruled))}",
            f"RRULE:FREQ=WEEKLY;BYDAY={','.join(DAYS[day] for day in weekdays)}",
            *_dates("EXDATE", ruled - times),
            *_dates("RDATE", times - ruled),
        ]
    )


def _dates(name: str, times: set[datetime]) -> list[str]:
    """One line a year."""
    years = groupby(sorted(times), key=lambda time: time.year)
    return [f"{name}:{','.join(_stamp(time) for time in group)}" for _, group in years]


def _stamp(time: datetime) -> str:
    return f"{time:%Y%m%dT%H%M%S}"
