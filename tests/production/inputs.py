"""Inputs of a made-up market that never changes, and of one that does; the benchmark uses them."""

import numpy as np
import pandas as pd

from rnntrade.data.synthetic import generate_process
from rnntrade.features.indicators import INDICATORS, ticker_features

WARM_UP, TRAINING, RECENT = 60, 1260, 60
SETS = {
    1: ("returns",),
    3: ("returns", "volatility_20", "momentum_20"),
    20: INDICATORS,
}  # by number of inputs


def closes(seed: int, after: int, louder: float = 1.0) -> pd.DataFrame:
    """Bars; in the last sessions, windows of the last `RECENT` included, returns are `louder`."""
    days = pd.bdate_range("1990-01-01", periods=WARM_UP + TRAINING + after)
    bars = generate_process("n2", days, np.ones(len(days), dtype=bool), seed)
    moves = np.log(bars["close"]).diff().fillna(0.0).to_numpy(copy=True)
    moves[-(RECENT + WARM_UP) :] *= louder
    return bars.assign(close=50.0 * np.exp(np.cumsum(moves)))


def inputs(seed: int, after: int = RECENT, louder: float = 1.0) -> np.ndarray:
    """(TRAINING + after, 20) indicators, in their usual order."""
    return ticker_features(closes(seed, after, louder), INDICATORS).to_numpy()[WARM_UP:]


def columns(number: int) -> list[int]:
    """Where the inputs of a set are."""
    return [INDICATORS.index(name) for name in SETS[number]]
