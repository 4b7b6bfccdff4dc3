"""The champion over HTTP: a history of bars in, the very numbers of `rnntrade signal` out.

    POST /signal   {"bars": [{"date": "2024-01-02", "ticker": "SPY", "close": 472.6}, ...]}
    GET  /health   {"status": "ok", "versions": {"direction": "rnntrade-direction/3"}}

Mistakes have one form, {"errors": [{"field": "bars.0.close", "error": "..."}]}: 400 with the field,
404, 405, 413.  A request writes nothing to disk, and no pickle is read: desks are safetensors, JSON
and Parquet that answer to their digest.
"""

import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rnntrade.errors import RnntradeError
from rnntrade.production.signal import Seat
from tasks.production.asked import WrongField, answer
from tasks.production.signals import BESIDE, TRADED
from tasks.tracking.champions import desk_of, holder, require_champion

log = logging.getLogger("prefect.rnntrade")

REFRESH = 30.0  # seconds after which the aliases are looked at again
LARGEST = 16 * 2**20  # bytes of a request: 20 years of 40 tickers
LONGEST = 100  # characters of a field's name that are repeated
WHERE = {404: "  There are POST /signal and GET /health."}


class Followed:
    """The champions, looked up again from time to time; the last ones stay while MLflow is gone."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}  # by task
        self.seats = self._look()

    def keep_up(self, over: threading.Event) -> None:
        """Follow the aliases until it is over."""
        while not over.wait(REFRESH):
            self.look_again()

    def look_again(self) -> None:
        """Replace who is champion no more; who stays is not loaded again."""
        try:
            self.seats = self._look()
        except RnntradeError as error:
            log.warning("the champions stay as they are: %s", error)

    def _look(self) -> dict[str, Seat]:
        known = {seat.version: seat for seat in self.seats.values()}
        champions = [require_champion(TRADED), *filter(None, map(holder, BESIDE))]
        return {
            each.task: known.get(each.name)
            or Seat(desk_of(each), each.name, each.tags.get("verdict", ""))
            for each in champions
        }

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
