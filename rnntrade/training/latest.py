"""From a history of bars to the newest prediction: what a registered model does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnntrade.config import SESSIONS_PER_YEAR, ModelConfig
from rnntrade.errors import DataError
from rnntrade.features.sets import ticker_features
from rnntrade.objectives.lookup import objective_of
from rnntrade.samples.windows import make_samples
from rnntrade.training.predict import predict
from rnntrade.types import Fit


def predict_latest(
    fits: Sequence[Fit], bars: pd.DataFrame, sessions_per_year: int = SESSIONS_PER_YEAR
) -> pd.DataFrame:
    """One row a ticker: its newest session, and what the fits say on average.

    fits     members of an ensemble: one model, different seeds
    bars     one row a bar: date, ticker, close (adjusted); in any order
    returns  ticker, as_of (YYYY-MM-DD) and, by task, p_<regime> and regime, p_up, or r_1 .. r_h
    errors   DataError naming the ticker whose history is too short, unsorted or wrong
    """
    model = fits[0].model
    windows = {}
    for name, table in bars.groupby("ticker", sort=True):
        ticker = str(name)
        features = ticker_features(history(ticker, table), model.inputs, sessions_per_year)
        windows[ticker] = _newest_window(ticker, features, model.lookback)
    if not windows:
        raise DataError("there are no bars: give date, ticker and close of at least one ticker.")
    unknown = {t: pd.DataFrame({"target": np.nan}, table.index) for t, table in windows.items()}
    samples = make_samples(windows, unknown, model.lookback, model.horizon)
    rows, objective = np.arange(len(samples)), objective_of(model, fits[0].classes)
    outputs = np.mean([predict(fit, samples, rows) for fit in fits], axis=0)
    return pd.DataFrame(
        [
            {"ticker": t, "as_of": f"{table.index[-1]:%Y-%m-%d}", **objective.named(said)}
            for (t, table), said in zip(windows.items(), outputs, strict=True)
        ]
    )


def has_window(bars: pd.DataFrame, model: ModelConfig) -> bool:
    """Whether a complete window ends on the newest of one ticker's bars."""
    newest = ticker_features(bars, model.inputs).iloc[-model.lookback :].to_numpy(dtype=float)
    return len(newest) == model.lookback and bool(np.isfinite(newest).all())


def _newest_window(ticker: str, features: pd.DataFrame, lookback: int) -> pd.DataFrame:
    """The last rows of features, every one of them known."""
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
