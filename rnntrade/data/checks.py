"""What must hold before bars are stored (errors), and what a reader should know (warnings).

Errors: dates that are not ascending, unique, tz-naive days; missing or infinite numbers; prices
not above 0; a high below, or a low above, another price of its session by more than TOLERANCE
(vendors round each price on its own); negative volume; prices that never change; bars that are
weekly or sparser; dates that contradict the calendar as a whole (see `fit`); weekends that repeat
Friday although the calendar trades on them; prices that leap by SPIKE and come straight back, or
change their unit by a power of ten from 100 on, with no more volume than usual.
Warnings: sessions missing or not in the exchange's calendar, bars left out, bars that begin late or
end early, a close that jumps by more than JUMP, a close as quoted that stays unchanged STALE
sessions in a row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from rnntrade.data.fit import SHIFTS, Fit, misfit, rhythm
from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import DataError
from rnntrade.types import FIELDS

TOLERANCE = 1e-4  # relative
JUMP = 0.40  # of the close, in one session
STALE = 5  # sessions in a row without a change
CONSTANT = 10  # bars that must not all be equal
SPIKE = 5.0  # times the price, or a fifth of it
BACK = 20  # sessions within which a spike comes back ...
NEAR = 1.25  # ... to a price this many times the old one, at most
COARSE = 20  # ticks: a lower price that recurs may leap from one tick to the next
RECURRING = 5  # bars
BUSY = 5.0  # times the usual volume: then a fall to a hundredth is a crash
FILLED = 0.8  # of the weekends repeat Friday, where a market was closed
SHOWN = 5  # sessions named in a message
NONE = pd.DatetimeIndex([])


@dataclass(frozen=True)
class Finding:
    """Something wrong, or remarkable, about one ticker's bars."""

    severity: Literal["error", "warning"]
    check: str
    ticker: str
    message: str  # one sentence, beginning with the ticker
    sessions: tuple[str, ...]  # YYYY-MM-DD; the first and last where bars begin late or end early


def check(
    bars: pd.DataFrame,
    ticker: str,
    calendar: str,
    start: date,
    end: date,
    left_out: pd.DatetimeIndex = NONE,
) -> list[Finding]:
    """Return all findings about bars that should cover [start, end), errors first.

    left_out  days whose bars `leave_out` took away
    """
    findings = [*_dates(bars), *_numbers(bars)]
    if not bars.empty and not any(finding.check == "dates" for finding in findings):
        leaps = [] if findings else _leaps(bars)
        findings += _calendar(bars, calendar, left_out)
        findings += [*leaps, *_coverage(bars, calendar, start, end), *_moves(bars)]
    if len(left_out):
        what = f"{_count(left_out, 'bar')} left out, on days without a session of {calendar}:"
        findings.append(warning("left_out", what, left_out))
    return named(ticker, findings)


def named(ticker: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings as sentences about a ticker."""
    return [replace(f, ticker=ticker, message=f"{ticker}: {f.message}.") for f in findings]


def warning(name: str, what: str, sessions: pd.Index = NONE) -> Finding:
    """Return what a reader should know about some sessions, for `named`."""
    return _error(name, what, sessions, "warning")


def _error(
    name: str, what: str, sessions: pd.Index = NONE, severity: Literal["error", "warning"] = "error"
) -> Finding:
    days = tuple(str(day)[:10] for day in sessions)
    more = f" and {len(days) - SHOWN} more" if len(days) > SHOWN else ""
    message = f"{what} {', '.join(days[:SHOWN])}{more}".rstrip()
    return Finding(severity, name, "", message, days)


def leave_out(bars: pd.DataFrame, calendar: str, every: bool) -> pd.DataFrame:
    """Return the bars without those on days that have no session and repeat the bar beside them.

    every  leave out those that do not repeat a bar, too: dates are known to be right
    """
    if bars.empty or any(_dates(bars)):
        return bars
    first, last = bars.index[0].date(), bars.index[-1].date()
    sessions = expected_sessions(calendar, first, last + timedelta(days=1))
    return bars[bars.index.isin(sessions) | ~(repeated(bars) | every)]


def repeated(bars: pd.DataFrame) -> pd.Series:
    """(T,) whether all prices equal those of the bar before or after, or the close before."""
    prices = bars[["open", "high", "low", "close"]]
    before = (prices == prices.shift()).all(axis="columns")
    after = (prices == prices.shift(-1)).all(axis="columns")
    return before | after | prices.eq(bars["close"].shift(), axis="index").all(axis="columns")


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise one DataError with all errors among the findings, if there are any."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        ticker = errors[0].ticker
        causes = "; ".join(error.message.removeprefix(f"{ticker}: ")[:-1] for error in errors)
        raise DataError(
            f"{ticker}: unusable prices: {causes}.  Mend the source, change data.start or "
            "data.end, or leave the ticker out of data.tickers."
        )


def _dates(bars: pd.DataFrame) -> Iterator[Finding]:
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is not None or index.hasnans:
        yield _error("dates", "the index is not of plain dates")
        return
    if len(double := index[index.duplicated()].unique()):
        yield _error("dates", "more than one bar on", double)
    elif not index.is_monotonic_increasing:
        yield _error("dates", "dates go back at", index[1:][index[1:] < index[:-1]])
    if len(clock := index[index != index.normalize()]):
        yield _error("dates", "a time of day on", clock)


def _numbers(bars: pd.DataFrame) -> Iterator[Finding]:
    prices, high, low = bars[["open", "high", "low", "close"]], bars["high"], bars["low"]
    missing = ~np.isfinite(bars[list(FIELDS)].to_numpy("float64")).all(axis=1)
    below = (bars.drop(columns="volume") <= 0).any(axis="columns")
    for name, what, rows in (
        ("missing_number", "missing or infinite numbers on", missing),
        ("price", "prices that are not above 0 on", below),
        ("high", "a high below another price on", prices.max(axis=1) > high + _rounding(high)),
        ("low", "a low above another price on", prices.min(axis=1) < low - _rounding(low)),
        ("volume", "a negative volume on", bars["volume"] < 0),
    ):
        if rows.any():
            yield _error(name, what, bars.index[rows])
    if len(bars) >= CONSTANT and (bars["raw_close"] == bars["raw_close"].iloc[0]).all():
        level = f"the close is {bars['raw_close'].iloc[0]:g} in all {len(bars)} sessions"
        yield _error("constant", level)


def _rounding(prices: pd.Series) -> pd.Series:
    return TOLERANCE * prices.abs()


def _calendar(bars: pd.DataFrame, calendar: str, left_out: pd.DatetimeIndex) -> Iterator[Finding]:
    """Refuse dates that contradict the calendar as a whole; name what fits."""
    days = pd.DatetimeIndex(bars.index)
    weekends = bars.index[days.day_of_week >= 5]
    copies = weekends[repeated(bars)[weekends]]
    if sparse := rhythm(days, calendar):
        span = f"{len(days)} from {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}"
        yield _error("sparse", f"bars are {sparse}: {span}; daily bars are needed")
    elif len(copies) >= max(SHOWN, FILLED * len(weekends)):
        what = (
            f"{len(copies)} bars at weekends repeat the bar beside them: set data.calendar to the "
            "exchange's own, which is closed then; such bars are"
        )
        yield _error("filled", what, copies)
    elif found := misfit(days, left_out, calendar):
        differences, fits = found
        strays = differences.intersection(days)
        what = (
            f"dates contradict calendar {calendar}: {_count(strays, 'bar')} where it has no "
            f"session, {len(differences) - len(strays)} sessions without a bar; "
            f"{_cure(fits, calendar)}; they differ on"
        )
        yield _error("calendar", what, differences)


def _cure(fits: list[Fit], calendar: str) -> str:
    if not fits:
        return "no likely calendar fits better"
    shift = fits[0].shift
    names = list(dict.fromkeys(fit.calendar for fit in fits if fit.shift == shift))
    several = " or ".join(names[:4])
    if not shift:
        filled = ", or remove these bars if they were filled in" if "24/7" in names else ""
        return f"they fit {several}: set data.calendar to it{filled}"
    other = "later" if SHIFTS[shift][0] > 0 else "earlier"
    zone = "" if calendar in names else f"set data.calendar to {several} if times have a zone, or "
    return (
        f"they are {shift}: a day {other} they fit {several}, which comes of times in another "
        f"zone; {zone}write the exchange's own dates"
    )


def _leaps(bars: pd.DataFrame) -> list[Finding]:
    """Refuse prices that leap and come straight back, and changes of unit."""
    close, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.append(0.0, np.log10(close[1:] / close[:-1]))
        leaps = np.flatnonzero(np.abs(size) >= np.log10(SPIKE))
    astray: list[int] = []  # rows of a wrong level
    units: list[int] = []  # rows from which on the unit is another one
    done = 0
    for row in leaps:
        before, usual = close[row - 1], np.median(volume[max(row - BACK, 0) : row])
        if row < done or _is_coarse(close, min(before, close[row])):
            continue
        back = leaps[(leaps > row) & (leaps <= row + BACK)]
        back = back[np.abs(np.log10(close[back] / before)) <= np.log10(NEAR)]
        power = abs(size[row])
        if len(back):
            astray += range(row, back[0])
            done = back[0] + 1
        elif power >= 2 - np.log10(NEAR) and abs(power - round(power)) <= np.log10(NEAR):
            crash = size[row] < 0 and volume[row] > BUSY * usual
            units += [] if crash else [int(row)]
    spike = (
        f"prices leap by more than {SPIKE:g} times and come straight back (another unit, or a "
        "wrong price) on"
    )
    unit = "prices change by a power of ten, as from pence to pounds, on"
    wrong = (("spike", spike, astray), ("unit", unit, units))
    return [_error(name, what, bars.index[rows]) for name, what, rows in wrong if rows]


def _is_coarse(close: np.ndarray, low: float) -> bool:
    """Say whether a low price recurs, and is a few ticks."""
    ticks = np.diff(np.unique(close[close <= SPIKE * low]))
    recurs = (close == low).sum() >= RECURRING
    return bool(recurs and len(ticks) and low < COARSE * ticks.min())


def _coverage(bars: pd.DataFrame, calendar: str, start: date, end: date) -> Iterator[Finding]:
    expected = expected_sessions(calendar, start, end)
    index = pd.DatetimeIndex(bars.index)
    missing, extra = expected.difference(index), index.difference(expected)
    for name, edge, outside in (
        ("late_start", f"begin on {index[0]:%Y-%m-%d}", missing[missing < index[0]]),
        ("early_end", f"end on {index[-1]:%Y-%m-%d}", missing[missing > index[-1]]),
    ):
        if len(outside):
            first, last = str(outside[0])[:10], str(outside[-1])[:10]
            span = f"{_count(outside, 'session')} of {calendar}, {first} to {last}"
            yield Finding("warning", name, "", f"bars {edge}; {span}, have none", (first, last))
    inside = missing[(missing > index[0]) & (missing < index[-1])]
    if len(inside):
        what = f"no bar on {_count(inside, 'session')} of {calendar}:"
        yield warning("missing_session", what, inside)
    if len(extra):
        what = f"{_count(extra, 'bar')} on days without a session of {calendar}:"
        yield warning("extra_session", what, extra)


def _moves(bars: pd.DataFrame) -> Iterator[Finding]:
    change = bars["close"].pct_change(fill_method=None)
    if (jumps := change.abs() > JUMP).any():
        yield warning("jump", f"the close moves by more than {JUMP:.0%} on", bars.index[jumps])
    still = bars["raw_close"].diff().eq(0)
    run = still.groupby((~still).cumsum()).cumsum()  # sessions without a change so far
    if (stale := run >= STALE).any():
        what = f"the close has not changed for {STALE} or more sessions on"
        yield warning("stale", what, bars.index[stale])


def _count(days: pd.Index, noun: str) -> str:
    return f"{len(days)} {noun}{'' if len(days) == 1 else 's'}"
