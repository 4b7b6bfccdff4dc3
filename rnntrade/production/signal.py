"""Today's decision in words and numbers: what to hold, how sure, and why not to follow it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.errors import DataError
from rnntrade.production.abstain import age, expiry, find_reasons
from rnntrade.production.decisions import Answers, answer, ask, decide, known_regimes, own_prices
from rnntrade.production.desk import Desk
from rnntrade.production.outcomes import check_health, observe
from rnntrade.production.upkeep import age_check
from rnntrade.training.latest import has_window
from rnntrade.types import Prices

NEAREST = 100  # decisions of the validation part that a probability is held against
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Seat:
    """Who is followed in one task: a desk, and what the registry says of it."""

    desk: Desk
    version: str  # rnntrade-direction/3
    verdict: str = ""  # of the run that made it


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

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


def make_signal(
    seats: Mapping[str, Seat],
    prices: Prices,
    as_of: pd.Timestamp,
    due: pd.Timestamp,
    asked: Sequence[str] = (),
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Signal:
    """Decide one session; no bar after it is looked at.

    seats   by task: "direction" decides; "regime" and "forecast" are told beside it, where there
    due     newest session that is over: an older `as_of` is stale
    asked   tickers that somebody wants to hear of; an unknown one is told as such
    missing why the newest prices of a ticker could not be had: it abstains, the others go on
    errors  DataError when `as_of` is no session of the prices, or before the model's first
    """
    seat, everything = seats["direction"], prices.upto(as_of)
    desk = seat.desk
    known = own_prices(desk, everything)
    if as_of not in known.sessions:
        newest = f"{known.sessions[-1]:%Y-%m-%d}" if len(known.close) else "none"
        raise DataError(f"{as_of:%Y-%m-%d} is no session with bars; the newest before is {newest}.")
    answers = ask(desk, known)
    aged = age_check(desk, max(as_of, due))
    health = check_health(desk, known, (aged,), seen=observe(desk, known, answers))
    reasons = find_reasons(desk, known, as_of, due, health, asked, answers.samples, missing)
    own = _decided(desk, known, as_of, answers)
    ahead = _outlook(seats.get("regime"), everything, as_of)
    path = _outlook(seats.get("forecast"), everything, as_of)
    tickers = [
        TickerSignal(
            ticker,
            **own.get(ticker, {}),
            regime_ahead=ahead.get(ticker, {}).pop("regime", None),
            regime_probabilities=ahead.get(ticker, {}),
            path=list(path.get(ticker, {}).values()),
            abstain=list(reasons.of(ticker)),
        )
        for ticker in dict.fromkeys([*desk.tickers, *asked])
    ]
    return Signal(
        as_of=f"{as_of:%Y-%m-%d}",
        experiment=desk.experiment.name,
        versions={task: each.version for task, each in seats.items()},
        age=age(desk, max(as_of, due)),
        expires=f"{expiry(desk):%Y-%m-%d}",
        verdict=seat.verdict,
        health=health.sentence,
        abstain=list(reasons.everything),
        tickers=tickers,
    )


def _decided(
    desk: Desk, known: Prices, as_of: pd.Timestamp, answers: Answers
) -> dict[str, dict[str, Any]]:
    """The direction model's part of each ticker's signal."""
    decided = decide(desk, known, answers)
    standing = decided.target.ffill().fillna(0.0)
    change = standing.diff().fillna(standing).loc[as_of].astype(float)
    held, target = standing.loc[as_of].astype(float), decided.target.loc[as_of].astype(float)
    rise, regimes = decided.probability.loc[as_of], known_regimes(desk, known).loc[as_of]
    names = desk.fits[0].classes
    said = {}
    for ticker in desk.tickers:
        probability = _number(rise[ticker])
        low, high = rise_interval(probability, desk.validation)
        regime = _number(regimes[ticker])
        said[ticker] = {
            "probability": probability,
            "low": low,
            "high": high,
            "regime": None if regime is None else names[int(regime)],
            "target": _number(target[ticker]),
            "standing": _number(held[ticker]),
            "change": _number(change[ticker]),
        }
    return said


def _outlook(seat: Seat | None, known: Prices, as_of: pd.Timestamp) -> dict[str, dict[str, Any]]:
    """What a regime or forecast model says of each ticker with a window on `as_of`: its columns."""
    if seat is None:
        return {}
    bars = {ticker: known.bars(ticker) for ticker in known.tickers}
    rows = [
        table[["close"]].assign(ticker=ticker).reset_index()
        for ticker, table in bars.items()
        if as_of in table.index and has_window(table, seat.desk.model)
    ]
    if not rows:
        return {}
    table = answer(seat.desk, pd.concat(rows)).drop(columns="as_of")
    rows_of = {str(ticker): row for ticker, row in table.set_index("ticker").iterrows()}
    return {ticker: {str(name): row[name] for name in row.index} for ticker, row in rows_of.items()}


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


def wilson_interval(hits: float, tries: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of a share; source: Wilson (1927), Probable Inference."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = hits / tries
    middle = (share + z**2 / (2 * tries)) / (1 + z**2 / tries)
    half = z * math.sqrt(share * (1 - share) / tries + z**2 / (4 * tries**2)) / (1 + z**2 / tries)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def words(signal: Signal) -> list[str]:
    """Return the signal in lines that a person reads."""
    lines = []
    for each in signal.tickers:
        change = "no change" if each.change == 0.0 else f"trade {each.change:+.1%} of equity"
        what = f"hold {each.standing:+.1%} ({change})"
        reasons = [*each.abstain, *signal.abstain]
        lines.append(f"{each.ticker}: {'abstain; it would ' if reasons else ''}{what}")
    return lines


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
