"""All models that answer one question, and all strategies, judged together: the best was picked.

Losses are per session (averages over tickers), lower is better, one column a model.  Sessions are
resampled in blocks with the stationary bootstrap; blocks must be longer than what the losses
remember (twice the horizon, and the cube root of the sessions, at least).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.config import ModelConfig, ReportConfig
from rnntrade.evaluation import statistics
from rnntrade.evaluation.predictions import rows_by_source
from rnntrade.objectives.lookup import objective_of
from rnntrade.types import Books

SEED = 0
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
    gains, block = scaled_gains(base, table), statistics.block_length(len(table), horizon)
    draws = config.bootstrap_draws
    lower, consistent, upper = superior_predictive_ability(gains, block, draws, SEED)
    few = "too few sessions for these tests" if math.isnan(consistent) else "compared"
    return Comparison(
        question=question,
        benchmark=benchmark,
        models=tuple(str(name) for name in columns),
        spa_p=consistent,
        spa_range=(lower, upper),
        better=step_m(gains, 1.0 - config.confidence, block, draws, SEED),
        overfitting=math.nan,
        overfitting_band=(math.nan, math.nan),
        note=f"{len(gains):,} sessions, {few}.",
    )


def scaled_gains(benchmark: pd.Series, models: pd.DataFrame) -> pd.DataFrame:
    """The benchmark's losses less each model's, over the deviation of that difference.

    benchmark, models  (T,) and (T, M) losses, by session
    returns            (sessions that all have, models), without models that lose the very same
    """
    if not (benchmark.index.is_unique and models.index.is_unique):
        raise ValueError("losses have a session twice: average them over a session's tickers first")
    gains = models.rsub(benchmark.reindex(models.index), axis=0)
    known = gains.replace([np.inf, -np.inf], np.nan).dropna()
    rounding = 1e-12 * float(benchmark.abs().max())
    known = known.loc[:, (known.abs() > rounding).any()]
    # arch 8.0.0 compares the means as they are, whatever its `studentize` says: scaled beforehand,
    # a model whose losses vary much cannot hide the others
    deviation = known.std(ddof=0)
    return known / deviation.where(deviation > rounding, 1.0)


def superior_predictive_ability(
    gains: pd.DataFrame, block: int, draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Test whether the best of the models loses less than the benchmark, by more than luck.

    gains    as `scaled_gains` gives them
    block    mean length of the bootstrap's blocks, in sessions
    returns  three p of "no model is better", never below 1 / (draws + 1), NaN for fewer than two
             blocks, 1 where no model did better: models that are worse than the benchmark are left
             out of the search (rejects too often), only those that are clearly worse (the one to
             go by), and none (White's reality check, rejects too seldom)
    source   Hansen (2005), A Test for Superior Predictive Ability, as `arch` has it
    """
    if len(gains) < max(2 * block, 10):
        return math.nan, math.nan, math.nan
    if not (gains.mean() > 0.0).any():  # Hansen's statistic is 0 then; arch's is below
        return 1.0, 1.0, 1.0
    test = _spa(gains, block, draws, seed)
    test.compute()
    lower, consistent, upper = np.maximum(
        test.pvalues[["lower", "consistent", "upper"]], 1.0 / (draws + 1)
    )
    return float(lower), float(consistent), float(upper)


def step_m(
    gains: pd.DataFrame, size: float, block: int, draws: int = 1000, seed: int = 0
) -> tuple[str, ...]:
    """Name the models that lose less than the benchmark; one or more wrongly with chance `size`.

    source  Romano and Wolf (2005), Stepwise Multiple Testing as Formalized Data Snooping
    """
    better = np.zeros(gains.shape[1], dtype=bool)
    if len(better) and len(gains) >= max(2 * block, 10):
        # arch 8.0.0 has StepM too, but it fails where every model turns out better in turn
        test = _spa(gains, block, draws, seed)
        while not better.all():
            test.subset(~better)
            test.compute()
            found = test.better_models(size)
            if len(found) == 0:
                break
            better[found] = True
    return tuple(str(name) for name in gains.columns[better])


def _spa(gains: pd.DataFrame, block: int, draws: int, seed: int) -> Any:
    """The test of losses whose differences are these gains."""
    from arch.bootstrap import SPA  # takes 2 s to import

    nothing = pd.Series(0.0, gains.index)
    return SPA(nothing, -gains, block_size=block, reps=draws, seed=seed)
