"""How fast labels, windows and indicators are, beside the ways a notebook computes them.

    python benchmarks/speed.py

Two ways of one thing are timed in turn, in one process, and their medians compared: a busy machine
slows both.  Their results must be the same, or the ratio means nothing.  Prices are made up.  The
exit code is 1, and the reason told, when a result differs or a promise is broken.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from machine import describe_machine
from numpy.typing import NDArray

from rnntrade.config import LabelConfig
from rnntrade.features.indicators import FEATURES, INDICATORS, ticker_features
from rnntrade.labels.regimes import classify, learn_thresholds, regime_inputs
from rnntrade.samples.windows import gather, windows
from rnntrade.types import Thresholds

SESSIONS = 2520  # ten years
TICKERS = 500
LOOKBACK = 30
BATCH = 64
WARM_UP = 49  # rows before the first with every indicator
LABEL_RATIO = 30.0  # promised at least
INDICATOR_SECONDS = 2.0  # promised at most
VIEW_BYTES = 10_000  # what a view's own few Python objects may take

Row = tuple[str, str, str, str]  # what, the other way's time, ours, ratio


def main() -> None:
    broken: list[str] = []
    rows = [
        regime_labels(SESSIONS, "10 years of a ticker", broken),
        regime_labels(10 * SESSIONS, "10 years of ten", broken),
        *window_views(broken),
        *indicators(broken),
    ]
    print(describe_machine(), end="\n\n")
    print_table(("what", "notebook's way", "rnntrade", "ratio"), rows)
    if broken:
        sys.exit("\nBROKEN: " + "\nBROKEN: ".join(broken))
    print("\nAll results equal, all promises kept.")


def regime_labels(sessions: int, size: str, broken: list[str]) -> Row:
    """Label every session at once, and row by row."""
    config = LabelConfig()
    inputs = regime_inputs(made_up_closes(sessions, 1)[0], config)
    learned = learn_thresholds(inputs["vol"])

    by_row, at_once = in_turn(
        lambda: inputs.apply(regime_of_row, axis=1, args=(learned, config)),
        lambda: classify(inputs["ret"], inputs["vol"], learned.median, learned.upper, config),
    )
    if not by_row.result.equals(at_once.result.rename(None)):
        broken.append(f"regime labels of {size} differ from the row-wise rule's")
    ratio = by_row.seconds / at_once.seconds
    if ratio < LABEL_RATIO:
        broken.append(f"regime labels of {size}: {ratio:.0f} times, promised {LABEL_RATIO:.0f}")
    return (f"regime labels, {size} ({sessions:,} sessions)", *shown(by_row, at_once))


def regime_of_row(row: pd.Series, learned: Thresholds, config: LabelConfig) -> float:
    """Return the regime of one session, as a notebook writes the rule."""
    if np.isnan(row["ret"]) or np.isnan(row["vol"]):
        return np.nan
    if row["vol"] > learned.upper:
        return 3.0
    if row["ret"] < config.bear_return and row["vol"] > learned.median:
        return 0.0
    if row["ret"] > config.bull_return:
        return 2.0
    return 1.0


def window_views(broken: list[str]) -> list[Row]:
    """Make every window, and pass once over all of them in shuffled batches."""
    rows = np.random.default_rng(2).normal(size=(10 * SESSIONS, len(INDICATORS)))
    last = np.arange(LOOKBACK - 1, len(rows))
    batches = np.array_split(np.random.default_rng(3).permutation(last), len(last) // BATCH)

    copies, view = in_turn(lambda: stack(rows, last), lambda: windows(rows, LOOKBACK), repeats=5)
    if not np.array_equal(copies.result, view.result):
        broken.append("windows differ from the loop's")
    if not np.shares_memory(view.result, rows):
        broken.append("windows are copies, promised a view")
    allocated, copied = peak(lambda: windows(rows, LOOKBACK)), copies.result.nbytes
    if allocated > VIEW_BYTES:
        broken.append(f"windows allocate {allocated:,} bytes, promised at most {VIEW_BYTES:,}")

    looped, gathered = in_turn(
        lambda: [checksum(stack(rows, batch)) for batch in batches],
        lambda: [checksum(gather(rows, batch, LOOKBACK)) for batch in batches],
        repeats=5,
    )
    if looped.result != gathered.result or not all(
        np.array_equal(stack(rows, batch), gather(rows, batch, LOOKBACK)) for batch in batches
    ):
        broken.append("gathered batches differ from the loop's")
    size = f"{len(last):,} windows x {LOOKBACK} x {rows.shape[1]}"
    return [
        (f"all windows, {size}", *shown(copies, view)),
        ("  memory they take", f"{copied / 1e6:.0f} MB", f"{allocated:,} bytes", ""),
        (f"one epoch of them in batches of {BATCH}", *shown(looped, gathered)),
    ]


def stack(rows: NDArray[Any], last: NDArray[np.int64]) -> NDArray[Any]:
    """Copy windows out one by one, as a notebook does."""
    return np.array([rows[end - LOOKBACK + 1 : end + 1] for end in last])


def checksum(batch: NDArray[Any]) -> float:
    """Read the whole batch, as a network would; the same work both ways."""
    return float(batch.sum())


def indicators(broken: list[str]) -> list[Row]:
    """Compute the 20 indicators of many tickers at once, and of some one by one."""
    close = made_up_closes(SESSIONS, TICKERS)
    table = timed(lambda: {name: FEATURES[name](close) for name in INDICATORS}, repeats=7)
    features = table.result
    if tuple(features) != INDICATORS or {f.shape for f in features.values()} != {close.shape}:
        broken.append(f"indicators are not {len(INDICATORS)} tables of {close.shape}")
    unknown = [name for name, f in features.items() if not np.isfinite(f[WARM_UP:]).all(axis=None)]
    if unknown:
        broken.append(f"indicators not finite after row {WARM_UP}: {', '.join(unknown)}")
    for ticker in (0, TICKERS // 2, TICKERS - 1):
        alone = ticker_features(close[[ticker]].set_axis(["close"], axis=1), INDICATORS)
        together = pd.DataFrame({name: features[name][ticker] for name in INDICATORS})
        if not alone.equals(together):
            broken.append(f"indicators of ticker {ticker} alone differ from those of all at once")
    # One thread does it all: the processor's time is what an idle machine's clock would show.
    if table.processor > INDICATOR_SECONDS:
        broken.append(f"indicators: {table.processor:.2f} s, promised {INDICATOR_SECONDS:.0f} s")
    what = f"{len(INDICATORS)} indicators, {TICKERS} tickers x {SESSIONS:,} sessions"
    return [
        (what, "", f"{table.processor:.2f} s", ""),
        ("  by the clock, whatever else runs", "", f"{table.seconds:.2f} s", ""),
    ]


class Timing:
    """A result, and the medians of how long it took."""

    def __init__(self, result: Any, seconds: list[float], processor: list[float]) -> None:
        self.result = result
        self.seconds = median(seconds)
        self.processor = median(processor)


def in_turn(
    first: Callable[[], Any], second: Callable[[], Any], repeats: int = 15
) -> tuple[Timing, Timing]:
    """Time two ways alternately, so that a busy moment meets both."""
    results: list[Any] = [None, None]
    clocks: list[list[float]] = [[], []]
    processor: list[list[float]] = [[], []]
    for _ in range(repeats):
        for way, work in enumerate((first, second)):
            clock, cpu = time.perf_counter(), time.process_time()
            results[way] = work()
            clocks[way].append(time.perf_counter() - clock)
            processor[way].append(time.process_time() - cpu)
    return Timing(results[0], clocks[0], processor[0]), Timing(results[1], clocks[1], processor[1])


def timed(work: Callable[[], Any], repeats: int) -> Timing:
    return in_turn(work, lambda: None, repeats)[0]


def peak(work: Callable[[], Any]) -> int:
    """Return the bytes that were allocated at most."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def made_up_closes(sessions: int, tickers: int) -> pd.DataFrame:
    """Random walks, (T, K), on weekdays."""
    moves = np.random.default_rng(1).standard_t(5, (sessions, tickers)) * 0.01
    dates = pd.bdate_range("1920-01-01", periods=sessions, name="date")
    return pd.DataFrame(100.0 * np.exp(np.cumsum(moves, axis=0)), index=dates)


def shown(other: Timing, ours: Timing) -> tuple[str, str, str]:
    ratio = other.seconds / ours.seconds
    return (
        milliseconds(other.seconds),
        milliseconds(ours.seconds),
        f"{ratio:,.1f}" if ratio < 10.0 else f"{ratio:,.0f}",
    )


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1.0 else f"{seconds * 1e3:,.0f} ms"


def print_table(header: Row, rows: list[Row]) -> None:
    """First column to the left, figures to the right."""
    width, *others = (max(map(len, column)) for column in zip(header, *rows, strict=True))
    for what, *cells in (header, *rows):
        figures = (cell.rjust(other) for cell, other in zip(cells, others, strict=True))
        print("  ".join([what.ljust(width), *figures]).rstrip())


if __name__ == "__main__":
    main()
