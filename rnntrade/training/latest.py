"""The newest window of a history of bars: what a registered model reads."""

import numpy as np
import pandas as pd

from rnntrade.errors import DataError


def newest_window(ticker: str, features: pd.DataFrame, lookback: int) -> pd.DataFrame:
    """The last rows of features, every one of them known; DataError saying what to send."""
    known = np.isfinite(features.to_numpy(dtype=float)).all(axis=1)
    if known.sum() < lookback:
        raise DataError(
            f"{ticker}: fewer sessions than one window needs: {lookback} sessions on which every "
            f"feature is known, after the features' own warm-up; there are {len(features)}.  "
            "Send a longer history."
        )
    if not known[-lookback:].all():
        raise DataError(
            f"{ticker}: no complete window ends on its newest session, "
            f"{features.index[-1]:%Y-%m-%d}.  Check that session's close."
        )
    return features.iloc[-lookback:]


def history(ticker: str, table: pd.DataFrame) -> pd.DataFrame:
    """Checked closes of one ticker, by date."""
    dates = pd.DatetimeIndex(pd.to_datetime(table["date"])).normalize()
    history = pd.DataFrame({"close": table["close"].to_numpy(dtype=float)}, index=dates)
    history = history.sort_index().rename_axis("date")
    if history.index.has_duplicates:
        twice = history.index[history.index.duplicated()][0]
        raise DataError(f"{ticker}: {twice:%Y-%m-%d} is there twice.  Give each session once.")
    wrong = ~(np.isfinite(history["close"]) & (history["close"] > 0))
    if wrong.any():
        raise DataError(
            f"{ticker}: close on {history.index[wrong][0]:%Y-%m-%d} is "
            f"{history['close'][wrong].iloc[0]}.  Closes must be positive numbers."
        )
    return history
