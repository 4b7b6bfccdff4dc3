"""What a model's predictions and a strategy's backtest are worth, judged once, with the verdict.

Only rows whose future is known are judged, the same ones for the network and every baseline.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import BacktestConfig, ModelConfig, ReportConfig
from rnntrade.evaluation import classification, forecasts, metrics, statistics, verdict
from rnntrade.evaluation.predictions import (
    conformal_half_widths,
    is_return,
    losses,
    probabilities_of,
    returns_of,
    rows_by_source,
)
from rnntrade.evaluation.verdict import NARROW_CONFIDENCE, Interval
from rnntrade.types import REGIMES, Backtest

SEED = 0  # of the bootstrap: the same predictions, the same intervals
CLASSES: Mapping[str, tuple[str, ...]] = {"regime": REGIMES, "direction": ("Down", "Up")}


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """One network beside its baselines, on the rows of the test part whose future is known."""

    name: str
    task: str
    horizon: int
    score_name: str  # "accuracy" (regime, direction) or "rmse" (return, forecast; return units)
    score: float
    validation_score: float  # the epoch was chosen there: flattering
    best_baseline: str  # the best on the test part itself, the hardest to beat
    baseline_score: float
    difference: float  # accuracy minus accuracy, or 1 - MSE / the baseline's; positive is better
    interval: Interval  # of the difference, at `confidence`
    narrow_interval: Interval  # at 80 %
    confidence: float
    verdict: str
    sentence: str
    samples: int
    sessions: int
    smallest_edge: float  # a difference below it is not told from luck on this test part
    power: str  # the same, as a sentence
    scores: pd.DataFrame  # (sources, scores), the network first
    classes: pd.DataFrame | None  # precision, recall, f1, support by class
    confusion: pd.DataFrame | None  # counts, true in rows
    steps: pd.DataFrame | None  # by source and step: rmse, mae, r2_zero, sign_accuracy
    coverage: pd.DataFrame | None  # by step: coverage and mean width of the 90 % intervals

    def to_json(self) -> dict[str, object]:
        """Everything as plain values; tables as {"index", "columns", "data"}, NaN as null."""
        return _plain(self)


@dataclass(frozen=True, eq=False)
class StrategyEvaluation:
    """One strategy beside holding the same assets over the same sessions."""

    name: str
    execution: str  # of `figures`; `by_execution` has the other one too
    sessions: int
    figures: Mapping[str, float]  # of `evaluation.metrics.figures`
    benchmark_figures: Mapping[str, float]
    sharpe: float
    sharpe_interval: Interval
    benchmark_sharpe: float
    difference: float  # of Sharpe ratios, strategy minus buy and hold
    interval: Interval  # of that difference, at `confidence`
    narrow_interval: Interval  # at 80 %
    confidence: float
    verdict: str
    sentence: str
    rules: pd.DataFrame  # (rules, 4) the same figures of rules that learned nothing
    by_execution: pd.DataFrame  # (2, 4) final_equity, annual_return, sharpe_ratio, max_drawdown
    cost_drag: float  # return a year that costs took

    def to_json(self) -> dict[str, object]:
        """Everything as plain values; tables as {"index", "columns", "data"}, NaN as null."""
        return _plain(self)


def evaluate_model(
    predictions: pd.DataFrame, model: ModelConfig, config: ReportConfig
) -> ModelEvaluation:
    """Judge a network against the best of its baselines.

    The interval is a paired stationary bootstrap of whole decision sessions, all tickers of a
    session together, in blocks of at least twice the horizon: labels that overlap stay together.
    errors   ValueError where there is no network, no baseline, no known future, or a source
             lacks rows that another has
    """
    test = rows_by_source(predictions, "test", model)
    validation = rows_by_source(predictions, "validation", model)
    judged = test[model.name]
    sessions = int(judged["decision"].nunique())
    cost = {source: losses(rows, model.task) for source, rows in test.items()}
    worth = {source: float(loss.mean()) for source, loss in cost.items()}
    rival = min((source for source in test if source != model.name), key=lambda s: worth[s])

    scale = worth[rival] if is_return(model.task) and worth[rival] > 0.0 else 1.0
    gain = (cost[rival] - cost[model.name]) / scale
    wide, narrow = (
        _session_interval(gain, judged["decision"], model.horizon, config, confidence)
        for confidence in (config.confidence, NARROW_CONFIDENCE)
    )
    words = verdict.phrase(verdict.judge(wide, narrow), rival)
    kind = "rmse" if is_return(model.task) else "accuracy"
    score, rival_score = _score(worth[model.name], kind), _score(worth[rival], kind)
    smallest = (wide[1] - wide[0]) / 2.0
    validated = losses(validation[model.name], model.task).mean() if validation else math.nan
    return ModelEvaluation(
        name=model.name,
        task=model.task,
        horizon=model.horizon,
        score_name=kind,
        score=score,
        validation_score=_score(float(validated), kind),
        best_baseline=rival,
        baseline_score=rival_score,
        difference=float(gain.mean()),
        interval=wide,
        narrow_interval=narrow,
        confidence=config.confidence,
        verdict=words,
        sentence=verdict.model_sentence(
            words,
            model.name,
            (kind, score),
            (rival, rival_score),
            float(gain.mean()),
            wide,
            config.confidence,
        ),
        samples=len(judged),
        sessions=sessions,
        smallest_edge=smallest,
        power=_power(model, smallest, sessions, config.confidence),
        scores=_scores(test, model.task),
        classes=_class_table(judged, model.task),
        confusion=_confusion(judged, model.task),
        steps=_steps(test, model.task),
        coverage=_coverage(judged, validation.get(model.name), model.task),
    )


def evaluate_strategy(
    name: str,
    backtest: Backtest,
    benchmark: Backtest,
    other_execution: Backtest,
    config: BacktestConfig,
    report: ReportConfig,
    rules: Mapping[str, Backtest] = MappingProxyType({}),
) -> StrategyEvaluation:
    """Judge a strategy against buy and hold by the difference of their Sharpe ratios.

    benchmark        holds the same assets over the same sessions, at the same costs
    other_execution  the same decisions, filled the other way
    rules            what trades by rule over the same sessions, at the same costs
    """
    own = metrics.figures(backtest, benchmark, config)
    held = metrics.figures(benchmark, benchmark, config)
    other = metrics.figures(other_execution, benchmark, config)
    sharpe, of_benchmark = own["sharpe_ratio"], held["sharpe_ratio"]
    risk_free = config.risk_free_rate / metrics.SESSIONS_PER_YEAR
    block = block_length(len(backtest.returns), horizon=1)
    wide, narrow = (
        statistics.sharpe_difference_interval(
            backtest.returns - risk_free,
            benchmark.returns - risk_free,
            block,
            report.bootstrap_draws,
            confidence,
            SEED,
        )
        for confidence in (report.confidence, NARROW_CONFIDENCE)
    )
    words = verdict.phrase(verdict.judge(wide, narrow), "buy_and_hold")
    compared = ["final_equity", "annual_return", "sharpe_ratio", "max_drawdown"]
    return StrategyEvaluation(
        name=name,
        execution=backtest.execution,
        sessions=len(backtest.returns),
        figures=own,
        benchmark_figures=held,
        sharpe=sharpe,
        sharpe_interval=statistics.sharpe_interval(
            backtest.returns - risk_free, block, report.bootstrap_draws, report.confidence, SEED
        ),
        benchmark_sharpe=of_benchmark,
        difference=sharpe - of_benchmark,
        interval=wide,
        narrow_interval=narrow,
        confidence=report.confidence,
        verdict=words,
        sentence=verdict.strategy_sentence(
            words,
            name,
            (own["annual_return"], held["annual_return"]),
            (sharpe, of_benchmark),
            wide,
            report.confidence,
        ),
        rules=pd.DataFrame(
            [
                [metrics.figures(run, benchmark, config)[figure] for figure in compared]
                for run in rules.values()
            ],
            index=pd.Index(list(rules), dtype=object, name="rule"),
            columns=compared,
        ),
        by_execution=pd.DataFrame(
            [[run[figure] for figure in compared] for run in (own, other)],
            index=pd.Index([backtest.execution, other_execution.execution], name="execution"),
            columns=compared,
        ),
        cost_drag=own["cost_drag"],
    )


def block_length(sessions: int, horizon: int) -> int:
    """Mean block of the bootstrap: twice the horizon, and no less than sessions^(1/3)."""
    return max(2 * horizon, math.ceil(round(math.cbrt(sessions), 9)))


def coin_band(sessions: int, horizon: int = 1, confidence: float = 0.95) -> float:
    """Accuracy that a fair coin stays under; labels that overlap count once per horizon."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    return 0.5 + z * math.sqrt(0.25 * horizon / sessions)


def _score(mean_loss: float, kind: str) -> float:
    return math.sqrt(mean_loss) if kind == "rmse" else 1.0 - mean_loss


def _session_interval(
    gain: NDArray[np.float64],
    decision: pd.Series,
    horizon: int,
    config: ReportConfig,
    confidence: float,
) -> Interval:
    """Interval of the mean gain; a session's gains are summed, so that every sample counts once."""
    sums = pd.Series(gain).groupby(decision.to_numpy()).sum().sort_index()
    per_session = sums * (len(sums) / len(gain))
    if len(sums) < 2:
        return (math.nan, math.nan)
    block = block_length(len(sums), horizon)
    return statistics.mean_difference_interval(
        per_session, block, config.bootstrap_draws, confidence, SEED
    )


def _scores(test: Mapping[str, pd.DataFrame], task: str) -> pd.DataFrame:
    """(sources, scores), and for regimes the accuracy where the regime did change."""
    table = {}
    for source, rows in test.items():
        if is_return(task):
            truth, forecast = returns_of(rows, "truth"), returns_of(rows, "r")
            pooled = forecasts.step_scores(truth.reshape(-1, 1), forecast.reshape(-1, 1))
            table[source] = {str(name): float(value) for name, value in pooled.iloc[0].items()}
            continue
        truth, probability = rows["truth"].to_numpy(float), probabilities_of(rows, task)
        table[source] = classification.scores(truth, probability)
        if task == "regime":
            changed = (truth != rows["current"].to_numpy(float)) & rows["current"].notna()
            right = truth == probability.argmax(axis=1)
            table[source]["accuracy_at_changes"] = (
                float(right[changed].mean()) if changed.any() else math.nan
            )
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("source")


def _class_table(rows: pd.DataFrame, task: str) -> pd.DataFrame | None:
    if is_return(task):
        return None
    truth = rows["truth"].to_numpy(float)
    return classification.class_table(truth, probabilities_of(rows, task), CLASSES[task])


def _confusion(rows: pd.DataFrame, task: str) -> pd.DataFrame | None:
    if is_return(task):
        return None
    truth = rows["truth"].to_numpy(float)
    return classification.confusion(truth, probabilities_of(rows, task), CLASSES[task])


def _steps(test: Mapping[str, pd.DataFrame], task: str) -> pd.DataFrame | None:
    if not is_return(task):
        return None
    return pd.concat(
        {
            source: forecasts.step_scores(returns_of(rows, "truth"), returns_of(rows, "r"))
            for source, rows in test.items()
        },
        names=["source"],
    )


def _coverage(
    rows: pd.DataFrame, validation: pd.DataFrame | None, task: str
) -> pd.DataFrame | None:
    """Measured where fold and ticker have validation residuals enough for an interval."""
    if not is_return(task) or validation is None:
        return None
    half_width = conformal_half_widths(validation, rows)
    usable = np.isfinite(half_width).all(axis=1)
    if not usable.any():
        return None
    return forecasts.interval_scores(
        returns_of(rows, "truth")[usable], returns_of(rows, "r")[usable], half_width[usable]
    )


def _power(model: ModelConfig, smallest: float, sessions: int, confidence: float) -> str:
    if not math.isfinite(smallest):
        return f"{sessions:,} test sessions are too few to show anything."
    if is_return(model.task):
        edge = f"an edge below about {100 * smallest:.2f} % of the squared error"
    else:
        edge = f"an edge below about {smallest:.3f} of accuracy"
    text = f"{sessions:,} test sessions could not have told {edge} from luck"
    if model.task == "direction":
        text += f"; accuracy below {coin_band(sessions, model.horizon, confidence):.3f}"
        text += " is inside a fair coin's band"
    return text + "."


def _plain(evaluation: ModelEvaluation | StrategyEvaluation) -> dict[str, object]:
    """Fields as JSON knows them."""
    return {field.name: _json(getattr(evaluation, field.name)) for field in fields(evaluation)}


def _json(value: object) -> object:
    if isinstance(value, pd.DataFrame):
        return json.loads(value.to_json(orient="split", double_precision=15))
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
