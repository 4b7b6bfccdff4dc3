"""Standardisation, learned on the training part alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnntrade.types import Array, Bools, Rows, Samples, Scaler


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
