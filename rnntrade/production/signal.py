"""Today's decision in words and numbers: what to hold, how sure, and why not to follow it.

Each reason not to follow it says what would cure it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.errors import DataError
from rnntrade.production.decisions import (
    Evening,
    ask,
    closes_of,
    decide,
    observe,
    predict_newest,
    regimes_of,
)
from rnntrade.production.desk import Desk
from rnntrade.production.drift import out_of_range
from rnntrade.production.health import Health, monitor
from rnntrade.production.upkeep import age, age_check, expiry
from rnntrade.types import Prices

TRADED = "direction"  # the task whose desk decides ...
BESIDE = ("regime", "forecast")  # ... and those shown beside it, where there is a champion
NEAREST = 100  # decisions of the validation part that a probability is held against
HALT = 5  # sessions without a bar that are taken for a halt


@dataclass(frozen=True)
class Seat:
    """The version followed for one task: its desk, and what the registry says of it."""

    desk: Desk
    version: str  # rnntrade-direction/3
    verdict: str = ""  # of the run that made it
    digest: str = ""  # of the desk


@dataclass(frozen=True)
class TickerSignal:
    """What is decided about one ticker after the close of the session."""

    ticker: str
    probability: float | None = None  # of a rise in the next session; None: not known today
    low: float | None = None  # share of rises after the decisions most like it, 95 % interval
    high: float | None = None
    regime: str | None = None  # today, as the direction model's own fold tells regimes apart
    regime_ahead: str | None = None  # the most probable, as far ahead as the regime model looks
    regime_probabilities: dict[str, float] = field(default_factory=dict)
    path: list[float] = field(default_factory=list)  # expected returns of the next sessions
    target: float | None = None  # the backtest's row: fraction of equity; None: no new decision
    standing: float = 0.0  # to be held now: the newest decision that there is
    change: float = 0.0  # to be traded: standing less what stood after the session before
    abstain: list[str] = field(default_factory=list)  # reasons not to follow it


@dataclass(frozen=True)
class Signal:
    """One evening's decisions, and what they rest on."""

    as_of: str  # session, YYYY-MM-DD
    experiment: str
    versions: dict[str, str]  # by task
    age: int  # sessions of the calendar since the last one that the direction model learned from
    expires: str  # first session on which it is too old
    verdict: str  # of the run that made it
    health: str  # has the world moved?
    abstain: list[str]  # reasons not to follow any of it
    tickers: list[TickerSignal]


def make_signal(
    seats: Mapping[str, Seat],
    prices: Prices,
    as_of: pd.Timestamp,
    due: pd.Timestamp,
    asked: Sequence[str] = (),
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Signal:
    """Decide one session; no bar after it is looked at.

    seats   by task: TRADED decides; BESIDE are shown beside it, where there are any
    due     newest session that is over: an older `as_of` is stale
    asked   tickers that somebody wants to hear of; an unknown one abstains, and says so
    missing why the newest prices of a ticker could not be had: it abstains, the others go on
    errors  DataError when `as_of` is no session of the prices, or before the model's first
    """
    seat, everything = seats[TRADED], prices.upto(as_of)
    desk = seat.desk
    evening = ask(desk, everything)
    if evening.day != as_of:
        raise DataError(
            f"{as_of:%Y-%m-%d} is no session with bars; the newest before is "
            f"{evening.day:%Y-%m-%d}."
        )
    now = max(as_of, due)
    aged = [age_check(desk, now)]
    health = monitor(desk.reference, observe(evening), desk.experiment.production, aged)
    reasons, by_ticker = find_reasons(evening, due, health, asked, missing)
    decided = _decided(evening)
    ahead, path = (
        predict_newest(seats[task].desk, everything) if task in seats else {} for task in BESIDE
    )
    tickers = []
    for ticker, abstain in by_ticker.items():
        regimes: dict[str, Any] = dict(ahead.get(ticker, {}))
        tickers.append(
            replace(
                decided.get(ticker, TickerSignal(ticker)),
                regime_ahead=regimes.pop("regime", None),
                regime_probabilities=regimes,
                path=[float(step) for step in path.get(ticker, {}).values()],
                abstain=abstain,
            )
        )
    return Signal(
        as_of=f"{as_of:%Y-%m-%d}",
        experiment=desk.experiment.name,
        versions={task: other.version for task, other in seats.items()},
        age=age(desk, now),
        expires=f"{expiry(desk):%Y-%m-%d}",
        verdict=seat.verdict,
        health=health.sentence,
        abstain=reasons,
        tickers=tickers,
    )


def _decided(evening: Evening) -> dict[str, TickerSignal]:
    desk, day = evening.desk, evening.day
    decisions = decide(evening)
    standing = decisions.target.ffill().fillna(0.0)
    held, change, target = (
        pd.Series(table.loc[day]).astype(float)
        for table in (standing, standing.diff().fillna(standing), decisions.target)
    )
    regimes = regimes_of(desk, closes_of(evening)).loc[day]
    signals = {}
    for ticker in desk.tickers:
        probability = _number(decisions.probability.loc[day, ticker])
        low, high = rise_interval(probability, desk.validation)
        regime = _number(regimes[ticker])
        signals[ticker] = TickerSignal(
            ticker,
            probability=probability,
            low=low,
            high=high,
            regime=None if regime is None else desk.fits[0].classes[int(regime)],
            target=_number(target[ticker]),
            standing=float(held[ticker]),
            change=float(change[ticker]),
        )
    return signals


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
    others = ",".join(other for other in desk.tickers if other != ticker)
    return f" retrain without it (--tickers {others})" if others else " retrain"


def rise_interval(
    probability: float | None, validation: pd.DataFrame
) -> tuple[float | None, float | None]:
    """Share of rises that followed the NEAREST decisions most like this one: Wilson's interval.

    validation  prediction table of the validation part: columns p_up and truth
    """
    known = validation.dropna(subset=["truth", "p_up"]) if "p_up" in validation else validation[:0]
    if probability is None or known.empty:
        return None, None
    distance = (known["p_up"] - probability).abs().to_numpy()
    chosen = np.argsort(distance, kind="stable")[:NEAREST]
    return wilson_interval(float(known["truth"].to_numpy()[chosen].sum()), len(chosen))


def wilson_interval(hits: float, tries: int) -> tuple[float, float]:
    """95 % interval of a share; source: Wilson (1927), Probable Inference."""
    share, z = hits / tries, NormalDist().inv_cdf(0.975)
    middle = share + z**2 / (2 * tries)
    half = z * math.sqrt(share * (1 - share) / tries + z**2 / (4 * tries**2))
    scale = 1 + z**2 / tries
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def words(signal: Signal) -> list[str]:
    """Return the signal in lines that a person reads."""
    lines = []
    for ticker in signal.tickers:
        change = "no change" if ticker.change == 0.0 else f"trade {ticker.change:+.1%} of equity"
        prefix = "abstain; it would " if ticker.abstain or signal.abstain else ""
        lines.append(f"{ticker.ticker}: {prefix}hold {ticker.standing:+.1%} ({change})")
    return lines


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
