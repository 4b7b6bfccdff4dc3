"""Combinatorial purged cross-validation as tasks: how far choosing among models flatters."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel

from rnntrade.chain import CHAIN, Chain
from rnntrade.config import BacktestConfig, Experiment, ModelConfig, TradingConfig
from rnntrade.errors import ConfigError
from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.evaluation.paths import (
    Overfitting,
    PathRatios,
    TradedPaths,
    overfitting,
    path_ratios,
    stitch,
)
from rnntrade.features.indicators import check_names
from rnntrade.objectives.lookup import objective_of
from rnntrade.report.catalogue import markdown_table
from rnntrade.samples.combinatorial import combinatorial_folds, first_sessions, paths, spans_read
from rnntrade.samples.splits import require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.trading.backtest import backtest as run_backtest
from rnntrade.trading.positions import decide
from rnntrade.types import FoldTargets, Predictions, Windows
from tasks.caching import step
from tasks.plain import task
from tasks.refs import Ref, Tables, put, read_prices

Row = dict[str, str]

DEAD_BANDS = (0.0, 0.05, 0.1, 0.2)  # tried with each model and member
NOTICE = (
    "A diagnosis of selection, never a result: its folds train on sessions after those that they "
    "are judged on.  No verdict follows from it, and nothing is registered."
)


class Diagnosis(BaseModel):
    """The result of the flow `diagnose`; NaN, null in JSON, where a figure is undefined."""

    notice: str = NOTICE
    experiment: str
    source: str  # of the prices
    groups: int
    test_groups: int
    folds: int
    fits: int
    paths: int
    ratios: dict[str, PathRatios]  # by model
    sharpe: dict[str, list[float]]  # by model: of each path, after costs
    overfitting: Overfitting
    configurations: dict[str, float]  # Sharpe ratio of their returns, averaged over paths
    failures: dict[str, str]  # by model, why
    text: str
    prefect_run: str

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return dict(json.loads(self.model_dump_json()))

    def tables(self) -> dict[str, list[Row]]:
        """Titles and rows, as a person reads them."""
        title = f"Sharpe ratios after costs on {self.paths} paths (a diagnosis, not a result)"
        rows = [
            {
                "model": name,
                "lowest": _shown(own.lowest),
                "quartiles": f"{_shown(own.lower_quartile)} to {_shown(own.upper_quartile)}",
                "median": _shown(own.median),
                "highest": _shown(own.highest),
                "buy and hold": _shown(own.hold),
                "paths below it": f"{_shown(100 * own.share_below, 0)} %",
                "never held anything": str(own.undefined),
            }
            for name, own in self.ratios.items()
        ]
        return {title: rows}


def traded_models(experiment: Experiment) -> tuple[ModelConfig, ...]:
    """Return the models that trade; ConfigError when there is none."""
    models = tuple(model for model in experiment.models if objective_of(model).traded)
    if not models:
        raise ConfigError(
            f"{experiment.name} has no model of task direction, and only those trade.  "
            "Diagnose an experiment that has one."
        )
    return models


@step(
    "make_combinatorial_windows-{model.name}",
    of=(make_samples, Chain.make_targets, combinatorial_folds),
)
def make_combinatorial_windows(
    model: ModelConfig,
    features: Tables,
    prices: Tables,
    groups: int,
    test_groups: int,
    validation_fraction: float,
) -> Ref[Windows]:
    """Write a direction model's samples, and which of them each choice of test groups trains on."""
    check_names(model.inputs)
    tables = {ticker: ref.load()[list(model.inputs)] for ticker, ref in features.items()}
    closes = {ticker: ref.load()["close"] for ticker, ref in prices.items()}
    objective = objective_of(model)
    targets = {t: CHAIN.target(objective, close, close * math.nan) for t, close in closes.items()}
    samples = CHAIN.samples(tables, targets, model.lookback, model.horizon)
    sessions = read_prices(prices).sessions
    folds = combinatorial_folds(
        spans_read(samples, tables), sessions, groups, test_groups, validation_fraction
    )
    unknown = np.full(len(samples), math.nan)
    for fold in folds:
        require_samples(samples.target, fold, model.name, model.horizon)
    targeted = (FoldTargets(fold, samples.target, unknown, {}) for fold in folds)
    return put("windows", Windows(samples, tuple(targeted)))


@step("trade_paths-{name}", of=(stitch, decide, run_backtest, first_sessions))
def trade_paths(
    name: str,
    predictions: Ref[Predictions],
    prices: Tables,
    trading: TradingConfig,
    config: BacktestConfig,
    groups: int,
    test_groups: int,
) -> Ref[TradedPaths]:
    """Backtest a model along every path: as the experiment trades it, and as it might have.

    A regime filter is left out.
    """
    bars = read_prices(prices)
    assignment, first = paths(groups, test_groups), first_sessions(bars.sessions, groups)
    made = predictions.load()
    together = made.table[made.table["part"] == "test"]
    alone = together.assign(member=0) if made.members.empty else made.members

    def earned(rows: pd.DataFrame, dead_band: float) -> pd.DataFrame:
        rule = replace(trading, dead_band=dead_band)
        returns = {}
        for number, path in enumerate(stitch(rows, assignment, first)):
            during = (bars.sessions >= path.index[0]) & (bars.sessions <= path.index[-1])
            probability = path.reindex(index=bars.sessions[during], columns=bars.tickers)
            target = CHAIN.allocate(CHAIN.decide(probability, rule))
            returns[str(number)] = CHAIN.backtest(target, bars, config).returns
        return pd.DataFrame(returns)

    traded = earned(together, trading.dead_band)
    tried = {
        f"{name}, member {member}, dead band {band:g}": earned(rows, band).mean(axis=1)
        for member, rows in alone.groupby("member")
        for band in sorted({*DEAD_BANDS, trading.dead_band})
    }
    held = CHAIN.hold(bars, pd.DatetimeIndex(traded.index), config).returns
    return put("paths", TradedPaths(traded, pd.DataFrame(tried), held))


@task("judge_paths")
def judge_paths(
    experiment: Experiment,
    groups: int,
    test_groups: int,
    fits: int,
    traded: dict[str, Ref[TradedPaths]],
    failures: dict[str, str],
) -> Diagnosis:
    """Put the paths beside buy and hold, judge the choosing, and show it on Prefect's pages."""
    year = experiment.backtest.sessions_per_year
    risk_free = experiment.backtest.risk_free_rate / year
    count, folds = paths(groups, test_groups).shape[0], math.comb(groups, test_groups)
    ratios, sharpe, tried = {}, {}, []
    for name, ref in traded.items():
        own = ref.load()
        sharpe[name] = [sharpe_ratio(own.paths[path], risk_free, year) for path in own.paths]
        ratios[name] = path_ratios(sharpe[name], sharpe_ratio(own.hold, risk_free, year))
        tried.append(own.configurations)
    table = pd.concat(tried, axis=1) if tried else pd.DataFrame()
    draws = max(experiment.report.bootstrap_draws // 20, 10)  # each costs what a whole figure does
    chosen = overfitting(table - risk_free, draws, experiment.seed)
    diagnosis = Diagnosis(
        experiment=experiment.name,
        source=experiment.data.source,
        groups=groups,
        test_groups=test_groups,
        folds=folds,
        fits=fits,
        paths=count,
        ratios=ratios,
        sharpe=sharpe,
        overfitting=chosen,
        configurations={str(name): sharpe_ratio(table[name], risk_free, year) for name in table},
        failures=failures,
        text=_text(count, ratios, chosen),
        prefect_run=str(flow_run.id or ""),
    )
    for rows in diagnosis.tables().values():
        create_table_artifact(key="paths", table=list(rows), description=diagnosis.notice)
    create_markdown_artifact(key="diagnosis", markdown=markdown(diagnosis), description=NOTICE)
    return diagnosis


def markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis as Markdown, its warning first."""
    parts = [f"# Diagnosis of {diagnosis.experiment}", f"**{diagnosis.notice}**", diagnosis.text]
    for title, rows in diagnosis.tables().items():
        parts += [f"### {title}", markdown_table(rows)] if rows else []
    parts += [f"**failed** {name}: {reason}" for name, reason in diagnosis.failures.items()]
    return "\n\n".join(parts)


def _text(count: int, ratios: dict[str, PathRatios], chosen: Overfitting) -> str:
    sentences = [
        f"{name}: the Sharpe ratio after costs lies between {_shown(own.lowest)} and "
        f"{_shown(own.highest)} on {count} paths, median {_shown(own.median)}, beside "
        f"{_shown(own.hold)} for buy and hold; {_shown(100 * own.share_below, 0)} % of the paths "
        f"are below it, and {own.undefined} never held anything."
        if own.undefined < count
        else f"{name} never held anything on any of {count} paths."
        for name, own in ratios.items()
    ]
    if not math.isfinite(chosen.probability):
        why = "two configurations that held something, and 32 sessions, are wanted"
        return " ".join([*sentences, f"Overfitting cannot be told: {why}."])
    place = "inside" if chosen.low <= chosen.probability <= chosen.high else "outside"
    sentences.append(
        f"The best of {chosen.configurations} configurations on one half of the sessions was no "
        f"better than their median on the other in {100 * chosen.probability:.0f} % of the splits "
        f"(probability of backtest overfitting {chosen.probability:.2f}; below 0.20 is wanted).  "
        f"That is {place} the {chosen.low:.2f} to {chosen.high:.2f} of configurations none of "
        "which is better than another."
    )
    return " ".join(sentences)


def _shown(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "none"
