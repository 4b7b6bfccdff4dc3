"""What predictions and backtests are worth, as tasks."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from rnntrade.config import BacktestConfig, ModelConfig, ReportConfig
from rnntrade.evaluation.models import ModelEvaluation, evaluate_model
from rnntrade.evaluation.strategies import StrategyEvaluation, evaluate_strategy
from rnntrade.evaluation.trials import Trials
from rnntrade.trading.files import load_backtest
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_cost_cases, read_predictions

E = TypeVar("E", ModelEvaluation, StrategyEvaluation)


@cached_task("evaluate-{model.name}")
def evaluate(
    predictions: Ref,
    baselines: Ref,
    model: ModelConfig,
    config: ReportConfig,
    trials: Trials,
    regimes: tuple[str, ...],
) -> Ref:
    """Judge a network against the best of its baselines, on the same samples."""
    alone = predictions.folder / "members.parquet"
    members = pd.read_parquet(alone) if alone.is_file() else None
    table = read_predictions(predictions, baselines)
    judged = evaluate_model(table, model, config, trials, members, regimes)
    with publish("evaluations") as out:
        _save(out.folder, judged)
    return out.ref


@cached_task("evaluate_strategy-{name}")
def evaluate_trading(
    name: str, backtest: Ref, trades: BacktestConfig, config: ReportConfig, trials: Trials
) -> Ref:
    """Judge a strategy against buy and hold over the same sessions."""
    own, other, held = (
        load_backtest(backtest.folder / part) for part in ("strategy", "other", "benchmark")
    )
    rules = {
        each.name: load_backtest(each) for each in sorted((backtest.folder / "rules").iterdir())
    }
    cases = pd.read_parquet(backtest.folder / "cost_cases.parquet")
    alone = backtest.folder / "members.parquet"
    judged = evaluate_strategy(
        name,
        own,
        held,
        other,
        trades,
        config,
        rules,
        cost_cases=read_cost_cases(cases),
        members=pd.read_parquet(alone) if alone.is_file() else None,
        folds=pd.read_parquet(backtest.folder / "folds.parquet")["fold"],
        trials=trials,
    )
    with publish("strategies") as out:
        _save(out.folder, judged)
    return out.ref


def load_evaluation(kind: type[E], ref: Ref | None) -> E:
    """Read an evaluation back; of a line that was judged."""
    assert ref is not None
    figures: dict[str, Any] = json.loads(
        (ref.folder / "evaluation.json").read_text(encoding="utf-8")
    )
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
    (folder / "evaluation.json").write_text(
        json.dumps(judged.to_json(), indent=1) + "\n", encoding="utf-8"
    )
    for field in fields(judged):
        table = getattr(judged, field.name)
        if isinstance(table, pd.DataFrame):
            table.to_parquet(folder / f"{field.name}.parquet")


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
