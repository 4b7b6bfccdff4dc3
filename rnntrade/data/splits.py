"""Splits that a file states beside its prices, checked against the prices.

A stated 4:1 split is expected to be in the prices already: then they do not move with it.  Where
the open falls to about a quarter of the close before, they are as quoted, and every earlier price
is divided by 4, every earlier volume multiplied.  A move in between fits neither and is refused.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from rnntrade.data.formats import first
from rnntrade.errors import DataError

RATIO = re.compile(r"(\d+(?:\.\d+)?)(?:\s*(?::|/|-?for-?)\s*(\d+(?:\.\d+)?))?")
SMALL = 1.25  # a smaller split cannot be told from the move of a day
ADJUSTED, AS_QUOTED = 0.25, 0.75  # log of the move over log of the split: below, above


def read(cells: pd.Series) -> pd.Series | None:
    """Return new shares per old one, 1 where nothing is stated; None if the cells are no ratios."""
    text = cells.astype("str").str.strip().str.lower()
    ratios = text.str.extract(rf"^{RATIO.pattern}$").astype("float64")
    stated = ratios[0] / ratios[1].fillna(1.0)
    if (stated.isna() & cells.notna() & ~text.isin(["", "nan", "none", "null", "-"])).any():
        return None
    return stated.where(stated > 0.0, 1.0).fillna(1.0)


def unadjusted(
    opens: pd.Series, closes: pd.Series, ratios: pd.Series, path: Path, strict: bool = True
) -> pd.Series:
    """Return the stated splits, by date, that the prices jump with.

    Splits below SMALL go the way of the larger ones.
    strict       whether to raise DataError where a price moves neither with the split nor without
    """
    before = closes.shift()
    stated = ratios[ratios.ne(1.0) & before.gt(0.0) & opens.gt(0.0)]
    moved = np.log(opens[stated.index] / before[stated.index]) / -np.log(stated)
    large = np.log(stated).abs() >= np.log(SMALL)
    jumps = large & (moved >= AS_QUOTED) & (moved <= 2 - AS_QUOTED)
    unclear = large & ~jumps & (moved > ADJUSTED)
    if strict and unclear.any():
        day = first(unclear)
        raise DataError(
            f"{path} states a {_words(stated[day])} split on {day:%Y-%m-%d}, but the price moves "
            f"from {before[day]:g} to {opens[day]:g}: it is neither adjusted for the split nor as "
            "quoted.  Correct the split, or add an adjusted close."
        )
    as_quoted: pd.Series = stated[jumps | (~large & jumps.any())]
    return as_quoted


def refuse_unadjusted(jumps: pd.Series, column: str, path: Path) -> None:
    """Raise DataError if the adjusted close jumps with a stated split."""
    if len(jumps):
        raise DataError(
            f"{path}: column {column} is not adjusted for the {_words(jumps.iloc[0])} split that "
            f"the file states on {jumps.index[0]:%Y-%m-%d}.  Correct the column, or remove it: "
            "then the prices are adjusted for the splits stated."
        )


def apply(quotes: pd.DataFrame, jumps: pd.Series) -> pd.DataFrame:
    """Divide prices before each split by its ratio, and multiply volumes."""
    later = jumps.reindex(quotes.index).fillna(1.0)[::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
    prices = quotes[["open", "high", "low", "close"]].div(later, axis=0)
    return quotes.assign(**prices, volume=quotes["volume"] * later)


def _words(ratio: float) -> str:
    return f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"
