"""Other futures: prices that are the same up to a session, bit for bit, and differ after it.

Every perturbation changes all tickers at once and leaves valid bars behind: positive, the high the
highest, the low the lowest, whole or not there at all.

values  (R, K, 6) fields of the rows to replace, in the order of FIELDS; NaN: not traded
past    (K,) last close that each ticker had before them, NaN where it never traded
rng     whence randomness comes
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.types import FIELDS, Prices

Array = NDArray[np.float64]
Perturbation = Callable[[Array, Array, np.random.Generator], Array]

CLOSE, VOLUME = FIELDS.index("close"), FIELDS.index("volume")
IS_VOLUME = np.arange(len(FIELDS)) == VOLUME
LARGEST_LOG = 200.0  # of a price over its original: keeps ten times the volatility finite
HOLES = 0.5  # share of the bars that go missing


def replace_future(prices: Prices, last: int, way: str, rng: np.random.Generator) -> Prices:
    """Prices whose rows after position `last` are others; those up to it are the very same.

    last     position of the last session that stays
    way      one of WAYS
    returns  as many sessions, but for "cut", which ends at `last`
    errors   KeyError for another way
    """
    if way == "cut":
        return prices.on(slice(0, last + 1))
    values = np.stack([getattr(prices, field).to_numpy(float) for field in FIELDS], axis=2)
    past = prices.close.iloc[: last + 1].ffill().iloc[-1].to_numpy(float)
    with np.errstate(invalid="ignore"):
        values[last + 1 :] = PERTURBATIONS[way](values[last + 1 :].copy(), past, rng)
    return Prices(
        **{
            field: pd.DataFrame(values[:, :, i], prices.close.index, prices.close.columns)
            for i, field in enumerate(FIELDS)
        }
    )


def replace_rows(table: pd.DataFrame, after: pd.Timestamp, way: str) -> pd.DataFrame:
    """A table of anything whose rows after a session are others: cut off, x1000 or reversed.

    table    (T, C) of numbers by session
    returns  as many rows, but for "cut"; those up to `after` are the very same
    """
    stays = int(table.index.searchsorted(after, side="right"))
    if way == "cut":
        return table.iloc[:stays]
    values = table.to_numpy(float, copy=True)
    values[stays:] = {"x1000": values[stays:] * 1000.0, "reversed": values[stays:][::-1]}[way]
    return pd.DataFrame(values, table.index, table.columns)


def replace_answers(
    table: pd.DataFrame,
    after: pd.Timestamp,
    ended: pd.Timestamp,
    way: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Predictions of a rise, others where decided after a session; what came is the other side.

    table  of predictions, see `rnntrade.chain`; may be empty
    ended  the last session on which a label that stays may end; "cut" leaves decisions up to it
    """
    if table.empty:
        return table
    if way == "cut":
        return table[table["decision"] <= ended]
    later, known = table["decision"] > after, table["label_end"] <= ended
    up = table["p_up"]
    ways: Mapping[str, Callable[[], pd.Series]] = {
        "jitter 1 %": lambda: (up + 0.01 * rng.standard_normal(len(up))).clip(0.0, 1.0),
        "volatility x10": lambda: (0.5 + 10.0 * (up - 0.5)).clip(0.0, 1.0),
        "flat": lambda: 0.5 + 0.1 * (up - 0.5),
        "x1000": lambda: (up < 0.5).astype(float),  # sure of the other side
        "reversed": lambda: 1.0 - up,
        "missing": lambda: up.mask(rng.random(len(up)) < HOLES),
    }
    other = table.assign(
        p_up=up.where(~later, ways[way]()), truth=table["truth"].where(known, 1.0 - table["truth"])
    )
    return other.dropna(subset="p_up")


def _jitter(values: Array, past: Array, rng: np.random.Generator) -> Array:
    """Move every bar, and every volume, by 1 % or so."""
    noise = np.exp(0.01 * rng.standard_normal((*values.shape[:2], 2)))
    return values * np.where(IS_VOLUME, noise[:, :, 1:], noise[:, :, :1])


def _volatile(values: Array, past: Array, rng: np.random.Generator) -> Array:
    """Make every logarithmic return ten times as large."""
    close = values[:, :, CLOSE]
    start = np.where(np.isfinite(past), past, _first(close))
    steps = np.log(close / start)
    return _scaled(values, np.exp(np.clip(9.0 * steps, -LARGEST_LOG, LARGEST_LOG)))


def _flat(values: Array, past: Array, rng: np.random.Generator) -> Array:
    """Stand still at the last close (a ticker not listed yet: at its first); nothing is traded."""
    still = np.where(np.isfinite(past), past, _first(values[:, :, CLOSE]))
    flat = np.where(np.isfinite(values), still[:, None], np.nan)
    flat[:, :, VOLUME] *= 0.0
    return flat


def _missing(values: Array, past: Array, rng: np.random.Generator) -> Array:
    """Drop half of the bars, the first one certainly."""
    gone = rng.random(values.shape[:2]) < HOLES
    gone[:1] = True
    return np.where(gone[:, :, None], np.nan, values)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "cut": lambda values, past, rng: values[:0],
    "jitter 1 %": _jitter,
    "volatility x10": _volatile,
    "flat": _flat,
    "x1000": lambda values, past, rng: _scaled(values, 1000.0),  # at a thousand times the price
    "reversed": lambda values, past, rng: values[::-1],
    "missing": _missing,
}
WAYS = tuple(PERTURBATIONS)


def _scaled(values: Array, factor: Array | float) -> Array:
    """Multiply the prices of each bar, (R, K) factors; the volume stays."""
    return values * np.where(IS_VOLUME, 1.0, np.asarray(factor)[..., None])


def _first(close: Array) -> Array:
    """(K,) the first close there is; NaN where there is none."""
    first: Array = pd.DataFrame(close).bfill().reindex([0]).to_numpy()[0]
    return first
