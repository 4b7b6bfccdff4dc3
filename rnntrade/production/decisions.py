"""What a desk decides: the very rows of its backtest, from bars alone.

Features, windows, predictions, positions are made by the functions that a run uses, on all sessions
up to the newest one given; so the row of a session is the same whether later ones are there or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.chain import CHAIN, chain_of, history
from rnntrade.errors import DataError
from rnntrade.labels.regimes import regimes_as_learned
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.decay import Outcomes
from rnntrade.production.desk import Desk
from rnntrade.production.health import Observed
from rnntrade.types import Prices, Rows, Samples, turbulent_classes


@dataclass(frozen=True, eq=False)
class Evening:
    """A desk, the bars it may see, and its members' mean answer to every window since it learned.

    Made by `ask`, once an evening; decisions, health and reasons to abstain follow from it.
    """

    desk: Desk
    prices: Prices  # of the desk's tickers, on the sessions that any of them traded
    samples: Samples  # every window, those that it has learned from too
    rows: Rows  # (n,) ascending positions in them: decisions since
    answers: NDArray[np.float64]  # (n, C)

    @property
    def day(self) -> pd.Timestamp:
        """The newest session."""
        return pd.Timestamp(self.prices.sessions[-1])


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a direction model decided, (T, K): sessions of its test part so far, and tickers."""

    probability: pd.DataFrame  # of a rise; NaN: no complete window ends there
    target: pd.DataFrame  # fraction of equity; NaN: no new decision, the last one stands


def ask(desk: Desk, prices: Prices, before: Evening | None = None) -> Evening:
    """Ask the desk about every window of the prices since it stopped learning.

    prices  from the desk's own first day on, of its tickers and others, up to any session; a ticker
            without bars has no answers, and the others have the same as with it
    before  the same desk on an earlier session of the same prices: not asked again
    errors  DataError when no ticker has bars
    """
    own = prices.map(lambda frame: frame.reindex(columns=list(desk.tickers)))
    traded = own.close.notna().any(axis=1)
    if not traded.any():
        raise DataError(f"no bars of {', '.join(desk.tickers)}: {desk.model.name} decides on them.")
    own = own.on(own.sessions[traded])
    samples = make_windows(desk, own)
    rows = np.flatnonzero(samples.spans.decision >= desk.fold.test.to_datetime64())
    new = np.ones(len(rows), dtype=bool)
    if before is not None:
        earlier = before.samples.spans.ticker[before.rows]
        for ticker in desk.tickers:  # what was there then comes first
            mine = np.flatnonzero(samples.spans.ticker[rows] == ticker)
            new[mine[: int((earlier == ticker).sum())]] = False
    latest = CHAIN.answer(desk.fits, samples, rows[new])
    answers = np.empty((len(rows), latest.shape[1]))
    answers[new] = latest
    if before is not None:
        answers[~new] = before.answers
    return Evening(desk, own, samples, rows, answers)


def make_windows(desk: Desk, prices: Prices) -> Samples:
    """Every window of the desk's inputs in the prices; no target is known, nor asked for."""
    chain = chain_of(desk.experiment.backtest.sessions_per_year)
    return chain.windows(chain.compute_features(prices, desk.model.inputs), desk.model)


def predict_newest(desk: Desk, prices: Prices) -> dict[str, dict[str, float | str]]:
    """What the desk's members predict, by name, of each ticker with a window on the newest session.

    Any ticker will do: the desk need not have learned from it.
    """
    samples = make_windows(desk, prices)
    rows = np.flatnonzero(samples.spans.decision == prices.sessions[-1].to_datetime64())
    answers = CHAIN.answer(desk.fits, samples, rows)
    objective = objective_of(desk.model, desk.fits[0].classes)
    tickers = samples.spans.ticker[rows]
    return {str(t): objective.named(own) for t, own in zip(tickers, answers, strict=True)}


def decide(evening: Evening) -> Decisions:
    """Every decision from the first session that the desk has not learned from.

    row t    sees bars up to and including t; it is the backtest's row of t.  What stood before the
             first of these sessions is not known: a ticker halted on it counts as flat
    errors   DataError when there is no such session
    """
    desk, sessions = evening.desk, evening.prices.sessions
    sessions = sessions[sessions >= desk.fold.test]
    if not len(sessions):
        raise DataError(
            f"{desk.model.name} has learned from the sessions before {desk.fold.test:%Y-%m-%d}, "
            f"and the bars end on {evening.day:%Y-%m-%d}: nothing is left to decide.  "
            "Ask for a later session."
        )
    spans = evening.samples.spans[evening.rows]
    rise = {"decision": spans.decision, "ticker": spans.ticker, "p_up": evening.answers[:, 0]}
    table = pd.DataFrame(rise).pivot(index="decision", columns="ticker", values="p_up")
    probability = table.reindex(index=sessions, columns=list(desk.tickers))
    probability = probability.rename_axis(index="decision", columns="ticker")
    return Decisions(probability, _target(desk, probability, closes_of(evening)))


def answer(desk: Desk, bars: pd.DataFrame) -> pd.DataFrame:
    """What a registered version says of the newest session of each ticker, as `predict_latest`.

    bars     one row a bar: date, ticker, close (adjusted); more columns are ignored
    returns  for a direction model also `target`, the backtest's row of that session: a fraction of
             equity; NaN for a ticker that the desk has no rules for
    """
    table = chain_of(desk.experiment.backtest.sessions_per_year).latest(desk.fits, bars)
    if not objective_of(desk.model).traded:
        return table
    targets = []
    for ticker, as_of, probability in table[["ticker", "as_of", "p_up"]].itertuples(index=False):
        row = pd.DataFrame(np.nan, pd.DatetimeIndex([as_of]), list(desk.tickers))
        if ticker in desk.tickers:
            row[ticker] = probability
            closes = {ticker: history(ticker, bars[bars["ticker"] == ticker])["close"]}
            row = _target(desk, row, closes)
        targets.append(float(row[ticker].iloc[0]) if ticker in row else np.nan)
    return table.assign(target=targets)


def _target(desk: Desk, probability: pd.DataFrame, closes: Mapping[str, pd.Series]) -> pd.DataFrame:
    """(T, K) weights by the desk's rules; closes of every ticker with a probability."""
    rules = desk.experiment
    regimes = regimes_of(desk, closes) if rules.trading.regime_filter != "off" else None
    turbulent = turbulent_classes(rules.labels)
    return CHAIN.allocate(CHAIN.position(probability, rules.trading, regimes, turbulent))


def closes_of(evening: Evening) -> dict[str, pd.Series]:
    """Closes of the desk's tickers, by ticker, on the sessions that each traded."""
    return {ticker: evening.prices.bars(ticker)["close"] for ticker in evening.desk.tickers}


def regimes_of(desk: Desk, closes: Mapping[str, pd.Series]) -> pd.DataFrame:
    """(T, K) regime of each session as known at its close, by what the desk has learned."""
    labels, learned = desk.experiment.labels, desk.regimes
    regimes = {
        ticker: regimes_as_learned(
            close, labels, learned[ticker].thresholds, learned[ticker].states
        )
        for ticker, close in closes.items()
    }
    return pd.DataFrame(regimes)


def outcomes_since(evening: Evening, first: pd.Timestamp, rules: Desk | None = None) -> Outcomes:
    """Every decision from a session on whose truth is known by the end of the prices.

    first  no earlier than the first session that the desk has not learned from
    rules  the desk whose regimes are the truth, for a regime model; None: its own
    """
    desk, closes = evening.desk, closes_of(evening)
    objective = objective_of(desk.model, desk.fits[0].classes)
    regimes = regimes_of(rules or desk, closes) if objective.needs_regimes else None
    spans = evening.samples.spans[evening.rows]
    since = spans.decision >= first.to_datetime64()
    targets = {
        ticker: CHAIN.target(
            objective, close, close * np.nan if regimes is None else regimes[ticker][close.index]
        )
        for ticker, close in closes.items()
    }
    truth = np.full((len(spans), next(iter(targets.values())).shape[1]), np.nan)
    for ticker, target in targets.items():
        mine = since & (spans.ticker == ticker)
        truth[mine] = target.loc[pd.DatetimeIndex(spans.decision[mine])].to_numpy(float)
    known = np.isfinite(truth).all(axis=1)
    unknown = np.full(int(known.sum()), np.nan)
    table = pd.DataFrame(objective.columns(truth[known], evening.answers[known], unknown))
    return Outcomes.of(table.assign(decision=spans.decision[known]), objective)


def observe(evening: Evening) -> Observed:
    """Collect the newest inputs, and what was predicted and came, then (validation) and now."""
    desk, sessions = evening.desk, evening.prices.sessions
    length = desk.experiment.production.drift_sessions
    decisions = evening.samples.spans.decision
    newest = evening.samples.last[decisions >= sessions[-length:][0].to_datetime64()]
    truths = [name for name in desk.validation.columns if str(name).startswith("truth")]
    rows = desk.validation.dropna(subset=truths)
    objective = objective_of(desk.model, desk.fits[0].classes)
    return Observed(
        recent_rows=evening.samples.rows[newest],
        validation=Outcomes.of(rows, objective) if len(rows) else None,
        recent=outcomes_since(evening, max(desk.fold.test, sessions[-2 * length :][0])),
    )
