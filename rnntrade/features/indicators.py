"""Features by name: published indicators, a function each; adding one is adding a line to FEATURES.

All are stationary ratios, so that prices compare.

close    (T, K) or (T,) adjusted closes; a column is one ticker
returns  the same shape; NaN until every window is full, and wherever the close is missing
causal   row t uses closes up to and including t
Standard deviations are of the sample (ddof = 1).
"""

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial

import numpy as np
import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.errors import ConfigError


def simple_return(close: pd.DataFrame, sessions: int = 1) -> pd.DataFrame:
    """Return over the last `sessions` sessions: c[t] / c[t-n] - 1; also called momentum."""
    return close / close.shift(sessions) - 1.0


def log_return(close: pd.DataFrame) -> pd.DataFrame:
    """Logarithm of c[t] / c[t-1]."""
    return (close / close.shift(1)).transform(np.log)


def return_sum(close: pd.DataFrame, sessions: int) -> pd.DataFrame:
    """Sum of the last `sessions` one-session returns."""
    return simple_return(close).rolling(sessions).sum()


def sma_ratio(close: pd.DataFrame, sessions: int) -> pd.DataFrame:
    """Simple moving average over the close, less one."""
    return close.rolling(sessions).mean() / close - 1.0


def ema_ratio(close: pd.DataFrame, span: int) -> pd.DataFrame:
    """Exponential moving average over the close, less one."""
    return _ema(close, span) / close - 1.0


def macd(close: pd.DataFrame) -> pd.DataFrame:
    """Moving average convergence divergence, ema(12) - ema(26), as a fraction of the close.

    source   Appel (1979)
    """
    return (_ema(close, 12) - _ema(close, 26)) / close


def macd_signal(close: pd.DataFrame) -> pd.DataFrame:
    """Exponential average of span 9 of `macd`."""
    return _ema(macd(close), 9).where(close.notna())


def macd_histogram(close: pd.DataFrame) -> pd.DataFrame:
    """Difference of `macd` and `macd_signal`."""
    return macd(close) - macd_signal(close)


def rsi(close: pd.DataFrame, sessions: int = 14) -> pd.DataFrame:
    """Relative strength index / 100 - 0.5, with simple means: +0.5 gains only, 0 no move at all.

    source   Wilder (1978), New Concepts in Technical Trading Systems, by Cutler's simple means
    """
    change = close.diff()
    gain = change.clip(lower=0.0).rolling(sessions).mean()
    loss = (-change).clip(lower=0.0).rolling(sessions).mean()
    moved = gain + loss
    return (gain / moved - 0.5).where(moved != 0.0, 0.0).where(moved.notna())


def bollinger_band(close: pd.DataFrame, deviations: float, sessions: int = 20) -> pd.DataFrame:
    """Moving average plus `deviations` standard deviations, over the close, less one.

    source   Bollinger (2001), Bollinger on Bollinger Bands
    """
    mean = close.rolling(sessions).mean()
    return (mean + deviations * _deviation(close, sessions)) / close - 1.0


def bollinger_width(close: pd.DataFrame) -> pd.DataFrame:
    """Upper less lower band, as a fraction of the close: four standard deviations."""
    return 4.0 * _deviation(close, 20) / close


def bollinger_position(close: pd.DataFrame, sessions: int = 20) -> pd.DataFrame:
    """Where the close stands between the bands: -0.5 the lower, +0.5 the upper; 0 if flat."""
    mean, deviation = close.rolling(sessions).mean(), _deviation(close, sessions)
    position = (close - (mean - 2.0 * deviation)) / (4.0 * deviation) - 0.5
    return position.where(deviation != 0.0, 0.0).where(deviation.notna() & close.notna())


def volatility(
    close: pd.DataFrame, sessions: int, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """Standard deviation of the last `sessions` returns, as a fraction per year (0.2 is 20 %)."""
    return _deviation(simple_return(close), sessions) * math.sqrt(sessions_per_year)


def _deviation(values: pd.DataFrame, sessions: int) -> pd.DataFrame:
    """Standard deviation of the last `sessions` values; exactly 0 where they are all the same.

    A rolling deviation carries rounding on from what has left its window, a jump above all; so a
    flat window is told by its values.
    """
    moved = values.diff().to_numpy() != 0.0  # a missing value counts as one
    row = np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1))
    last_move = np.maximum.accumulate(np.where(moved, row, 0), axis=0)
    return values.rolling(sessions).std() * (row - last_move < sessions - 1)


def _ema(values: pd.DataFrame, span: int) -> pd.DataFrame:
    """Exponentially weighted mean, its weights normalised from the first observation."""
    return values.ewm(span=span, adjust=True).mean()


FEATURES: Mapping[str, Callable[..., pd.DataFrame]] = {
    "returns": simple_return,
    "log_returns": log_return,
    "sma_10": partial(sma_ratio, sessions=10),
    "sma_20": partial(sma_ratio, sessions=20),
    "sma_50": partial(sma_ratio, sessions=50),
    "ema_12": partial(ema_ratio, span=12),
    "ema_26": partial(ema_ratio, span=26),
    "macd": macd,
    "macd_signal": macd_signal,
    "macd_hist": macd_histogram,
    "rsi": rsi,
    "bb_upper": partial(bollinger_band, deviations=2.0),
    "bb_lower": partial(bollinger_band, deviations=-2.0),
    "bb_width": bollinger_width,
    "bb_position": bollinger_position,
    "volatility_10": partial(volatility, sessions=10),
    "volatility_20": partial(volatility, sessions=20),
    "momentum_5": partial(simple_return, sessions=5),
    "momentum_10": partial(simple_return, sessions=10),
    "momentum_20": partial(simple_return, sessions=20),
    "return_sum_20": partial(return_sum, sessions=20),
}
INDICATORS = tuple(name for name in FEATURES if name != "return_sum_20")  # that is of regimes
ANNUAL = ("volatility_10", "volatility_20")  # whose unit is a year


def ticker_features(
    bars: pd.DataFrame,
    names: tuple[str, ...] = tuple(FEATURES),
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> pd.DataFrame:
    """One ticker's features.

    bars     (T, 6) table of bars, on the sessions that the ticker traded
    returns  (T, F), columns in the order of `names`
    errors   ConfigError for a name that is not in FEATURES
    """
    check_names(names)
    close, annual = bars[["close"]], {"sessions_per_year": sessions_per_year}
    columns = {n: FEATURES[n](close, **(annual if n in ANNUAL else {}))["close"] for n in names}
    return pd.DataFrame(columns, bars.index)


def check_names(names: tuple[str, ...]) -> None:
    """Raise ConfigError, with a near name, for the first feature that does not exist."""
    for name in names:
        if name not in FEATURES:
            near = get_close_matches(name, FEATURES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(FEATURES)}."
            raise ConfigError(f"no feature {name!r}.  {hint}")
