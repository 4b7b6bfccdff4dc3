"""Keep a ticker's bars up to date: ask for as little as possible, check all, never half-write.

Yahoo is asked only for sessions it was not asked for before, and for the last OVERLAP stored ones
again.  If an adjusted price of these differs by more than AGREEMENT, a dividend or a split has
changed the whole history, and all of it is fetched again.  So it is for a request that starts
before what was asked for so far.  A session Yahoo did not have stays a hole and is not asked for
again, except at the end of the bars, where Yahoo may just be late: there it is, for LATE days.
The other sources cost nothing and are read anew each time, in the range asked for and no further.

A day is over when both the calendar and the market that answered say so.  Bars on days without a
session are left out if they repeat the bar beside them; Yahoo's are always, since its dates are
right: bitcoin beside shares keeps the sessions of the shares.

Two processes that update a ticker take turns.  After any error the files are as they were.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import archive, sources
from rnntrade.data.archive import Stored
from rnntrade.data.bars import between, cut, digest
from rnntrade.data.checks import Finding, check, leave_out, raise_errors
from rnntrade.data.sessions import expected_sessions, last_day_over, last_settled
from rnntrade.errors import ConfigError, DataError
from rnntrade.types import FIELDS

LOG = logging.getLogger("rnntrade.data")
OVERLAP = 5  # stored sessions
AGREEMENT = 1e-6  # relative; rounding is ten times smaller, any dividend far larger
LATE = timedelta(days=7)
ADJUSTED = ("open", "high", "low", "close")
DAY = timedelta(days=1)

Fetched = tuple[pd.DataFrame, pd.DatetimeIndex, tuple[Finding, ...]]
Ask = Callable[[date, date], Fetched]


@dataclass(frozen=True, eq=False)
class Update:
    """One ticker's bars in the range asked for, and what it took to get them."""

    ticker: str
    bars: pd.DataFrame
    findings: tuple[Finding, ...]  # warnings about these bars
    fetched: int  # sessions the source sent
    revised: int  # sessions stored before whose numbers have changed
    rebased: bool  # the source has changed its whole history
    provenance: dict[str, Any]  # of all stored bars; `vintage` names their content


@dataclass(frozen=True, eq=False)
class _State:
    bars: pd.DataFrame
    start: date  # the source was asked for all of start .. end
    end: date  # exclusive
    left_out: pd.DatetimeIndex  # days without a session whose bars were left out
    fetched: int = 0
    revised: int = 0
    rebased: bool = False
    findings: tuple[Finding, ...] = ()  # of the source, in reading


def update(root: Path, config: DataConfig, ticker: str, now: datetime) -> Update:
    """Store all settled bars in [config.start, config.end), and return them.

    A bar is settled some minutes after the close of its session; `now` (tz-aware) decides.
    Errors: ConfigError or DataError that name ticker, cause and cure, DownloadError (`transient`)
    where the vendor did not deliver.  Then nothing has been written.
    """
    settled = last_settled(config.calendar, now).date()
    start, end = config.start, min(config.end, settled + DAY)
    if not len(expected_sessions(config.calendar, start, end)):
        raise ConfigError(
            f"{ticker}: {config.calendar} has no finished session from {start} to {config.end} "
            f"(left out); the last finished one is {settled}.  Change data.start and data.end."
        )
    with archive.exclusive(root, config.source, ticker):
        stored = _stored(root, config.source, ticker)
        state = _refresh(stored, config, ticker, start, end, now)
        provenance = _keep(root, stored, state, config, ticker, now)
    bars = sources.inside(state.bars, ticker, start, end, config.source)
    left_out = state.left_out[between(state.left_out, start, end)]
    findings = check(bars, ticker, config.calendar, start, end, left_out)
    raise_errors(findings)
    noticed = (*findings, *state.findings)
    return Update(ticker, bars, noticed, state.fetched, state.revised, state.rebased, provenance)


def stored_bars(root: Path, config: DataConfig, ticker: str) -> pd.DataFrame | None:
    """Bars in [config.start, config.end) as they were last stored, asking nobody; None without any.

    Files of another folder, and prices made up otherwise, are another source.
    """
    stored = _stored(root, config.source, ticker)
    if stored is None or stored.provenance["adjusted"] != _adjusted(config):
        return None
    bars = cut(stored.bars, config.start, config.end)
    return None if bars.empty else bars


def _adjusted(config: DataConfig) -> str:
    return sources.ORIGINS[config.source][1].format(seed=config.seed, folder=config.folder)


def _refresh(
    stored: Stored | None, config: DataConfig, ticker: str, start: date, end: date, now: datetime
) -> _State:
    """Decide what to fetch, fetch it, and put old and new together."""
    ask = partial(_fetch, ticker, config, now)
    if stored is None:
        return _whole(None, ask, start, end, now)
    old, about = stored.bars, stored.provenance
    other_calendar = about["calendar"] != config.calendar
    if config.source != "yahoo" or other_calendar or "left_out" not in about:
        return _whole(old, ask, start, end, now)
    left_out = pd.DatetimeIndex(about["left_out"])
    asked_start, asked_end = map(date.fromisoformat, about["asked"])
    first, last = min(start, asked_start), max(end, asked_end)
    if len(expected_sessions(config.calendar, start, asked_start)):
        return _whole(old, ask, first, last, now)
    if not len(expected_sessions(config.calendar, asked_end, end)):
        return _State(old, asked_start, asked_end, left_out)
    new, also_left_out, _ = ask(old.index[-OVERLAP:][0].date(), end)
    overlaps = new.index.is_unique and new.index.isin(old.index).any()
    if not overlaps or len(_changed(old, new, ADJUSTED)):
        LOG.info("%s: %s has changed its history: all is fetched again", ticker, config.source)
        return replace(_whole(old, ask, first, last, now), rebased=True)
    revised = _changed(old, new, FIELDS)  # in volume or raw close
    added = new.index.difference(old.index).union(revised)
    bars = pd.concat([old.drop(revised), new.loc[added]]).sort_index().rename_axis(index="date")
    days, asked_end = left_out.union(also_left_out), _asked_end(bars, end, now)
    return _State(bars, asked_start, asked_end, days, len(new), len(revised))


def _whole(old: pd.DataFrame | None, ask: Ask, start: date, end: date, now: datetime) -> _State:
    bars, left_out, findings = ask(start, end)
    revised = 0 if old is None else len(_changed(old, bars, FIELDS))
    asked_end = _asked_end(bars, end, now)
    return _State(bars, start, asked_end, left_out, len(bars), revised, findings=findings)


def _fetch(ticker: str, config: DataConfig, now: datetime, start: date, end: date) -> Fetched:
    """Return the bars that are over and have a session, the days of those that have none, findings.

    The findings are the source's own, about how it was read.
    """
    fetched, findings = sources.fetch(ticker, start, end, config)
    market, over = fetched.attrs.pop("market", None), fetched
    if market is not None:
        zone, close = market
        over = cut(fetched, start, last_day_over(zone, close, now) + DAY)
    bars = leave_out(over, config.calendar, every=config.source == "yahoo")
    if bars.empty:
        raise DataError(
            f"{ticker}: no finished session of {config.calendar} from {start} to {end} "
            f"(exclusive) is among its {len(fetched)} bars.  Change data.start, data.end or "
            "data.calendar."
        )
    return bars, pd.DatetimeIndex(over.index.difference(bars.index)), findings


def _changed(old: pd.DataFrame, new: pd.DataFrame, fields: tuple[str, ...]) -> pd.DatetimeIndex:
    """Return the sessions in both in which a field differs."""
    both = old.index.intersection(new.index) if new.index.is_unique else old.index[:0]
    before, after = (bars.loc[both, list(fields)].to_numpy() for bars in (old, new))
    same = np.isclose(after, before, rtol=AGREEMENT, atol=0.0)
    return pd.DatetimeIndex(both[~same.all(axis=1)])


def _asked_end(bars: pd.DataFrame, end: date, now: datetime) -> date:
    """Return until where there is no need to ask again: a vendor may be some days late."""
    last: date = bars.index.max().date()
    return min(end, max(last + DAY, (now - LATE).date()))


def _stored(root: Path, source: str, ticker: str) -> Stored | None:
    """Return what is stored, None if there is nothing, or nothing that can be read."""
    try:
        return archive.load(archive.current(root, source, ticker))
    except FileNotFoundError:
        return None
    except archive.CorruptError as error:
        LOG.warning("%s: %s  It is fetched again.", ticker, error)
        return None


def _keep(
    root: Path, stored: Stored | None, state: _State, config: DataConfig, ticker: str, now: datetime
) -> dict[str, Any]:
    """Check and save the bars, unless they and their range are those stored; return provenance."""
    known = stored.provenance if stored is not None else {}
    findings = check(state.bars, ticker, config.calendar, state.start, state.end, state.left_out)
    raise_errors(findings)
    now_true = {
        "asked": [state.start.isoformat(), state.end.isoformat()],
        "vintage": digest(state.bars),
        "calendar": config.calendar,
        "left_out": [f"{day:%Y-%m-%d}" for day in state.left_out],
        "warnings": [finding.message for finding in (*findings, *state.findings)],
    }
    if now_true.items() <= known.items():
        return known
    library = sources.ORIGINS[config.source][0]
    provenance = {
        "source": config.source,
        "ticker": ticker,
        "fetched_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "library": f"{library} {version(library)}",
        "adjusted": _adjusted(config),
        **now_true,
    }
    archive.save(root, state.bars, provenance)
    return provenance
