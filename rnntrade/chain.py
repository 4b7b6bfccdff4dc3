"""From prices to money: the one place where a step follows another.

`Chain` is a table of steps, each a function of the library, with a method for every composition of
them.  Tasks, production, controls, the audit and tests all go through it.  The audit replaces the
future and compares what the steps give; its tests replace a step (`replace(CHAIN, features=leaky)`)
and see the audit find it.

features     ticker -> (T_k, F) on the sessions that the ticker traded
predictions  one row a prediction: source, part, fold, ticker, decision, label_end, and by task
             truth, p_up | truth, current, p_0 .. p_3 | truth_1 .. truth_h, r_1 .. r_h
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from rnntrade.config import (
    SESSIONS_PER_YEAR,
    BacktestConfig,
    Experiment,
    LabelConfig,
    ModelConfig,
    SplitConfig,
    TradingConfig,
)
from rnntrade.errors import DataError
from rnntrade.features.indicators import FEATURES, check_names, ticker_features
from rnntrade.labels.regimes import Labels, Regimes, learn_regimes
from rnntrade.models.baselines import baselines
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Basis, Objective
from rnntrade.samples.splits import assign, boundaries, require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.trading.costs import at_cost
from rnntrade.trading.positions import (
    RULES,
    allocate,
    confidence,
    decide,
    random_positions,
    regime_filter,
)
from rnntrade.training.devices import derive_seed
from rnntrade.types import (
    Array,
    Backtest,
    Books,
    Boundary,
    Fit,
    Fold,
    FoldTargets,
    Predictions,
    Prices,
    Rows,
    Samples,
    Spans,
    Windows,
    regime_names,
)

Tables = Mapping[str, pd.DataFrame]
Execution = Literal["next_open", "close"]
PARTS = ("validation", "test")  # those that are predicted
RANDOM_SEED = 0  # of the positions at another time


def train(*given: Any, **named: Any) -> Fit:
    """`training.loop.train`; a run whose fits are stored does without the import of torch."""
    from rnntrade.training.loop import train

    return train(*given, **named)


def predict(fit: Fit, samples: Samples, rows: Rows, device: str = "cpu") -> Array:
    """`training.predict.predict`, imported as late."""
    from rnntrade.training.predict import predict

    return predict(fit, samples, rows, device)


def prediction_table(
    source: str,
    part: str,
    objective: Objective,
    samples: Samples,
    targets: FoldTargets,
    outputs: Array,
) -> pd.DataFrame:
    """One row a prediction of a part: `outputs` is (n, O), as `predict` and `baselines` give it."""
    rows = getattr(targets.fold, part)
    spans, truth = samples.spans[rows], samples.target[rows]
    columns: dict[str, object] = {
        "source": source,
        "part": part,
        "fold": targets.fold.number,
        "ticker": spans.ticker,
        "decision": spans.decision,
        "label_end": spans.label_end,
    }
    columns |= objective.columns(truth, outputs, targets.current[rows])
    return pd.DataFrame(columns)


def newest_window(ticker: str, features: pd.DataFrame, lookback: int) -> pd.DataFrame:
    """The last rows of features, every one of them known; DataError saying what to send."""
    known = np.isfinite(features.to_numpy(dtype=float)).all(axis=1)
    if known.sum() < lookback:
        raise DataError(
            f"{ticker}: fewer sessions than one window needs: {lookback} sessions on which every "
            f"feature is known, after the features' own warm-up; there are {len(features)}.  "
            "Send a longer history."
        )
    if not known[-lookback:].all():
        raise DataError(
            f"{ticker}: no complete window ends on its newest session, "
            f"{features.index[-1]:%Y-%m-%d}.  Check that session's close."
        )
    return features.iloc[-lookback:]


def history(ticker: str, table: pd.DataFrame) -> pd.DataFrame:
    """Checked closes of one ticker, by date."""
    dates = pd.DatetimeIndex(pd.to_datetime(table["date"])).normalize()
    history = pd.DataFrame({"close": table["close"].to_numpy(dtype=float)}, index=dates)
    history = history.sort_index().rename_axis("date")
    if history.index.has_duplicates:
        twice = history.index[history.index.duplicated()][0]
        raise DataError(f"{ticker}: {twice:%Y-%m-%d} is there twice.  Give each session once.")
    wrong = ~(np.isfinite(history["close"]) & (history["close"] > 0))
    if wrong.any():
        raise DataError(
            f"{ticker}: close on {history.index[wrong][0]:%Y-%m-%d} is "
            f"{history['close'][wrong].iloc[0]}.  Closes must be positive numbers."
        )
    return history


def predict_latest(
    fits: Sequence[Fit], bars: pd.DataFrame, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """One row a ticker: its newest session, and the mean answer of the fits.

    fits     members of an ensemble: one model, different seeds
    bars     one row a bar: date, ticker, close (adjusted); in any order
    returns  ticker, as_of (YYYY-MM-DD) and, by task, p_<regime> and regime, p_up, or r_1 .. r_h
    errors   DataError naming the ticker whose history is too short, unsorted or wrong
    """
    chain, model, windows = chain_of(sessions_per_year), fits[0].model, {}
    for name, table in bars.groupby("ticker", sort=True):
        ticker = str(name)
        features = chain.features(history(ticker, table), model.inputs)
        windows[ticker] = newest_window(ticker, features, model.lookback)
    if not windows:
        raise DataError("there are no bars: give date, ticker and close of at least one ticker.")
    samples, objective = chain.windows(windows, model), objective_of(model, fits[0].classes)
    answers = chain.answer(fits, samples, np.arange(len(samples)))
    return pd.DataFrame(
        [
            {"ticker": t, "as_of": f"{table.index[-1]:%Y-%m-%d}", **objective.named(own)}
            for (t, table), own in zip(windows.items(), answers, strict=True)
        ]
    )


@dataclass(frozen=True)
class Chain:
    """The steps, in their order; the library's own unless replaced."""

    prices: Callable[[Prices], Prices] = lambda prices: prices  # adjusted by the vendor
    features: Callable[[pd.DataFrame, tuple[str, ...]], pd.DataFrame] = ticker_features
    boundaries: Callable[..., tuple[Boundary, ...]] = boundaries
    regimes: Callable[..., Regimes] = learn_regimes
    target: Callable[[Objective, pd.Series, pd.Series], pd.DataFrame] = (
        lambda objective, close, regime: objective.target(close, regime)
    )
    samples: Callable[[Tables, Tables, int, int], Samples] = make_samples
    assign: Callable[[Spans, Boundary], Fold] = assign
    train: Callable[..., Fit] = train
    predict: Callable[..., Array] = predict
    baselines: Callable[..., dict[str, Array]] = baselines
    tune: Callable[[pd.DataFrame, Prices, TradingConfig], TradingConfig] = (
        lambda predictions, prices, trading: trading  # as configured: nothing is tuned today
    )
    decide: Callable[[pd.DataFrame, TradingConfig], pd.DataFrame] = decide
    filter: Callable[..., pd.DataFrame] = regime_filter
    allocate: Callable[[pd.DataFrame], pd.DataFrame] = allocate
    backtest: Callable[..., Backtest] = backtest
    hold: Callable[[Prices, pd.DatetimeIndex, BacktestConfig], Backtest] = buy_and_hold
    latest: Callable[[Sequence[Fit], pd.DataFrame], pd.DataFrame] = predict_latest

    def compute_features(
        self, prices: Prices, names: tuple[str, ...] = tuple(FEATURES)
    ) -> dict[str, pd.DataFrame]:
        """Every ticker's features, on the sessions that it traded."""
        return {ticker: self.features(prices.bars(ticker), names) for ticker in prices.tickers}

    def label(
        self, prices: Prices, config: LabelConfig, fold: Boundary, sessions: pd.DatetimeIndex
    ) -> Labels:
        """Every session's regime, by what the fold's training part defines.

        sessions  all sessions of the run, which say where the training part ends
        errors    DataError when no ticker has taught anything; a single one is left without regimes
        """
        span = (fold.training, sessions[sessions < fold.validation][-1])
        closes = {ticker: prices.bars(ticker)["close"] for ticker in prices.tickers}
        found = {ticker: self.regimes(close, config, span) for ticker, close in closes.items()}
        if all(each.unlearned for each in found.values()):
            ticker, first = next(iter(found.items()))
            raise DataError(f"{ticker}, fold {fold.number}: {first.unlearned}")
        return Labels(
            fold,
            pd.DataFrame({ticker: each.classes for ticker, each in found.items()}, prices.sessions),
            {ticker: each.thresholds for ticker, each in found.items()},
            {ticker: each.states for ticker, each in found.items() if each.states},
            regime_names(config),
        )

    def label_folds(
        self,
        prices: Prices,
        config: LabelConfig,
        split: SplitConfig,
        test_from: pd.Timestamp | None = None,
    ) -> list[Labels]:
        """Place the folds in time, and label every session by what each fold's own past taught.

        test_from  first session of the final holdout, when it is opened
        """
        folds = self.boundaries(prices.sessions, split, test_from)
        return [self.label(prices, config, fold, prices.sessions) for fold in folds]

    def make_targets(
        self, prices: Prices, labels: Labels, model: ModelConfig
    ) -> dict[str, pd.DataFrame]:
        """What the model is asked of each ticker, (T_k, O) on the sessions that it traded."""
        objective = objective_of(model, labels.classes)
        closes = {ticker: prices.bars(ticker)["close"] for ticker in prices.tickers}
        return {
            ticker: self.target(objective, close, labels.regimes[ticker].reindex(close.index))
            for ticker, close in closes.items()
        }

    def sample(
        self, features: Tables, targets: Tables, labels: Labels, model: ModelConfig
    ) -> tuple[Samples, FoldTargets]:
        """The model's samples, and what one fold makes of them.

        features  of any names that include the model's inputs
        """
        samples = self.windows(features, model, targets)
        regimes = [labels.regimes[t].reindex(table.index) for t, table in features.items()]
        now = pd.concat(regimes).to_numpy(dtype=float)[samples.last]
        asked = objective_of(model, labels.classes).needs_regimes
        return samples, FoldTargets(
            fold=self.assign(samples.spans, labels.boundary),
            target=samples.target,
            current=now if asked else np.full(len(now), np.nan),
            thresholds=labels.thresholds if asked else {},
            classes=labels.classes,
        )

    def sample_folds(
        self,
        features: Tables,
        prices: Prices,
        labels: Sequence[Labels],
        model: ModelConfig,
        judged: bool = True,
    ) -> Windows:
        """The model's samples, and what each fold makes of them.

        judged  whether the test part needs a known label; it has none on a retraining's evening
        """
        check_names(model.inputs)
        folds = []
        for each in labels:
            targets = self.make_targets(prices, each, model)
            samples, fold = self.sample(features, targets, each, model)
            require_samples(samples.target, fold.fold, model.name, model.horizon, judged)
            folds.append(fold)
        return Windows(samples, tuple(folds))

    def windows(
        self, features: Tables, model: ModelConfig, targets: Tables | None = None
    ) -> Samples:
        """The model's samples; without targets nothing of the future is known, or asked for."""
        tables = {ticker: table[list(model.inputs)] for ticker, table in features.items()}
        if targets is None:
            targets = {t: pd.DataFrame({"target": np.nan}, own.index) for t, own in tables.items()}
        return self.samples(tables, targets, model.lookback, model.horizon)

    def fit(
        self,
        samples: Samples,
        targets: FoldTargets,
        model: ModelConfig,
        experiment: Experiment,
        member: int = 0,
    ) -> Fit:
        """Train one network on the CPU, by the seed that a run gives it."""
        return self.train(
            samples,
            targets.fold,
            model,
            experiment.training,
            seed=derive_seed(experiment.seed, model.name, targets.fold.number, member),
            device="cpu",
            thresholds=targets.thresholds,
            classes=targets.classes,
        )

    def answer(
        self, fits: Sequence[Fit], samples: Samples, rows: Rows, device: str = "cpu"
    ) -> Array:
        """(n, C) answers about some samples, averaged over the members of an ensemble."""
        return np.asarray(
            np.mean([self.predict(fit, samples, rows, device) for fit in fits], axis=0)
        )

    def predict_fold(
        self, fits: Sequence[Fit], samples: Samples, targets: FoldTargets, device: str = "cpu"
    ) -> Predictions:
        """One fold's predictions, by all members together and by each alone."""
        model = fits[0].model
        objective = objective_of(model, fits[0].classes)
        tables, alone = [], []
        for part in PARTS:
            rows = getattr(targets.fold, part)
            answers = [self.predict(fit, samples, rows, device) for fit in fits]
            by_member = [
                prediction_table(model.name, part, objective, samples, targets, outputs)
                for outputs in [np.mean(answers, axis=0), *answers]
            ]
            tables.append(by_member[0])
            if part == "test" and len(fits) > 1:
                alone += [table.assign(member=m) for m, table in enumerate(by_member[1:])]
        members = pd.concat(alone, ignore_index=True) if alone else pd.DataFrame()
        return Predictions(pd.concat(tables, ignore_index=True), members)

    def predict_folds(
        self, fits: Sequence[Sequence[Fit]], windows: Windows, device: str = "cpu"
    ) -> Predictions:
        """The predictions of all folds, in order of time; `fits` by fold, then by member."""
        from rnntrade.training.predict import newest_attention

        folds = [
            self.predict_fold(members, *windows.fold(number), device=device)
            for number, members in enumerate(fits)
        ]
        samples, newest = windows.fold(len(fits) - 1)
        return Predictions(
            pd.concat([fold.table for fold in folds], ignore_index=True),
            pd.concat([fold.members for fold in folds], ignore_index=True),
            newest_attention(fits[-1][0], samples, newest.fold),
        )

    def predict_baselines(
        self, samples: Samples, targets: FoldTargets, objective: Objective, seed: int
    ) -> pd.DataFrame:
        """The table of all baselines' predictions of a fold; `seed` is the run's."""
        own_seed = derive_seed(seed, "baselines", targets.fold.number, 0)
        returns = None
        if "returns" in samples.features:
            returns = samples.rows[samples.last, samples.features.index("returns")]
        tables = []
        for part in PARTS:
            rows = getattr(targets.fold, part)
            basis = Basis(samples, targets.fold, rows, targets.current, returns, own_seed)
            tables += [
                prediction_table(name, part, objective, samples, targets, outputs)
                for name, outputs in self.baselines(objective, basis).items()
            ]
        return pd.concat(tables, ignore_index=True)

    def probabilities(self, predictions: pd.DataFrame, prices: Prices) -> pd.DataFrame:
        """(T, K) probability of a rise in the test parts, from the first decision to the last."""
        test = predictions[predictions["part"] == "test"]
        decided = test.pivot(index="decision", columns="ticker", values="p_up")
        during = (prices.sessions >= decided.index[0]) & (prices.sessions <= decided.index[-1])
        return decided.reindex(index=prices.sessions[during], columns=prices.tickers)

    def tuned(
        self, predictions: pd.DataFrame, prices: Prices, trading: TradingConfig
    ) -> dict[int, TradingConfig]:
        """The trading rule of each fold."""
        return {
            int(str(fold)): self.tune(table, prices, trading)
            for fold, table in predictions.groupby("fold")
        }

    def position(
        self,
        probability: pd.DataFrame,
        trading: TradingConfig,
        regimes: pd.DataFrame | None = None,
        turbulent: Collection[int] = (),
    ) -> pd.DataFrame:
        """(T, K) positions by one rule, reduced in turbulent regimes.

        regimes    (T', K) as known at each close, for the filter; None without one
        turbulent  classes in which positions are reduced
        """
        return self.reduce(self.decide(probability, trading), trading, regimes, turbulent)

    def reduce(
        self,
        position: pd.DataFrame,
        trading: TradingConfig,
        regimes: pd.DataFrame | None,
        turbulent: Collection[int],
    ) -> pd.DataFrame:
        """(T, K) positions after the regime filter, if there is one."""
        if regimes is None or trading.regime_filter == "off":
            return position
        known = regimes.reindex(index=position.index, columns=position.columns)
        return self.filter(position, known, trading.regime_filter, turbulent)

    def stitched_positions(
        self,
        predictions: pd.DataFrame,
        prices: Prices,
        rules: Mapping[int, TradingConfig],
        regimes: pd.DataFrame | None = None,
        turbulent: Collection[int] = (),
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """(T, K) probability and position in the test parts, each fold by its own rule.

        regimes, turbulent  as in `position`
        """
        probability = self.probabilities(predictions, prices)
        decided = probability * np.nan
        test = predictions[predictions["part"] == "test"]
        for fold, table in test.groupby("fold"):
            days = table["decision"].unique()
            decided.loc[days] = self.decide(probability.loc[days], rules[int(str(fold))])
        (first, *_) = rules.values()
        return probability, self.reduce(decided, first, regimes, turbulent)

    def rule_positions(
        self, prices: Prices, sessions: pd.DatetimeIndex, sessions_per_year: int
    ) -> dict[str, pd.DataFrame]:
        """(T, K) positions of every rule that learned nothing, on some of the sessions."""
        return {
            rule: of(prices.close, sessions_per_year).loc[sessions] for rule, of in RULES.items()
        }

    def trade(
        self,
        predictions: Predictions,
        prices: Prices,
        trading: TradingConfig,
        config: BacktestConfig,
        cost_cases: Sequence[float] = (),
        regimes: pd.DataFrame | None = None,
        turbulent: Collection[int] = (),
    ) -> Books:
        """Trade the test parts, and beside them what learned nothing.

        Both executions, rules, buy and hold, every cost case, and each member alone.
        cost_cases          bps of traded value, in all
        regimes, turbulent  as in `position`; regimes come from `stitch`
        """
        rules = self.tuned(predictions.table, prices, trading)
        probability, position = self.stitched_positions(
            predictions.table, prices, rules, regimes, turbulent
        )
        target = self.allocate(position)
        sessions = pd.DatetimeIndex(probability.index)
        other: Execution = "close" if config.execution == "next_open" else "next_open"
        sure = confidence(probability)
        idle = self.rule_positions(prices, sessions, config.sessions_per_year)
        idle["random_positions"] = random_positions(position, RANDOM_SEED)
        cases = {}
        for bps in cost_cases:
            cheap = at_cost(config, bps)
            cases[(bps, "strategy")] = self.backtest(target, prices, cheap).returns
            cases[(bps, "buy_and_hold")] = self.hold(prices, sessions, cheap).returns
        alone = {}
        members = predictions.members.groupby("member") if len(predictions.members) else ()
        for member, table in members:
            _, own = self.stitched_positions(table, prices, rules, regimes, turbulent)
            alone[str(member)] = self.backtest(self.allocate(own), prices, config).returns
        test = predictions.table[predictions.table["part"] == "test"]
        return Books(
            probability=probability,
            target=target,
            folds=test.groupby("decision")[["fold"]].first(),
            strategy=self.backtest(target, prices, config, sure),
            other=self.backtest(target, prices, replace(config, execution=other), sure),
            benchmark=self.hold(prices, sessions, config),
            rules={
                rule: self.backtest(self.allocate(each), prices, config)
                for rule, each in idle.items()
            },
            cost_cases=pd.DataFrame(cases),
            members=pd.DataFrame(alone),
        )

    def stitch(self, labels: Sequence[Labels], trading: TradingConfig) -> pd.DataFrame | None:
        """(T', K) regimes as known at each close, each test part's by its own fold.

        labels   of the predicted folds, in order of time
        returns  None where no filter asks for them
        """
        if trading.regime_filter == "off":
            return None
        stitched = pd.concat([each.regimes.loc[each.boundary.test :] for each in labels])
        return stitched[~stitched.index.duplicated(keep="last")]


CHAIN = Chain()


def chain_of(sessions_per_year: int) -> Chain:
    """The library's own steps, annual figures by a calendar's sessions."""
    return replace(
        CHAIN,
        features=partial(ticker_features, sessions_per_year=sessions_per_year),
        latest=partial(predict_latest, sessions_per_year=sessions_per_year),
    )
