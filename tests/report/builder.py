"""Contents of a report from prices alone: predictions are noise, so no verdict means anything."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, AuditReport
from rnntrade.config import DataConfig, Experiment, ModelConfig, ReportConfig
from rnntrade.evaluation.compare import Comparison
from rnntrade.evaluation.models import evaluate_model
from rnntrade.evaluation.strategies import evaluate_strategy
from rnntrade.evaluation.verdict import Trials
from rnntrade.features.indicators import ticker_features
from rnntrade.report.contents import (
    AttentionExample,
    ReportContents,
    StrategyContents,
)
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.trading.positions import confidence, decide
from rnntrade.types import Books, Epoch, Fit, Prices, Scaler
from tests.configs import MODELS

BASELINES = {
    "regime": ("majority", "persistence", "markov_chain", "logistic_last_row"),
    "direction": ("always_up", "persistence", "logistic_window", "gradient_boosting"),
    "forecast": ("zero", "mean", "ar1"),
    "return": ("zero", "mean", "ar1"),
}

TRIALS = Trials(
    fits=tuple(f"fit {number}" for number in range(40)),
    attempts=tuple(f"model {number}" for number in range(12)),
    sharpes=(0.01, -0.02, 0.03),
)
AUDIT = AuditReport(
    {"record": Audited({"features": 1_234_000, "thresholds": 56, "equity": 789})},
    pd.DataFrame(
        {
            "first_defined": [50, 12],
            "needs": [50, 431],
            "memory": ["window", "decaying"],
            "left_at_60": [0.0, 0.00003],
        },
        index=pd.Index(["sma_50", "ema_12"], name="feature"),
    ),
)
COMPARISON = {
    "direction, 1 ahead": Comparison(
        question="direction, 1 ahead",
        benchmark="logistic_window of many_to_one_lstm",
        models=("many_to_one_lstm", "attention_bilstm"),
        spa_p=0.41,
        spa_range=(0.38, 0.45),
        better=(),
        overfitting=float("nan"),
        overfitting_band=(float("nan"), float("nan")),
        note="439 sessions, compared.",
    ),
    "strategies": Comparison(
        question="strategies",
        benchmark="buy_and_hold",
        models=("many_to_one_lstm", "attention_bilstm"),
        spa_p=0.0004,
        spa_range=(0.0004, 0.01),
        better=("attention_bilstm",),
        overfitting=0.56,
        overfitting_band=(0.3, 0.7),
        note="",
    ),
}


def random_prices(sessions: int, tickers: tuple[str, ...], seed: int = 0) -> Prices:
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2015-01-01", periods=sessions, name="date")
    bars = {}
    for ticker in tickers:
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0003, 0.011, sessions)))
        opened = close * np.exp(rng.normal(0.0, 0.003, sessions))
        bars[ticker] = pd.DataFrame(
            {
                "open": opened,
                "high": np.maximum(opened, close) * 1.004,
                "low": np.minimum(opened, close) * 0.996,
                "close": close,
                "volume": 1e6,
                "raw_close": close,
            },
            index,
        )
    return Prices.join(bars)


def contents(
    prices: Prices,
    models: tuple[ModelConfig, ...] = MODELS,
    draws: int = 50,
    folds: int = 1,
    flat: bool = False,
    members: int = 1,
    trials: Trials = TRIALS,
) -> ReportContents:
    rng = np.random.default_rng(1)
    report = ReportConfig(bootstrap_draws=draws)
    experiment = Experiment(
        name="drawn",
        description="Made-up predictions.",
        data=DataConfig(source="synthetic", tickers=tuple(prices.tickers)),
        models=models,
        report=report,
        members=members,
    )
    regimes = pd.DataFrame(
        {ticker: _regime(prices.close[ticker]) for ticker in prices.tickers}, prices.sessions
    )
    predictions = {m.name: predicted(m, prices, regimes, rng, folds) for m in models}
    alone = {m.name: apart(predictions[m.name], m, members, rng) for m in models}
    strategies = {}
    for model in models:
        if model.task == "direction":
            table = predictions[model.name]
            strategies[model.name] = _strategy(
                model, table, alone[model.name], prices, experiment, flat, trials
            )
    attentive = next((m for m in models if m.architecture == "attention_bilstm"), None)
    return ReportContents(
        experiment=experiment,
        provenance={"Data fingerprint": "0123456789abcdef", "Git commit": "abc1234", "Seed": "0"},
        prices=prices,
        features={ticker: ticker_features(prices.bars(ticker)) for ticker in prices.tickers},
        regimes=regimes,
        fits={
            m.name: [fit(m, fold, rng) for fold in range(folds) for _ in range(members)]
            for m in models
        },
        predictions=predictions,
        evaluations={
            m.name: evaluate_model(predictions[m.name], m, report, trials, alone[m.name])
            for m in models
        },
        strategies=strategies,
        attention=attentive and _attention(attentive, prices, rng),
        findings=("close of the first ticker did not move for 6 sessions from 2016-02-01",),
        audit=AUDIT,
        comparison=COMPARISON,
        holdout="Sessions from 2016-05-02 on are sealed: this run has not seen them.",
    )


def predicted(
    model: ModelConfig,
    prices: Prices,
    regimes: pd.DataFrame,
    rng: np.random.Generator,
    folds: int = 1,
) -> pd.DataFrame:
    """A network as noise, and baselines; the last 40 % is the test part, in folds one by one."""
    tables = []
    for ticker in prices.tickers:
        close = prices.close[ticker].dropna()
        count = len(close)
        rows = pd.DataFrame({"fold": 0, "ticker": ticker, "decision": close.index})
        seen = int(0.6 * count)
        rows["part"] = np.where(np.arange(count) < seen, "validation", "test")
        rows["fold"] = np.concatenate(
            [np.arange(part) * folds // part for part in (seen, count - seen)]
        )
        known = np.arange(count) + model.horizon < count
        rows["label_end"] = pd.Series(close.index).shift(-model.horizon).to_numpy()
        for source in (model.name, *BASELINES[model.task]):
            tables.append(_answered(rows.assign(source=source), source, model, close, regimes, rng))
        assert known.any()
    return pd.concat(tables, ignore_index=True)


def apart(
    predictions: pd.DataFrame, model: ModelConfig, members: int, rng: np.random.Generator
) -> pd.DataFrame | None:
    """Members whose mean is what the network said on the test part; None for one alone."""
    if members < 2:
        return None
    own = predictions[(predictions["source"] == model.name) & (predictions["part"] == "test")]
    said = [name for name in own.columns if str(name).startswith(("p_", "r_"))]
    noise = rng.normal(size=(members, len(own), len(said))) * 0.2 * own[said].std().to_numpy()
    noise -= noise.mean(axis=0)
    tables = [own.assign(member=number) for number in range(members)]
    for table, moved in zip(tables, noise, strict=True):
        table[said] = own[said].to_numpy() + moved
    return pd.concat(tables, ignore_index=True)


def _answered(rows, source, model, close, regimes, rng):
    count = len(rows)
    returns = close.pct_change()
    if model.task == "regime":
        regime = regimes[rows["ticker"].iloc[0]].reindex(close.index)
        truth = regime.shift(-model.horizon).to_numpy()
        current = regime.to_numpy()
        sure = np.nan_to_num(current).astype(int)
        p = np.full((count, 4), 0.05)
        p[np.arange(count), {"majority": np.ones(count, int)}.get(source, sure)] = 0.85
        if source == model.name:
            p = rng.dirichlet(np.ones(4), count) * 0.6 + p * 0.4
        classes = {f"p_{k}": p[:, k] for k in range(4)}
        return rows.assign(truth=truth, current=current, **classes)
    if model.task == "direction":
        future = returns.shift(-1)
        truth = (future > 0).astype(float).where(future.notna()).to_numpy()
        up = rng.normal(0.51, 0.06, count) if source != "always_up" else np.full(count, 1.0)
        return rows.assign(truth=truth, p_up=np.clip(up, 0.0, 1.0))
    columns = {}
    for step in range(1, model.horizon + 1):
        columns[f"truth_{step}"] = returns.shift(-step).to_numpy()
        scale = 0.0 if source == "zero" else 0.001 if source == "ar1" else 0.0015
        columns[f"r_{step}"] = rng.normal(0.0003, 1.0, count) * scale
    return rows.assign(**columns)


def fit(model: ModelConfig, fold: int, rng: np.random.Generator) -> Fit:
    epochs = np.arange(1, 15)
    training = 1.3 * np.exp(-epochs / 12) + rng.normal(0, 0.004, len(epochs))
    validation = 1.2 - 0.08 * epochs + 0.009 * epochs**2 + rng.normal(0, 0.01, len(epochs))
    scored = model.task in {"regime", "direction"}
    history = tuple(
        Epoch(
            int(n),
            1e-3,
            float(t),
            float(v),
            float(1 - t / 2) if scored else float("nan"),
            float(1 - v / 2) if scored else float("nan"),
        )
        for n, t, v in zip(epochs, training, validation, strict=True)
    )
    best = int(epochs[validation.argmin()])
    scaler = Scaler(np.zeros(len(model.inputs)), np.ones(len(model.inputs)))
    return Fit(model, {}, scaler, {}, history, best, fold, 0, "2018-01-01")


def _strategy(
    model: ModelConfig,
    predictions: pd.DataFrame,
    alone: pd.DataFrame | None,
    prices: Prices,
    experiment: Experiment,
    flat: bool,
    trials: Trials,
) -> StrategyContents:
    own = predictions[(predictions["source"] == model.name) & (predictions["part"] == "test")]
    probability = _probability(own, prices)
    config = experiment.backtest

    def wanted(rising: pd.DataFrame) -> pd.DataFrame:
        return decide(rising, experiment.trading) / len(prices.tickers) * (not flat)

    weights, sure = wanted(probability), confidence(probability)
    sessions = pd.DatetimeIndex(weights.index)
    run = backtest(weights, prices, config, sure)
    held = buy_and_hold(prices, sessions, config)
    cases = {}
    for bps in experiment.report.cost_cases:
        costs = replace(config, commission_bps=bps, half_spread_bps=0.0)
        cases[(bps, "strategy")] = backtest(weights, prices, costs).returns
        cases[(bps, "buy_and_hold")] = buy_and_hold(prices, sessions, costs).returns
    members = {}
    if alone is not None:
        for member, rows in alone.groupby("member"):
            moved = wanted(_probability(rows, prices))
            members[str(member)] = backtest(moved, prices, config).returns
    books = Books(
        probability=probability,
        target=weights,
        folds=own.groupby("decision")[["fold"]].first(),
        strategy=run,
        other=backtest(weights, prices, replace(config, execution="close"), sure),
        benchmark=held,
        rules={},
        cost_cases=pd.DataFrame(cases),
        members=pd.DataFrame(members),
    )
    evaluation = evaluate_strategy(model.name, books, config, experiment.report, trials)
    return StrategyContents(books, evaluation)


def _probability(rows: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    table = rows.pivot_table(index="decision", columns="ticker", values="p_up")
    return table.rename_axis(index="date", columns=None)[prices.tickers]


def _attention(model, prices, rng) -> AttentionExample:
    ticker = prices.tickers[0]
    sessions = pd.DatetimeIndex(prices.close[ticker].dropna().index[-model.lookback :])
    return AttentionExample(
        model.name,
        ticker,
        sessions,
        rng.dirichlet(np.ones(model.lookback) * 2),
        rng.normal(size=(model.lookback, len(model.inputs))),
        model.inputs,
    )


def _regime(close: pd.Series) -> pd.Series:
    returns = close.dropna().pct_change()
    total, volatility = returns.rolling(20).sum(), returns.rolling(20).std()
    middle, high = volatility.quantile(0.5), volatility.quantile(0.75)
    codes = np.select(
        [volatility > high, (total < -0.02) & (volatility > middle), total > 0.02], [3, 0, 2], 1
    )
    return pd.Series(codes, returns.index, dtype=float).where(volatility.notna())
