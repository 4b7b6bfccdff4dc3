"""Whether a table's dates contradict its calendar as a whole, and what would fit them instead.

A few sessions missing or too many are the daily bread of vendors.  Dates contradict the calendar as
a whole when another calendar, or the same dates one day later or earlier (all year, or while
clocks show summer or winter time), explains nearly all of the differences at once; or when the
bars are weekly, monthly or otherwise far apart.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from rnntrade.data.sessions import expected_sessions, timezone
from rnntrade.errors import DataError

FEWEST = 5  # differences that need an explanation ...
SHARE = 0.01  # ... if they are so many of the sessions
EXPLAINED = 0.8  # of the differences, by a calendar that is taken for the right one
STRAY = 0.05  # share of bars on days without a session that is too much without an explanation
SKIPPING = 0.6  # of the bars do not follow on the session before, where bars are sparse
WINDOW = 42  # bars: of so many in a row ...
APART = 3  # ... half are so many sessions apart, where bars are sparse in a part
MAJOR = ("XNYS", "24/7", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XTSE", "XASX", "CMES")
MINOR = (  # tried where no major one fits: Seoul takes seconds
    *("XSHG", "XBOM", "XSWX", "BVMF", "XMIL", "XMAD", "XSTO", "XTAI", "XSES", "XJSE", "XMEX"),
    *("XTAE", "XKRX"),
)
DAY = timedelta(days=1)
RHYTHMS = ((4.5, 9, "weekly"), (12, 17, "fortnightly"), (25, 35, "monthly"), (80, 100, "quarterly"))
SHIFTS = {  # days to add, and in which part of the year
    "": (0, "always"),
    "one day early": (1, "always"),
    "one day late": (-1, "always"),
    "one day early in summer": (1, "summer"),
    "one day late in summer": (-1, "summer"),
    "one day early in winter": (1, "winter"),
    "one day late in winter": (-1, "winter"),
}


@dataclass(frozen=True)
class Fit:
    """How well dates fit a calendar after a shift."""

    calendar: str
    shift: str  # one of SHIFTS
    differences: int  # sessions without a bar, and bars without a session


def rhythm(days: pd.DatetimeIndex, calendar: str) -> str:
    """Return how far apart sparse bars are, as in "weekly"; "" where they are daily enough.

    Sparse are bars of which most skip a session, or half skip two in some part.  A trading halt
    is one gap, and a share that trades on half of the days is not sparse.
    """
    if len(days) < FEWEST:
        return ""
    sessions = expected_sessions(calendar, days[0].date(), days[-1].date() + DAY)
    apart = pd.Series(np.diff(sessions.searchsorted(days)))
    every = (apart >= 2).mean() > SKIPPING
    part = apart.rolling(WINDOW).median().ge(APART)
    if not (every or part.any()):
        return ""
    gaps = pd.Series(np.diff(days) / np.timedelta64(1, "D"))
    gap = gaps.median() if every else gaps.rolling(WINDOW).median().max()
    names = [name for low, high, name in RHYTHMS if low <= gap <= high]
    return names[0] if names else f"{gap:g} days apart"


def misfit(
    days: pd.DatetimeIndex, left_out: pd.DatetimeIndex, calendar: str
) -> tuple[pd.DatetimeIndex, list[Fit]] | None:
    """Return the differences that contradict the calendar, and what explains them, if anything.

    days      of the bars, ascending
    left_out  days without a session whose bars were left out already: no difference to this
              calendar, but part of what another one would have to explain
    returns   None where nothing contradicts the calendar as a whole
    """
    sessions = expected_sessions(calendar, days[0].date(), days[-1].date() + DAY)
    differences = sessions.symmetric_difference(days)
    if len(differences) < FEWEST:
        return None
    year = int(np.bincount(differences.year).argmax())
    for part, first, last, held in (
        (differences, days[0].date() - DAY, days[-1].date() + DAY, len(sessions)),
        (differences[differences.year == year], date(year, 1, 1), date(year, 12, 31), 252),
    ):
        if len(part) >= max(FEWEST, SHARE * held):
            fits = _best(days.union(left_out), calendar, first, last)
            if fits and fits[0].differences <= (1 - EXPLAINED) * len(part):
                return part, fits
    stray = days.difference(sessions)
    return (stray, []) if len(stray) >= max(FEWEST, STRAY * len(days)) else None


def _best(days: pd.DatetimeIndex, calendar: str, first: date, last: date) -> list[Fit]:
    """Return the calendars with the fewest differences: this one alone if it is among them."""
    weekends = (days.day_of_week >= 5).any()  # a shift of weekdays gives some
    shifts = list(SHIFTS) if weekends else [""]
    fits: list[Fit] = []
    for names in ((calendar,), MAJOR, MINOR):
        fits += [fit for name in names for fit in _fits(days, name, first, last, shifts)]
        fewest = min((fit.differences for fit in fits), default=1)
        if not fewest:
            break
    return [fit for fit in fits if fit.differences == fewest]


def _fits(
    days: pd.DatetimeIndex, calendar: str, first: date, last: date, shifts: list[str]
) -> list[Fit]:
    """Compare the dates in [first, last] with a calendar's sessions, after every shift."""
    try:
        sessions = expected_sessions(calendar, first - DAY, last + 2 * DAY)
    except DataError:  # it does not reach so far
        return []
    held = sessions.to_numpy().astype("datetime64[D]")
    summer = _summer(days, timezone(calendar))
    moves = {"always": np.ones(len(days), bool), "summer": summer, "winter": ~summer}
    fits = []
    for shift in shifts:
        add, season = SHIFTS[shift]
        moved = days.to_numpy().astype("datetime64[D]") + np.where(moves[season], add, 0)
        low, high = max(np.datetime64(first), moved.min()), min(np.datetime64(last), moved.max())
        inside = [dates[(dates >= low) & (dates <= high)] for dates in (held, moved)]
        fits.append(Fit(calendar, shift, np.setxor1d(*inside).size))
    return fits


def _summer(days: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """(len(days),) whether the zone's clocks are ahead of where they are in winter, at night."""
    night = days + pd.Timedelta(hours=23)
    moment = night.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
    ahead = night - moment.tz_convert("UTC").tz_localize(None)
    return np.asarray(ahead > ahead.min())
