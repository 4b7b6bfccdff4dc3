"""Could a difference be luck?  Tests of two models, of directions and of two Sharpe ratios.

N predictions, one a ticker and session; h horizon.  Predictions of one session move together, and
labels that reach h sessions ahead overlap, so N predictions are far fewer independent ones: all
tests allow for it.

The null hypothesis is always "no difference" or "no skill".  Positive statistics favour the model,
and p-values are one-sided: the chance of a result this good, or better, without skill.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, ndtr, stdtr

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.evaluation.statistics import known_columns
from rnntrade.protocols import Objective

COLUMNS = ["test", "against", "statistic", "p_value", "detail"]

Floats = NDArray[np.float64]


class Significance(NamedTuple):
    """What a test found; NaN where it is undefined."""

    name: str
    statistic: float
    p_better: float  # one-sided
    detail: str  # the figures behind it, in words


def tests(test: Mapping[str, pd.DataFrame], objective: Objective, name: str) -> pd.DataFrame:
    """One row a test of the network `name` against its rivals, on the rows of the test part.

    classes  McNemar against the objective's rivals; of rises also binomial against a coin, and
             Pesaran and Timmermann
    numbers  Diebold and Mariano against each baseline
    """
    own, horizon = test[name], objective.horizon
    session = own["decision"].to_numpy()
    cost = {source: objective.cost(rows) for source, rows in test.items()}
    if not objective.classes:
        return _table(
            (rival, diebold_mariano(cost[name], cost[rival], horizon, session))
            for rival in test
            if rival != name
        )
    right = {source: loss == 0.0 for source, loss in cost.items()}
    found = [
        (rival, mcnemar_by_session(right[name], right[rival], session, horizon))
        for rival in objective.rivals
        if rival in test
    ]
    if objective.traded:
        truth = objective.truth(own) > 0.5
        up = objective.predicted(own).argmax(axis=1) == 1
        found = [
            ("a coin", binomial_by_session(right[name], session, horizon)),
            *found,
            ("independence", pesaran_timmermann_by_session(truth, up, session, horizon)),
        ]
    return _table(found)


def strategy_tests(
    returns: pd.Series, benchmark: pd.Series, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """One row a test of a strategy against buy and hold: equal Sharpe ratios (Ledoit and Wolf)."""
    found = ledoit_wolf_sharpe(returns, benchmark, sessions_per_year=sessions_per_year)
    return _table([("buy_and_hold", found)])


def _table(found: Iterable[tuple[str, Significance]]) -> pd.DataFrame:
    rows = [(name, rival, *numbers) for rival, (name, *numbers) in found]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"statistic": float, "p_value": float})


def mcnemar_by_session(
    model_right: ArrayLike, rival_right: ArrayLike, session: ArrayLike, horizon: int
) -> Significance:
    """Test whether two models are right equally often, by the pairs where only one of them is.

    McNemar's test (1947) asks how often random signs on the discordant pairs reach what was seen.
    Here all pairs of a block of sessions share one sign.  Blocks of three horizons keep the size
    near its nominal one (with labels 20 ahead and three tickers alike, 5 % became 5 to 6 %, where
    the plain test rejects 60 %).
    session  (N,) of each pair, in any order
    horizon  sessions that a label reaches ahead; blocks are no shorter than sessions^(1/3) either
    returns  exact p over all choices of signs; the statistic is wins less losses
    source   Canay, Romano and Shaikh (2017), Randomization Tests under an Approximate Symmetry …
    """
    model, rival = _pairs(model_right, rival_right)
    wins, losses = int((model > rival).sum()), int((rival > model).sum())
    sums = _by_session(model - rival, session)
    length = max(3 * horizon, math.ceil(round(math.cbrt(len(sums)), 9)))
    number = max(len(sums) // length, 1)
    blocks = np.array([part.sum() for part in np.array_split(sums, number)]).round().astype(int)
    detail = f"right alone: model {wins}, rival {losses}; {number} blocks of {length} sessions"
    return Significance("McNemar, block signs", float(wins - losses), _flipped(blocks), detail)


def binomial_by_session(right: ArrayLike, session: ArrayLike, horizon: int = 1) -> Significance:
    """Test whether more calls were right than a coin's, of calls that move together.

    The variance of the number right, over sessions and h - 1 lags, is divided by the binomial one;
    calls count as many times fewer, and never as more.
    right    (N,) whether each call was right, at `session` (N,)
    returns  binomial p; the statistic is the share of right calls less 0.5
    source   Rao and Scott (1992), A Simple Method for the Analysis of Clustered Binary Data
    """
    called = np.asarray(right, dtype=float)
    count, hits = len(called), int(called.sum())
    rate = hits / count
    sums = _by_session(called - rate, session)
    binomial_variance = count * rate * (1.0 - rate)
    effect = 1.0
    if binomial_variance > 0.0:
        effect = max(_long_run_variance(sums, horizon) * len(sums) / binomial_variance, 1.0)
    hits_left, count_left = hits / effect, count / effect  # neither needs to be whole
    above = float(betainc(hits_left, count_left - hits_left + 1.0, 0.5)) if hits > 0 else 1.0
    detail = f"{hits} of {count} right, worth {count_left:.0f} independent calls"
    return Significance("binomial, by session", rate - 0.5, above, detail)


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
    truth, predicted = _pairs(truth_up, predicted_up)
    if len(truth) < 2 or truth.var() * predicted.var() == 0.0:
        return Significance(
            "Pesaran-Timmermann, by session", math.nan, math.nan, "one direction only"
        )
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
        return Significance(name, math.nan, 1.0, "the same returns")
    if sessions < 10:
        return Significance(
            name, math.nan, math.nan, f"{sessions} sessions are too few: 10 are needed"
        )
    still = np.ptp(table, axis=0) == 0.0
    if still.any():
        who = "strategy" if still[0] else "benchmark"
        return Significance(name, math.nan, math.nan, f"the returns of the {who} never vary")
    difference, influence = _sharpe_influence(table)
    error = math.sqrt(_spectral_variance(influence) / (sessions - 4))
    z = difference / error
    detail = f"annualised difference {difference * math.sqrt(sessions_per_year):+.2f}"
    detail += f" over {sessions} sessions"
    return Significance(name, z, float(ndtr(-z)), detail)


# What the tests share ----------------------------------------------------------------------------


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    """Two answers of yes or no, as 1 or 0."""
    one, other = (np.asarray(each, dtype=bool).astype(float) for each in (first, second))
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"pairs are wanted, got {one.shape} and {other.shape}")
    return one, other


def _by_session(values: Floats, session: ArrayLike, mean: bool = False) -> Floats:
    """(T,) sums or means of (N,) values by session, in order of time."""
    groups = pd.Series(values).groupby(np.asarray(session), sort=True)
    return np.asarray(groups.mean() if mean else groups.sum(), dtype=np.float64)


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
    lags = np.arange(min(horizon, len(series)))
    covariances = np.array([centred[lag:] @ centred[: len(series) - lag] for lag in lags])
    for weights in (np.ones(len(lags)), 1.0 - lags / horizon):
        variance = float(2.0 * weights @ covariances - covariances[0]) / len(series)
        if variance > 0.0:
            return variance
    return 0.0


def _mean_test(name: str, series: Floats, horizon: int) -> Significance:
    """Test whether a series that depends on itself over less than h sessions has a mean of 0."""
    n, h = len(series), horizon
    if n > 0 and not series.any():
        return Significance(name, math.nan, 1.0, "no difference in any session")
    correction = (n + 1 - 2 * h + h * (h - 1) / n) / n if n > 1 else 0.0
    if n < 2 * h or correction <= 0.0:
        return Significance(
            name, math.nan, math.nan, f"{n} sessions are too few for a horizon of {h}"
        )
    if np.ptp(series) == 0.0:
        return Significance(name, math.nan, math.nan, "the difference is the same in every session")
    statistic = series.mean() * math.sqrt(correction * n / _long_run_variance(series, h))
    above = float(stdtr(n - 1, -statistic))
    return Significance(name, float(statistic), above, f"{n} sessions, horizon {h}")


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
