"""The champion over HTTP: a history of bars in, the very numbers of `rnntrade signal` out.

    POST /signal   {"bars": [{"date": "2024-01-02", "ticker": "SPY", "close": 472.6}, ...]}
    GET  /health   {"status": "ok", "versions": {"direction": "rnntrade-direction/3"}}

What is wrong with a request is told with status 400, its field and its cure.  Nothing is written
to disk, and no pickle is read: desks are safetensors, JSON and Parquet that answer to their digest.
"""

import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any

import pandas as pd
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from rnntrade.errors import DataError, RnntradeError
from rnntrade.live.signal import Seat, make_signal
from rnntrade.training.latest import history
from rnntrade.types import Prices
from tasks.champions import desk_of, holder, require_champion
from tasks.signals import BESIDE, TRADED

log = logging.getLogger("uvicorn.error")

REFRESH = 30.0  # seconds after which the aliases are looked at again
LARGEST = 32 * 2**20  # bytes of a request: 25 years of 50 tickers
SHOWN = 3  # mistakes told of a request


class Bar(BaseModel):
    """One session of one ticker; more fields are allowed, and not read."""

    model_config = ConfigDict(extra="ignore")

    date: date
    ticker: Annotated[str, Field(min_length=1, max_length=64)]
    close: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # adjusted for splits and dividends


class Asked(BaseModel):
    """A request: every bar from the first day on that the champion's experiment names."""

    model_config = ConfigDict(extra="forbid")

    bars: Annotated[list[Bar], Field(min_length=1, max_length=1_000_000)]
    as_of: date | None = None  # a session of the bars; None: the newest


class Followed:
    """The champions, looked up again from time to time; the last ones stay while MLflow is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seats = self._look()
        self._looked = time.monotonic()

    def seats(self) -> dict[str, Seat]:
        """By task."""
        with self._lock:
            if time.monotonic() - self._looked > REFRESH:
                self._looked = time.monotonic()
                try:
                    self._seats = self._look()
                except RnntradeError as error:
                    log.warning("the champions stay as they are: %s", error)
            return self._seats

    @staticmethod
    def _look() -> dict[str, Seat]:
        followed = [require_champion(TRADED), *filter(None, map(holder, BESIDE))]
        return {
            each.task: Seat(desk_of(each), each.name, each.tags.get("verdict", ""))
            for each in followed
        }


def make_app() -> FastAPI:
    """Build the application; RnntradeError when there is no champion."""
    import torch

    torch.set_num_threads(1)  # one order of additions, so one result; requests run side by side
    followed = Followed()
    places = threading.BoundedSemaphore(os.cpu_count() or 1)
    app = FastAPI(title="rnntrade", docs_url=None, redoc_url=None)

    @app.post("/signal")
    def signal(asked: Asked) -> dict[str, Any]:
        with places:
            seats = followed.seats()
            prices = as_prices(asked.bars)
            as_of = pd.Timestamp(asked.as_of) if asked.as_of else prices.sessions[-1]
            others = [t for t in prices.tickers if t not in seats[TRADED].desk.tickers]
            return make_signal(seats, prices, as_of, due=as_of, asked=others).as_json()

    @app.get("/health")
    def health() -> dict[str, Any]:
        seats = followed.seats()
        return {"status": "ok", "versions": {task: seat.version for task, seat in seats.items()}}

    @app.exception_handler(RequestValidationError)
    def told_wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        told = [
            {"field": ".".join(str(part) for part in each["loc"][1:]), "error": each["msg"]}
            for each in error.errors()
        ]
        more = {"more": len(told) - SHOWN} if len(told) > SHOWN else {}
        return JSONResponse({"errors": told[:SHOWN], **more}, status_code=400)

    @app.exception_handler(RnntradeError)
    def told_plainly(request: Request, error: RnntradeError) -> JSONResponse:
        field = "bars" if isinstance(error, DataError) else ""
        return JSONResponse({"errors": [{"field": field, "error": str(error)}]}, status_code=400)

    @app.middleware("http")
    async def not_too_large(
        request: Request, call: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        size = request.headers.get("content-length", "0")
        if not size.isdigit() or int(size) > LARGEST:
            told = {"field": "", "error": f"a request may have {LARGEST} bytes, this has {size}"}
            return JSONResponse({"errors": [told]}, status_code=413)
        return await call(request)

    return app


def as_prices(bars: list[Bar]) -> Prices:
    """Bars of which only the closes are known; DataError for a session that is there twice."""
    table = pd.DataFrame([(bar.date, bar.ticker, bar.close) for bar in bars])
    table.columns = pd.Index(["date", "ticker", "close"])
    known = {}
    for ticker, rows in table.groupby("ticker", sort=False):
        close = history(str(ticker), rows)["close"]
        whole = {name: close for name in ("open", "high", "low", "close", "raw_close")}
        known[str(ticker)] = pd.DataFrame({**whole, "volume": 0.0})
    return Prices.of(known)
