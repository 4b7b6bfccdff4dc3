"""The markets of the controls: prices, directions to forecast, and what the best forecast scores.

P1-P3 and N1, N2 are processes of the `synthetic` source, N3 and N4 real indices of the `sample`
source whose future was made unforeseeable:

N3  the S&P 500, its directions moved by a random number of sessions, around the end: each label
    is a real one, but of another time
N4  the Nasdaq Composite, its returns cut into blocks of 20 sessions that are put into random order
    (within a block they keep theirs, volatility and all)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import DataConfig
from rnntrade.data.sources import fetch
from rnntrade.data.synthetic import Best, Process, best_accuracy
from rnntrade.labels.targets import direction

NEAREST = 252  # sessions, that N3 moves a label at least
BLOCK = 20  # sessions, of N4


@dataclass(frozen=True)
class Control:
    """Where a control's prices come from, and how many samples each part has.

    The test parts are long enough for the rules: over 3,000 sessions the standard error of an
    accuracy is 0.009.  A fit with 0.8 of P1's edge is missed in 1 of 80 cases, one with 0.75 of
    P2's in 1 of 80,000, and a leak worth 0.0425 of an N accuracy breaks the ceiling in 95 of 100.
    """

    process: Process | None  # of the synthetic source; None: prices are real
    index: str = ""  # of the sample source, then
    training: int = 3000
    validation: int = 2000
    test: int = 3000


CONTROLS: Mapping[str, Control] = {
    "P1": Control("p1"),
    "P2": Control("p2", training=6000),
    "P3": Control("p3", training=4000),
    "N1": Control("n1"),
    "N2": Control("n2"),
    "N3": Control(None, "^GSPC", validation=600, test=1400),
    "N4": Control(None, "^IXIC", validation=600, test=1400),
}


def make_market(name: str, seed: int, sessions: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return bars (T, 6) and directions (T,), NaN where the next session is not known.

    seed      of the prices (P, N1, N2), of the shift (N3), of the order (N4)
    sessions  T, counted from the first there is
    """
    control, start, end = CONTROLS[name], date(1990, 1, 1), date(2035, 12, 31)
    if control.process is None:
        config = DataConfig(source="sample", tickers=(control.index,))
    else:
        config = DataConfig(source="synthetic", tickers=(name,), seed=seed, process=control.process)
    bars = fetch(config.tickers[0], start, end, config)[0].iloc[:sessions]
    rng = np.random.default_rng(seed)
    if name == "N3":
        return bars, shift_around(direction(bars["close"]), rng)
    if name == "N4":
        bars = shuffle_blocks(bars, rng)
    return bars, direction(bars["close"])


def best_of(name: str, target: NDArray[np.float64]) -> Best:
    """Return the best possible accuracy on a test part with these (n,) directions."""
    control = CONTROLS[name]
    return majority(target) if control.process is None else best_accuracy(control.process)


def majority(target: NDArray[np.float64]) -> Best:
    """Return the accuracy of always saying the more frequent direction of (n,) directions."""
    up = float(target.mean())
    share = max(up, 1.0 - up)
    return Best(share, 0.0, share * (1.0 - share))


def shift_around(labels: pd.Series, rng: np.random.Generator) -> pd.Series:
    """Move the known labels by a random number of sessions, at least a year either way."""
    known = labels.dropna()
    by = int(rng.integers(NEAREST, len(known) - NEAREST))
    moved = pd.Series(np.roll(known.to_numpy(), by), index=known.index)
    return moved.reindex(labels.index)


def shuffle_blocks(bars: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Put blocks of sessions into random order; dates stay, and prices are chained anew.

    Each session keeps its shape: open, high and low as shares of its close, and its return.
    """
    count = len(bars) - 1  # sessions with a return
    blocks = np.array_split(np.arange(1, count + 1), max(1, round(count / BLOCK)))
    order = np.concatenate([blocks[b] for b in rng.permutation(len(blocks))])
    steps = np.log(bars["close"]).diff().to_numpy()[order]
    drawn = bars.iloc[np.concatenate([[0], order])].set_axis(bars.index)
    close = bars["close"].iloc[0] * np.exp(np.concatenate([[0.0], np.cumsum(steps)]))
    prices = ["open", "high", "low", "close", "raw_close"]
    drawn[prices] = drawn[prices].mul(close / drawn["close"], axis=0)
    return drawn
