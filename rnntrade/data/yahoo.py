"""Daily bars from Yahoo Finance, through yfinance, one ticker per request.

yfinance by default turns a rate limit, a server error or a cut-off answer into an empty table and
the words "possibly delisted".  Here each becomes a DownloadError that says what happened, with
`transient` true where asking again later can help.  Nothing is retried here: the caller does.

A bar belongs to the date that the zone in the answer shows, whatever data.calendar is.

Yahoo's prices are adjusted for splits; `Adj Close` is adjusted for dividends too.  Bars take every
price times Adj Close / Close, and keep Close as `raw_close`.
"""

import os
import re
import warnings
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data.bars import QUOTES, from_quotes
from rnntrade.data.sessions import timezone
from rnntrade.errors import DownloadError

DAY = timedelta(days=1)
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
TIMEOUT = 30.0  # seconds for one answer
TICKER = re.compile(r"[A-Za-z0-9^.=&_-]+")  # the name becomes part of an address
NOT_THERE = re.compile("no data|no price data|not found|delisted|doesn't exist|no timezone", re.I)
COLUMNS = {name.replace("_", " ").title(): name for name in QUOTES}


def download(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return bars dated in [start, end), and a day more at either end.

    A session without any price (Yahoo sends empty rows) is left out, as one it does not send.
    `attrs["market"]` of the bars holds the zone in the answer, and the time in it at which a day's
    trading ends; it is missing where the calendar's zone is the same and tells the time.
    Errors: DownloadError names the ticker and the cause.
    """
    if not TICKER.fullmatch(ticker):
        raise DownloadError(f"{ticker}: Yahoo has no such ticker.  Check data.tickers.")
    client = _client()
    share = client.Ticker(ticker)
    share._tz = "UTC"  # or it would ask Yahoo for the zone first, one request more
    try:
        history = share.history(
            start=start - DAY,  # no zone's date is farther from that of UTC
            end=end + DAY,
            interval="1d",
            auto_adjust=False,
            actions=True,
            keepna=True,  # or it drops rows of noughts, too
            timeout=TIMEOUT,
        )
        bars = _bars(ticker, history)
        bars.attrs["market"] = _market(share.history_metadata, config.calendar)
    except (client.exceptions.YFException, OSError, *UNREADABLE) as error:
        raise _explained(client.exceptions, ticker, error) from error
    return bars


def _market(answer: Mapping[str, Any], calendar: str) -> tuple[str, time] | None:
    zone = str(answer["exchangeTimezoneName"])
    trading = (answer.get("currentTradingPeriod") or {}).get("regular") or {}
    opens, closes = trading.get("start"), trading.get("end")
    if isinstance(opens, pd.Timestamp) and isinstance(closes, pd.Timestamp):
        return zone, closes.time() if opens.date() == closes.date() else time.max
    now = datetime.now(UTC)
    offsets = {now.astimezone(ZoneInfo(name)).utcoffset() for name in (zone, timezone(calendar))}
    return None if len(offsets) == 1 else (zone, time.max)


def _bars(ticker: str, history: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in COLUMNS if name not in history]
    if missing:
        raise DownloadError(
            f"{ticker}: Yahoo sent no {', '.join(missing)}.  Try again later.", transient=True
        )
    quotes = history[list(COLUMNS)].rename(columns=COLUMNS)
    quotes = quotes[quotes.index.notna()].dropna(
        how="all", subset=["open", "high", "low", "close", "adj_close"]
    )
    if quotes.empty:
        raise DownloadError(
            f"{ticker}: Yahoo has no prices for it in this range.  Change data.start or data.end, "
            "or leave the ticker out of data.tickers."
        )
    quotes.index = pd.DatetimeIndex(quotes.index).tz_localize(None).normalize()
    return from_quotes(quotes)


def _client() -> ModuleType:
    """Yfinance, told to raise what goes wrong, and to ask again after a failure."""
    import yfinance
    from yfinance.data import YfData

    yfinance.config.debug.hide_exceptions = False
    yfinance.config.network.proxy = os.environ.get("RNNTRADE_SOCKS_PROXY")  # see tasks/__init__
    YfData.cache_get.cache_clear()  # it remembers answers for good, broken ones too
    # it turns on, for itself, the deprecation warnings that Python hides
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
    return yfinance  # type: ignore[no-any-return]  # not typed


def _explained(exceptions: Any, ticker: str, error: Exception) -> DownloadError:
    """Explain what Yahoo, or yfinance in its name, answered."""
    line = f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
    line = re.sub(r" \(1d .*?\)", "", line)  # a range with our margin of a day
    if isinstance(error, exceptions.YFTickerMissingError) and NOT_THERE.search(line):
        return DownloadError(
            f"{ticker}: Yahoo has no prices for it in this range ({line}).  Check its spelling on "
            "finance.yahoo.com, or change data.tickers, data.start or data.end."
        )
    cure = "Try again in some minutes."
    if isinstance(error, exceptions.YFRateLimitError):
        cause = "rate limit: Yahoo refuses further requests for now (HTTP 429)"
        cure = "Wait some minutes, at worst an hour, and run again; prices already stored are kept."
    elif isinstance(error, exceptions.YFException):
        cause = f"Yahoo has trouble ({line})"
    elif isinstance(error, UNREADABLE):  # JSON errors are OSErrors, too
        what = "a server error or a download that broke off"
        cause = f"Yahoo's answer cannot be read ({line}): {what}"
    else:  # every error of the connection
        late = "timeout" in type(error).__name__.lower()
        what = f"Yahoo did not answer within {TIMEOUT:g} seconds"
        cause = f"{what if late else 'the connection to Yahoo failed'} ({line})"
        cure = "Check the network, or try again in some minutes; data.source=sample needs none."
    return DownloadError(f"{ticker}: {cause}.  {cure}", transient=True)
