"""Tonight's decision of the champion, said and written down."""

from datetime import date

from prefect import flow
from pydantic import BaseModel

from flows.run import fetch_available
from flows.runner import THREADS
from tasks.data import shown_warnings
from tasks.production.notify import tell_abstention, tell_failure
from tasks.production.signals import Said, followed, reconcile_journal, say, sessions_to_say
from tasks.tracking.runs import alive


@flow(
    flow_run_name="signal",
    task_runner=THREADS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
def signal(as_of: date | None = None, tickers: list[str] | None = None) -> list[Said]:
    """Decide after the newest close, and on sessions missed since the last decision.

    as_of    a session to decide as if it were that evening; it is shown and not written down
    tickers  to be heard of beside the champion's own
    returns  one a session, the newest last
    """
    with alive():
        prices, noticed, missing = fetch_available(followed().data)
        sessions = sessions_to_say(prices, as_of)
        said = [say(prices, each, tickers or [], as_of is None, missing) for each in sessions]
        warnings = shown_warnings(noticed)
        said = [each.model_copy(update={"warnings": warnings}) for each in said]
        tell_abstention(said)
        return said


class Reconciled(BaseModel):
    """The journal beside a fresh backtest."""

    decisions: int
    same: int
    rows: list[dict[str, str]]  # the others, and why
    sentence: str
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had


@flow(flow_run_name="reconcile", task_runner=THREADS)
def reconcile() -> Reconciled:
    """Hold every decision that counts against today's backtest of the champion."""
    with alive():
        prices, _, missing = fetch_available(followed().data)
        found = reconcile_journal(prices)
        same = sum(each.same for each in found)
        return Reconciled(
            decisions=len(found),
            same=same,
            rows=[each.row() for each in found if not each.same],
            sentence=f"{same} of {len(found)} decisions are today's backtest to the last digit.",
            missing=missing,
        )
