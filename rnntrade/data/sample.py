"""Real daily bars that need no network: two indices from 1999-01-04 to 2018-12-31.

They are the S&P 500 index (^GSPC) and the Nasdaq Composite index (^IXIC), as they ship inside the
package `arch`.  They are indices: nobody could trade them, and they are not SPY or QQQ.
"""

from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data.bars import from_quotes
from rnntrade.errors import DataError

FILES = {"^GSPC": "data/sp500/sp500.csv.gz", "^IXIC": "data/nasdaq/nasdaq.csv.gz"}


def load(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return all bars of ^GSPC or ^IXIC; DataError for any other ticker."""
    if ticker not in FILES:
        raise DataError(
            f"{ticker}: the sample source has only ^GSPC (S&P 500 index) and ^IXIC (Nasdaq "
            "Composite index).  Set data.tickers to these, or data.source to yahoo or files."
        )
    package = find_spec("arch")  # does not import it, which would take seconds
    if package is None or package.origin is None:
        raise DataError("the sample prices ship with the package `arch`: install arch==8.0.0.")
    path = Path(package.origin).parent / FILES[ticker]
    if not path.is_file():
        raise DataError(
            "the installed package `arch` has no sample prices: install arch==8.0.0, "
            f"whose {FILES[ticker]} is read."
        )
    quotes = pd.read_csv(path).rename(columns=lambda name: name.lower().replace(" ", "_"))
    return from_quotes(quotes.set_index(pd.to_datetime(quotes["date"], format="%m/%d/%Y")))
