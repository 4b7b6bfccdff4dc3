"""What a desk decides: the very rows of its backtest, from bars alone.

Features, windows, predictions, positions are made by the functions that a run uses, on all sessions
up to the newest one given; so the row of a session is the same whether later ones are there or not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.chain import CHAIN, Chain, chain_of
from rnntrade.errors import DataError
from rnntrade.labels.regimes import regimes_as_learned
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.desk import Desk
from rnntrade.training.latest import history
from rnntrade.types import Prices, Rows, Samples, turbulent_classes


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a direction model decided, (T, K): sessions of its test part so far, and tickers."""

    probability: pd.DataFrame  # of a rise; NaN: no complete window ends there
    target: pd.DataFrame  # fraction of equity; NaN: no new decision, the last one stands


@dataclass(frozen=True, eq=False)
class Answers:
    """What a desk's members say, on average, of every window since it stopped learning."""

    samples: Samples  # those before too
    rows: Rows  # (n,) ascending positions in them
    said: NDArray[np.float64]  # (n, C)

    def of(self, rows: Rows) -> NDArray[np.float64]:
        """(m, C) of some of these rows."""
        return self.said[np.searchsorted(self.rows, rows)]


def ask(desk: Desk, prices: Prices, before: Answers | None = None) -> Answers:
    """Ask once, for `decide`, `check_health` and `find_reasons` of one evening to share.

    prices  as in `decide`
    before  what the same desk said of the same prices up to an earlier session: not asked again
    """
    desk_prices = own_prices(desk, prices)
    samples = desk_samples(desk, desk_prices)
    rows = np.flatnonzero(samples.spans.decision >= desk.fold.test.to_datetime64())
    new = np.ones(len(rows), dtype=bool)
    if before is not None:
        for ticker in desk.tickers:  # what was there then comes first
            mine = np.flatnonzero(samples.spans.ticker[rows] == ticker)
            new[mine[: int((before.samples.spans.ticker[before.rows] == ticker).sum())]] = False
    answers = CHAIN.answer(desk.fits, samples, rows[new])
    said = np.empty((len(rows), answers.shape[1]))
    said[new] = answers
    if before is not None:
        said[~new] = before.said
    return Answers(samples, rows, said)


def decide(desk: Desk, prices: Prices, answers: Answers | None = None) -> Decisions:
    """Every decision from the first session that the desk has not learned from.

    prices   from the desk's own first day on, of its tickers, up to any session; for a ticker
             without bars nothing is decided, and the others are as they are with it
    answers  of `ask` about the same prices, where they are at hand
    row t    sees bars up to and including t; it is the backtest's row of t.  What stood before the
             first of these sessions is not known: a ticker halted on it counts as flat
    errors   DataError when no ticker has bars, or there is no such session
    """
    desk_prices = own_prices(desk, prices)
    sessions = desk_prices.sessions[desk_prices.sessions >= desk.fold.test]
    if not len(sessions):
        raise DataError(
            f"{desk.model.name} has learned from the sessions before {desk.fold.test:%Y-%m-%d}, "
            f"and the bars end on {desk_prices.sessions[-1]:%Y-%m-%d}: nothing is left to decide.  "
            "Ask for a later session."
        )
    answers = answers or ask(desk, prices)
    spans, rise = answers.samples.spans[answers.rows], answers.said[:, 0]
    long = pd.DataFrame({"decision": spans.decision, "ticker": spans.ticker, "p_up": rise})
    table = long.pivot(index="decision", columns="ticker", values="p_up")
    probability = table.reindex(index=sessions, columns=list(desk.tickers))
    probability = probability.rename_axis(index="decision", columns="ticker")
    rules = desk.experiment
    regimes = known_regimes(desk, desk_prices) if rules.trading.regime_filter != "off" else None
    turbulent = turbulent_classes(rules.labels)
    position = CHAIN.position(probability, rules.trading, regimes, turbulent)
    return Decisions(probability, CHAIN.allocate(position))


def answer(desk: Desk, bars: pd.DataFrame) -> pd.DataFrame:
    """What a registered version says of the newest session of each ticker, as `predict_latest`.

    bars     one row a bar: date, ticker, close (adjusted); more columns are ignored
    returns  for a direction model also `target`, the backtest's row of that session: a fraction of
             equity; NaN for a ticker that the desk has no rules for
    """
    said = _chain(desk).latest(desk.fits, bars)
    if not objective_of(desk.model).traded:
        return said
    targets = []
    for ticker, as_of, probability in said[["ticker", "as_of", "p_up"]].itertuples(index=False):
        closes = history(ticker, bars[bars["ticker"] == ticker])["close"]
        targets.append(_target(desk, ticker, pd.Timestamp(as_of), probability, closes))
    return said.assign(target=targets)


def _target(
    desk: Desk, ticker: str, as_of: pd.Timestamp, probability: float, closes: pd.Series
) -> float:
    """The row of `Decisions.target` of one session and ticker."""
    if ticker not in desk.tickers:
        return float("nan")
    rules = desk.experiment
    row = pd.DataFrame(float("nan"), pd.DatetimeIndex([as_of]), list(desk.tickers))
    row[ticker] = probability
    regimes = None
    if rules.trading.regime_filter != "off":
        learned = desk.regimes[ticker]
        known = regimes_as_learned(closes, rules.labels, learned.thresholds, learned.states)
        regimes = row.assign(**{ticker: known.iloc[-1]})
    turbulent = turbulent_classes(rules.labels)
    position = CHAIN.position(row, rules.trading, regimes, turbulent)
    return float(CHAIN.allocate(position)[ticker].iloc[0])


def desk_samples(desk: Desk, prices: Prices) -> Samples:
    """Every window of the desk's inputs; no target is known, nor asked for."""
    model = desk.model
    features = _chain(desk).compute_features(prices.of(desk.tickers), model.inputs)
    return CHAIN.windows(features, model)


def _chain(desk: Desk) -> Chain:
    return chain_of(desk.experiment.backtest.sessions_per_year)


def known_regimes(desk: Desk, prices: Prices) -> pd.DataFrame:
    """(T, K) regime of each session as known at its close, by what the desk has learned."""
    return pd.DataFrame(
        {
            ticker: regimes_as_learned(
                prices.bars(ticker)["close"],
                desk.experiment.labels,
                desk.regimes[ticker].thresholds,
                desk.regimes[ticker].states,
            )
            for ticker in desk.tickers
        },
        index=prices.sessions,
    )


def own_prices(desk: Desk, prices: Prices) -> Prices:
    """The desk's tickers, on the sessions that any of them traded; NaN for one without bars.

    errors  DataError when none of them has any
    """
    own = prices.map(lambda frame: frame.reindex(columns=list(desk.tickers)))
    traded = own.close.notna().any(axis=1)
    if not traded.any():
        raise DataError(f"no bars of {', '.join(desk.tickers)}: {desk.model.name} decides on them.")
    return own.on(own.sessions[traded])
