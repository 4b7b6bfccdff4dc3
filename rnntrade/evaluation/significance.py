"""Could a difference be luck?  Tests of two models, of directions and of two Sharpe ratios.

N predictions, one a ticker and session; h horizon.  Predictions of one session move together, and
labels that reach h sessions ahead overlap, so N predictions are far fewer independent ones: all but
`binomial_direction`, which is right for one ticker and h = 1 only, allow for it.

The null hypothesis is always "no difference" or "no skill".  Positive statistics favour the model.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, ndtr, stdtr

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.evaluation.statistics import known_columns

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Significance:
    """What a test found; NaN where it is undefined."""

    name: str
    statistic: float
    p_value: float  # chance of a result this far from the null, on either side
    p_better: float  # chance of one this good or better for the model
    detail: str  # the figures behind it, in words


def mcnemar_by_session(
    model_right: ArrayLike, rival_right: ArrayLike, session: ArrayLike, horizon: int
) -> Significance:
    """Test whether two models are right equally often, by the pairs where only one of them is.

    McNemar's test (1947) asks how often random signs on the discordant pairs reach what was seen.
    Here all pairs of a block of sessions share one sign.  Blocks of three horizons keep the size
    near its nominal one (with labels 20 ahead and three tickers alike, 5 % became 5 to 6 %, where
    the plain test rejects 60 %); fewer than six blocks cannot reach 5 % on two sides at all.
    session  (N,) of each pair, in any order
    horizon  sessions that a label reaches ahead; blocks are no shorter than sessions^(1/3) either
    returns  exact p over all choices of signs; the statistic is wins less losses
    source   Canay, Romano and Shaikh (2017), Randomization Tests under an Approximate Symmetry …
    """
    wins, losses = _discordant(model_right, rival_right)
    difference = np.asarray(model_right, dtype=float) - np.asarray(rival_right, dtype=float)
    sums = _by_session(difference, session)
    length = max(3 * _checked(horizon), math.ceil(round(math.cbrt(len(sums)), 9)))
    number = max(len(sums) // length, 1)
    blocks = np.array([part.sum() for part in np.array_split(sums, number)]).round().astype(int)
    above, below = _flipped(blocks), _flipped(-blocks)
    detail = f"right alone: model {wins}, rival {losses}; {number} blocks of {length} sessions"
    return _significance("McNemar, block signs", wins - losses, above, below, detail)


def binomial_direction(right: int, count: int, share: float = 0.5) -> Significance:
    """Test whether more of `count` independent calls were right than a known share would be.

    share    of right calls without skill: 0.5, or the majority's share (of the training part: a
             majority known only afterwards is a rival, for `mcnemar`)
    returns  exact binomial p; the statistic is the share of right calls less that one
    """
    if not 0 <= right <= count or not 0.0 < share < 1.0:
        raise ValueError(f"{right} right of {count} against a share of {share} is not possible")
    above, below = _binomial_tails(right, count, share)
    found = right / count - share if count else math.nan
    return _significance("binomial", found, above, below, f"{right} of {count} right")


def binomial_by_session(
    right: ArrayLike, session: ArrayLike, horizon: int = 1, share: float = 0.5
) -> Significance:
    """Test the same of calls that move together, counted as fewer independent ones.

    The variance of the number right, over sessions and h - 1 lags, is divided by the binomial one;
    calls count as many times fewer, and never as more.
    right   (N,) whether each call was right, at `session` (N,)
    source  Rao and Scott (1992), A Simple Method for the Analysis of Clustered Binary Data
    """
    called = np.asarray(right, dtype=float)
    count, hits = len(called), int(called.sum())
    plain = binomial_direction(hits, count, share)
    if count == 0:
        return plain
    rate = hits / count
    sums = _by_session(called - rate, session)
    binomial_variance = count * rate * (1.0 - rate)
    effect = 1.0
    if binomial_variance > 0.0:
        effect = max(_long_run_variance(sums, horizon) * len(sums) / binomial_variance, 1.0)
    above, below = _binomial_tails(hits / effect, count / effect, share)
    detail = f"{plain.detail}, worth {count / effect:.0f} independent calls"
    return _significance("binomial, by session", plain.statistic, above, below, detail)


def pesaran_timmermann_by_session(
    truth_up: ArrayLike, predicted_up: ArrayLike, session: ArrayLike, horizon: int = 1
) -> Significance:
    """Test whether calls of direction are right more often than their frequencies say.

    Their covariances are summed by session, since calls of one session move together.
    truth_up, predicted_up  (N,) whether it went up, and whether that was predicted
    returns  Student t statistic with the variance of `diebold_mariano`; NaN where either never
             varies
    source   Pesaran and Timmermann (1992), A Simple Nonparametric Test of Predictive Performance;
             as Pesaran and Timmermann (2009), Testing Dependence Among Serially Correlated
             Multicategory Variables, do for series
    """
    truth, predicted = _directions(truth_up, predicted_up)
    if len(truth) < 2 or truth.var() * predicted.var() == 0.0:
        return _undefined("Pesaran-Timmermann, by session", "one direction only")
    product = (truth - truth.mean()) * (predicted - predicted.mean())
    return _mean_test("Pesaran-Timmermann, by session", _by_session(product, session), horizon)


def diebold_mariano(
    loss_model: ArrayLike,
    loss_rival: ArrayLike,
    horizon: int,
    session: ArrayLike | None = None,
) -> Significance:
    """Test whether two forecasts lose equally much.

    loss_model  (N,) losses of the model, as `loss_rival` (N,) in order of time; those not known of
                both are left out
    session     (N,) of each loss: losses are then averaged over a session's tickers first
    horizon     sessions ahead: autocovariances up to lag h - 1 count whole, as they are 0 beyond;
                with Bartlett's weights where that variance is not positive
    returns     Student t statistic; positive where the model loses less.  p is 1 where the losses
                are the same, and all is NaN where their difference never varies
    source      Diebold and Mariano (1995), Comparing Predictive Accuracy; small-sample correction
                and t distribution of Harvey, Leybourne and Newbold (1997)
    """
    saved = np.asarray(loss_rival, dtype=float) - np.asarray(loss_model, dtype=float)
    known = np.isfinite(saved)
    series = saved[known]
    if session is not None:
        series = _by_session(series, np.asarray(session)[known], mean=True)
    return _mean_test("Diebold-Mariano", series, horizon)


def ledoit_wolf_sharpe(
    returns: ArrayLike,
    benchmark: ArrayLike,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> Significance:
    """Test whether two Sharpe ratios are equal, of returns (above the risk-free rate) in pairs.

    returns  the difference over its HAC standard error (quadratic spectral kernel, prewhitened by
             an AR(1)), with p of the normal distribution, which rejects a little too often for
             heavy tails and short series; p is 1 where both series are the same, NaN where one
             never varies
    source   Ledoit and Wolf (2008), Robust Performance Hypothesis Testing with the Sharpe Ratio
    """
    table = known_columns(returns, benchmark)  # (T, 2)
    name = "Ledoit-Wolf"
    sessions = len(table)
    if sessions > 4 and np.array_equal(table[:, 0], table[:, 1]):
        return Significance(name, math.nan, 1.0, 1.0, "the same returns")
    if sessions < 10:
        return _undefined(name, f"{sessions} sessions are too few: 10 are needed")
    still = np.ptp(table, axis=0) == 0.0
    if still.any():
        who = "strategy" if still[0] else "benchmark"
        return _undefined(name, f"the returns of the {who} never vary")
    difference, influence = _sharpe_influence(table)
    error = math.sqrt(_spectral_variance(influence) / (sessions - 4))
    z = difference / error
    detail = f"annualised difference {difference * math.sqrt(sessions_per_year):+.2f}"
    detail += f" over {sessions} sessions"
    return _significance(name, z, ndtr(-z), ndtr(z), detail)


# What the tests share ----------------------------------------------------------------------------


def _significance(
    name: str, statistic: float, above: float, below: float, detail: str
) -> Significance:
    """Return p on both sides as twice the smaller tail."""
    both = min(1.0, 2.0 * min(above, below))
    return Significance(name, float(statistic), float(both), float(above), detail)


def _undefined(name: str, why: str) -> Significance:
    return Significance(name, math.nan, math.nan, math.nan, why)


def _checked(horizon: int) -> int:
    if horizon < 1:
        raise ValueError(f"the horizon is 1 session or more, not {horizon}")
    return horizon


def _discordant(model_right: ArrayLike, rival_right: ArrayLike) -> tuple[int, int]:
    """Count the pairs where only the model, and only the rival, was right."""
    model, rival = np.asarray(model_right, dtype=bool), np.asarray(rival_right, dtype=bool)
    if model.shape != rival.shape or model.ndim != 1:
        raise ValueError(f"pairs are wanted, got {model.shape} and {rival.shape}")
    return int((model & ~rival).sum()), int((rival & ~model).sum())


def _directions(truth_up: ArrayLike, predicted_up: ArrayLike) -> tuple[Floats, Floats]:
    truth, predicted = np.asarray(truth_up, dtype=bool), np.asarray(predicted_up, dtype=bool)
    if truth.shape != predicted.shape or truth.ndim != 1:
        raise ValueError(f"pairs are wanted, got {truth.shape} and {predicted.shape}")
    return truth.astype(float), predicted.astype(float)


def _by_session(values: Floats, session: ArrayLike, mean: bool = False) -> Floats:
    """(T,) sums or means of (N,) values by session, in order of time."""
    groups = pd.Series(values).groupby(np.asarray(session), sort=True)
    return np.asarray(groups.mean() if mean else groups.sum(), dtype=np.float64)


def _binomial_tails(right: float, count: float, share: float) -> tuple[float, float]:
    """P(X >= right) and P(X <= right); neither needs to be whole."""
    above = betainc(right, count - right + 1.0, share) if right > 0 else 1.0
    below = betainc(count - right, right + 1.0, 1.0 - share) if right < count else 1.0
    return float(above), float(below)


def _flipped(blocks: NDArray[np.int64]) -> float:
    """Chance that the blocks add up to their sum or more, each sign being + or - evenly."""
    sizes = np.abs(blocks)
    total = int(sizes.sum())
    chance = np.zeros(total + 1)  # that the blocks with a plus add up to 0, 1 .. total
    chance[0] = 1.0
    for size in sizes[sizes > 0]:
        plus = np.zeros_like(chance)
        plus[size:] = chance[: total + 1 - size]
        chance = (chance + plus) / 2.0
    return min(float(chance[(total + int(blocks.sum())) // 2 :].sum()), 1.0)


def _long_run_variance(series: Floats, horizon: int) -> float:
    """Variance of (T,) values plus twice their autocovariances up to lag horizon - 1."""
    centred = series - series.mean()
    lags = np.arange(min(_checked(horizon), len(series)))
    covariances = np.array([centred[lag:] @ centred[: len(series) - lag] for lag in lags])
    for weights in (np.ones(len(lags)), 1.0 - lags / horizon):
        variance = float(2.0 * weights @ covariances - covariances[0]) / len(series)
        if variance > 0.0:
            return variance
    return 0.0


def _mean_test(name: str, series: Floats, horizon: int) -> Significance:
    """Test whether a series that depends on itself over less than h sessions has a mean of 0."""
    n, h = len(series), _checked(horizon)
    if n > 0 and not series.any():
        return Significance(name, math.nan, 1.0, 1.0, "no difference in any session")
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n if n > 1 else 0.0
    if n < 2 * h or correction <= 0.0:
        return _undefined(name, f"{n} sessions are too few for a horizon of {h}")
    if np.ptp(series) == 0.0:
        return _undefined(name, "the difference is the same in every session")
    statistic = series.mean() * math.sqrt(correction * n / _long_run_variance(series, h))
    above, below = stdtr(n - 1, -statistic), stdtr(n - 1, statistic)
    return _significance(name, statistic, above, below, f"{n} sessions, horizon {h}")


def _sharpe_influence(table: Floats) -> tuple[float, Floats]:
    """Difference of the columns' Sharpe ratios, and (T,) what each session adds to its error."""
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    square = mean**2 + deviation**2
    first = (table - mean) * square / deviation**3
    second = (table**2 - square) * mean / (2.0 * deviation**3)
    influence = first - second  # (T, 2), by the delta method
    ratios = mean / deviation
    return float(ratios[0] - ratios[1]), influence[:, 0] - influence[:, 1]


def _spectral_variance(influence: Floats) -> float:
    """Long-run variance with the quadratic spectral kernel of what an AR(1) leaves."""
    from arch.covariance.kernel import QuadraticSpectral  # takes 2 s to import

    before, after = influence[:-1], influence[1:]
    slope = float(np.clip(before @ after / (before @ before), -0.97, 0.97))
    left = QuadraticSpectral(after - slope * before, center=False).cov.long_run
    return float(np.squeeze(left)) / (1.0 - slope) ** 2
