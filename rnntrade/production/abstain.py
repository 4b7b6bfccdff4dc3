"""Reasons not to follow a decision, each in a sentence that says what would mend it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from rnntrade.production.decisions import Evening
from rnntrade.production.desk import Desk
from rnntrade.production.drift import out_of_range
from rnntrade.production.health import Health
from rnntrade.production.upkeep import expiry

HALT = 5  # sessions without a bar that are taken for a halt


def find_reasons(
    evening: Evening,
    due: pd.Timestamp,
    health: Health | None = None,
    asked: Sequence[str] = (),
    missing: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[str], dict[str, list[str]]]:
    """Look for everything that speaks against following the decisions of an evening.

    due     newest session that is over: an older evening is stale
    health  what monitoring found; None: not looked at
    asked   tickers that somebody wants to hear of; others than the desk's are unknown
    missing why the newest prices of a ticker could not be had, by ticker
    returns what speaks against all of them, and by ticker against each; none where nothing does
    """
    desk, day, test = evening.desk, evening.day, evening.desk.fold.test
    last = expiry(desk)
    everything = {
        f"stale: {day:%Y-%m-%d} is not the newest session, {due:%Y-%m-%d} is over.  "
        "Update the prices.": day < due,
        f"in sample: the model has learned from sessions up to {test:%Y-%m-%d}.  "
        "Ask for a later session.": day < test,
        f"expired: the model has learned nothing since {test:%Y-%m-%d}, and was to be followed "
        f"until {last:%Y-%m-%d}.  Retrain, and promote what is better.": max(day, due) >= last,
        f"drift: {health.sentence if health else ''}": health is not None and health.drifted,
    }
    return [reason for reason, holds in everything.items() if holds], {
        ticker: _of_ticker(evening, ticker, missing.get(ticker))
        for ticker in dict.fromkeys([*desk.tickers, *asked])
    }


def _of_ticker(evening: Evening, ticker: str, missing: str | None) -> list[str]:
    desk, day = evening.desk, evening.day
    if ticker not in desk.tickers:
        return [
            f"unknown ticker: the model decides on {', '.join(desk.tickers)}.  "
            "Run an experiment with it."
        ]
    reasons = []
    if missing:
        reasons = [f"no new prices: {missing}  If it is gone for good,{_without(desk, ticker)}."]
    if day not in evening.prices.bars(ticker).index:
        return [*reasons, _not_traded(evening, ticker)]
    samples = evening.samples
    own = (samples.spans.ticker == ticker) & (samples.spans.decision == day.to_datetime64())
    if not own.any():
        reason = f"too few sessions: no window of {desk.model.lookback} sessions with every input "
        return [*reasons, f"{reason}known ends on {day:%Y-%m-%d}.  Wait for more."]
    (last,) = samples.last[np.flatnonzero(own)]
    window = samples.rows[last - samples.lookback + 1 : last + 1]
    if outside := out_of_range(desk.reference, window, desk.experiment.production.range_margin):
        reason = f"out of range: {', '.join(outside)} far outside what the model has learned from."
        reasons.append(f"{reason}  Check the prices; if they are right, retrain.")
    return reasons


def _not_traded(evening: Evening, ticker: str) -> str:
    """Since when there is no bar; after a week it looks like more than a halt."""
    reason = f"not traded on {evening.day:%Y-%m-%d}"
    traded = evening.prices.bars(ticker).index
    if not len(traded):
        return f"{reason}, nor before: there are no bars of it.  Check its source."
    missed = int((evening.prices.sessions > traded[-1]).sum())
    if missed <= HALT:
        return f"{reason}: the last decision stands."
    return (
        f"{reason}, nor in {missed} sessions since {traded[-1]:%Y-%m-%d}: delisted, or its source "
        "has stopped.  The last decision stands.  Check its source, or"
        f"{_without(evening.desk, ticker)}."
    )


def _without(desk: Desk, ticker: str) -> str:
    """How to be rid of a ticker."""
    others = ",".join(other for other in desk.tickers if other != ticker)
    return f" retrain without it (--tickers {others})" if others else " retrain"
