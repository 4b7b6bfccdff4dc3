"""What a vendor changed in sessions that it had sent before.

A dividend or a split multiplies a whole history by a number, which changes nothing that a model
sees.  So a session counts as revised when its return, or its open, high or low as a multiple of its
close, is another one than in the vintage before, by more than a basis point.  A new close changes
two returns, hence two sessions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rnntrade.data import archive
from rnntrade.data.bars import digest

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Revision:
    """The current bars of one ticker beside those before."""

    ticker: str
    sessions: int  # in both vintages
    revised: int  # of these
    since: str  # when the vintage before was fetched, UTC; "": there is none


def last_revision(root: Path, source: str, ticker: str, until: pd.Timestamp) -> Revision:
    """Compare the current bars with the vintage fetched last before them, up to a session.

    errors  DataError when no bars are stored, or the files are damaged
    """
    current = archive.read(root, source, ticker)
    earlier = archive.fetched_before(root, source, ticker, digest(current))
    if earlier is None:
        return Revision(ticker, 0, 0, "")
    vintage, at = earlier
    before = archive.read_vintage(root, source, ticker, vintage)
    changed = revised_sessions(before.loc[:until], current.loc[:until])
    return Revision(ticker, len(changed), int(changed.sum()), at)


def revised_sessions(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """(sessions in both,) whether each was revised.

    before, after  tables of bars; the first session in both has no return to compare
    """
    both = before.index.intersection(after.index)
    then, now = _seen(before.loc[both]), _seen(after.loc[both])
    return pd.Series((np.abs(now - then) > TOLERANCE).any(axis=1), index=both, dtype=bool)


def _seen(bars: pd.DataFrame) -> np.ndarray:
    """(T, 4): growth of the close since the session before, open, high and low over the close."""
    close = bars["close"]
    growth = (close / close.shift()).fillna(1.0)
    shape = bars[["open", "high", "low"]].div(close, axis=0)
    return np.column_stack([growth, shape])
