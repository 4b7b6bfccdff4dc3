"""What must hold before bars are stored (errors), and what a reader should know (warnings).

Errors: dates that are not ascending, unique, tz-naive days; missing or infinite numbers; prices
not above 0; a high below, or a low above, another price of its session by more than TOLERANCE
(vendors round each price on its own); negative volume; prices that never change.
Warnings: sessions missing or not in the exchange's calendar, bars that begin late or end early, a
close that jumps by more than JUMP, a close as quoted that stays unchanged STALE sessions in a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import DataError
from rnntrade.types import FIELDS

TOLERANCE = 1e-4  # relative
JUMP = 0.40  # of the close, in one session
STALE = 5  # sessions in a row without a change
CONSTANT = 10  # bars that must not all be equal
SHOWN = 5  # sessions named in a message


@dataclass(frozen=True)
class Finding:
    """Something wrong, or remarkable, about one ticker's bars."""

    severity: Literal["error", "warning"]
    check: str
    ticker: str
    message: str  # one sentence, beginning with the ticker
    sessions: tuple[str, ...]  # YYYY-MM-DD; the first and last where bars begin late or end early


def check(bars: pd.DataFrame, ticker: str, calendar: str, start: date, end: date) -> list[Finding]:
    """Return all findings about bars that should cover [start, end), errors first."""
    findings = _dates(bars, ticker) + _numbers(bars, ticker)
    if not bars.empty and not any(finding.check == "dates" for finding in findings):
        findings += _coverage(bars, ticker, calendar, start, end) + _moves(bars, ticker)
    return [replace(finding, message=f"{ticker}: {finding.message}.") for finding in findings]


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


def _dates(bars: pd.DataFrame, ticker: str) -> list[Finding]:
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is not None or index.hasnans:
        return [Finding("error", "dates", ticker, "the index is not of plain dates", ())]
    findings = []
    if len(double := index[index.duplicated()].unique()):
        findings.append(_about("error", "dates", ticker, "more than one bar on", double))
    elif not index.is_monotonic_increasing:
        back = index[1:][index[1:] < index[:-1]]
        findings.append(_about("error", "dates", ticker, "dates go back at", back))
    if (index != index.normalize()).any():
        clock = index[index != index.normalize()]
        findings.append(_about("error", "dates", ticker, "a time of day on", clock))
    return findings


def _numbers(bars: pd.DataFrame, ticker: str) -> list[Finding]:
    prices = bars[["open", "high", "low", "close"]]
    missing = ~np.isfinite(bars[list(FIELDS)].to_numpy("float64")).all(axis=1)
    highest, lowest = prices.max(axis="columns"), prices.min(axis="columns")
    wrong = {
        "missing or infinite numbers on": missing,
        "prices that are not above 0 on": (bars.drop(columns="volume") <= 0).any(axis="columns"),
        "a high below another price on": highest > bars["high"] + TOLERANCE * bars["high"].abs(),
        "a low above another price on": lowest < bars["low"] - TOLERANCE * bars["low"].abs(),
        "a negative volume on": bars["volume"] < 0,
    }
    names = ("missing_number", "price", "high", "low", "volume")
    findings = [
        _about("error", name, ticker, what, bars.index[rows])
        for name, (what, rows) in zip(names, wrong.items(), strict=True)
        if rows.any()
    ]
    if len(bars) >= CONSTANT and (bars["raw_close"] == bars["raw_close"].iloc[0]).all():
        level = f"the close is {bars['raw_close'].iloc[0]:g} in all {len(bars)} sessions"
        findings.append(Finding("error", "constant", ticker, level, ()))
    return findings


def _coverage(
    bars: pd.DataFrame, ticker: str, calendar: str, start: date, end: date
) -> list[Finding]:
    expected = expected_sessions(calendar, start, end)
    index = pd.DatetimeIndex(bars.index)
    missing, extra = expected.difference(index), index.difference(expected)
    late, early = missing[missing < index[0]], missing[missing > index[-1]]
    inside = missing[(missing > index[0]) & (missing < index[-1])]
    findings = []
    for name, edge, outside in (
        ("late_start", f"begin on {index[0]:%Y-%m-%d}", late),
        ("early_end", f"end on {index[-1]:%Y-%m-%d}", early),
    ):
        if len(outside):
            first, last = str(outside[0])[:10], str(outside[-1])[:10]
            what = (
                f"bars {edge}; {len(outside)} sessions of {calendar} have none, {first} to {last}"
            )
            findings.append(Finding("warning", name, ticker, what, (first, last)))
    if len(inside):
        what = f"no bar on sessions of {calendar}:"
        findings.append(_about("warning", "missing_session", ticker, what, inside))
    if len(extra):
        what = f"bars where {calendar} has no session:"
        findings.append(_about("warning", "extra_session", ticker, what, extra))
    return findings


def _moves(bars: pd.DataFrame, ticker: str) -> list[Finding]:
    findings = []
    change = bars["close"].pct_change(fill_method=None)
    jumps = bars.index[change.abs() > JUMP]
    if len(jumps):
        what = f"the close moves by more than {JUMP:.0%} on"
        findings.append(_about("warning", "jump", ticker, what, jumps))
    still = bars["raw_close"].diff().eq(0)
    run = still.groupby((~still).cumsum()).cumsum()  # sessions without a change so far
    stale = bars.index[run >= STALE]
    if len(stale):
        what = f"the close has not changed for {STALE} or more sessions on"
        findings.append(_about("warning", "stale", ticker, what, stale))
    return findings


def _about(
    severity: Literal["error", "warning"],
    name: str,
    ticker: str,
    what: str,
    sessions: pd.Index,
) -> Finding:
    days = tuple(str(day)[:10] for day in sessions)
    more = f" and {len(days) - SHOWN} more" if len(days) > SHOWN else ""
    return Finding(severity, name, ticker, f"{what} {', '.join(days[:SHOWN])}{more}", days)
