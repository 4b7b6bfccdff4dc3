"""Rules that trade without having learned anything: what a strategy must stand beside.

close    (T, K) adjusted closes, with the history before the first decision
returns  (T, K) position, 0 .. 1, decided after the close of row t; NaN until the rule knows enough
"""

import math
from collections.abc import Callable, Mapping

import pandas as pd

SESSIONS_PER_YEAR = 252
TARGET_VOLATILITY = 0.10  # a year


def moving_average_cross(close: pd.DataFrame) -> pd.DataFrame:
    """Long while the mean of 50 closes is above that of 200, else flat."""
    short, long = close.rolling(50).mean(), close.rolling(200).mean()
    return (short > long).astype(float).where(long.notna())


def momentum_12_1(close: pd.DataFrame) -> pd.DataFrame:
    """Long while the price rose over the last year but its newest month, else flat.

    source   Jegadeesh and Titman (1993), the month in sessions: 252 to 21 sessions ago
    """
    past = close.shift(21) / close.shift(252) - 1.0
    return (past > 0.0).astype(float).where(past.notna())


def volatility_targeted_hold(close: pd.DataFrame) -> pd.DataFrame:
    """Hold what brings 10 % a year by the volatility of the last 20 sessions, at most everything.

    Decided anew every fifth row, so that costs do not eat the rule.
    """
    deviation = close.pct_change(fill_method=None).rolling(20).std() * math.sqrt(SESSIONS_PER_YEAR)
    wanted = (TARGET_VOLATILITY / deviation).clip(upper=1.0)
    return wanted.iloc[::5].reindex(close.index)


RULES: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "moving_averages_50_200": moving_average_cross,
    "momentum_12_1": momentum_12_1,
    "volatility_targeted_hold": volatility_targeted_hold,
}
