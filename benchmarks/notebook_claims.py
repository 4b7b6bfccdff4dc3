"""What a teaching notebook's procedure claims on SPY, QQQ and IWM 2015-2023, and what is left.

    python benchmarks/notebook_claims.py FOLDER

FOLDER holds SPY.parquet, QQQ.parquet and IWM.parquet (or .csv) as Yahoo gives them.

The notebook that this project goes back to is not in the repository.  Reproduced is its procedure,
one leak at a time and all at once, on rnntrade's own networks at their full size: the library has
no option for any leak, so each is built here, out of samples and folds that nobody should make.

(i)    regimes by volatility quantiles of the whole sample
(ii)   a scaler fitted on the whole sample
(iii)  learning rate and epoch chosen by the test loss; the best epoch's test accuracy is quoted
(iv)   the regime of the decision session itself as target, told as a prediction; its window holds
       all that defines it
(v)    training, validation and test drawn at random, so that overlapping windows are in all three
(vi)   a position decided at the close of t earns the return of t; no costs; returns are summed

Not reproduced: the notebook's own code, its number of epochs and the figures printed in it.

Each ticker has its own networks, `regime_lstm` and `many_to_one_lstm`, at EPOCHS epochs; a cell is
the mean over tickers and MEMBERS seeds.  Two strategies, one unit of capital each: `direction` is
long where the network gives a rise more than one half, else short; `regime` is long where the
network (h = 1, or 0 with leak iv) names Bull, short where Bear, else flat.  Honest books are
`rnntrade.trading.backtest`'s with its costs, filled at the next open; where test decisions are
scattered (v), each stands until the next.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from unittest.mock import patch

import numpy as np
import pandas as pd
from machine import describe_machine

from rnntrade.config import (
    BacktestConfig,
    DataConfig,
    LabelConfig,
    ModelConfig,
    SplitConfig,
    TradingConfig,
    TrainingConfig,
)
from rnntrade.data.bars import digest
from rnntrade.data.sources import fetch
from rnntrade.errors import RnntradeError
from rnntrade.evaluation.metrics import sharpe_ratio, total_return
from rnntrade.features.indicators import simple_return, ticker_features
from rnntrade.labels.regimes import BEAR, BULL, learn_regimes
from rnntrade.objectives.direction import direction
from rnntrade.samples.splits import assign, boundaries
from rnntrade.samples.windows import fit_scaler, make_samples
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.trading.positions import decide
from rnntrade.training.devices import derive_seed
from rnntrade.training.loop import train
from rnntrade.training.predict import predict
from rnntrade.types import Boundary, Fit, Fold, Prices, Rows, Samples, Scaler
from tests.configs import DIRECTION, REGIME

SEED = 0
EPOCHS = 12
MEMBERS = 2
SPLIT = SplitConfig(kind="holdout")  # the last 20 % is the test part
COSTS = BacktestConfig()
EVERY_PREDICTION = TradingConfig(dead_band=0.0)  # with a dead band the direction network is flat

H20 = replace(REGIME, name="h20", horizon=20, max_epochs=EPOCHS)
H1 = replace(REGIME, name="h1", horizon=1, max_epochs=EPOCHS)
H0 = replace(REGIME, name="h0", horizon=1, max_epochs=EPOCHS)  # asked about today, (iv)
UP = replace(DIRECTION, name="up", max_epochs=EPOCHS)

STRATEGIES = {UP.name: "direction", H1.name: "regime", H0.name: "regime"}

STRATEGY_FIGURES = [
    *("direction_sharpe", "direction_total", "direction_hold_sharpe", "direction_hold_total"),
    *("regime_sharpe", "regime_total"),
]

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Procedure:
    """One row: which leaks, and which networks they change; other cells are the honest ones."""

    name: str
    claim: str  # filled with the row's own figures
    models: tuple[ModelConfig, ...] = (H20, H1, UP)
    own_thresholds: bool = True  # of the training part
    own_scaler: bool = True
    own_validation: bool = True
    in_order: bool = True
    book: str = "honest"


HONEST = Procedure(
    "honest",
    "to its rival: h=20 {h20_over:+.2f}, h=1 {h1_over:+.2f}, direction {up_over:+.2f}",
)
PROCEDURES = (
    HONEST,
    Procedure(
        "(i) whole-sample quantiles",
        "“{h20:.0%} of regimes, 20 sessions ahead” ({h20_gain:+.2f})",
        models=(H20, H1),
        own_thresholds=False,
    ),
    Procedure(
        "(ii) whole-sample scaler",
        "“{h20:.0%} of regimes, 20 sessions ahead” ({h20_gain:+.2f})",
        own_scaler=False,
    ),
    Procedure(
        "(iii) epoch chosen on test",
        "“best test accuracy {h20:.0%}” ({h20_gain:+.2f})",
        own_validation=False,
    ),
    Procedure(
        "(iv) today's regime as target",
        "“{h0:.0%} of regimes predicted”",
        models=(H0,),
    ),
    Procedure(
        "(v) random split",
        "“{h20:.0%} of regimes, 20 sessions ahead” ({h20_gain:+.2f})",
        in_order=False,
    ),
    Procedure(
        "(vi) today's return, no costs, sums",
        "“trading regimes: Sharpe {regime_sharpe:.2f}, {regime_total:+.0%}” ({regime_gain:+.2f})",
        models=(),  # the honest ones, accounted for otherwise
        book="notebook",
    ),
    Procedure(
        "all together",
        "“{h0:.0%} of regimes predicted; Sharpe {regime_sharpe:.2f}, {regime_total:+.0%}”",
        models=(H0, UP),
        own_thresholds=False,
        own_scaler=False,
        own_validation=False,
        in_order=False,
        book="notebook",
    ),
)


@dataclass(frozen=True)
class Job:
    """The networks of one procedure, ticker and seed; one process does one job at a time."""

    procedure: Procedure
    ticker: str
    member: int
    data: DataConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="with SPY.parquet, QQQ.parquet, IWM.parquet")
    folder = parser.parse_args().folder
    if folder is None:
        print(
            "notebook_claims: left out, for it needs a folder of real prices: see its first lines."
        )
        return
    began = time.perf_counter()
    data = DataConfig(source="files", folder=folder)
    try:
        bars = {ticker: load(ticker, data) for ticker in data.tickers}
    except RnntradeError as error:
        sys.exit(f"notebook_claims: {error}")
    figures = train_all(data)

    print(describe_machine())
    print("python benchmarks/notebook_claims.py FOLDER", end="\n\n")
    for ticker, table in bars.items():
        print(f"{ticker}: {len(table)} sessions, {table.index[0]:%Y-%m-%d} to", end=" ")
        print(f"{table.index[-1]:%Y-%m-%d}, digest {digest(table)}")
    print(f"{EPOCHS} epochs, {MEMBERS} seeds derived from {SEED}, mean over tickers and seeds.")
    print("“=”: as in the honest row, for the leak does not touch it.\n")
    print(claims_table(figures), end="\n\n")
    print(f"Another seed alone moves one honest fit by about: {seed_noise(figures)};")
    print("a cell is the mean of several fits, and moves less.\n")
    print("The sign of today's return as the position, on the honest test part:\n")
    print(hindsight_table(bars), end="\n\n")
    print(f"It took {time.perf_counter() - began:.0f} s.")


def load(ticker: str, data: DataConfig) -> pd.DataFrame:
    return fetch(ticker, data.start, data.end, data)[0]


def train_all(data: DataConfig) -> pd.DataFrame:
    """Return figures by procedure, ticker and member; those of (vi) are the honest networks'."""
    jobs = [
        Job(procedure, ticker, member, data)
        for procedure in PROCEDURES
        if procedure.models
        for ticker in data.tickers
        for member in range(MEMBERS)
    ]
    found = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for job, figures in zip(jobs, pool.map(work, jobs), strict=True):
            found[job.procedure.name, job.ticker, job.member] = figures
            print(f"{len(found)} of {len(jobs)}", end="\r", file=sys.stderr, flush=True)
    table = pd.DataFrame.from_dict(found, orient="index")
    return table.rename_axis(["procedure", "ticker", "member"])


def work(job: Job) -> Figures:
    """Train a procedure's networks on one ticker, and judge them as the procedure does."""
    bars = load(job.ticker, job.data)
    figures: dict[str, float] = {}
    for model in job.procedure.models:
        figures |= judge(model, job, bars)
    return figures


def judge(model: ModelConfig, job: Job, bars: pd.DataFrame) -> Figures:
    """Train one network and return its figures: accuracy, that of its rival, and both books."""
    procedure, close = job.procedure, bars["close"]
    (boundary,) = boundaries(pd.DatetimeIndex(bars.index), SPLIT)
    regime = regimes(close, boundary, procedure)
    target = {
        UP.name: direction(close),
        H20.name: regime.shift(-H20.horizon),
        H1.name: regime.shift(-H1.horizon),
        H0.name: regime,
    }[model.name]
    samples = make_samples(
        {job.ticker: ticker_features(bars, model.inputs)},
        {job.ticker: target.to_frame()},
        model.lookback,
        model.horizon,
    )
    fold = assign(samples.spans, boundary)
    if not procedure.in_order:
        fold = shuffled(samples, derive_seed(SEED, f"shuffle/{job.ticker}", 0, job.member))
    fit = trained(model, samples, fold, procedure, job)

    answers = predict(fit, samples, fold.test)  # (n, C)
    decisions = pd.DatetimeIndex(samples.spans.decision[fold.test])
    known = np.isfinite(samples.target[fold.test, 0])
    truth = samples.target[fold.test[known], 0]
    if model.name == UP.name:
        position = decide(pd.DataFrame(answers, decisions, [job.ticker]), EVERY_PREDICTION)
        right = (answers[known, 0] > 0.5) == (truth > 0.5)
        rival = truth > 0.5  # always up
    else:
        named = pd.DataFrame(answers.argmax(axis=1)[:, None], decisions, [job.ticker])
        position = (named == BULL).astype(float) - (named == BEAR).astype(float)
        right = named.to_numpy()[known, 0] == truth
        rival = regime.loc[decisions].to_numpy()[known] == truth  # persistence
    accuracy = float(right.mean())
    if not procedure.own_validation:
        accuracy = max(epoch.validation_score for epoch in fit.history)
    figures = {model.name: accuracy, f"{model.name}_rival": float(rival.mean())}
    if model.name in STRATEGIES:
        strategy = STRATEGIES[model.name]
        for book, results in books(position, bars).items():
            figures |= {f"{book}_{strategy}_{name}": value for name, value in results.items()}
    return figures


def regimes(close: pd.Series, boundary: Boundary, procedure: Procedure) -> pd.Series:
    """Label every session; leak (i): by quantiles of sessions that were still to come."""
    before = close.index[close.index < boundary.validation]
    config = LabelConfig(thresholds="training" if procedure.own_thresholds else "full_sample")
    return learn_regimes(close, config, (boundary.training, before[-1]))[0]


def shuffled(samples: Samples, seed: int) -> Fold:
    """Leak (v): parts of the usual sizes, drawn at random from all samples with a known future."""
    known = np.flatnonzero(np.isfinite(samples.target).all(axis=1))
    drawn = np.random.default_rng(seed).permutation(known)
    test = round(len(drawn) * SPLIT.test_fraction)
    validation = test + round((len(drawn) - test) * SPLIT.validation_fraction)
    parts = np.split(drawn, [test, validation])
    return Fold(0, training=np.sort(parts[2]), validation=np.sort(parts[1]), test=np.sort(parts[0]))


def trained(
    model: ModelConfig, samples: Samples, fold: Fold, procedure: Procedure, job: Job
) -> Fit:
    """Train by rnntrade's own loop; the training samples are the same with leaks (ii) and (iii)."""
    seed = derive_seed(SEED, f"{model.name}/{job.ticker}", fold.number, job.member)
    handed = fold if procedure.own_validation else replace(fold, validation=fold.test)
    scaler = fit_scaler if procedure.own_scaler else whole_sample_scaler
    with patch("rnntrade.training.loop.fit_scaler", scaler):
        return train(samples, handed, model, TrainingConfig(), seed=seed, device="cpu")


def whole_sample_scaler(samples: Samples, training: Rows, scale_target: bool) -> Scaler:
    """Leak (ii): standardise by every session.

    It takes the place of the loop's own, which would undo a scaling of the rows beforehand.
    """
    return fit_scaler(samples, np.arange(len(samples)), scale_target)


def books(position: pd.DataFrame, bars: pd.DataFrame) -> dict[str, Figures]:
    """Sharpe ratio and total return of a strategy and of holding, by either way of accounting."""
    prices = Prices.join({position.columns[0]: bars})
    sessions = prices.sessions
    during = sessions[(sessions >= position.index[0]) & (sessions <= position.index[-1])]
    held = buy_and_hold(prices, during, COSTS).returns
    own = backtest(position.reindex(during), prices, COSTS).returns
    # Leak (vi): the return of the decision session was known when the position was decided.
    today = simple_return(bars[["close"]])["close"].loc[position.index]
    gained = position.iloc[:, 0] * today
    return {
        "honest": {
            "sharpe": sharpe_ratio(own),
            "total": total_return(own),
            "hold_sharpe": sharpe_ratio(held),
            "hold_total": total_return(held),
        },
        "notebook": {
            "sharpe": sharpe_ratio(gained),
            "total": float(gained.sum()),
            "hold_sharpe": sharpe_ratio(today),
            "hold_total": float(today.sum()),
        },
    }


def claims_table(figures: pd.DataFrame) -> str:
    """A row per procedure, the mean over tickers and seeds in each cell."""
    means = figures.groupby("procedure").mean()
    header = (
        "procedure",
        "regime h=20 / persistence",
        "regime h=1 / persistence",
        "regime h=0 / persistence",
        "direction / always up",
        "Sharpe: direction / regime / hold",
        "total return: direction / regime / hold",
        "what it claims (more than the honest row)",
    )
    rows = []
    for procedure in PROCEDURES:
        source = procedure if procedure.models else HONEST
        row = means.loc[source.name].to_dict()
        row |= {name: row[f"{procedure.book}_{name}"] for name in STRATEGY_FIGURES}
        row |= {f"{name}_over": row[name] - row[f"{name}_rival"] for name in ("h20", "h1", "up")}
        row["h20_gain"] = row["h20"] - means.loc[HONEST.name, "h20"]
        row["regime_gain"] = row["regime_sharpe"] - means.loc[HONEST.name, "honest_regime_sharpe"]
        asked = [model.name for model in procedure.models]
        cells = []
        for name in ("h20", "h1", "h0", "up"):
            told = f"{row[name]:.3f} / {row[f'{name}_rival']:.3f}"
            never = name == "h0" or ("h0" in asked and name != "up")
            cells.append(told if name in asked else "-" if never else "=")
        traded = {STRATEGIES[model.name] for model in source.models if model.name in STRATEGIES}
        for what, form in (("sharpe", ".2f"), ("total", "+.1%")):
            each = [
                format(row[f"{name}_{what}"], form) if name.split("_")[0] in traded else "="
                for name in ("direction", "regime", "direction_hold")
            ]
            cells.append(" / ".join(each))
        rows.append((procedure.name, *cells, procedure.claim.format(**row)))
    return markdown(header, rows)


def seed_noise(figures: pd.DataFrame) -> str:
    """Deviation between the seeds of one ticker, the mean over tickers."""
    honest = figures.loc[HONEST.name]
    noise = honest.groupby("ticker").std().mean()
    names = {
        "h20": "regime h=20",
        "h1": "regime h=1",
        "up": "direction",
        "honest_regime_sharpe": "Sharpe of regime",
        "honest_direction_sharpe": "of direction",
    }
    return ", ".join(f"{name} {noise[key]:.3f}" for key, name in names.items())


def hindsight_table(bars: Mapping[str, pd.DataFrame]) -> str:
    """The same signal, accounted for in four ways; only the first can be traded."""
    header = (
        "ticker",
        "honest: next open, costs",
        "return of t+1, no costs",
        "return of t, no costs",
        "return of t, no costs, summed (vi)",
    )
    rows = []
    for ticker, table in bars.items():
        prices = Prices.join({ticker: table})
        (boundary,) = boundaries(prices.sessions, SPLIT)
        returns = simple_return(prices.close)
        signal = np.sign(returns.loc[boundary.test :])
        today = (signal * returns.loc[signal.index])[ticker]
        tomorrow = (signal * returns.shift(-1).loc[signal.index])[ticker].dropna()
        traded = backtest(signal, prices, COSTS).returns
        ways = [(each, total_return(each)) for each in (traded, tomorrow, today)]
        ways.append((today, float(today.sum())))
        rows.append((ticker, *(f"{sharpe_ratio(r):.2f}, {total:+,.1%}" for r, total in ways)))
    return markdown(header, rows)


def markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
