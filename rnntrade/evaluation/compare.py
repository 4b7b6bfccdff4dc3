"""All models that answer one question, and all strategies, judged together: the best was picked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rnntrade.config import ModelConfig, ReportConfig
from rnntrade.evaluation import statistics
from rnntrade.evaluation.power import block_length
from rnntrade.evaluation.predictions import rows_by_source
from rnntrade.evaluation.selection import step_m, superior_predictive_ability
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Books

SEED = 0
NOWHERE = (math.nan, math.nan)
OVERFITTING_NEEDED = 0.2  # below it a choice among strategies counts as not overfitted


@dataclass(frozen=True)
class Comparison:
    """Several models or strategies beside one benchmark, on the same sessions."""

    question: str  # "direction, 1 ahead", "strategies"
    benchmark: str  # whom the best of them has to beat
    models: tuple[str, ...]
    spa_p: float  # of "none is better than the benchmark" (Hansen, consistent); NaN: too short
    spa_range: tuple[float, float]  # its lower and upper variants
    better: tuple[str, ...]  # the models that StepM calls better
    overfitting: float  # probability of backtest overfitting; NaN for fewer than 2 configurations
    overfitting_band: tuple[float, float]  # of that probability, where there is nothing to choose
    note: str  # what was left out, and why; "" for nothing


def compare_all(
    predictions: Mapping[str, pd.DataFrame],
    models: Mapping[str, ModelConfig],
    books: Mapping[str, Books],
    config: ReportConfig,
) -> list[Comparison]:
    """All models of each question; then all strategies, and each member traded alone.

    predictions  by model: its rows and its baselines'
    books        by model, of those that trade
    """
    found = compare_models(predictions, models, config)
    if books:
        returns = {}
        for name, each in books.items():
            returns[name] = each.strategy.returns
            for member, series in each.members.items():
                returns[f"{name}, member {member}"] = series
        first = next(iter(books.values()))
        found.append(compare_strategies(returns, first.benchmark.returns, config))
    return found


def compare_models(
    predictions: Mapping[str, pd.DataFrame],
    models: Mapping[str, ModelConfig],
    config: ReportConfig,
) -> list[Comparison]:
    """One comparison a question (task and horizon), against the best baseline of its test part.

    predictions  by model: its rows and its baselines'
    """
    questions: dict[tuple[str, int], list[str]] = {}
    for name, model in models.items():
        questions.setdefault((model.task, model.horizon), []).append(name)
    found = []
    for (task, horizon), names in questions.items():
        columns, rivals = {}, {}
        for name in names:
            for source, rows in rows_by_source(predictions[name], "test", models[name]).items():
                cost = objective_of(models[name]).cost(rows)
                loss = pd.Series(cost).groupby(rows["decision"].to_numpy()).mean()
                if source == name:
                    columns[name] = loss
                else:  # its own logistic regressions read its own inputs
                    rivals[source if len(names) == 1 else f"{source} of {name}"] = loss
        common = pd.concat(rivals, axis=1).dropna()
        best = str(common.mean().idxmin())
        found.append(
            _compare(f"{task}, {horizon} ahead", best, common[best], columns, horizon, config)
        )
    return found


def compare_strategies(
    returns: Mapping[str, pd.Series], benchmark: pd.Series, config: ReportConfig
) -> Comparison:
    """Every strategy, and every member of an ensemble traded alone, against buy and hold.

    returns    by configuration, (T,) net returns per session
    benchmark  (T,) of holding the same assets
    """
    configurations = {name: -series for name, series in returns.items()}
    found = _compare("strategies", "buy_and_hold", -benchmark, configurations, 1, config)
    table = pd.concat(returns, axis=1).fillna(0.0)
    moved = table.loc[:, table.std() > 0.0]
    blocks = 16 if len(moved) >= 320 else 8
    if moved.shape[1] < 2 or len(moved) < 10 * blocks:
        note = "Too few configurations traded to tell how much the selection overfits."
        return replace(found, note=note)
    overfitting = statistics.probability_of_backtest_overfitting(moved, blocks)
    band = statistics.overfitting_noise_band(moved, blocks, draws=50, seed=SEED)
    note = (
        f"Probability of backtest overfitting {overfitting:.2f} over {moved.shape[1]} "
        f"configurations ({band[0]:.2f} to {band[1]:.2f} if none is better than another); "
        f"below {OVERFITTING_NEEDED} is needed to trust the selection."
    )
    return replace(found, overfitting=overfitting, overfitting_band=band, note=note)


def _compare(
    question: str,
    benchmark: str,
    base: pd.Series,
    columns: Mapping[str, pd.Series],
    horizon: int,
    config: ReportConfig,
) -> Comparison:
    table = pd.concat(columns, axis=1)
    block = block_length(len(table), horizon)
    draws = config.bootstrap_draws
    ability = superior_predictive_ability(base, table, block, draws, SEED)
    better = step_m(base, table, 1.0 - config.confidence, block, draws, SEED)
    few = "too few sessions for these tests" if np.isnan(ability.consistent) else "compared"
    return Comparison(
        question=question,
        benchmark=benchmark,
        models=tuple(str(name) for name in columns),
        spa_p=ability.consistent,
        spa_range=(ability.lower, ability.upper),
        better=better,
        overfitting=math.nan,
        overfitting_band=NOWHERE,
        note=f"{ability.sessions:,} sessions, {few}.",
    )
