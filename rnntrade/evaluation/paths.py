"""Combinatorial cross-validation's paths: one history stitched from many folds, many times over.

What they are worth is a diagnosis of selection: their folds trained on sessions after those that
they were judged on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnntrade.evaluation.statistics import (
    overfitting_noise_band,
    probability_of_backtest_overfitting,
)
from rnntrade.samples.combinatorial import group_of
from rnntrade.types import Dates, Rows

BLOCKS = 16  # of sessions, half of which select


@dataclass(frozen=True, eq=False)
class TradedPaths:
    """Returns per session of a model on every path, and of what might have been chosen."""

    paths: pd.DataFrame  # (T, paths)
    configurations: pd.DataFrame  # (T, each member with each dead band), averaged over paths
    hold: pd.Series  # (T,) of buy and hold


@dataclass(frozen=True)
class PathRatios:
    """Sharpe ratios of a strategy on all paths beside buy and hold; NaN where undefined."""

    paths: int
    undefined: int  # paths on which nothing was ever held: in no quantile, and not below
    lowest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    highest: float
    hold: float
    share_below: float  # of all paths, below buy and hold


@dataclass(frozen=True)
class Overfitting:
    """Chance that the configuration which looked best does no better than the median elsewhere."""

    probability: float  # NaN where fewer than two configurations ever held anything
    low: float  # the range were no configuration better than another, 95 % of the time
    high: float
    configurations: int
    sessions: int


def stitch(predictions: pd.DataFrame, assignment: Rows, first: Dates) -> list[pd.DataFrame]:
    """Probabilities of a rise along each path.

    predictions  fold, ticker, decision, p_up: of every fold's test part
    assignment   (paths, groups) which fold judges a group, as `combinatorial.paths` gives it
    first        (groups,) first session of each group
    returns      one (T, K) a path, on the sessions with a decision; NaN where a ticker has none
    errors       ValueError when a fold's predictions of a group are missing
    """
    days = predictions["decision"].to_numpy().astype("datetime64[ns]")
    group, fold = group_of(days, first), predictions["fold"].to_numpy()
    decisions = len(np.unique(days))
    stitched = []
    for path in assignment:
        own = predictions[fold == path[group]]
        table = own.pivot(index="decision", columns="ticker", values="p_up")
        if len(table) != decisions:
            raise ValueError(
                f"a path has {len(table)} of {decisions} decisions: a fold's predictions of one of "
                "its groups are missing"
            )
        stitched.append(table)
    return stitched


def path_ratios(sharpe: Sequence[float], hold: float) -> PathRatios:
    """Summarise one Sharpe ratio a path; quartiles are linearly interpolated."""
    ratios = np.array(sharpe, dtype=float)
    known = ratios[np.isfinite(ratios)]
    levels = np.quantile(known, [0.0, 0.25, 0.5, 0.75, 1.0]) if len(known) else [math.nan] * 5
    lowest, lower, median, upper, highest = (float(level) for level in levels)
    share = float((known < hold).sum()) / len(ratios) if math.isfinite(hold) else math.nan
    return PathRatios(
        len(ratios), len(ratios) - len(known), lowest, lower, median, upper, highest, hold, share
    )


def overfitting(returns: pd.DataFrame, draws: int = 100, seed: int = 0) -> Overfitting:
    """Estimate how far choosing the best of these configurations misleads, beside pure noise.

    returns  (T, C) of each configuration per session; sessions that one misses are left out
    source   Bailey, Borwein, López de Prado and Zhu (2017), by `evaluation.statistics`
    """
    known = returns.dropna()
    count, width = known.shape
    enough = count >= max(2 * BLOCKS, width) and int((known.std() > 0.0).sum()) > 1
    if not enough:
        return Overfitting(math.nan, math.nan, math.nan, width, count)
    table = known.to_numpy(dtype=float)
    low, high = overfitting_noise_band(table, BLOCKS, draws, seed=seed)
    return Overfitting(probability_of_backtest_overfitting(table, BLOCKS), low, high, width, count)
