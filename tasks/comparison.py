"""All models together, and all strategies together, as a task."""

import json

import pandas as pd

from rnntrade.config import ModelConfig, ReportConfig
from rnntrade.evaluation.compare import compare_models, compare_strategies
from rnntrade.evaluation.comparison import Comparison
from rnntrade.trading.files import load_backtest
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_predictions


@cached_task("compare")
def compare(
    models: dict[str, ModelConfig],
    predictions: dict[str, tuple[Ref, Ref]],
    backtests: dict[str, Ref],
    config: ReportConfig,
) -> Ref:
    """Ask of each question whether the best answer is better than the benchmark by more than luck.

    predictions  by model: its own, and its baselines'
    backtests    by strategy
    """
    tables = {name: read_predictions(*refs) for name, refs in predictions.items()}
    found = compare_models(tables, models, config)
    if backtests:
        returns = {}
        for name, ref in backtests.items():
            returns[name] = load_backtest(ref.folder / "strategy").returns
            alone = ref.folder / "members.parquet"
            if alone.is_file():
                for member, series in pd.read_parquet(alone).items():
                    returns[f"{name}, member {member}"] = series
        held = load_backtest(next(iter(backtests.values())).folder / "benchmark").returns
        found.append(compare_strategies(returns, held, config))
    with publish("comparisons") as out:
        text = json.dumps([each.to_json() for each in found], indent=1)
        (out.folder / "comparisons.json").write_text(text + "\n", encoding="utf-8")
    return out.ref


def load_comparisons(ref: Ref) -> list[Comparison]:
    """Read them back."""
    found = []
    for each in json.loads((ref.folder / "comparisons.json").read_text(encoding="utf-8")):
        for name, value in each.items():
            if name in ("spa_p", "overfitting"):
                each[name] = _number(value)
            elif name in ("spa_range", "overfitting_band"):
                each[name] = tuple(_number(bound) for bound in value)
            elif isinstance(value, list):
                each[name] = tuple(value)
        found.append(Comparison(**each))
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
