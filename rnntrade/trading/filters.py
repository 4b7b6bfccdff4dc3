"""What is held less of than decided, and when.

(T, K) frames throughout: sessions × tickers.  NaN means no new decision: the last one stands.
"""

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import pandas as pd

SHARE = {"off": 1.0, "half": 0.5, "flat": 0.0}  # of a position that a turbulent regime leaves


def regime_filter(
    position: pd.DataFrame,
    regime: pd.DataFrame,
    mode: Literal["off", "half", "flat"],
    turbulent: Collection[int],
) -> pd.DataFrame:
    """Hold half or none of each position while its ticker's regime is turbulent.

    A regime turns on sessions without a new decision, too: then the decision that stands is cut,
    or taken up again, on that session.
    position   (T, K) decided at each close, in -1..1; NaN: no new decision
    regime     (T, K) class as known at each close, on the same sessions and tickers.  NaN: the last
               one known stands; before any is known nothing is cut
    turbulent  classes that cut, from `rnntrade.types.turbulent_classes`
    row t      sees rows up to and including t of both
    returns    (T, K); NaN where neither a decision nor a turn is new
    errors     ValueError when the frames do not share sessions and tickers
    """
    if not (position.index.equals(regime.index) and position.columns.equals(regime.columns)):
        raise ValueError("positions and regimes must share sessions and tickers")
    if mode == "off":
        return position
    cuts = regime.ffill().isin(list(turbulent))
    share = pd.DataFrame(np.where(cuts, SHARE[mode], 1.0), position.index, position.columns)
    turned = share != share.shift(fill_value=1.0)
    held = position.ffill() * share + 0.0  # a short cut to nothing is 0, not -0
    return held.where(position.notna() | turned)


def stitch_regimes(folds: Sequence[pd.DataFrame], tests: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """Regimes as each test part's own fold tells them apart, joined in time.

    folds    (T, K) classes of all sessions, by each fold's own training part; in order of time
    tests    first session of each fold's test part, ascending
    returns  (T', K) from the first test session on
    """
    ends = [*tests[1:], None]
    parts = [
        table[(table.index >= test) & ((table.index < end) if end is not None else True)]
        for table, test, end in zip(folds, tests, ends, strict=True)
    ]
    return pd.concat(parts)
