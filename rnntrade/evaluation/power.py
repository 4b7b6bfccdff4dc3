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


def one_sided_p(difference: float, interval: Interval, confidence: float) -> float:
    """Chance of so large a difference without skill, from the width of a bootstrap interval.

    Normal, with the interval's own deviation: percentiles of a few thousand draws end where a
    correction for many attempts begins.  NaN for an interval without width.
    """
    deviation = (interval[1] - interval[0]) / (2.0 * NORMAL.inv_cdf(0.5 + confidence / 2.0))
    if not deviation > 0.0:
        return math.nan
    return 1.0 - NORMAL.cdf(difference / deviation)
