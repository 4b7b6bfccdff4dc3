"""The champion's decisions as tasks: written into the journal, and compared with a backtest."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import MappingProxyType
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
from rnntrade.production.signal import BESIDE, TRADED, Seat, make_signal, words
from rnntrade.types import Prices
from tasks import clock
from tasks.home import home
from tasks.plain import run_logger, task
from tasks.refs import Tables, read_prices
from tasks.tracking.champions import desk_of, holder, require_champion

CODE = "rnntrade.production.signal"  # its source, and that of all it imports, makes a decision


class Said(BaseModel):
    """A signal, and what became of it."""

    signal: dict[str, Any]  # of `production.signal.Signal`
    lines: list[str]  # in words
    late: bool  # said after its own evening
    added: bool  # to the journal; False: the very same stands there, or it was only to be shown
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had
    warnings: list[str] = []  # about the prices


class Reconciled(BaseModel):
    """The journal beside a fresh backtest."""

    decisions: int
    same: int
    rows: list[dict[str, str]]  # the others, and why
    sentence: str
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had


def journal_folder() -> Path:
    """Where decisions are kept."""
    return home() / "journal"


def followed() -> Experiment:
    """The experiment of the champion that decides: whose prices are needed."""
    return desk_of(require_champion(TRADED)).experiment


def find_seats(current: Mapping[str, Seat] = MappingProxyType({})) -> dict[str, Seat]:
    """The champions by task; RnntradeError when there is none that decides.

    current  those found before, which are not loaded again
    """
    loaded = {seat.version: seat for seat in current.values()}
    champions = [require_champion(TRADED), *filter(None, map(holder, BESIDE))]
    return {
        version.task: loaded.get(version.name)
        or Seat(
            desk_of(version), version.name, version.tags.get("verdict", ""), version.tags["desk"]
        )
        for version in champions
    }


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
    prices: Tables, session: str, asked: list[str], kept: bool, missing: dict[str, str]
) -> Said:
    """Decide one session with the champion, and write it down.

    asked    tickers that somebody wants to hear of, beyond the champion's own
    kept     in the journal: an evening's own decision, or one that was missed; else only shown
    missing  why a ticker's newest prices could not be had, by ticker
    """
    seats = find_seats()
    bars, day, now = read_prices(prices), pd.Timestamp(session), clock.now()
    settled = last_settled(seats[TRADED].desk.experiment.data.calendar, now)
    due = settled if kept and day == bars.sessions[-1] else day
    signal = make_signal(seats, bars, day, due=due, asked=asked, missing=missing)
    late, added = day < settled, False
    if kept:
        basis = {"code": source_digest(CODE), "desk": seats[TRADED].digest}
        about = {**basis, "emitted_at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}", "late": late}
        rows = journal.as_rows(signal, _digests(bars, day), **about)
        added = journal.add(journal_folder(), rows)
    lines = words(signal)
    for line in lines:
        run_logger().info("%s  %s", session, line)
    return Said(signal=asdict(signal), lines=lines, late=late, added=added, missing=missing)


@task("reconcile")
def reconcile_journal(prices: Tables) -> Reconciled:
    """Compare every decision that counts with today's backtest of the champion."""
    champion = require_champion(TRADED)
    desk, bars = desk_of(champion), read_prices(prices)
    said = journal.first_said(journal.read(journal_folder()))
    decided = decide(ask(desk, bars))
    days = [day for day in decided.target.index if f"{day:%Y-%m-%d}" in set(said["as_of"])]
    now = [
        {
            "as_of": f"{day:%Y-%m-%d}",
            "ticker": ticker,
            "task_version": champion.name,
            "probability": decided.probability.loc[day, ticker],
            "target": decided.target.loc[day, ticker],
            "prices": digests.get(ticker, ""),
            "code": source_digest(CODE),
            "desk": champion.tags["desk"],
        }
        for day, digests in ((day, _digests(bars, day)) for day in days)
        for ticker in desk.tickers
    ]
    compared = journal.compare(said, pd.DataFrame(now, columns=list(journal.COMPARED)))
    same = int(compared["same"].sum())
    return Reconciled(
        decisions=len(compared),
        same=same,
        rows=[
            {
                "session": row["as_of"],
                "ticker": row["ticker"],
                "said": f"{row['said']:+.4f} (p {row['probability_said']:.6f})",
                "now": f"{row['now']:+.4f} (p {row['probability_now']:.6f})",
                "because": row["reason"],
            }
            for row in compared[~compared["same"]].to_dict("records")
        ],
        sentence=f"{same} of {len(compared)} decisions are today's backtest to the last digit.",
    )


def _digests(bars: Prices, day: pd.Timestamp) -> dict[str, str]:
    return {ticker: digest(bars.bars(ticker).loc[:day]) for ticker in bars.tickers}
