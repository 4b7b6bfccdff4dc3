"""What is held, as a fraction of equity, decided after the close of a session.

(T, K) frames throughout: sessions × tickers.  NaN means no new decision: the last one stands.
"""

import numpy as np
import pandas as pd

from rnntrade.config import TradingConfig


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


def random_positions(position: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the same holdings at other times: each ticker's column, rotated by a random offset.

    Exposure, sizes and spells stay as they are, and so does turnover, but for the one seam where
    the last session meets the first.  A baseline without timing skill.
    position  (T, K); NaN is first replaced by the decision that stands (flat before any)
    returns   (T, K) without NaN
    """
    generator = np.random.default_rng(seed)
    standing = position.ffill().fillna(0.0)
    offset = generator.integers(0, max(len(standing), 1), size=standing.shape[1])
    rotated = {
        ticker: np.roll(standing[ticker].to_numpy(), shift)
        for ticker, shift in zip(standing.columns, offset, strict=True)
    }
    return pd.DataFrame(rotated, index=position.index, columns=position.columns)
