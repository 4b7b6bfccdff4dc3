"""Where bars come from: one function per source; the user's files come with findings.

The sample holds real daily bars that need no network: the S&P 500 index (^GSPC) and the Nasdaq
Composite index (^IXIC) from 1999-01-04 to 2018-12-31, as they ship inside the package `arch`.  They
are indices: nobody could trade them, and they are not SPY or QQQ.
"""

from collections.abc import Callable, Mapping
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import files, synthetic, yahoo
from rnntrade.data.bars import cut, from_quotes
from rnntrade.data.checks import Finding
from rnntrade.errors import DataError

SAMPLE = {"^GSPC": "data/sp500/sp500.csv.gz", "^IXIC": "data/nasdaq/nasdaq.csv.gz"}


def load_sample(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return all bars of ^GSPC or ^IXIC; DataError for any other ticker."""
    if ticker not in SAMPLE:
        raise DataError(
            f"{ticker}: the sample source has only ^GSPC (S&P 500 index) and ^IXIC (Nasdaq "
            "Composite index).  Set data.tickers to these, or data.source to yahoo or files."
        )
    package = find_spec("arch")  # does not import it, which would take seconds
    path = Path(package.origin if package and package.origin else "").parent / SAMPLE[ticker]
    if not path.is_file():
        raise DataError(
            f"the sample prices ship with the package `arch`, and {SAMPLE[ticker]} is not there: "
            "install arch==8.0.0."
        )
    quotes = pd.read_csv(path).rename(columns=lambda name: name.lower().replace(" ", "_"))
    return from_quotes(quotes.set_index(pd.to_datetime(quotes["date"], format="%m/%d/%Y")))


SOURCES: Mapping[str, Callable[[str, date, date, DataConfig], pd.DataFrame]] = {
    "yahoo": yahoo.download,
    "sample": load_sample,
    "synthetic": synthetic.generate,
}
ORIGINS = {  # the library that gives the bars, and how its prices are adjusted
    "yahoo": ("yfinance", "splits and dividends"),
    "sample": ("arch", "splits and dividends"),
    "synthetic": ("numpy", "made up, seed {seed}"),
    "files": ("pandas", "as the file in {folder} says"),
}


def fetch(
    ticker: str, start: date, end: date, config: DataConfig
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Return one ticker's bars dated in [start, end), unchecked, and what was noticed in reading.

    Errors: DataError where there are no prices, DownloadError (with `transient`) where a vendor
    did not deliver.
    """
    findings: tuple[Finding, ...] = ()
    if config.source == "files":
        bars, findings = files.load(ticker, start, end, config)
    else:
        bars = SOURCES[config.source](ticker, start, end, config)
    return inside(bars, ticker, start, end, config.source), findings


def inside(bars: pd.DataFrame, ticker: str, start: date, end: date, source: str) -> pd.DataFrame:
    """Return the bars dated in [start, end); DataError where there are none."""
    chosen = cut(bars, start, end)
    if chosen.empty:
        known = (
            "none" if bars.empty else f"{bars.index.min():%Y-%m-%d} to {bars.index.max():%Y-%m-%d}"
        )
        raise DataError(
            f"{ticker}: no prices from {start} to {end} (exclusive); source {source} has {known}.  "
            "Change data.start and data.end."
        )
    return chosen
