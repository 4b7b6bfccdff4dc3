"""Whether the oracles of the engine ever condemn a sound one: false alarms on many markets.

    python -m benchmarks.oracles [--processes 2]

Every ticker of ../shared/data, in five-year slices, and the made-up markets of tests.audit.wild:
penny shares, coarse ticks, huge volatility, squeezes that ruin a short, prices that double exactly
or vanish.  Each slice is traded whole by every oracle, filled at the next open and at the close.
The exit code is 1 on a false alarm, or where fewer than SLICES slices were tried.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from benchmarks.machine import describe_machine
from rnntrade.audit.oracles import audit_engine
from rnntrade.config import BacktestConfig
from rnntrade.types import Prices
from tests.audit.wild import KINDS, SESSIONS, wild

DATA = Path(__file__).parents[2] / "shared" / "data"
SEEDS = 10  # of each made-up kind
SLICES = 200
CONFIG = BacktestConfig(initial_capital=100_000.0)
OTHER = BacktestConfig(initial_capital=37.0, cash_rate=0.02, slippage_impact=0.1)


def real() -> Iterator[tuple[str, Prices]]:
    """Slices of five years of every ticker, adjusted; the newest one where it is shorter."""
    tables = {path.stem: pd.read_parquet(path) for path in sorted((DATA / "yahoo").glob("*"))}
    tables = {t: table.rename(columns=lambda c: c.lower()) for t, table in tables.items()}
    universe = DATA / "universe" / "prices.parquet"
    if universe.is_file():
        for ticker, table in pd.read_parquet(universe).groupby("ticker"):
            columns = table.set_index("date").rename(columns={"adj_close": "adj close"})
            tables[f"{ticker} (universe)"] = columns.drop(columns="ticker").astype(float)
    for ticker, table in tables.items():
        ratio = table["adj close"] / table["close"]
        bars = table[["open", "high", "low", "close"]].mul(ratio, axis=0)
        bars = bars.assign(volume=table["volume"], raw_close=table["close"])
        for end in range(len(bars), max(SESSIONS - 1, len(bars) % SESSIONS), -SESSIONS):
            cut = bars.iloc[end - SESSIONS : end]
            yield f"{ticker} to {cut.index[-1]:%Y-%m-%d}", Prices.join({str(ticker): cut})


def made_up() -> Iterator[tuple[str, Prices]]:
    """Slices of every made-up kind, of one ticker and of three with halts, in turns."""
    for kind in KINDS:
        for seed in range(SEEDS):
            tickers = 1 + 2 * (seed % 2)
            yield f"{kind}, {tickers} tickers, seed {seed}", wild(kind, seed, tickers)


def alarms(job: tuple[str, Prices]) -> tuple[str, int, list[str]]:
    """Comparisons made on a slice, and what the oracles said of it."""
    name, prices = job
    config = (CONFIG, OTHER)[len(name) % 2]
    audited = audit_engine(prices, config, sessions=SESSIONS)
    assert min(audited.comparisons.values()) >= 2 * min(SESSIONS, len(prices.sessions)) // 10, name
    compared = sum(audited.comparisons.values())
    return name, compared, [finding.sentence() for finding in audited.findings]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", choices=("real", "made-up"))
    chosen = parser.parse_args()
    began, slices, wrong, compared = time.perf_counter(), Counter[str](), 0, 0
    kinds = {"made-up": made_up, "real": real}
    jobs = {name: list(of()) for name, of in kinds.items() if chosen.only in (None, name)}
    print(describe_machine(), end="\n\n")
    with ProcessPoolExecutor(chosen.processes) as pool:
        for name, own in jobs.items():
            for slice_, count, found in pool.map(alarms, own):
                slices[name] += 1
                compared += count
                wrong += bool(found)
                if sum(slices.values()) % 20 == 0:
                    print(f"{dict(slices)}, {wrong} with a false alarm", file=sys.stderr)
                for sentence in found:
                    print(f"FALSE ALARM  {slice_}: {sentence}", flush=True)
    print(f"{dict(slices)}: {sum(slices.values())} slices of {SESSIONS} sessions,")
    print(f"{compared:,} comparisons, {wrong} slices with a false alarm,")
    print(f"in {time.perf_counter() - began:.0f} s.")
    if wrong or sum(slices.values()) < SLICES:
        sys.exit("BROKEN: a sound engine was condemned, or too few slices were tried")


if __name__ == "__main__":
    main()
