"""Rules that trade without having learned anything: what a strategy must stand beside.

close              (T, K) adjusted closes, with the history before the first decision
sessions_per_year  of the calendar
returns            (T, K) position, 0 .. 1, decided after the close of row t; NaN until the rule
                   knows enough
"""

import math
from collections.abc import Callable, Mapping

import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR

TARGET_VOLATILITY = 0.10  # a year


def moving_average_cross(
    close: pd.DataFrame, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """Long while the mean of 50 closes is above that of 200, else flat."""
    short, long = close.rolling(50).mean(), close.rolling(200).mean()
    return (short > long).astype(float).where(long.notna())


def momentum_12_1(close: pd.DataFrame, sessions_per_year: int = SESSIONS_PER_YEAR) -> pd.DataFrame:
    """Long while the price rose over the last year but its newest month, else flat.

    source  Jegadeesh and Titman (1993); 252 to 21 sessions ago on a stock exchange
    """
    month = round(sessions_per_year / 12)
    past = close.shift(month) / close.shift(sessions_per_year) - 1.0
    return (past > 0.0).astype(float).where(past.notna())


def volatility_targeted_hold(
    close: pd.DataFrame, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """Hold what brings 10 % a year by the volatility of the last 20 sessions, at most everything.

    Decided anew every fifth row, so that costs do not eat the rule.
    """
    deviation = close.pct_change(fill_method=None).rolling(20).std() * math.sqrt(sessions_per_year)
    wanted = (TARGET_VOLATILITY / deviation).clip(upper=1.0)
    return wanted.iloc[::5].reindex(close.index)


RULES: Mapping[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "moving_averages_50_200": moving_average_cross,
    "momentum_12_1": momentum_12_1,
    "volatility_targeted_hold": volatility_targeted_hold,
}
