"""Whether a model still does as well as on the validation part, or worse by more than luck.

All tests are one-sided, of a score's mean over recent sessions against that over the validation
part.  A session counts once, however many tickers it has.  A mean varies as the longer of the two
periods says it does (the larger variance, where the recent one is long enough to have its own),
neighbours in blocks of twice the horizon, since labels overlap; with m blocks the variance is taken
times m / (m - 2), and Student's t with m - 1 degrees of freedom.

The validation part chose the epoch: its scores flatter, so the tests reject a little too often.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from rnntrade.evaluation.power import block_length
from rnntrade.protocols import Objective

FEWEST_SESSIONS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a model said, and what came."""

    session: NDArray[np.datetime64]  # (N,) of each decision, in any order
    said: Floats  # (N, C) probabilities, or (N, h) returns
    truth: Floats  # (N,) class, or (N, h) returns; every one known
    horizon: int  # sessions that the truth reaches ahead

    @staticmethod
    def of(rows: pd.DataFrame, objective: Objective) -> "Outcomes":
        """Read rows of predictions of one source, each with a known future (`known_rows`)."""
        return Outcomes(
            rows["decision"].to_numpy(),
            objective.predicted(rows),
            objective.truth(rows),
            objective.horizon,
        )

    @property
    def forecasts(self) -> bool:
        """Whether returns were said, not probabilities."""
        return self.truth.ndim == 2

    def hits(self) -> pd.Series:
        """(T,) share of tickers whose likeliest class came, by session."""
        return self._by_session(self.said.argmax(axis=1) == self.truth)

    def squared_errors(self) -> pd.Series:
        """(T,) mean squared error by session: of returns, or Brier's, summed over classes."""
        if self.forecasts:
            return self._by_session(((self.said - self.truth) ** 2).mean(axis=1))
        came = self.truth[:, None] == np.arange(self.said.shape[1])
        scale = 2.0 if self.said.shape[1] == 2 else 1.0  # with two classes that of one alone
        return self._by_session(((self.said - came) ** 2).sum(axis=1) / scale)

    def squared_moves(self) -> pd.Series:
        """(T,) mean squared return that came, by session: the error of forecasting no move."""
        return self._by_session((self.truth**2).mean(axis=1))

    def _by_session(self, values: NDArray[np.generic]) -> pd.Series:
        return pd.Series(np.asarray(values, dtype=float)).groupby(self.session).mean()


@dataclass(frozen=True)
class Decay:
    """A score then and now; NaN p where it cannot be told."""

    before: float
    now: float
    p_value: float  # one-sided: chance of so much worse a score where nothing changed
    sessions: int  # recent ones


def hit_rate_decay(validation: Outcomes, recent: Outcomes) -> Decay:
    """Test whether fewer of the likeliest classes come than on the validation part."""
    return _decay(validation.hits(), recent.hits(), recent.horizon, better=1.0)


def calibration_decay(validation: Outcomes, recent: Outcomes) -> Decay:
    """Test whether the Brier score of the probabilities is worse than on the validation part."""
    before, now = validation.squared_errors(), recent.squared_errors()
    return _decay(before, now, recent.horizon, better=-1.0)


def error_decay(validation: Outcomes, recent: Outcomes) -> Decay:
    """Test whether forecasts lose more, as a share of the squared error of forecasting no move.

    The share, and not the error: a wilder market has larger errors without any decay.  Each
    session's part in the ratio is linearised (the delta method).
    """
    before, now = _ratio_parts(validation), _ratio_parts(recent)
    return _decay(before, now, recent.horizon, better=-1.0)


def _ratio_parts(outcomes: Outcomes) -> pd.Series:
    """(T,) whose mean is the ratio of the means, and whose deviation is that of the ratio."""
    error, move = outcomes.squared_errors(), outcomes.squared_moves()
    if len(move) == 0 or not move.mean() > 0.0:
        return error * math.nan
    ratio = error.mean() / move.mean()
    return ratio + (error - ratio * move) / move.mean()


def _decay(before: pd.Series, now: pd.Series, horizon: int, better: float) -> Decay:
    """Test the means of two periods that do not overlap; `better`: 1 where more is, or -1."""
    first, last = before.to_numpy(float), now.to_numpy(float)
    means = (
        (float(first.mean()), float(last.mean())) if len(first) and len(last) else (math.nan,) * 2
    )
    variance, blocks = _long_run_variance(first, horizon)
    own, _ = _long_run_variance(last, horizon)
    variance = max(variance, own) if math.isfinite(own) else variance
    if len(last) < FEWEST_SESSIONS or not variance > 0.0:
        return Decay(*means, math.nan, len(last))
    worse = better * (means[0] - means[1])
    deviation = math.sqrt(variance * (1.0 / len(first) + 1.0 / len(last)))
    return Decay(*means, float(stdtr(blocks - 1.0, -worse / deviation)), len(last))


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
