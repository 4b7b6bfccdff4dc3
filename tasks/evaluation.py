"""What predictions and backtests are worth, as tasks."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from rnntrade.config import BacktestConfig, ModelConfig, ReportConfig
from rnntrade.evaluation.evaluate import (
    ModelEvaluation,
    StrategyEvaluation,
    evaluate_model,
    evaluate_strategy,
)
from rnntrade.trading.files import load_backtest
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_predictions

E = TypeVar("E", ModelEvaluation, StrategyEvaluation)


@cached_task("evaluate-{model.name}")
def evaluate(predictions: Ref, baselines: Ref, model: ModelConfig, config: ReportConfig) -> Ref:
    """Judge a network against the best of its baselines, on the same samples."""
    judged = evaluate_model(read_predictions(predictions, baselines), model, config)
    with publish("evaluations") as out:
        _save(out.folder, judged)
    return out.ref


@cached_task("evaluate_strategy-{name}")
def evaluate_trading(name: str, backtest: Ref, trades: BacktestConfig, config: ReportConfig) -> Ref:
    """Judge a strategy against buy and hold over the same sessions."""
    own, other, held = (
        load_backtest(backtest.folder / part) for part in ("strategy", "other", "benchmark")
    )
    rules = {
        each.name: load_backtest(each) for each in sorted((backtest.folder / "rules").iterdir())
    }
    judged = evaluate_strategy(name, own, held, other, trades, config, rules)
    with publish("evaluations") as out:
        _save(out.folder, judged)
    return out.ref


def load_evaluation(kind: type[E], ref: Ref) -> E:
    """Read an evaluation back."""
    figures: dict[str, Any] = json.loads((ref.folder / "evaluation.json").read_text())
    for field in fields(kind):
        table = ref.folder / f"{field.name}.parquet"
        if table.is_file():
            figures[field.name] = pd.read_parquet(table)
        elif field.name.endswith("interval"):
            figures[field.name] = tuple(_number(bound) for bound in figures[field.name])
        elif isinstance(figures[field.name], dict):
            figures[field.name] = {key: _number(each) for key, each in figures[field.name].items()}
        elif field.type is float:
            figures[field.name] = _number(figures[field.name])
    return kind(**figures)


def _save(folder: Path, judged: ModelEvaluation | StrategyEvaluation) -> None:
    """All of it as JSON, and the tables as Parquet too."""
    (folder / "evaluation.json").write_text(json.dumps(judged.to_json(), indent=1) + "\n")
    for field in fields(judged):
        table = getattr(judged, field.name)
        if isinstance(table, pd.DataFrame):
            table.to_parquet(folder / f"{field.name}.parquet")


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
