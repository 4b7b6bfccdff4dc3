"""From a history of bars to the newest prediction: what a registered model does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rnntrade.errors import DataError
from rnntrade.features.sets import ticker_features
from rnntrade.samples.windows import make_samples
from rnntrade.training.predict import predict
from rnntrade.types import Fit, used_classes


def predict_latest(fits: Sequence[Fit], bars: pd.DataFrame) -> pd.DataFrame:
    """One row a ticker: its newest session, and what the fits say on average.

    fits     members of an ensemble: one model, different seeds
    bars     one row a bar: date, ticker, close (adjusted); in any order
    returns  ticker, as_of (YYYY-MM-DD) and, by task, p_<regime> and regime, p_up, or r_1 .. r_h
    errors   DataError naming the ticker whose history is too short, unsorted or wrong
    """
    model = fits[0].model
    rows = []
    for ticker, table in bars.groupby("ticker", sort=True):
        history = _history(str(ticker), table)
        features = ticker_features(history, model.inputs)
        nothing = pd.DataFrame({"target": np.nan}, index=features.index)
        try:
            samples = make_samples(
                {str(ticker): features}, {str(ticker): nothing}, model.lookback, model.horizon
            )
        except DataError as error:
            raise DataError(f"{ticker}: {error}") from error
        newest = np.array([len(samples) - 1])
        if samples.spans.decision[-1] != features.index[-1].to_datetime64():
            raise DataError(
                f"{ticker}: no complete window ends on its newest session, "
                f"{features.index[-1]:%Y-%m-%d}.  Check that session's close."
            )
        outputs = np.mean([predict(fit, samples, newest) for fit in fits], axis=0)[0]
        as_of = f"{features.index[-1]:%Y-%m-%d}"
        rows.append({"ticker": str(ticker), "as_of": as_of, **_named(fits[0], outputs)})
    return pd.DataFrame(rows)


def _history(ticker: str, table: pd.DataFrame) -> pd.DataFrame:
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


def output_names(fit: Fit) -> list[str]:
    """What the numbers are called that `predict_latest` gives, in their order."""
    if fit.model.task == "regime":
        return [f"p_{name.lower().replace(' ', '_')}" for name in used_classes(fit.classes)]
    if fit.model.task == "direction":
        return ["p_up"]
    return [f"r_{step}" for step in range(1, fit.model.horizon + 1)]


def _named(fit: Fit, outputs: np.ndarray) -> dict[str, float | str]:
    names = output_names(fit)
    named: dict[str, float | str] = {
        name: float(value) for name, value in zip(names, outputs, strict=False)
    }
    if fit.model.task == "regime":
        named["regime"] = fit.classes[int(outputs[: len(names)].argmax())]
    return named
