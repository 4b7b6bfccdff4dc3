"""A strategy judged by its backtests alone, whatever else its books may hold."""

from collections.abc import Mapping

import pandas as pd

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation import strategies
from rnntrade.evaluation.verdict import ALONE, Trials
from rnntrade.types import Backtest, Books

NO_RULES: Mapping[str, Backtest] = {}


def evaluate_strategy(
    name: str,
    run: Backtest,
    benchmark: Backtest,
    other: Backtest,
    config: BacktestConfig,
    report: ReportConfig,
    rules: Mapping[str, Backtest] = NO_RULES,
    cost_cases: pd.DataFrame | None = None,
    members: pd.DataFrame | None = None,
    folds: pd.Series | None = None,
    trials: Trials = ALONE,
) -> strategies.StrategyEvaluation:
    number = pd.Series(0, run.returns.index) if folds is None else folds
    nothing = pd.DataFrame(index=run.returns.index)
    books = Books(
        probability=nothing,
        target=nothing,
        folds=number.to_frame("fold"),
        strategy=run,
        other=other,
        benchmark=benchmark,
        rules=rules,
        cost_cases=nothing if cost_cases is None else cost_cases,
        members=nothing if members is None else members,
    )
    return strategies.evaluate_strategy(name, books, config, report, trials)
