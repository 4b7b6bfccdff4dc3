"""The pipeline as one plain composition: what the tasks do, in memory and with exchangeable stages.

A stage is a function of the library.  The audit replaces prices and compares what comes out; its
tests replace a stage (`dataclasses.replace(CHAIN, features=leaky)`) and see the audit find it.

features   ticker -> (T_k, F) on the sessions that the ticker traded
labels     one `Labels` a fold
table      one row a prediction: source, part, fold, ticker, decision, label_end, and by task
           truth, p_up | truth, current, p_0 .. p_3 | truth_1 .. truth_h, r_1 .. r_h
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import (
    Experiment,
    LabelConfig,
    ModelConfig,
    SplitConfig,
    Task,
    TradingConfig,
)
from rnntrade.features.sets import FEATURES, ticker_features
from rnntrade.labels.regimes import label_regimes
from rnntrade.labels.targets import make_target
from rnntrade.models.baselines import baselines
from rnntrade.samples.files import FoldTargets
from rnntrade.samples.predictions import prediction_table
from rnntrade.samples.splits import Boundary, assign, boundaries
from rnntrade.samples.windows import make_samples
from rnntrade.trading.backtest import backtest
from rnntrade.trading.filters import regime_filter, stitch_regimes
from rnntrade.trading.positions import allocate, confidence, decide
from rnntrade.training.latest import predict_latest
from rnntrade.training.loop import train
from rnntrade.training.predict import predict
from rnntrade.training.seeds import derive_seed
from rnntrade.types import (
    Backtest,
    Fit,
    Fold,
    Prices,
    Rows,
    Samples,
    Spans,
    Thresholds,
    turbulent_classes,
)

Tables = Mapping[str, pd.DataFrame]
Array = NDArray[np.float64]
PARTS = ("validation", "test")  # those that are predicted


@dataclass(frozen=True, eq=False)
class Labels:
    """Regimes of all tickers as one fold's training part defines them."""

    boundary: Boundary
    regimes: Mapping[str, pd.Series]  # ticker -> (T_k,) on the sessions that it traded
    thresholds: Mapping[str, Thresholds]


def as_quoted(prices: Prices) -> Prices:
    """The prices as the store gives them: adjusting is the vendor's, and already done."""
    return prices


def as_configured(
    predictions: pd.DataFrame, prices: Prices, trading: TradingConfig
) -> TradingConfig:
    """The trading rule as it was configured: nothing of it is tuned on predictions today.

    predictions  (n, …) table of one fold, both parts
    """
    return trading


@dataclass(frozen=True)
class Chain:
    """The stages, in their order; the library's own unless replaced."""

    prices: Callable[[Prices], Prices] = as_quoted
    features: Callable[[pd.DataFrame, tuple[str, ...]], pd.DataFrame] = ticker_features
    regimes: Callable[
        [pd.Series, LabelConfig, tuple[pd.Timestamp, pd.Timestamp]], tuple[pd.Series, Thresholds]
    ] = label_regimes
    target: Callable[[Task, int, pd.Series, pd.Series], pd.DataFrame] = make_target
    samples: Callable[[Tables, Tables, int, int], Samples] = make_samples
    boundaries: Callable[
        [pd.DatetimeIndex, SplitConfig, pd.Timestamp | None], tuple[Boundary, ...]
    ] = boundaries
    assign: Callable[[Spans, Boundary], Fold] = assign
    train: Callable[..., Fit] = train
    baselines: Callable[..., dict[str, Array]] = baselines
    predict: Callable[[Fit, Samples, Rows], Array] = predict
    tune: Callable[[pd.DataFrame, Prices, TradingConfig], TradingConfig] = as_configured
    decide: Callable[[pd.DataFrame, TradingConfig], pd.DataFrame] = decide
    filter: Callable[..., pd.DataFrame] = regime_filter
    allocate: Callable[[pd.DataFrame], pd.DataFrame] = allocate
    backtest: Callable[..., Backtest] = backtest
    latest: Callable[[Sequence[Fit], pd.DataFrame], pd.DataFrame] = predict_latest


CHAIN = Chain()


def chain_of(experiment: Experiment) -> Chain:
    """The library's own stages, by the experiment's sessions per year."""
    year = experiment.backtest.sessions_per_year
    return replace(
        CHAIN,
        features=partial(ticker_features, sessions_per_year=year),
        latest=partial(predict_latest, sessions_per_year=year),
    )


def compute_features(
    chain: Chain, prices: Prices, names: tuple[str, ...] = tuple(FEATURES)
) -> dict[str, pd.DataFrame]:
    """Every ticker's features, on the sessions that it traded."""
    return {ticker: chain.features(prices.bars(ticker), names) for ticker in prices.tickers}


def label(
    chain: Chain, prices: Prices, config: LabelConfig, fold: Boundary, sessions: pd.DatetimeIndex
) -> Labels:
    """Every session's regime, by what the fold's training part defines.

    sessions  all sessions of the run, which say where the training part ends
    """
    span = (fold.training, sessions[sessions < fold.validation][-1])
    found = {t: chain.regimes(prices.bars(t)["close"], config, span) for t in prices.tickers}
    return Labels(
        fold,
        {ticker: regimes for ticker, (regimes, _) in found.items()},
        {ticker: thresholds for ticker, (_, thresholds) in found.items()},
    )


def make_targets(
    chain: Chain, prices: Prices, labels: Labels, model: ModelConfig
) -> dict[str, pd.DataFrame]:
    """What the model is asked of each ticker, (T_k, O) on the sessions that it traded."""
    closes = {ticker: prices.bars(ticker)["close"] for ticker in labels.regimes}
    return {
        ticker: chain.target(
            model.task, model.horizon, close, labels.regimes[ticker].reindex(close.index)
        )
        for ticker, close in closes.items()
    }


def sample(
    chain: Chain, features: Tables, targets: Tables, labels: Labels, model: ModelConfig
) -> tuple[Samples, FoldTargets]:
    """The model's samples, and what one fold makes of them.

    features  of any names that include the model's inputs
    """
    tables = {ticker: table[list(model.inputs)] for ticker, table in features.items()}
    samples = chain.samples(tables, targets, model.lookback, model.horizon)
    regimes = [labels.regimes[ticker].reindex(table.index) for ticker, table in tables.items()]
    now = pd.concat(regimes).to_numpy(dtype=float)[samples.last]
    asked = model.task == "regime"
    return samples, FoldTargets(
        fold=chain.assign(samples.spans, labels.boundary),
        target=samples.target,
        current=now if asked else np.full(len(now), np.nan),
        thresholds=labels.thresholds if asked else {},
    )


def fit(
    chain: Chain,
    samples: Samples,
    targets: FoldTargets,
    model: ModelConfig,
    experiment: Experiment,
    member: int = 0,
) -> Fit:
    """Train one network on the CPU, by the seed that a run gives it."""
    seed = derive_seed(experiment.seed, model.name, targets.fold.number, member)
    return chain.train(
        samples,
        targets.fold,
        model,
        experiment.training,
        seed=seed,
        device="cpu",
        thresholds=targets.thresholds,
    )


def predict_fold(
    chain: Chain,
    fits: Sequence[Fit],
    samples: Samples,
    targets: FoldTargets,
    parts: tuple[str, ...] = PARTS,
) -> pd.DataFrame:
    """The table of a fold's predictions; members of an ensemble are averaged."""
    model, tables = fits[0].model, []
    for part in parts:
        rows = getattr(targets.fold, part)
        outputs = np.mean([chain.predict(each, samples, rows) for each in fits], axis=0)
        tables.append(
            prediction_table(model.name, part, model.task, samples, targets, rows, outputs)
        )
    return pd.concat(tables, ignore_index=True)


def predict_baselines(
    chain: Chain,
    samples: Samples,
    targets: FoldTargets,
    task: Task,
    seed: int,
    parts: tuple[str, ...] = PARTS,
) -> pd.DataFrame:
    """The table of all baselines' predictions of a fold; `seed` is the run's."""
    tables, returns = [], None
    if "returns" in samples.features:
        returns = samples.rows[samples.last, samples.features.index("returns")]
    for part in parts:
        rows = getattr(targets.fold, part)
        found = chain.baselines(
            task,
            samples,
            targets.fold,
            rows,
            current=targets.current,
            last_return=returns,
            seed=derive_seed(seed, "baselines", targets.fold.number, 0),
        )
        tables += [
            prediction_table(name, part, task, samples, targets, rows, outputs)
            for name, outputs in found.items()
        ]
    return pd.concat(tables, ignore_index=True)


def probabilities(predictions: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """(T, K) probability of a rise in the test parts, from the first decision to the last."""
    test = predictions[predictions["part"] == "test"]
    decided = test.pivot(index="decision", columns="ticker", values="p_up")
    during = (prices.sessions >= decided.index[0]) & (prices.sessions <= decided.index[-1])
    return decided.reindex(index=prices.sessions[during], columns=prices.tickers)


def take_positions(
    chain: Chain,
    predictions: pd.DataFrame,
    prices: Prices,
    experiment: Experiment,
    labels: Sequence[Labels],
) -> pd.DataFrame:
    """(T, K) target weights of the test parts, each fold by its own tuned rule.

    labels  of the predicted folds, in order of time, for the regime filter
    """
    probability = probabilities(predictions, prices)
    decided = probability * np.nan
    for _, table in predictions.groupby("fold"):
        days = table.loc[table["part"] == "test", "decision"].unique()
        rule = chain.tune(table, prices, experiment.trading)
        decided.loc[days] = chain.decide(probability.loc[days], rule)
    folds = [pd.DataFrame(dict(each.regimes), prices.sessions) for each in labels]
    regimes = stitch_regimes(folds, [each.boundary.test for each in labels])
    return chain.allocate(filter_positions(chain, decided, regimes, experiment))


def filter_positions(
    chain: Chain, position: pd.DataFrame, regimes: pd.DataFrame, experiment: Experiment
) -> pd.DataFrame:
    """(T, K) positions, cut where the experiment's regime filter says so.

    regimes  (T', K) as known at each close
    """
    mode = experiment.trading.regime_filter
    if mode == "off":
        return position
    known = regimes.reindex(index=position.index, columns=position.columns)
    return chain.filter(position, known, mode, turbulent_classes(experiment.labels))


def trade(
    chain: Chain,
    predictions: pd.DataFrame,
    prices: Prices,
    experiment: Experiment,
    labels: Sequence[Labels],
) -> Backtest:
    """What the predictions' positions would have earned."""
    target = take_positions(chain, predictions, prices, experiment, labels)
    sure = confidence(probabilities(predictions, prices))
    return chain.backtest(target, prices, experiment.backtest, sure)
