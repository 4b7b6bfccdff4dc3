"""The sections of the report, in the order in which they are read."""

from collections.abc import Iterator

import pandas as pd

from rnntrade.evaluation import metrics
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.predictions import (
    INTERVAL_COVERAGE,
    conformal_half_widths,
    is_return,
    known_rows,
    returns_of,
)
from rnntrade.evaluation.verdict import plain
from rnntrade.report import market_figures, model_figures, overview, strategy_figures
from rnntrade.report.contents import Picture, ReportContents, Section, StrategyContents, picture
from rnntrade.report.markup import folded, paragraph, terms
from rnntrade.report.tables import Kind, figures_table, html_table
from rnntrade.report.wording import FIGURE_UNITS, FIGURES, READING, TRADE_KINDS

TRADES_SHOWN = 200
OWN, HOLD = "strategy", "buy and hold"
ROLLING = 63  # sessions of the rolling Sharpe ratio
HISTORY = 30  # closes before a forecast fan

Parts = Iterator[str | Picture]


def sections(contents: ReportContents) -> list[Section]:
    """Return the whole page; the first section is its head."""
    tickers = contents.prices.tickers
    return [
        Section(f"Experiment {contents.experiment.name}", list(overview.verdict(contents))),
        Section("Models beside their best baselines", list(overview.models(contents))),
        Section("Strategies beside buy and hold", list(overview.strategies(contents))),
        Section("Data warnings", list(overview.findings(contents.findings))),
        Section("Provenance", list(overview.provenance(contents))),
        *(Section(f"Market: {ticker}", list(_market(contents, ticker))) for ticker in tickers),
        *(Section(f"Model: {name}", list(_model(contents, name))) for name in contents.evaluations),
        *(
            Section(f"Strategy: {name}", list(_strategy(contents, name)))
            for name in contents.strategies
        ),
        Section("How to read this page", [terms(READING)]),
    ]


def _market(contents: ReportContents, ticker: str) -> Parts:
    close = contents.prices.close[ticker].dropna()
    if len(close) < 2:
        yield paragraph("Fewer than two sessions: nothing to draw.")
        return
    yield picture(f"{ticker}_prices", market_figures.price_and_returns(ticker, close))
    if ticker in contents.regimes and contents.regimes[ticker].notna().any():
        regime = contents.regimes[ticker].reindex(close.index)
        yield picture(f"{ticker}_regimes", market_figures.price_by_regime(ticker, close, regime))
    features = contents.features.get(ticker, pd.DataFrame()).dropna(how="all")
    if len(features):
        drawn = market_figures.indicators(ticker, close, features)
        yield picture(f"{ticker}_indicators", drawn)


def _model(contents: ReportContents, name: str) -> Parts:
    e = contents.evaluations[name]
    yield paragraph(e.sentence)
    yield paragraph(e.power, "note")
    yield picture(f"{name}_scores", model_figures.scores_by_source(e))
    if e.confusion is not None:
        yield picture(f"{name}_confusion", model_figures.confusion_and_classes(e))
    if e.task == "forecast":
        yield from _fan(contents, e)
    if contents.fits.get(name):
        yield picture(f"{name}_learning", model_figures.learning_curves(name, contents.fits[name]))
    attention = contents.attention
    if attention is not None and attention.model == name:
        drawn = model_figures.attention(
            attention.ticker,
            attention.sessions,
            attention.weights,
            attention.window,
            attention.names,
        )
        yield picture(f"{name}_attention", drawn)
        yield paragraph("Attention says where a network looked, not why.", "note")
    yield from _model_tables(e)


def _model_tables(e: ModelEvaluation) -> Parts:
    counted = f"test part: {e.samples:,} samples of {e.sessions:,} sessions"
    errors: dict[str, Kind] = {"rmse": "fine_percent", "mae": "fine_percent"}
    scores = e.scores.reset_index()
    scores["source"] = _sources(scores["source"], e)
    titles = {"r2_zero": "R² against zero", "rmse": "RMSE", "mae": "MAE", "auc": "AUC"}
    kinds: dict[str, Kind] = dict.fromkeys([str(name) for name in e.scores.columns], "score")
    if is_return(e.task):
        kinds |= errors
    yield html_table(scores, kinds, titles, f"Every source on the {counted}")
    if e.classes is not None:
        by_class: dict[str, Kind] = {**dict.fromkeys(["precision", "recall", "f1"], "score")}
        by_class["support"] = "count"
        yield html_table(e.classes, by_class, {"f1": "F1"}, f"{e.name} by class")
    if e.steps is not None:
        steps = e.steps.reset_index()
        steps["source"] = _sources(steps["source"], e)
        by_step: dict[str, Kind] = {"step": "count", "r2_zero": "score", "sign_accuracy": "score"}
        yield html_table(steps, by_step | errors, titles, "By step: sessions ahead")
    if e.coverage is not None:
        caption = f"{100 * INTERVAL_COVERAGE:g} % intervals of {e.name} by step, on the test part"
        width: dict[str, Kind] = {
            "step": "count",
            "coverage": "percent",
            "mean_width": "fine_percent",
        }
        yield html_table(e.coverage, width, {}, caption)


def _sources(names: pd.Series, e: ModelEvaluation) -> list[str]:
    """Baselines in words, the network by its name."""
    return [str(name) if name == e.name else plain(str(name)) for name in names]


def _fan(contents: ReportContents, e: ModelEvaluation) -> Parts:
    """Draw the last forecast whose whole future came, for the first ticker."""
    predictions = contents.predictions[e.name]
    validation = known_rows(predictions, e.name, "validation", e.task)
    rows = known_rows(predictions, e.name, "test", e.task)
    tickers = [ticker for ticker in contents.prices.tickers if (rows["ticker"] == ticker).any()]
    if not tickers:
        return
    close = contents.prices.close[tickers[0]].dropna()
    row = rows[rows["ticker"] == tickers[0]].sort_values("decision").iloc[[-1]]
    forecast, came = returns_of(row, "r")[0], returns_of(row, "truth")[0]
    decided = int(close.index.get_indexer(pd.DatetimeIndex(row["decision"]))[0])
    if decided < 0:
        return
    sessions = pd.DatetimeIndex(close.index[decided + 1 : decided + 1 + len(forecast)])
    figure = model_figures.forecast_fan(
        tickers[0],
        close.iloc[max(0, decided + 1 - HISTORY) : decided + 1],
        sessions,
        forecast[: len(sessions)],
        came[: len(sessions)],
        conformal_half_widths(validation, row, cumulative=True)[0][: len(sessions)],
        INTERVAL_COVERAGE,
    )
    yield picture(f"{e.name}_fan", figure)


def _strategy(contents: ReportContents, name: str) -> Parts:
    strategy = contents.strategies[name]
    e, run, held = strategy.evaluation, strategy.backtest, strategy.benchmark
    yield paragraph(e.sentence)
    annual = (e.figures["annual_return"], e.benchmark_figures["annual_return"])
    drawn = strategy_figures.equity_panels(
        name, annual, strategy, contents.experiment.trading.dead_band
    )
    yield picture(f"{name}_equity", drawn)
    monthly = metrics.monthly_returns(run.returns)
    yield picture(f"{name}_monthly", strategy_figures.monthly_heat_map(name, monthly))
    distribution = strategy_figures.return_distribution(name, run.returns, held.returns)
    yield picture(f"{name}_distribution", distribution)
    rolling = [metrics.rolling_sharpe(r.returns, ROLLING) for r in (run, held)]
    drawn = strategy_figures.rolling_sharpe(name, rolling[0], rolling[1], ROLLING)
    yield picture(f"{name}_rolling_sharpe", drawn)
    both = {OWN: e.figures, HOLD: e.benchmark_figures}
    yield folded("All figures, beside buy and hold", figures_table(both, FIGURES, FIGURE_UNITS))
    yearly = pd.DataFrame(
        {OWN: metrics.yearly_returns(run.returns), HOLD: metrics.yearly_returns(held.returns)}
    )
    of_year: dict[str, Kind] = dict.fromkeys([OWN, HOLD], "gain")
    yield html_table(yearly.rename_axis("year"), of_year, {}, "Return of each year")
    months = monthly.set_axis(list(strategy_figures.MONTHS), axis=1)
    of_month: dict[str, Kind] = dict.fromkeys(strategy_figures.MONTHS, "gain")
    yield folded("Return of each month", html_table(months, of_month))
    yield from _trades(strategy)


def _trades(strategy: StrategyContents) -> Parts:
    trades = strategy.backtest.trades
    if trades.empty:
        yield paragraph("It never traded.")
        return
    kinds: dict[str, Kind] = {
        str(name): TRADE_KINDS.get(str(name), "text") for name in trades.columns
    }
    note = f"{len(trades):,} trades"
    if len(trades) > TRADES_SHOWN:
        note += f", the first {TRADES_SHOWN} of them (the rest is in the CSV file under trades/)"
    yield folded(note, html_table(trades.head(TRADES_SHOWN), kinds))
