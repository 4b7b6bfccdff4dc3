"""The champion's decisions as tasks: said, written into the journal, held against a backtest."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.data.bars import digest
from rnntrade.data.sessions import last_settled
from rnntrade.errors import ConfigError
from rnntrade.fingerprint import source_digest
from rnntrade.production import journal
from rnntrade.production.decisions import ask, decide
from rnntrade.production.signal import Seat, make_signal, words
from rnntrade.types import Prices
from tasks import clock
from tasks.home import home
from tasks.plain import run_logger, task
from tasks.refs import Tables, read_prices
from tasks.tracking.champions import Version, desk_of, holder, require_champion

TRADED = "direction"  # the task whose champion decides ...
BESIDE = ("regime", "forecast")  # ... and those that are told beside it, where there is a champion
CODE = "rnntrade.production.signal"  # its source, and that of all it imports, makes a decision


class Said(BaseModel):
    """A signal, and what became of it."""

    signal: dict[str, Any]  # of `production.signal.Signal`
    lines: list[str]  # in words
    late: bool  # said after its own evening
    added: bool  # to the journal; False: the very same stands there, or it was only to be shown
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had
    warnings: list[str] = []  # about the prices


class Compared(BaseModel):
    """One decision of the journal beside today's backtest."""

    as_of: str
    ticker: str
    said: str  # target weight and probability
    now: str
    same: bool
    reason: str

    def row(self) -> dict[str, str]:
        """As a line of a table."""
        told = {"session": self.as_of, "ticker": self.ticker, "said": self.said}
        return {**told, "now": self.now, "because": self.reason}


def journal_folder() -> Path:
    """Where decisions are kept."""
    return home() / "journal"


def followed() -> Experiment:
    """The experiment of the champion that decides: whose prices are needed."""
    return desk_of(require_champion(TRADED)).experiment


@task("sessions_to_say")
def sessions_to_say(prices: Tables, as_of: date | None) -> list[str]:
    """The session asked for; else those since the last one said, the newest at least.

    errors  ConfigError when `as_of` is no session of the prices
    """
    days = [f"{day:%Y-%m-%d}" for day in read_prices(prices).sessions]
    if as_of is None:
        said = journal.read(journal_folder())
        missed = [] if said.empty else [day for day in days if day > said["as_of"].max()]
        return missed or days[-1:]
    if str(as_of) not in days:
        near = [day for day in days if day < str(as_of)][-1:]
        hint = f"the one before it is {near[0]}" if near else f"the first is {days[0]}"
        raise ConfigError(f"{as_of} is no session with bars; {hint}.")
    return [str(as_of)]


@task("say-{session}")
def say(
    prices: Tables,
    session: str,
    asked: list[str],
    kept: bool,
    missing: dict[str, str] | None = None,
) -> Said:
    """Decide one session with the champion, and write it down.

    asked  tickers that somebody wants to hear of, beyond the champion's own
    kept   in the journal: an evening's own decision, or one that was missed; else only shown
    missing why a ticker's newest prices could not be had, by ticker
    """
    failed = missing or {}
    champion = require_champion(TRADED)
    seats = {TRADED: _seat(champion)}
    seats |= {each.task: _seat(each) for each in map(holder, BESIDE) if each is not None}
    bars, day, now = read_prices(prices), pd.Timestamp(session), clock.now()
    settled = last_settled(seats[TRADED].desk.experiment.data.calendar, now)
    newest = kept and day == bars.sessions[-1]
    due = settled if newest else day
    signal = make_signal(seats, bars, day, due=due, asked=asked, missing=failed)
    late = day < settled
    added = False
    if kept:
        basis = journal.Basis(_digests(bars, day), source_digest(CODE), champion.tags["desk"])
        rows = journal.as_rows(signal, basis, f"{now:%Y-%m-%dT%H:%M:%S.%fZ}", late)
        added = journal.add(journal_folder(), rows)
    lines = words(signal)
    for line in lines:
        run_logger().info("%s  %s", session, line)
    return Said(signal=signal.as_json(), lines=lines, late=late, added=added, missing=failed)


@task("reconcile")
def reconcile_journal(prices: Tables) -> list[Compared]:
    """Every decision that counts beside today's backtest of the champion: `journal.compare`."""
    champion = require_champion(TRADED)
    desk, bars = desk_of(champion), read_prices(prices)
    said = journal.first_said(journal.read(journal_folder()))
    decided = decide(ask(desk, bars))
    code = source_digest(CODE)
    rows = []
    for session in sorted(set(said["as_of"])):
        day = pd.Timestamp(session)
        if day not in decided.target.index:
            continue
        prices_then = _digests(bars, day)
        for ticker in desk.tickers:
            rows.append(
                {
                    "as_of": session,
                    "ticker": ticker,
                    "task_version": champion.name,
                    "probability": decided.probability.loc[day, ticker],
                    "target": decided.target.loc[day, ticker],
                    "prices": prices_then.get(ticker, ""),
                    "code": code,
                    "desk": champion.tags["desk"],
                }
            )
    columns = ["as_of", "ticker", "task_version", "probability", "target", "prices", "code", "desk"]
    compared = journal.compare(said, pd.DataFrame(rows, columns=columns))
    return [
        Compared(
            as_of=row["as_of"],
            ticker=row["ticker"],
            said=f"{row['said']:+.4f} (p {row['probability_said']:.6f})",
            now=f"{row['now']:+.4f} (p {row['probability_now']:.6f})",
            same=row["same"],
            reason=row["reason"],
        )
        for row in compared.to_dict("records")
    ]


def _seat(version: Version) -> Seat:
    return Seat(desk_of(version), version.name, version.tags.get("verdict", ""))


def _digests(bars: Prices, day: pd.Timestamp) -> dict[str, str]:
    """Of each ticker's bars up to a session."""
    return {ticker: digest(bars.bars(ticker).loc[:day]) for ticker in bars.tickers}
