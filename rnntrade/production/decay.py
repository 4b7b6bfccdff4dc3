"""Whether a model still does as well as on the validation part, or worse by more than luck.

All tests are one-sided, of a score's mean over recent sessions against that over the validation
part.  A session counts once, however many tickers it has.  A mean varies as the longer of the two
periods says it does (the larger variance, where the recent one is long enough to have its own),
neighbours in blocks of twice the horizon, since labels overlap; with m blocks the variance is taken
times m / (m - 2), and Student's t with m - 1 degrees of freedom.

The validation part chose the epoch: its scores flatter, so the tests reject a little too often.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from rnntrade.evaluation.statistics import block_length
from rnntrade.protocols import Objective

FEWEST_SESSIONS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a model predicted, and what came."""

    session: NDArray[np.datetime64]  # (N,) of each decision, in any order
    predicted: Floats  # (N, C) probabilities, or (N, h) returns
    truth: Floats  # (N,) class, or (N, h) returns; every one known
    horizon: int  # sessions that the truth reaches ahead

    @staticmethod
    def of(rows: pd.DataFrame, objective: Objective) -> "Outcomes":
        """Read rows of predictions of one source, each with a known future (`known_rows`)."""
        predicted, truth = objective.predicted(rows), objective.truth(rows)
        return Outcomes(rows["decision"].to_numpy(), predicted, truth, objective.horizon)

    @property
    def forecasts(self) -> bool:
        """Whether returns were predicted, not probabilities."""
        return self.truth.ndim == 2

    def hits(self) -> pd.Series:
        """(T,) share of tickers whose likeliest class came, by session."""
        return self._by_session(self.predicted.argmax(axis=1) == self.truth)

    def squared_errors(self) -> pd.Series:
        """(T,) mean squared error by session: of returns, or Brier's, summed over classes."""
        if self.forecasts:
            return self._by_session(((self.predicted - self.truth) ** 2).mean(axis=1))
        came = self.truth[:, None] == np.arange(self.predicted.shape[1])
        scale = 2.0 if self.predicted.shape[1] == 2 else 1.0  # with two classes that of one alone
        return self._by_session(((self.predicted - came) ** 2).sum(axis=1) / scale)

    def squared_moves(self) -> pd.Series:
        """(T,) mean squared return that came, by session: the error of forecasting no move."""
        return self._by_session((self.truth**2).mean(axis=1))

    def relative_errors(self) -> pd.Series:
        """(T,) whose mean is the squared error as a share of that of forecasting no move.

        The share, and not the error: a wilder market has larger errors without any decay.  Each
        session's part in the ratio is linearised (the delta method), so that the deviation of the
        mean is that of the ratio.
        """
        error, move = self.squared_errors(), self.squared_moves()
        if len(move) == 0 or not move.mean() > 0.0:
            return error * math.nan
        ratio = error.mean() / move.mean()
        return ratio + (error - ratio * move) / move.mean()

    def _by_session(self, values: NDArray[np.generic]) -> pd.Series:
        return pd.Series(np.asarray(values, dtype=float)).groupby(self.session).mean()


@dataclass(frozen=True)
class Score:
    """A mean over sessions that may decay."""

    by_session: Callable[[Outcomes], pd.Series]
    better: float  # 1 where more is better, else -1
    unit: str
    text: Callable[[float], str]  # the mean, in a sentence


SCORES = {
    "hit rate": Score(Outcomes.hits, 1.0, "of calls right", lambda x: f"{100 * x:.1f} %"),
    "calibration": Score(
        Outcomes.squared_errors, -1.0, "Brier score", lambda x: f"{x:.4f} (Brier score)"
    ),
    "forecast error": Score(
        Outcomes.relative_errors, -1.0, "of no move's", lambda x: f"{x:.3f} of that of no move"
    ),
}


@dataclass(frozen=True)
class Decay:
    """A score then and now; p is NaN where there is too little to test."""

    before: float
    now: float
    p_value: float  # one-sided: chance of so much worse a score where nothing changed
    sessions: int  # recent ones


def decay(name: str, validation: Outcomes, recent: Outcomes) -> Decay:
    """Test whether one of SCORES is worse than on the validation part."""
    score = SCORES[name]
    first, last = (score.by_session(part).to_numpy(float) for part in (validation, recent))
    before, now = math.nan, math.nan
    if len(first) and len(last):
        before, now = float(first.mean()), float(last.mean())
    variance, blocks = _long_run_variance(first, recent.horizon)
    own, _ = _long_run_variance(last, recent.horizon)
    variance = max(variance, own) if math.isfinite(own) else variance
    if len(last) < FEWEST_SESSIONS or not variance > 0.0:
        return Decay(before, now, math.nan, len(last))
    deviation = math.sqrt(variance * (1.0 / len(first) + 1.0 / len(last)))
    worse = score.better * (before - now)
    return Decay(before, now, float(stdtr(blocks - 1.0, -worse / deviation)), len(last))


def _long_run_variance(series: Floats, horizon: int) -> tuple[float, float]:
    """Variance of the mean of (T,) values in order, times T, and the blocks it is worth.

    returns  NaN with two blocks or fewer
    source   Politis and Romano (1994), The Stationary Bootstrap, lemma 1: its variance without
             drawing, on the circle
    """
    sessions = len(series)
    if sessions < FEWEST_SESSIONS:
        return math.nan, 0.0
    block = block_length(sessions, horizon)
    blocks = sessions / block
    if blocks <= 2.0:
        return math.nan, blocks
    centred = series - series.mean()
    lags = np.arange(1, sessions)
    covariances = np.array([centred @ np.roll(centred, lag) for lag in lags]) / sessions
    weights = (1.0 - lags / sessions) * (1.0 - 1.0 / block) ** lags
    variance = float(centred @ centred / sessions + 2.0 * weights @ covariances)
    return max(variance, 0.0) * blocks / (blocks - 2.0), blocks
