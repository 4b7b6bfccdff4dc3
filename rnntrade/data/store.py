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
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import archive, sources
from rnntrade.data.archive import Stored, Vintage, catalogue, read, read_vintage, vintages
from rnntrade.data.bars import cut, digest
from rnntrade.data.checks import Finding, check, leave_out, raise_errors
from rnntrade.data.sessions import expected_sessions, last_day_over, last_settled
from rnntrade.errors import ConfigError, DataError
from rnntrade.types import FIELDS

__all__ = ["Update", "Vintage", "catalogue", "read", "read_vintage", "update", "vintages"]

LOG = logging.getLogger("rnntrade.data")
OVERLAP = 5  # stored sessions
AGREEMENT = 1e-6  # relative; rounding is ten times smaller, any dividend far larger
LATE = timedelta(days=7)
ADJUSTED = ("open", "high", "low", "close")
DAY = timedelta(days=1)


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
    sources.require_sensible(ticker, config.start, config.end)
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
    bars = cut(state.bars, start, end)
    if bars.empty:
        first, last = state.bars.index[0], state.bars.index[-1]
        raise DataError(
            f"{ticker}: no prices from {start} to {end} (left out); source {config.source} has "
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d}.  Change data.start and data.end."
        )
    findings = check(
        bars, ticker, config.calendar, start, end, _between(state.left_out, start, end)
    )
    raise_errors(findings)
    findings += state.findings
    return Update(
        ticker, bars, tuple(findings), state.fetched, state.revised, state.rebased, provenance
    )


def stored_bars(root: Path, config: DataConfig, ticker: str) -> pd.DataFrame | None:
    """Bars in [config.start, config.end) as they were last stored, asking nobody; None without any.

    Files of another folder, and prices made up otherwise, are another source.
    """
    stored = _stored(root, config.source, ticker)
    if stored is None or stored.provenance["adjusted"] != _detail(config):
        return None
    bars = cut(stored.bars, config.start, config.end)
    return None if bars.empty else bars


def _detail(config: DataConfig) -> str:
    """How the source adjusts its prices, or what they were made from."""
    return {
        "yahoo": "splits and dividends",
        "sample": "splits and dividends",
        "synthetic": f"made up, seed {config.seed}",
        "files": f"as the file in {config.folder} says",
    }[config.source]


def _refresh(
    stored: Stored | None, config: DataConfig, ticker: str, start: date, end: date, now: datetime
) -> _State:
    """Decide what to fetch, fetch it, and put old and new together."""
    known_days = stored.provenance.get("left_out") if stored is not None else None
    other_calendar = stored is not None and stored.provenance["calendar"] != config.calendar
    if stored is None or config.source != "yahoo" or known_days is None or other_calendar:
        known = None if stored is None else stored.bars
        return _whole(known, config, ticker, start, end, now)
    asked_start, asked_end = map(date.fromisoformat, stored.provenance["asked"])
    old = _State(stored.bars, asked_start, asked_end, pd.DatetimeIndex(known_days))
    first, last = min(start, old.start), max(end, old.end)
    earlier = expected_sessions(config.calendar, start, old.start)
    later = expected_sessions(config.calendar, old.end, end)
    if len(earlier):
        return _whole(old.bars, config, ticker, first, last, now)
    if not len(later):
        return old
    overlap = old.bars.index[-OVERLAP:]
    new, left_out, _ = _fetch(ticker, overlap[0].date(), end, config, now)
    changed = _changed(old.bars, new, ADJUSTED)
    if changed is None or changed.any():
        LOG.info(
            "%s: %s has changed its history, all of it is fetched again", ticker, config.source
        )
        return replace(_whole(old.bars, config, ticker, first, last, now), rebased=True)
    return _appended(old, new, left_out, end, now)


def _whole(
    old: pd.DataFrame | None,
    config: DataConfig,
    ticker: str,
    start: date,
    end: date,
    now: datetime,
) -> _State:
    bars, left_out, findings = _fetch(ticker, start, end, config, now)
    changed = _changed(old, bars, FIELDS) if old is not None else None
    revised = 0 if changed is None else int(changed.sum())
    asked_end = _asked_end(bars, end, now)
    return _State(bars, start, asked_end, left_out, len(bars), revised, findings=findings)


def _fetch(
    ticker: str, start: date, end: date, config: DataConfig, now: datetime
) -> tuple[pd.DataFrame, pd.DatetimeIndex, tuple[Finding, ...]]:
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


def _between(days: pd.DatetimeIndex, start: date, end: date) -> pd.DatetimeIndex:
    return days[(days >= pd.Timestamp(start)) & (days < pd.Timestamp(end))]


def _appended(
    old: _State, new: pd.DataFrame, left_out: pd.DatetimeIndex, end: date, now: datetime
) -> _State:
    """Add new sessions; of the overlap, take the sessions whose volume or raw close changed."""
    changed = _changed(old.bars, new, FIELDS)
    revised = pd.DatetimeIndex([]) if changed is None else changed.index[changed]
    added = new.index.difference(old.bars.index).union(revised)
    kept = old.bars.drop(revised)
    bars = pd.concat([kept, new.loc[added]]).sort_index().rename_axis(index="date")
    days = old.left_out.union(left_out)
    return _State(bars, old.start, _asked_end(bars, end, now), days, len(new), len(revised))


def _changed(old: pd.DataFrame, new: pd.DataFrame, fields: tuple[str, ...]) -> pd.Series | None:
    """Say of each session in both whether a field differs; None if no session is in both."""
    both = old.index.intersection(new.index)
    if both.empty or not new.index.is_unique:
        return None
    columns = list(fields)
    before, after = old.loc[both, columns].to_numpy(), new.loc[both, columns].to_numpy()
    same = np.isclose(after, before, rtol=AGREEMENT, atol=0.0)
    return pd.Series(~same.all(axis=1), index=both)


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
    root: Path,
    stored: Stored | None,
    state: _State,
    config: DataConfig,
    ticker: str,
    now: datetime,
) -> dict[str, Any]:
    """Check and save the bars, unless they and their range are those stored; return provenance."""
    asked = [state.start.isoformat(), state.end.isoformat()]
    vintage = digest(state.bars)
    left_out = [f"{day:%Y-%m-%d}" for day in state.left_out]
    known = stored.provenance if stored is not None else {}
    findings = check(state.bars, ticker, config.calendar, state.start, state.end, state.left_out)
    raise_errors(findings)
    now_true = {
        "asked": asked,
        "vintage": vintage,
        "calendar": config.calendar,
        "left_out": left_out,
        "warnings": [finding.message for finding in (*findings, *state.findings)],
    }
    if now_true.items() <= known.items():
        return known
    library = {"yahoo": "yfinance", "sample": "arch", "synthetic": "numpy", "files": "pandas"}[
        config.source
    ]
    provenance = {
        "source": config.source,
        "ticker": ticker,
        "fetched_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "library": f"{library} {version(library)}",
        "adjusted": _detail(config),
        **now_true,
    }
    archive.save(root, state.bars, provenance)
    return provenance
