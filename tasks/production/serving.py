"""The champion over HTTP: a history of bars in, the very numbers of `rnntrade signal` out.

    POST /signal   {"bars": [{"date": "2024-01-02", "ticker": "SPY", "close": 472.6}, ...]}
    GET  /health   {"status": "ok", "versions": {"direction": "rnntrade-direction/3"}}

Only the bars of the champion's own tickers are looked at; others are reported as unknown, as
`rnntrade signal --tickers` does.  A ticker of the champion's without bars abstains; the others are
decided.  Mistakes have one form, {"errors": [{"field": "bars.0.close", "error": "..."}]}: 400 with
the field, 404, 405, 413.  A request writes nothing to disk, and no pickle is read: desks are
safetensors, JSON and Parquet that match their digest.
"""

import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

import numpy as np
import pandas as pd
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.types import FailFast
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rnntrade.chain import history
from rnntrade.data.sessions import last_settled
from rnntrade.errors import DataError, RnntradeError
from rnntrade.production.signal import TRADED, Seat, make_signal
from rnntrade.types import FIELDS, Prices
from tasks import clock
from tasks.production.signals import find_seats

log = logging.getLogger("prefect.rnntrade")

REFRESH = 30.0  # seconds after which the aliases are looked at again
LARGEST = 16 * 2**20  # bytes of a request: 20 years of 40 tickers
LONGEST = 100  # characters of a field's name that are repeated
MOST_TICKERS = 100
FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)  # between which a bar must lie
WHERE = {404: "  There are POST /signal and GET /health."}


class WrongField(Exception):
    """A request that has no answer: the field that is wrong, and why."""

    def __init__(self, field: str, error: str) -> None:
        super().__init__(error)
        self.field = field


class Bar(BaseModel):
    """One session of one ticker; more fields are allowed, and not read."""

    model_config = ConfigDict(extra="ignore", strict=True)

    date: Annotated[date, Field(ge=FIRST, le=LAST)]
    ticker: Annotated[str, Field(min_length=1, max_length=64)]
    close: Annotated[float, Field(gt=0, allow_inf_nan=False)]  # adjusted for splits and dividends


class Asked(BaseModel):
    """A request: every bar from the first day on that the champion's experiment names."""

    model_config = ConfigDict(
        extra="allow", strict=True
    )  # `_read` refuses more: at the first field

    bars: Annotated[list[Bar], Field(min_length=1), FailFast()]
    as_of: date | None = None  # a session of the bars; None: tonight, after the newest


def answer(seats: Mapping[str, Seat], body: bytes) -> dict[str, Any]:
    """Decide from the bars sent, with the numbers of `rnntrade signal`.

    seats   by task
    body    JSON, as `Asked`
    errors  WrongField
    """
    asked, desk = _read(body), seats[TRADED].desk
    tickers = list(dict.fromkeys(bar.ticker for bar in asked.bars))
    if len(tickers) > MOST_TICKERS:
        raise WrongField("bars", f"{len(tickers)} tickers are more than {MOST_TICKERS}.")
    if not set(tickers) & set(desk.tickers):
        raise WrongField(
            "bars", f"No bars of {', '.join(desk.tickers)}: the model decides on them."
        )
    try:
        prices = _as_prices([bar for bar in asked.bars if bar.ticker in desk.tickers])
        as_of = pd.Timestamp(asked.as_of) if asked.as_of else prices.sessions[-1]
        if as_of not in prices.sessions:
            raise WrongField("as_of", f"{as_of:%Y-%m-%d} is no session of the bars.")
        settled = last_settled(desk.experiment.data.calendar, clock.now())
        due = as_of if asked.as_of else settled  # by name it is not tonight's: never stale
        with np.errstate(all="ignore"):  # of wild closes; what is not finite is told
            return asdict(make_signal(seats, prices, as_of, due, asked=tickers))
    except DataError as error:
        raise WrongField("bars", str(error)) from error


def _read(body: bytes) -> Asked:
    try:
        asked = Asked.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise WrongField(field, f"{first['msg']}.") from error
    for name in asked.model_extra or {}:
        raise WrongField(name, "There is no such field; there are bars and as_of.")
    return asked


def _as_prices(bars: list[Bar]) -> Prices:
    """Bars of which only the closes are known; DataError for a session that is there twice."""
    table = pd.DataFrame([(bar.date, bar.ticker, bar.close) for bar in bars])
    table.columns = pd.Index(["date", "ticker", "close"])
    known = {
        str(ticker): history(str(ticker), rows)["close"]
        for ticker, rows in table.groupby("ticker", sort=False)
    }
    closes = pd.concat(known, axis=1).sort_index().rename_axis(index="date", columns=None)
    return Prices(**dict.fromkeys(FIELDS, closes))


class Followed:
    """The champions, looked up again from time to time; the last ones stay while MLflow is gone."""

    def __init__(self) -> None:
        self.seats = find_seats()  # by task

    def keep_up(self, over: threading.Event) -> None:
        """Follow the aliases until it is over."""
        while not over.wait(REFRESH):
            self.look_again()

    def look_again(self) -> None:
        """Replace who is champion no more; who stays is not loaded again."""
        try:
            self.seats = find_seats(self.seats)
        except RnntradeError as error:
            log.warning("the champions stay as they are: %s", error)

    def names(self) -> dict[str, str]:
        """Versions by task."""
        return {task: seat.version for task, seat in self.seats.items()}


def make_app(followed: Followed, on_ready: Callable[[], None] = lambda: None) -> FastAPI:
    """Build the application that answers for the champions.

    on_ready  called once the server runs, from when on it can be ended cleanly
    """
    import torch

    torch.set_num_threads(1)  # one order of additions, so one result; requests run side by side
    places = CapacityLimiter(os.cpu_count() or 1)

    @asynccontextmanager
    async def keeping_up(app: FastAPI) -> AsyncIterator[None]:
        over = threading.Event()
        threading.Thread(target=followed.keep_up, args=(over,), daemon=True).start()
        on_ready()
        yield
        over.set()

    kinds: list[type[Exception]] = [WrongField, HTTPException, ClientDisconnect, Exception]
    app = FastAPI(
        openapi_url=None,  # no pages: what goes in and out stands in docs/operations.md
        redirect_slashes=False,
        lifespan=keeping_up,
        exception_handlers=dict.fromkeys(kinds, _mistake),
    )

    @app.post("/signal")
    async def signal(request: Request) -> Response:
        body = await _body(request)
        return JSONResponse(await to_thread.run_sync(answer, followed.seats, body, limiter=places))

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "versions": followed.names()}

    return app


async def _body(request: Request) -> bytes:
    """Return what was sent as JSON; WrongField if as something else, HTTPException if too much."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # other kinds a page in a browser could send unasked
        raise WrongField("content-type", "Send application/json.")
    too_much = HTTPException(413, f"A request may have {LARGEST} bytes, and this has more")
    if int(request.headers.get("content-length", "0")) > LARGEST:
        raise too_much
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise too_much
    return bytes(body)


async def _mistake(request: Request, error: Exception) -> Response:
    """Answer in the one form that all mistakes have; a defect is logged with its traceback."""
    status, reason, field, headers = 500, "The server has a defect: its log tells more.", "", None
    match error:
        case WrongField():
            status, reason, field = 400, str(error), error.field[:LONGEST]
        case HTTPException():
            status, headers = error.status_code, error.headers
            reason = f"{error.detail}.{WHERE.get(status, '')}"
        case ClientDisconnect():  # nobody is there to read it
            status, reason = 400, "The request ended early."
    return JSONResponse({"errors": [{"field": field, "error": reason}]}, status, headers)
