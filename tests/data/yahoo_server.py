"""Yahoo's chart service on the loopback interface, as far as the real yfinance client sees it."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

NOT_FOUND = json.dumps(
    {
        "chart": {
            "result": None,
            "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"},
        }
    }
)


@dataclass
class Share:
    quotes: pd.DataFrame  # Open High Low Close Adj Close Volume, by session date
    zone: str = "America/New_York"
    opens: time = time(9, 30)  # there
    closes: time | None = None  # of the current trading period, if the answer shall have one
    events: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    ticker: str
    start: date
    end: date  # left out


@dataclass(frozen=True)
class Trouble:
    status: int = 200
    body: str | None = None  # None: the right answer
    length: int | None = None  # of the body sent, in characters
    wait: float = 0.0  # seconds


class FakeYahoo:
    def __init__(self) -> None:
        self.shares: dict[str, Share] = {}
        self.trouble: dict[str, Trouble] = {}
        self.requests: list[Request] = []
        self.strays: list[str] = []  # addresses other than the chart's
        self.stop = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()

    def asked(self, ticker: str) -> list[tuple[str, str]]:
        """The ranges asked for, as (first day, end), without the margin of a day at both ends."""
        day = timedelta(days=1)
        return [
            (str(request.start + day), str(request.end - day))
            for request in self.requests
            if request.ticker == ticker
        ]

    def answer(self, path: str) -> tuple[int, str, Trouble]:
        split = urlsplit(path)
        ticker, query = unquote(split.path).rpartition("/")[2], parse_qs(split.query)
        if not split.path.startswith("/v8/finance/chart/") or "period1" not in query:
            self.strays.append(path)
            return 404, NOT_FOUND, Trouble()
        start, end = (int(query[name][0]) for name in ("period1", "period2"))
        self.requests.append(Request(ticker, _day(start), _day(end)))
        trouble = self.trouble.get(ticker, Trouble())
        if trouble.body is not None:
            return trouble.status, trouble.body, trouble
        if ticker not in self.shares:
            return 404, NOT_FOUND, trouble
        return trouble.status, _chart(ticker, self.shares[ticker], start, end), trouble

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text, trouble = fake.answer(self.path)
                if trouble.wait:
                    fake.stop.wait(trouble.wait)
                body = text.encode()[: trouble.length]
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def opening(day: object, opens: time = time(9, 30), zone: str = "America/New_York") -> int:
    """Seconds since 1970 of the time on that day in the zone."""
    session = pd.Timestamp(str(day)[:10]).date()
    return int(datetime.combine(session, opens, ZoneInfo(zone)).timestamp())


def _day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, tz=UTC).date()


def _chart(ticker: str, share: Share, start: int, end: int) -> str:
    times = np.array([opening(day, share.opens, share.zone) for day in share.quotes.index])
    rows = share.quotes[(times >= start) & (times < end)]

    def numbers(name: str) -> list[float | None]:
        return [None if np.isnan(value) else float(value) for value in rows[name]]

    result: dict[str, object] = {
        "meta": {
            "currency": "USD",
            "symbol": ticker,
            "instrumentType": "ETF",
            "exchangeTimezoneName": share.zone,
            "timezone": "EST",
            **_period(share),
            "gmtoffset": -18000,
            "priceHint": 2,
            "dataGranularity": "1d",
            "validRanges": ["1d", "5d", "max"],
        },
        "indicators": {"quote": [{}], "adjclose": [{}]},
    }
    if len(rows):
        result["timestamp"] = [int(time) for time in times[(times >= start) & (times < end)]]
        names = ("open", "high", "low", "close", "volume")
        result["indicators"] = {
            "quote": [{name: numbers(name.capitalize()) for name in names}],
            "adjclose": [{"adjclose": numbers("Adj Close")}],
        }
        if share.events:
            result["events"] = share.events
    return json.dumps({"chart": {"result": [result], "error": None}})


def _period(share: Share) -> dict[str, object]:
    if share.closes is None:
        return {}
    day = share.quotes.index[-1]
    start, end = (opening(day, clock, share.zone) for clock in (share.opens, share.closes))
    period = {"start": start, "end": end, "gmtoffset": 0, "timezone": "?"}
    return {"currentTradingPeriod": {"pre": period, "regular": period, "post": period}}
