"""What is asked of the served champion, in JSON: read, checked, answered.

Only the bars of the champion's own tickers are looked at; others are told as unknown, as `rnntrade
signal --tickers` does.  A ticker of the champion's without bars abstains; the others are decided.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.types import FailFast

from rnntrade.chain import history
from rnntrade.data.sessions import last_settled
from rnntrade.errors import DataError
from rnntrade.production.signal import Seat, make_signal
from rnntrade.types import FIELDS, Prices
from tasks.production.signals import TRADED

MOST_TICKERS = 100
FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)  # between which a bar must lie


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

    model_config = ConfigDict(extra="allow", strict=True)  # `read` refuses more: at the first field

    bars: Annotated[list[Bar], Field(min_length=1), FailFast()]
    as_of: date | None = None  # a session of the bars; None: tonight, after the newest


def read(body: bytes) -> Asked:
    """Read a request; WrongField names the first field that is wrong."""
    try:
        asked = Asked.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise WrongField(field, f"{first['msg']}.") from error
    for name in asked.model_extra or {}:
        raise WrongField(name, "There is no such field; there are bars and as_of.")
    return asked


def answer(seats: Mapping[str, Seat], body: bytes) -> dict[str, Any]:
    """Decide from the bars sent, with the numbers of `rnntrade signal`.

    seats   by task
    body    JSON, as `Asked`
    errors  WrongField
    """
    asked, desk = read(body), seats[TRADED].desk
    tickers = list(dict.fromkeys(bar.ticker for bar in asked.bars))
    if len(tickers) > MOST_TICKERS:
        raise WrongField("bars", f"{len(tickers)} tickers are more than {MOST_TICKERS}.")
    if not set(tickers) & set(desk.tickers):
        raise WrongField(
            "bars", f"No bars of {', '.join(desk.tickers)}: the model decides on them."
        )
    try:
        prices = as_prices([bar for bar in asked.bars if bar.ticker in desk.tickers])
        as_of = pd.Timestamp(asked.as_of) if asked.as_of else prices.sessions[-1]
        if as_of not in prices.sessions:
            raise WrongField("as_of", f"{as_of:%Y-%m-%d} is no session of the bars.")
        settled = last_settled(desk.experiment.data.calendar, datetime.now(UTC))
        due = as_of if asked.as_of else settled  # by name it is not tonight's: never stale
        with np.errstate(all="ignore"):  # of wild closes; what is not finite is told
            return make_signal(seats, prices, as_of, due, asked=tickers).as_json()
    except DataError as error:
        raise WrongField("bars", str(error)) from error


def as_prices(bars: list[Bar]) -> Prices:
    """Bars of which only the closes are known; DataError for a session that is there twice."""
    table = pd.DataFrame([(bar.date, bar.ticker, bar.close) for bar in bars])
    table.columns = pd.Index(["date", "ticker", "close"])
    known = {
        str(ticker): history(str(ticker), rows)["close"]
        for ticker, rows in table.groupby("ticker", sort=False)
    }
    closes = pd.concat(known, axis=1).sort_index().rename_axis(index="date", columns=None)
    return Prices(**dict.fromkeys(FIELDS, closes))
