"""Prices with the holes that real data has: without them causality tests miss fills."""

import numpy as np
import pandas as pd
import pytest

from rnntrade.types import Prices


def made_up_bars(sessions: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    """A random walk with whole bars; nothing in it can be forecast."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(5, len(sessions)) * 0.01))
    opened = close * np.exp(rng.normal(0.0, 0.004, len(sessions)))
    spread = np.abs(rng.normal(0.0, 0.004, len(sessions)))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread),
            "low": np.minimum(opened, close) * (1 - spread),
            "close": close,
            "volume": rng.integers(10**5, 10**6, len(sessions)).astype(float),
            "raw_close": close * 2.0,
        },
        index=sessions.rename("date"),
    )


@pytest.fixture(scope="session")
def prices() -> Prices:
    """Three tickers: one whole, one listed late, one halted for a week and split later."""
    sessions = pd.bdate_range("2018-01-01", periods=700, name="date")
    whole, late, halted = (made_up_bars(sessions, seed) for seed in range(3))
    halted = halted.drop(halted.index[300:305])
    halted.loc[halted.index[:400], "raw_close"] *= 4.0
    return Prices.of({"WHOLE": whole, "LATE": late.iloc[150:], "HALTED": halted})
