"""Is the best of many models better than a benchmark?  Tests that allow for the picking.

Losses are per session (averages over tickers), lower is better, one column a model.  They are
joined on sessions; a session that any of them misses is dropped from all.  Sessions are resampled
in blocks with the stationary bootstrap; blocks must be longer than what the losses remember (twice
the horizon, and the cube root of the sessions, at least).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class SuperiorAbility:
    """p of "no model is better than the benchmark"; NaN for fewer than two blocks of sessions."""

    lower: float  # models worse than the benchmark are left out of the search: rejects too often
    consistent: float  # only those that are clearly worse are: the one to go by
    upper: float  # every model counts, White's reality check: rejects too seldom
    sessions: int  # compared
    dropped: int  # sessions that one of the losses misses
    left_out: tuple[str, ...]  # models whose losses are the benchmark's own


def superior_predictive_ability(
    benchmark_losses: pd.Series,
    model_losses: pd.DataFrame,
    block: int,
    draws: int = 1000,
    seed: int = 0,
) -> SuperiorAbility:
    """Test whether the best of the models loses less than the benchmark, by more than luck.

    benchmark_losses  (T,), model_losses (T, models), by session
    block             mean length of the bootstrap's blocks, in sessions
    returns           p never below 1 / (draws + 1); 1 where no model did better on these sessions
    source            Hansen (2005), A Test for Superior Predictive Ability, as `arch` has it
    """
    gains, dropped, left_out = _gains(benchmark_losses, model_losses)
    sessions = len(gains)
    if not _enough(sessions, block):
        return SuperiorAbility(math.nan, math.nan, math.nan, sessions, dropped, left_out)
    if not (gains.mean() > 0.0).any():  # Hansen's statistic is 0 then; arch's is below
        return SuperiorAbility(1.0, 1.0, 1.0, sessions, dropped, left_out)
    from arch.bootstrap import SPA  # takes 2 s to import

    test = SPA(**_of(gains), block_size=block, reps=draws, seed=seed)
    test.compute()
    p = np.maximum(test.pvalues, 1.0 / (draws + 1))
    return SuperiorAbility(
        float(p["lower"]), float(p["consistent"]), float(p["upper"]), sessions, dropped, left_out
    )


def step_m(
    benchmark_losses: pd.Series,
    model_losses: pd.DataFrame,
    size: float,
    block: int,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[str, ...]:
    """Name the models that lose less than the benchmark; one or more wrongly with chance `size`.

    The arguments are those of `superior_predictive_ability`.
    source  Romano and Wolf (2005), Stepwise Multiple Testing as Formalized Data Snooping
    """
    gains, *_ = _gains(benchmark_losses, model_losses)
    better = np.zeros(gains.shape[1], dtype=bool)
    if len(better) and _enough(len(gains), block):
        from arch.bootstrap import SPA  # takes 2 s to import

        # arch 8.0.0 has StepM too, but it fails where every model turns out better in turn
        test = SPA(**_of(gains), block_size=block, reps=draws, seed=seed)
        while not better.all():
            test.subset(~better)
            test.compute()
            found = test.better_models(size)
            if len(found) == 0:
                break
            better[found] = True
    return tuple(str(name) for name in gains.columns[better])


def _gains(
    benchmark_losses: pd.Series, model_losses: pd.DataFrame
) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
    """Benchmark's losses less each model's, in its own deviations; sessions dropped; models too."""
    if not (benchmark_losses.index.is_unique and model_losses.index.is_unique):
        raise ValueError("losses have a session twice: average them over a session's tickers first")
    gains = model_losses.rsub(benchmark_losses.reindex(model_losses.index), axis=0)
    known = gains.replace([np.inf, -np.inf], np.nan).dropna()
    dropped = len(model_losses.index.union(benchmark_losses.index)) - len(known)
    rounding = 1e-12 * float(benchmark_losses.abs().max())
    same = [name for name in known.columns if (known[name].abs() <= rounding).all()]
    known = known.drop(columns=same)
    # arch 8.0.0 compares the means as they are, whatever its `studentize` says: scaled beforehand,
    # a model whose losses vary much cannot hide the others
    deviation = known.std(ddof=0)
    scaled = known / deviation.where(deviation > rounding, 1.0)
    return scaled, dropped, tuple(str(name) for name in same)


def _enough(sessions: int, block: int) -> bool:
    if block < 1:
        raise ValueError(f"blocks have 1 session or more, not {block}")
    return sessions >= max(2 * block, 10)


def _of(gains: pd.DataFrame) -> dict[str, Any]:
    """Return the losses whose differences are these gains."""
    return {"benchmark": pd.Series(0.0, gains.index), "models": -gains}
