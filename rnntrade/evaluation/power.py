"""What a test of this length could have shown at all, and how long a bootstrap's blocks are."""

import math
from statistics import NormalDist

from rnntrade.evaluation.verdict import Interval

NORMAL = NormalDist()


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
