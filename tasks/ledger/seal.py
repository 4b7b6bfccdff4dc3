"""The final holdout: the last sessions, kept from every run, opened once.

`seals/seals.jsonl` in the home folder is only ever added to.  The first run with
`split.sealed_sessions` fixes the first sealed session of this data, for good: new sessions join the
sealed part, and no later setting opens a piece of it by stealth.
"""

from dataclasses import replace
from itertools import takewhile
from typing import Any

import pandas as pd
from pydantic import BaseModel

from rnntrade.config import ComputeConfig, Experiment
from rnntrade.errors import SealError
from rnntrade.fingerprint import fingerprint
from tasks import clock
from tasks.ledger import Ledger, markets
from tasks.ledger.trials import last_session, read_lines
from tasks.plain import task
from tasks.refs import Tables, put, read_prices
from tasks.tracking.runs import RunIds

SEALS = Ledger("seals")


class Holdout(BaseModel):
    """Which prices a run may see, and where its one test part begins if it opens the seal."""

    prices: Tables
    test_from: str = ""  # first sealed session, of a run that opens the holdout
    sealed_from: str = ""  # first sealed session, of a run that must not see it
    state: str = "none"  # "none", "sealed", "opened" or "spent"
    note: str = ""  # in words, for the report


@task("seal")
def seal(
    ids: RunIds, experiment: Experiment, prices: Tables, opening: bool, spent: bool
) -> Holdout:
    """Cut the sealed sessions off; or open them, write that down, and hand on everything.

    spent   open it although it was opened or seen before: the run is stamped for it
    errors  SealError when there is nothing to open, or it was opened or seen before
    """
    wanted = experiment.split.sealed_sessions
    if not wanted and opening:
        raise SealError(
            f"{experiment.name} has no sealed holdout.  Seal one before you look at anything: "
            "--set split.sealed_sessions=252 with every run."
        )
    if not wanted:
        return Holdout(prices=prices)
    with SEALS.locked():
        first = _first_sealed(experiment, prices)
        if opening:
            return _open(ids, experiment, prices, first, spent)
    bars = {ticker: ref.load() for ticker, ref in prices.items()}
    return Holdout(
        prices={t: put("prices", b[b.index < pd.Timestamp(first)]) for t, b in bars.items()},
        sealed_from=first,
        state="sealed",
        note=f"Sessions from {first} on are sealed: this run has not seen them.",
    )


def _open(ids: RunIds, experiment: Experiment, prices: Tables, first: str, spent: bool) -> Holdout:
    """Write the opening down before anything looks; the very same run may look again."""
    if last_session(prices) < first:
        raise SealError(
            f"the holdout begins on {first}, and the prices end on {last_session(prices)}: there "
            "is nothing to open.  Set data.end to a later day."
        )
    asked = replace(experiment, compute=ComputeConfig())  # how long it takes is another matter
    this = fingerprint((asked, {t: ref.digest for t, ref in prices.items()}))
    openings = _events(experiment, "opened")
    before = list(takewhile(lambda event: event["what"] != this, openings))
    own = openings[len(before) :]  # what came after its own first opening did not help this run
    until = own[0]["at"] if own else "9999"
    who_opened = {each["run"] for each in openings}
    seen = [line for line in read_lines(experiment.data) if line.until >= first and line.run]
    peeked = [line for line in seen if line.run not in who_opened and line.noted <= until]
    reasons = [f"it was opened on {each['at'][:10]} by run {each['run'][:8]}" for each in before]
    if peeked:
        day, run = peeked[0].noted[:10], peeked[0].run[:8]
        reasons.append(f"run {run} used these sessions on {day} without the seal")
    if reasons and not spent:
        raise SealError(
            f"the holdout from {first} on is spent: {'; '.join(reasons)}.  What it says now has "
            "been chosen with its help.  Use --spent to see it all the same, stamped so."
        )
    _add(experiment, {"event": "opened", "first": first, "run": ids.parent, "what": this})
    state, how = "opened", "was opened by this run, for the first time"
    if reasons:
        state, how = "spent", f"is spent: {'; '.join(reasons)}"
    note = f"The holdout from {first} on {how}."
    return Holdout(prices=prices, test_from=first, state=state, note=note)


def _first_sealed(experiment: Experiment, prices: Tables) -> str:
    """Return the first sealed session of any of the tickers; else seal the newest ones now."""
    if sealed := _events(experiment, "sealed"):
        return min(str(event["first"]) for event in sealed)
    wanted = experiment.split.sealed_sessions
    sessions = read_prices(prices).sessions
    if wanted >= len(sessions):
        raise SealError(
            f"split.sealed_sessions is {wanted}, and there are only {len(sessions)} sessions.  "
            "Seal fewer, or use an earlier start."
        )
    first = f"{sessions[-wanted]:%Y-%m-%d}"
    _add(experiment, {"event": "sealed", "first": first})
    return first


def _events(experiment: Experiment, kind: str) -> list[dict[str, Any]]:
    own = set(markets(experiment.data))
    return [
        each for each in SEALS.read(dict) if each["event"] == kind and own & set(each["markets"])
    ]


def _add(experiment: Experiment, event: dict[str, str]) -> None:
    SEALS.add([{**event, "markets": markets(experiment.data), "at": clock.stamp()}])
