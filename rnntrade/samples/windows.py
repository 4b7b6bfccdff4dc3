"""Windows: lazy views of feature rows, the spans of time that each covers, and standardisation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnntrade.errors import DataError
from rnntrade.types import Array, Bools, Rows, Samples, Scaler, Spans


def make_samples(
    features: Mapping[str, pd.DataFrame],
    targets: Mapping[str, pd.DataFrame],
    lookback: int,
    horizon: int,
) -> Samples:
    """Every window of `lookback` complete sessions of one ticker, dated by its last session.

    features  ticker -> (T_k, F) on that ticker's sessions, the same columns for all
    targets   ticker -> (T_k, O) about sessions t+1 .. t+horizon, NaN where not known
    returns   windows in order of ticker, then session; rows with a missing feature are in no window
    errors    DataError when no ticker has enough sessions for one window
    """
    spans, rows, last, target, offset = [], [], [], [], 0
    for ticker, table in features.items():
        sessions = table.index.to_numpy().astype("datetime64[ns]")
        values = table.to_numpy(dtype=float)
        ends = _complete(values, lookback)
        spans.append(vars(_spans(ticker, sessions, ends, lookback, horizon)).values())
        rows.append(values)
        last.append(ends + offset)
        target.append(targets[ticker].reindex(table.index).to_numpy(dtype=float)[ends])
        offset += len(values)
    samples = Samples(
        spans=Spans(*(np.concatenate(parts) for parts in zip(*spans, strict=True))),
        rows=np.concatenate(rows),
        last=np.concatenate(last),
        target=np.concatenate(target),
        lookback=lookback,
        features=tuple(str(name) for name in next(iter(features.values())).columns),
    )
    if len(samples) == 0:
        counts = ", ".join(f"{ticker} {len(table)}" for ticker, table in features.items())
        raise DataError(
            f"fewer sessions than one window needs: {lookback} sessions on which every feature is "
            f"known, after the features' own warm-up; there are {counts}.  "
            "Use an earlier start or a shorter lookback."
        )
    return samples


def windows(rows: NDArray[Any], lookback: int) -> NDArray[Any]:
    """(R-L+1, L, F) every window of (R, F) rows, a read-only view; window i ends at row i+L-1."""
    return np.moveaxis(sliding_window_view(rows, lookback, axis=0), -1, 1)


def gather(rows: NDArray[Any], last: Rows, lookback: int) -> NDArray[Any]:
    """(B, L, F) a batch of windows of (R, F) rows, copied out; they end on rows `last` (B,)."""
    return np.asarray(rows[last[:, None] + np.arange(1 - lookback, 1)])


def fit_scaler(samples: Samples, training: Rows, scale_target: bool) -> Scaler:
    """Mean and deviation of every row that some training window holds, each row once.

    training      (n,) positions of the training samples
    scale_target  also standardise the target: for returns, not for classes
    """
    rows = samples.rows[_rows_of(samples, training)]
    target = samples.target[training]
    return Scaler(
        mean=rows.mean(axis=0),
        deviation=_positive(rows.std(axis=0)),
        target_mean=float(np.nanmean(target)) if scale_target else 0.0,
        target_deviation=float(_positive(np.nanstd(target))) if scale_target else 1.0,
    )


def standardise(rows: Array, scaler: Scaler) -> NDArray[np.float32]:
    """(R, F) rows in units of the training part's deviations, as float32."""
    scaled: NDArray[np.float32] = ((rows - scaler.mean) / scaler.deviation).astype(np.float32)
    return scaled


def _rows_of(samples: Samples, chosen: Rows) -> Bools:
    """(R,) true for every row inside a chosen window."""
    depth = np.zeros(len(samples.rows) + 1, np.int64)
    np.add.at(depth, samples.last[chosen] - samples.lookback + 1, 1)
    np.add.at(depth, samples.last[chosen] + 1, -1)
    return np.cumsum(depth)[:-1] > 0


def _positive(deviation: Array | np.floating[Any]) -> Array:
    """A feature that never moved is left as it is."""
    return np.where(deviation > 0.0, deviation, 1.0)


def _complete(values: Array, lookback: int) -> Rows:
    """Positions that end `lookback` rows in a row without a missing value."""
    known = np.isfinite(values).all(axis=1)
    run = np.concatenate([[0], np.cumsum(known)])
    full = run[lookback:] - run[:-lookback] == lookback
    return np.flatnonzero(full) + lookback - 1 if len(values) >= lookback else np.empty(0, np.int64)


def _spans(ticker: str, sessions: NDArray[Any], ends: Rows, lookback: int, horizon: int) -> Spans:
    future = np.concatenate([sessions, np.full(horizon, np.datetime64("NaT", "ns"))])
    label_end = future[ends + horizon]
    return Spans(
        ticker=np.full(len(ends), ticker),
        feature_start=sessions[ends - lookback + 1],
        decision=sessions[ends],
        label_start=np.where(np.isnat(label_end), label_end, future[ends + 1]),
        label_end=label_end,
    )
