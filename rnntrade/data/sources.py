"""Where bars come from: one function per source; the user's files come with findings."""

from collections.abc import Callable, Mapping
from datetime import date

import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import files, sample, synthetic, yahoo
from rnntrade.data.bars import cut
from rnntrade.data.checks import Finding
from rnntrade.errors import ConfigError, DataError

SOURCES: Mapping[str, Callable[[str, date, date, DataConfig], pd.DataFrame]] = {
    "yahoo": yahoo.download,
    "sample": sample.load,
    "synthetic": synthetic.generate,
}


def fetch(
    ticker: str, start: date, end: date, config: DataConfig
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Return one ticker's bars dated in [start, end), unchecked, and what was noticed in reading.

    Errors: ConfigError for a range or ticker that makes no sense, DataError where there are no
    prices, DownloadError (with `transient`) where a vendor did not deliver.
    """
    require_sensible(ticker, start, end)
    findings: tuple[Finding, ...] = ()
    if config.source == "files":
        bars, findings = files.load(ticker, start, end, config)
    else:
        bars = SOURCES[config.source](ticker, start, end, config)
    chosen = cut(bars, start, end)
    if chosen.empty:
        has = "none"
        if not bars.empty:
            has = f"{bars.index.min():%Y-%m-%d} to {bars.index.max():%Y-%m-%d}"
        raise DataError(
            f"{ticker}: no prices from {start} to {end} (exclusive); source {config.source} has "
            f"{has}.  Change data.start and data.end."
        )
    return chosen, findings


def require_sensible(ticker: str, start: date, end: date) -> None:
    """Raise ConfigError for a ticker that cannot be one, or a range that holds no day."""
    if not ticker.strip() or not ticker.isprintable() or len(ticker) > 64:
        raise ConfigError(f"{ticker[:80]!r} is no ticker.  Check data.tickers.")
    if end <= start:
        raise ConfigError(
            f"data.end {end} is not after data.start {start}; the end is the first day left out."
        )
