"""Reasons not to follow a decision, each in a sentence that says what would mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

import numpy as np
import pandas as pd

from rnntrade.data.sessions import expected_sessions
from rnntrade.production.decisions import desk_samples, own_prices
from rnntrade.production.desk import Desk
from rnntrade.production.drift import out_of_range
from rnntrade.production.health import Health
from rnntrade.types import Prices, Samples

HALT = 5  # sessions without a bar that are taken for a halt


@dataclass(frozen=True)
class Reasons:
    """Why not: of everything, and of single tickers."""

    everything: tuple[str, ...] = ()
    tickers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, ticker: str) -> tuple[str, ...]:
        """Those of one ticker alone."""
        return self.tickers.get(ticker, ())


def find_reasons(
    desk: Desk,
    prices: Prices,
    as_of: pd.Timestamp,
    due: pd.Timestamp,
    health: Health | None = None,
    asked: Sequence[str] = (),
    samples: Samples | None = None,
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Reasons:
    """Look for everything that speaks against following the desk after the close of `as_of`.

    due     newest session that is over: an older `as_of` is stale
    health  what monitoring found; None: not looked at
    asked   tickers that somebody wants to hear of; others than the desk's are unknown
    samples of `desk_samples` about the prices up to `as_of`, where they are at hand
    missing why the newest prices of a ticker could not be had, by ticker
    """
    known = own_prices(desk, prices.upto(as_of))
    everything = []
    if as_of < due:
        everything.append(
            f"stale: {as_of:%Y-%m-%d} is not the newest session, {due:%Y-%m-%d} is over.  "
            "Update the prices."
        )
    if as_of < desk.fold.test:
        everything.append(
            f"in sample: the model has learned from sessions up to {desk.fold.test:%Y-%m-%d}.  "
            "Ask for a later session."
        )
    if max(as_of, due) >= expiry(desk):
        everything.append(
            f"expired: the model has learned nothing since {desk.fold.test:%Y-%m-%d}, and was to "
            f"be followed until {expiry(desk):%Y-%m-%d}.  Retrain, and promote what is better."
        )
    if health is not None and health.drifted:
        everything.append(f"drift: {health.sentence}")
    tickers: dict[str, tuple[str, ...]] = {}
    outside = _outside(desk, samples or desk_samples(desk, known), as_of)
    for ticker in [*desk.tickers, *(t for t in asked if t not in desk.tickers)]:
        found = []
        if ticker in missing:
            gone = f"If it is gone for good{_without(desk, ticker)}."
            found.append(f"no new prices: {missing[ticker]}  {gone}")
        if ticker not in desk.tickers:
            found.append(
                f"unknown ticker: the model decides on {', '.join(desk.tickers)}.  "
                "Run an experiment with it."
            )
        elif as_of not in known.bars(ticker).index:
            found.append(_not_traded(desk, known, ticker, as_of))
        elif ticker not in outside:
            found.append(
                f"too few sessions: no window of {desk.model.lookback} sessions with every input "
                f"known ends on {as_of:%Y-%m-%d}.  Wait for more."
            )
        elif outside[ticker]:
            found.append(
                f"out of range: {', '.join(outside[ticker])} far outside what the model has "
                "learned from.  Check the prices; if they are right, retrain."
            )
        if found:
            tickers[ticker] = tuple(found)
    return Reasons(tuple(everything), tickers)


def _not_traded(desk: Desk, known: Prices, ticker: str, as_of: pd.Timestamp) -> str:
    """Since when there is no bar; after a week it looks like more than a halt."""
    told, traded = f"not traded on {as_of:%Y-%m-%d}", known.bars(ticker).index
    if not len(traded):
        return f"{told}, nor before: there are no bars of it.  Check its source."
    missed = int((known.sessions > traded[-1]).sum())
    if missed <= HALT:
        return f"{told}: the last decision stands."
    cure = _without(desk, ticker, ", or")
    return (
        f"{told}, nor in {missed} sessions since {traded[-1]:%Y-%m-%d}: delisted, or its source "
        f"has stopped.  The last decision stands.  Check its source{cure}."
    )


def _without(desk: Desk, ticker: str, joined: str = ",") -> str:
    """How to be rid of a ticker."""
    others = ",".join(each for each in desk.tickers if each != ticker)
    return f"{joined} retrain without it (--tickers {others})" if others else f"{joined} retrain"


def age(desk: Desk, due: pd.Timestamp) -> int:
    """Sessions of the calendar since the last one that the desk has learned from, `due` included.

    It has nothing to do with the bars at hand: a short or a late history makes nobody younger.
    """
    calendar = desk.experiment.data.calendar
    return len(expected_sessions(calendar, desk.fold.test.date(), due.date() + timedelta(days=1)))


def expiry(desk: Desk) -> pd.Timestamp:
    """First session on which the desk is too old to be followed."""
    sessions = desk.experiment.production.expires_after
    first = desk.fold.test.date()
    calendar = desk.experiment.data.calendar
    later = expected_sessions(calendar, first, first + timedelta(days=2 * sessions + 30))
    return pd.Timestamp(later[sessions])


def _outside(desk: Desk, samples: Samples, as_of: pd.Timestamp) -> dict[str, list[str]]:
    """Inputs that lie too far outside the training part, by ticker with a window on `as_of`."""
    margin = desk.experiment.production.range_margin
    found = {}
    for ticker in desk.tickers:
        mine = (samples.spans.ticker == ticker) & (samples.spans.decision == as_of.to_datetime64())
        for row in np.flatnonzero(mine):
            window = samples.rows[samples.last[row] - samples.lookback + 1 : samples.last[row] + 1]
            found[ticker] = list(out_of_range(desk.reference, window, margin))
    return found
