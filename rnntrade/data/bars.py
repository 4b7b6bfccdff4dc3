"""Bars: one ticker's table of daily prices.

The index holds session dates, tz-naive, named `date`; the columns are FIELDS, float64.  Open, high,
low and close are adjusted for splits and dividends.  `raw_close` is the close as the source quotes
it: Yahoo and the sample quote it adjusted for splits, but not for dividends.
"""

import hashlib
from datetime import date

import numpy as np
import pandas as pd

from rnntrade.types import FIELDS, Bools

QUOTES = ("open", "high", "low", "close", "adj_close", "volume")


def from_quotes(quotes: pd.DataFrame) -> pd.DataFrame:
    """Turn quotes (columns QUOTES, indexed by date) into bars.

    Each price is multiplied by adj_close / close of its session; close is adj_close itself.
    """
    factor = quotes["adj_close"] / quotes["close"]
    columns = {name: quotes[name] * factor for name in ("open", "high", "low")}
    columns |= {
        "close": quotes["adj_close"],
        "volume": quotes["volume"],
        "raw_close": quotes["close"],
    }
    return canonical(pd.DataFrame(columns, index=quotes.index))


def canonical(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the same bars with columns, types and index as every reader expects them."""
    bars = bars.loc[:, list(FIELDS)].astype("float64")
    bars.index = pd.DatetimeIndex(bars.index, name="date").as_unit("ns")
    return bars.rename_axis(columns=None)


def between(days: pd.Index, start: date, end: date) -> Bools:
    """Whether each day is in [start, end)."""
    return np.asarray((days >= pd.Timestamp(start)) & (days < pd.Timestamp(end)))


def cut(bars: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Return the bars dated in [start, end), in whatever order they are."""
    return bars.loc[between(bars.index, start, end)]


def digest(bars: pd.DataFrame) -> str:
    """Name the content: 16 hexadecimal digits, equal if and only if every date and bit is."""
    content = hashlib.sha256(pd.DatetimeIndex(bars.index).as_unit("ns").asi8.tobytes())
    content.update(np.ascontiguousarray(bars[list(FIELDS)].to_numpy("float64")).tobytes())
    return content.hexdigest()[:16]
