"""The figures of the page, in its order: which there are of a market, of a model, of a strategy."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from rnntrade.evaluation import classification, metrics
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.predictions import INTERVAL_COVERAGE, conformal_half_widths, known_rows
from rnntrade.objectives.lookup import find_objective
from rnntrade.report import market_figures, model_figures, strategy_figures
from rnntrade.report.contents import ReportContents
from rnntrade.types import regime_names

HISTORY = 30  # closes before a forecast fan
ROLLING = 63  # sessions of the rolling Sharpe ratio

Figures = Iterator[tuple[str, Figure]]


def of_market(contents: ReportContents, ticker: str) -> Figures:
    """Prices and returns, regimes, indicators; nothing of fewer than two sessions."""
    close = contents.prices.close[ticker].dropna()
    if len(close) < 2:
        return
    year = contents.experiment.backtest.sessions_per_year
    yield f"{ticker}_prices", market_figures.price_and_returns(ticker, close, year)
    if ticker in contents.regimes and contents.regimes[ticker].notna().any():
        regime = contents.regimes[ticker].reindex(close.index)
        names = regime_names(contents.experiment.labels)
        yield f"{ticker}_regimes", market_figures.price_by_regime(ticker, close, regime, names)
    features = contents.features.get(ticker, pd.DataFrame()).dropna(how="all")
    if len(features):
        yield f"{ticker}_indicators", market_figures.indicators(ticker, close, features)


def of_model(contents: ReportContents, name: str) -> Figures:
    """Scores, folds, classes, calibration, a forecast, training, attention: what there is."""
    e = contents.evaluations[name]
    yield f"{name}_scores", model_figures.scores_by_source(e)
    if len(e.folds) > 1:
        yield f"{name}_folds", model_figures.folds(e)
    if e.confusion is not None:
        yield f"{name}_confusion", model_figures.confusion_and_classes(e)
    if e.reliability is not None:
        objective, classes = find_objective(e.task, e.horizon), _classes(e)
        event = "a rise" if objective.traded else classes[1] if len(classes) == 2 else ""
        rival = _sure_baseline(contents, e)
        yield f"{name}_reliability", model_figures.reliability(name, event, e.reliability, rival)
    if e.steps is not None and e.horizon > 1 and (fan := _fan(contents, e)):
        yield f"{name}_fan", fan
    if contents.fits.get(name):
        yield f"{name}_learning", model_figures.learning_curves(name, contents.fits[name])
    if contents.attention is not None and contents.attention.model == name:
        yield f"{name}_attention", model_figures.attention(contents.attention)


def of_strategy(contents: ReportContents, name: str) -> Figures:
    """Equity, months, distribution of returns, rolling Sharpe ratio."""
    strategy, x = contents.strategies[name], contents.experiment
    run, held = strategy.books.strategy, strategy.books.benchmark
    yield f"{name}_equity", strategy_figures.equity_panels(name, strategy, x.trading.dead_band)
    monthly = metrics.monthly_returns(run.returns)
    yield f"{name}_monthly", strategy_figures.monthly_heat_map(name, monthly)
    drawn = strategy_figures.return_distribution(name, run.returns, held.returns)
    yield f"{name}_distribution", drawn
    year = x.backtest.sessions_per_year
    own, other = (
        metrics.rolling_sharpe(each.returns, ROLLING, sessions_per_year=year)
        for each in (run, held)
    )
    yield f"{name}_rolling_sharpe", strategy_figures.rolling_sharpe(name, own, other, ROLLING)


def _classes(e: ModelEvaluation) -> list[str]:
    return [] if e.classes is None else [str(name) for name in e.classes.index]


def _sure_baseline(contents: ReportContents, e: ModelEvaluation) -> tuple[str, pd.DataFrame] | None:
    """Name and reliability of the baseline whose probabilities are best, by Brier score."""
    rivals = e.scores["brier"].drop(e.name).dropna()
    if e.name not in contents.predictions or rivals.empty:
        return None
    best, objective = str(rivals.idxmin()), find_objective(e.task, e.horizon)
    rows = known_rows(contents.predictions[e.name], best, "test", objective)
    probabilities = objective.predicted(rows)[:, : len(_classes(e)) or None]
    return best, classification.reliability(rows["truth"].to_numpy(float), probabilities)


def _fan(contents: ReportContents, e: ModelEvaluation) -> Figure | None:
    """Draw the last forecast whose whole future came, for the first ticker."""
    predictions, objective = contents.predictions[e.name], find_objective(e.task, e.horizon)
    validation, rows = (
        known_rows(predictions, e.name, part, objective) for part in ("validation", "test")
    )
    tickers = [ticker for ticker in contents.prices.tickers if (rows["ticker"] == ticker).any()]
    if not tickers:
        return None
    close = contents.prices.close[tickers[0]].dropna()
    row = rows[rows["ticker"] == tickers[0]].sort_values("decision").iloc[[-1]]
    decided = int(close.index.get_indexer(pd.DatetimeIndex(row["decision"]))[0])
    if decided < 0:
        return None
    sessions = pd.DatetimeIndex(close.index[decided + 1 : decided + 1 + e.horizon])
    widths = conformal_half_widths(objective, validation, row, cumulative=True)[0]
    steps = slice(len(sessions))
    return model_figures.forecast_fan(
        tickers[0],
        close.iloc[max(0, decided + 1 - HISTORY) : decided + 1],
        sessions,
        objective.predicted(row)[0][steps],
        objective.truth(row)[0][steps],
        widths[steps],
        INTERVAL_COVERAGE,
    )
