"""A statistical jump model: states whose features cluster, with a price on each change of state.

Fitted states (the package's `labels_` and `predict`) are traced back from the end: they know the
whole series.  Labels come from the online programme alone, which at t has seen features up to t.
The package's `predict_online` does that too; ours is the same recursion over stored numbers.

features  downside deviation and Sortino ratios, exponentially weighted, as in the source
states    0 is the calmest, S-1 the most volatile, by returns of the training part
source    Shu, Yu and Mulvey (2024), Journal of Asset Management 25: features, penalty and online
          states; Nystrup, Lindström and Madsen (2020), Expert Systems with Applications 150
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from rnntrade.errors import DataError
from rnntrade.types import Array

DOWNSIDE_HALF_LIFE = 10  # sessions
SORTINO_HALF_LIVES = (20, 60)
CLIP = 3.0  # standard deviations: one crash shall not be a state of its own
SESSIONS_PER_STATE = 100  # fewer say little about a centre


@dataclass(frozen=True)
class JumpStates:
    """S centres among F standardised features; plain numbers, so that it can be stored."""

    mean: tuple[float, ...]  # (F,) of the features in the training part
    deviation: tuple[float, ...]  # (F,)
    centres: tuple[tuple[float, ...], ...]  # (S, F) standardised, ascending in volatility
    penalty: float  # of a change of state


def jump_features(returns: pd.Series) -> pd.DataFrame:
    """What tells states apart, by name: (T, 3).

    returns  (T,) simple returns of sessions
    row t    sees returns up to and including t; NaN until as many returns as the longest half-life,
             and where nothing ever fell
    """

    def weighted(values: pd.Series, half_life: int) -> pd.Series:
        return values.ewm(halflife=half_life, min_periods=max(SORTINO_HALF_LIVES)).mean()

    def downside(half_life: int) -> pd.Series:
        return weighted(returns.clip(upper=0.0) ** 2, half_life) ** 0.5

    table = {"downside_10": downside(DOWNSIDE_HALF_LIFE)}
    for half_life in SORTINO_HALF_LIVES:
        table[f"sortino_{half_life}"] = weighted(returns, half_life) / downside(half_life)
    features = pd.DataFrame(table, index=returns.index)
    return features.replace([np.inf, -np.inf], np.nan).dropna().reindex(features.index)


def fit_jump(
    features: Array, returns: Array, states: int, penalty: float, seed: int = 0, restarts: int = 5
) -> JumpStates:
    """Return the states that explain these features best for their number of jumps.

    features, returns  (T, F), (T,) of the training part, no more; all finite
    penalty            of a change of state, in squared deviations; 0 is k-means
    restarts           starts of the search, drawn with `seed`
    errors             DataError when there are too few rows, or all fall into fewer states
    """
    from jumpmodels.jump import JumpModel  # takes a second to import, and only fits need it

    if len(features) < states * SESSIONS_PER_STATE:
        raise DataError(
            f"a jump model of {states} states needs {states * SESSIONS_PER_STATE} sessions of "
            f"training with known features, there are {len(features)}.  Use an earlier start, "
            "fewer labels.states or labels.kind=rule."
        )
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    if (deviation == 0.0).any():
        raise DataError(
            "a feature of the jump model never moves in the training part: there are no states "
            "to tell apart.  Check the prices, or leave the ticker out."
        )
    scaled = _standardise(features, mean, deviation)
    model = JumpModel(states, jump_penalty=penalty, random_state=seed, n_init=restarts)
    with threadpool_limits(limits=1):  # the same sums in the same order
        model.fit(scaled, returns, sort_by="vol")
    if not np.isfinite(model.centers_).all():
        raise DataError(
            f"the jump model found fewer than {states} states in the training part.  Lower "
            "labels.jump_penalty or labels.states, or use an earlier start."
        )
    centres = tuple(map(tuple, model.centers_.tolist()))
    return JumpStates(tuple(mean.tolist()), tuple(deviation.tolist()), centres, float(penalty))


def filter_jump(model: JumpStates, features: Array) -> NDArray[np.int64]:
    """State in which the cheapest explanation of the features so far ends.

    features  (T, F) all finite, beginning anywhere
    row t     sees features up to and including t; a later row never changes it
    returns   (T,) states 0 .. S-1; of equally cheap ones the calmer
    """
    scaled = _standardise(features, np.array(model.mean), np.array(model.deviation))
    centres = np.array(model.centres)
    loss = 0.5 * ((scaled[:, None, :] - centres) ** 2).sum(axis=2)  # (T, S)
    cost = np.empty_like(loss)
    so_far = np.zeros(len(centres))
    for t in range(len(loss)):
        stayed_or_jumped = np.minimum(so_far, so_far.min() + model.penalty)
        so_far = loss[t] + stayed_or_jumped
        cost[t] = so_far
    return np.asarray(cost.argmin(axis=1), dtype=np.int64)


def _standardise(features: Array, mean: Array, deviation: Array) -> Array:
    return np.clip((features - mean) / deviation, -CLIP, CLIP)
