"""What is held, as a fraction of equity, decided after the close of a session.

(T, K) frames throughout: sessions × tickers.  NaN means no new decision: the last one stands.

Rules that have learned nothing, beside which a strategy must stand, read adjusted closes with the
history before the first decision, and the calendar's sessions a year.  Row t sees t and before; it
is NaN until the rule knows enough.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np
import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR, TradingConfig

TARGET_VOLATILITY = 0.10  # a year
SHARE = {"off": 1.0, "half": 0.5, "flat": 0.0}  # of a position that a turbulent regime leaves


def decide(probability: pd.DataFrame, config: TradingConfig) -> pd.DataFrame:
    """Long above the dead band, short below it, flat inside it.

    probability  (T, K) of a rise, 0..1; NaN: not known
    returns      (T, K) in -1..1; row t sees row t; NaN where the probability is NaN
    errors       ValueError for a probability outside 0..1
    """
    half = config.dead_band / 2.0
    sure = confidence(probability)  # checks the range
    side = (probability > 0.5 + half).astype(float) - (probability < 0.5 - half).astype(float)
    position = side * sure if config.sizing == "confidence" else side
    if config.long_only:
        position = position.clip(lower=0.0)
    return position.where(probability.notna())


def confidence(probability: pd.DataFrame) -> pd.DataFrame:
    """How far a probability is from a coin's: |p - 0.5| × 2, so 0..1; NaN stays NaN."""
    outside = (probability < 0.0) | (probability > 1.0)
    if outside.to_numpy().any():
        raise ValueError("probabilities must lie within 0..1; were logits given?")
    return (probability - 0.5).abs() * 2.0


def allocate(position: pd.DataFrame) -> pd.DataFrame:
    """Equal weights: each of the K tickers may use 1/K of equity, so gross exposure is 1 at most.

    position  (T, K) in -1..1; NaN stays NaN
    returns   (T, K) target weights, fractions of equity
    """
    return position / max(position.shape[1], 1)


def regime_filter(
    position: pd.DataFrame,
    regime: pd.DataFrame,
    mode: Literal["off", "half", "flat"],
    turbulent: Collection[int],
) -> pd.DataFrame:
    """Hold half or none of each position while its ticker's regime is turbulent.

    A regime turns on sessions without a new decision, too: then the decision that stands is cut,
    or taken up again, on that session.
    position   (T, K) decided at each close, in -1..1; NaN: no new decision
    regime     (T, K) class as known at each close, on the same sessions and tickers.  NaN: the last
               one known stands; before any is known nothing is cut
    turbulent  classes that cut, from `rnntrade.types.turbulent_classes`
    row t      sees rows up to and including t of both
    returns    (T, K); NaN where neither a decision nor a turn is new
    errors     ValueError when the frames do not share sessions and tickers
    """
    if not (position.index.equals(regime.index) and position.columns.equals(regime.columns)):
        raise ValueError("positions and regimes must share sessions and tickers")
    if mode == "off":
        return position
    cuts = regime.ffill().isin(list(turbulent))
    share = pd.DataFrame(np.where(cuts, SHARE[mode], 1.0), position.index, position.columns)
    turned = share != share.shift(fill_value=1.0)
    held = position.ffill() * share + 0.0  # a short cut to nothing is 0, not -0
    return held.where(position.notna() | turned)


def random_positions(position: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the same holdings at other times: each ticker's column, rotated by a random offset.

    Exposure, sizes and spells stay as they are, and so does turnover, but for the one seam where
    the last session meets the first.  A baseline without timing skill.
    NaN in (T, K) is first replaced by the decision that stands (flat before any).
    """
    generator = np.random.default_rng(seed)
    standing = position.ffill().fillna(0.0)
    offset = generator.integers(0, max(len(standing), 1), size=standing.shape[1])
    rotated = {
        ticker: np.roll(standing[ticker].to_numpy(), shift)
        for ticker, shift in zip(standing.columns, offset, strict=True)
    }
    return pd.DataFrame(rotated, index=position.index, columns=position.columns)


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
