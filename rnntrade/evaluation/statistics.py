"""Could it be luck?  Sharpe ratios corrected for moments, length and selection; intervals; power.

Sharpe ratios in arguments are per session, never annualised; `skew` and `kurtosis` are population
moments, the latter Pearson's (3 for a normal distribution).
"""

import math
from collections.abc import Callable, Collection
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.evaluation.verdict import Interval

NORMAL = NormalDist()
LARGEST = 1e100  # beyond it the moments of a sample are no numbers

Floats = NDArray[np.float64]


def probabilistic_sharpe_ratio(
    sharpe: float,
    sessions: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
) -> float:
    """Probability that the true Sharpe ratio exceeds `benchmark`, as estimated over `sessions`.

    source  Bailey and López de Prado (2012), The Sharpe Ratio Efficient Frontier
    """
    variance = _moments_factor(sharpe, skew, kurtosis)
    if sessions < 2 or not 0.0 < variance < math.inf:
        return math.nan
    return _normal((sharpe - benchmark) * math.sqrt((sessions - 1) / variance))


def expected_maximum_sharpe_ratio(trials: int, trial_variance: float) -> float:
    """Sharpe ratio to expect of the best of `trials` without skill; 0 for a single one.

    trial_variance  of the trials' Sharpe ratios, per session
    source          Bailey and López de Prado (2014), The Deflated Sharpe Ratio
    """
    if trials < 1 or trial_variance < 0.0:
        raise ValueError("at least 1 trial and a variance of 0 or more are wanted")
    if trials == 1:
        return 0.0
    if not math.isfinite(trial_variance):
        return math.nan
    best = (1.0 - np.euler_gamma) * NORMAL.inv_cdf(1.0 - 1.0 / trials)
    best += np.euler_gamma * NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(trial_variance) * float(best)


def deflation_hurdle(sessions: int, trials: Collection[str], trial_variance: float) -> float:
    """Sharpe ratio that the best of `trials` reaches without skill: the benchmark of deflated ones.

    trials          ids of every fit ever tried on these data, failed ones too; the same one twice
                    counts once
    trial_variance  of the trials' Sharpe ratios, per session; counted as 1/(sessions - 1) at least,
                    so that trials that resemble each other do not hide the search
    errors          TypeError for a bare number of trials, ValueError for none
    source          Bailey and López de Prado (2014), The Deflated Sharpe Ratio
    """
    if isinstance(trials, str | bytes) or not isinstance(trials, Collection):
        raise TypeError(
            f"trials are the ids of all fits tried, as they were recorded, not {trials!r}: "
            "who counts the trials by hand forgets some"
        )
    if not all(isinstance(trial, str) and trial for trial in trials):
        raise TypeError("trials are ids, strings that are not empty: give them as recorded")
    floor = 1.0 / (sessions - 1) if sessions > 1 else math.inf
    return expected_maximum_sharpe_ratio(len(set(trials)), max(trial_variance, floor))


def deflated_sharpe_ratio(
    sharpe: float,
    sessions: int,
    skew: float,
    kurtosis: float,
    trials: Collection[str],
    trial_variance: float,
) -> float:
    """Probability that the best of `trials` is better than the best of as many without skill."""
    hurdle = deflation_hurdle(sessions, trials, trial_variance)
    return probabilistic_sharpe_ratio(sharpe, sessions, skew, kurtosis, hurdle)


def probabilistic_sharpe_ratio_2025(
    sharpe: float,
    sessions: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    autocorrelation: float = 0.0,
) -> float:
    """Return the same probability in its 2025 form: variance at the benchmark, divided by sessions.

    autocorrelation  of returns that follow an AR(1) process, at lag 1
    source           López de Prado, Lipton and Zoonekynd (2025), How to Use the Sharpe Ratio, ADIA
                     Lab research paper 19; without its correction for the maximum's variance
    """
    rho, benchmark = autocorrelation, float(benchmark)
    if abs(rho) >= 1.0:
        raise ValueError("autocorrelation must lie between -1 and 1")
    if not (abs(rho) < 1.0 and sessions > 1):
        return math.nan
    once, twice = rho / (1.0 - rho), rho**2 / (1.0 - rho**2)
    variance = (
        1.0
        + 2.0 * once
        - (1.0 + once + twice) * skew * benchmark
        + (1.0 + 2.0 * twice) * (kurtosis - 1.0) / 4.0 * (benchmark * benchmark)
    )
    if not 0.0 < variance < math.inf:
        return math.nan
    return _normal((sharpe - benchmark) * math.sqrt(sessions / variance))


def deflated_sharpe_ratio_2025(
    sharpe: float,
    sessions: int,
    skew: float,
    kurtosis: float,
    trials: Collection[str],
    trial_variance: float,
    autocorrelation: float = 0.0,
) -> float:
    """The deflated Sharpe ratio in its 2025 form."""
    hurdle = deflation_hurdle(sessions, trials, trial_variance)
    return probabilistic_sharpe_ratio_2025(
        sharpe, sessions, skew, kurtosis, hurdle, autocorrelation
    )


def minimum_track_record_length(
    sharpe: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Sessions needed to call this Sharpe ratio better than `benchmark`; NaN if it is not.

    source  Bailey and López de Prado (2012), The Sharpe Ratio Efficient Frontier
    """
    variance = _moments_factor(sharpe, skew, kurtosis)
    if not (sharpe > benchmark and 0.0 < variance < math.inf):
        return math.nan
    width = NORMAL.inv_cdf(confidence) / (float(sharpe) - float(benchmark))
    length = 1.0 + variance * (width * width)
    return length if math.isfinite(length) else math.nan


def probability_of_backtest_overfitting(returns: ArrayLike, blocks: int = 16) -> float:
    """Share of splits in which the best configuration of one half is no better than the median.

    Combinatorially symmetric cross-validation: the sessions are cut into `blocks` of equal length
    (give or take one), and each choice of half of them selects the configuration with the highest
    Sharpe ratio, which is then ranked among all on the other half.
    returns  (sessions, configurations), whole; no more configurations than sessions.  NaN where
             none of them varies
    errors   ValueError for the wrong orientation, missing values, or blocks odd or too many
    source   Bailey, Borwein, López de Prado and Zhu (2017), The Probability of Backtest Overfitting
    """
    table = np.asarray(returns, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError("returns must be (sessions, configurations), two or more of these")
    if table.shape[0] < table.shape[1]:
        raise ValueError(f"returns must be (sessions, configurations), not {table.shape}")
    if blocks % 2 or table.shape[0] < 2 * blocks or not np.isfinite(table).all():
        raise ValueError(f"{blocks} blocks: an even number, of 2 whole sessions or more each")
    with np.errstate(all="ignore"):
        scale = table.std(axis=0)  # in whose units no Sharpe ratio changes
        if not (np.isfinite(scale).all() and np.ptp(table, axis=0).any()):
            return math.nan
    parts = np.array_split(table / np.where(scale > 0.0, scale, 1.0), blocks)
    sums, squares = (np.stack([(part**n).sum(axis=0) for part in parts]) for n in (1, 2))
    counts = np.array([len(part) for part in parts], dtype=float)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))  # (splits, blocks / 2)
    overfitted = 0
    for part in np.array_split(halves, math.ceil(halves.shape[0] * table.shape[1] / 1e6)):
        chosen = np.zeros((len(part), blocks))
        np.put_along_axis(chosen, part, 1.0, axis=1)
        inside = _sharpe_ratios(chosen, sums, squares, counts)  # (splits, configurations)
        outside = _sharpe_ratios(1.0 - chosen, sums, squares, counts)
        winner = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
        ties = (outside == winner).sum(axis=1)
        rank = (outside < winner).sum(axis=1) + (ties + 1.0) / 2.0
        omega = rank / (table.shape[1] + 1.0)
        overfitted += int((omega <= 0.5).sum())  # logit(ω) <= 0
    return overfitted / len(halves)


def overfitting_noise_band(
    returns: ArrayLike,
    blocks: int = 16,
    draws: int = 100,
    seed: int = 0,
) -> Interval:
    """Range, at 95 %, of the probability of overfitting if no configuration were the better one.

    All means are set to 0 and whole sessions are drawn with replacement, so that configurations
    that resemble each other still do.
    """
    table = np.asarray(returns, dtype=float)
    centred = table - table.mean(axis=0)
    generator = np.random.default_rng(seed)
    drawn = [
        probability_of_backtest_overfitting(
            centred[generator.integers(0, len(table), len(table))], blocks
        )
        for _ in range(draws)
    ]
    return _range(np.array(drawn), 0.95)


def sharpe_difference(
    own: ArrayLike, other: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Annual Sharpe ratio less another's, of returns above the risk-free rate."""
    first, second = (
        sharpe_ratio(each, sessions_per_year=sessions_per_year) for each in (own, other)
    )
    return first - second


def bootstrap_interval(
    figure: Callable[..., float],
    *series: ArrayLike,
    block: float,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a figure of one series or of several, whose sessions stay together.

    figure   of as many (T,) arrays as there are series
    series   (T,); sessions that one of them misses are left out
    block    expected length of the blocks, in sessions
    returns  (low, high); NaN for fewer than 2 sessions
    source   the stationary bootstrap of Politis and Romano (1994)
    """
    table = known_columns(*series)
    if len(table) < 2 or not np.abs(table).max() < LARGEST:
        return (math.nan, math.nan)
    from arch.bootstrap import StationaryBootstrap  # takes 2 s to import

    resamples = StationaryBootstrap(min(max(block, 1.0), len(table)), table, seed=seed)
    drawn = [figure(*data[0].T) for data, _ in resamples.bootstrap(draws)]
    return _range(np.array(drawn), confidence)


def block_length(sessions: int, horizon: int) -> int:
    """Mean block of the bootstrap: twice the horizon, and no less than sessions^(1/3)."""
    return max(2 * horizon, math.ceil(round(math.cbrt(sessions), 9)))


def coin_band(sessions: int, horizon: int = 1, confidence: float = 0.95) -> float:
    """Accuracy that a fair coin stays under; labels that overlap count once per horizon."""
    z = NORMAL.inv_cdf(0.5 + confidence / 2.0)
    return 0.5 + z * math.sqrt(0.25 * horizon / sessions)


def smallest_edge(interval: Interval, sessions: int, variance: float, confidence: float) -> float:
    """Smallest difference that a test of this length can tell from luck: half its interval.

    Two that never differ, or a strategy that never trades, have an interval without width.  They
    say nothing about the test, which is then as strong as for `sessions` independent values of
    a variance: 0.25 × horizon for accuracies (a coin's), 2 × horizon for shares of a squared error
    (normal ones'), the sessions per year for annual Sharpe ratios (near 0).
    returns  NaN for fewer than 2 sessions
    """
    half = (interval[1] - interval[0]) / 2.0
    if half > 0.0 or sessions < 2:
        return half if half > 0.0 else math.nan
    return NORMAL.inv_cdf(0.5 + confidence / 2.0) * math.sqrt(variance / sessions)


def one_sided_p(difference: float, interval: Interval, confidence: float, blocks: int) -> float:
    """Chance of so large a difference without skill, from the width of a bootstrap interval.

    Normal, with the interval's own deviation: percentiles of a few thousand draws end where a
    correction for many attempts begins.  An interval without width is one difference in every
    session: p is 1 if it is no gain, else the chance that all `blocks` favour the model.  NaN
    where there is no interval.
    """
    if interval[0] == interval[1]:
        return 0.5**blocks if difference > 0.0 else 1.0
    deviation = (interval[1] - interval[0]) / (2.0 * NORMAL.inv_cdf(0.5 + confidence / 2.0))
    if not deviation > 0.0:
        return math.nan
    return 1.0 - NORMAL.cdf(difference / deviation)


def known_columns(*series: ArrayLike) -> Floats:
    """(T, columns) where all are known; joined on sessions where all are Series."""
    if all(isinstance(one, pd.Series) for one in series):
        table = pd.concat([pd.Series(one) for one in series], axis=1).to_numpy(dtype=float)
    else:  # ValueError for other lengths
        table = np.stack([np.asarray(one, dtype=float) for one in series], axis=1)
    known: Floats = table[np.isfinite(table).all(axis=1)]
    return known


def _moments_factor(sharpe: float, skew: float, kurtosis: float) -> float:
    """Variance of the estimated Sharpe ratio, times the sessions."""
    sharpe, skew, kurtosis = float(sharpe), float(skew), float(kurtosis)
    return 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * (sharpe * sharpe)


def _normal(z: float) -> float:
    return NORMAL.cdf(z) if math.isfinite(z) else math.nan


def _sharpe_ratios(chosen: Floats, sums: Floats, squares: Floats, counts: Floats) -> Floats:
    """(splits, configurations) from the moments of the blocks chosen; 0 where nothing varies."""
    count = (chosen @ counts)[:, None]
    mean = chosen @ sums / count
    variance = (chosen @ squares - count * mean**2) / (count - 1.0)
    varies = variance > 1e-12
    ratios: Floats = np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    return ratios


def _range(drawn: Floats, confidence: float) -> Interval:
    """The central range of the draws that are defined."""
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0:
        return (math.nan, math.nan)
    low, high = np.quantile(known, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return (float(low), float(high))
