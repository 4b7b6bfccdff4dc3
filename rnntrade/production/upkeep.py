"""What else decides whether a champion may be followed: late bars, revised bars, its own age.

None of these is drift.  Late or revised bars are a warning: retraining would not mend them.  Too
old a champion is called expired.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

import pandas as pd

from rnntrade.data.archive import Revision
from rnntrade.data.sessions import expected_sessions
from rnntrade.production.desk import Desk
from rnntrade.production.health import SESSIONS, Check, Status

REVISED = 0.01  # share of the sessions known before that may be revised
DAY = timedelta(days=1)


def freshness(
    newest: Mapping[str, pd.Timestamp],
    due: pd.Timestamp,
    calendar: str,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> Check:
    """Count the sessions after each ticker's newest bar that are over; the oldest decides.

    newest  by ticker, session of its newest bar
    due     newest session that is over
    failed  why a ticker's prices could not be had, by ticker
    """
    missing = {
        ticker: len(expected_sessions(calendar, (day + DAY).date(), (due + DAY).date()))
        for ticker, day in newest.items()
    }
    oldest = max(missing, key=missing.__getitem__)
    count, late = missing[oldest], [ticker for ticker, sessions in missing.items() if sessions]
    sentence = f"every {'other ' if failed else ''}ticker has its bar of {due:%Y-%m-%d}"
    if late:
        sessions = "session is" if count == 1 else "sessions are"
        sentence = f"{oldest} ends on {newest[oldest]:%Y-%m-%d}, {count:,} {sessions} missing"
        sentence += f" up to {due:%Y-%m-%d}"
        sentence += f"; late are {', '.join(late)}" if len(late) > 1 else ""
    sentence = "; ".join([f"freshness: {sentence}", *failed.values()])
    status: Status = "warning" if late or failed else "ok"
    return Check("freshness", float(count), 0.0, status, sentence, SESSIONS)


def revisions(latest: Sequence[Revision]) -> Check:
    """Find the largest share of known sessions that the vendor revised in one ticker."""
    compared = [revision for revision in latest if revision.sessions]
    if not compared:
        sentence = "revisions: there is no earlier vintage to compare with"
        return Check("revisions", math.nan, REVISED, "unknown", sentence, "of sessions")
    worst = max(compared, key=lambda revision: revision.revised / revision.sessions)
    share, count = worst.revised / worst.sessions, sum(each.revised for each in compared)
    sentence = f"revisions: {count} of {sum(each.sessions for each in compared)} sessions known "
    sentence += f"before, {100 * share:.1f} % of those of {worst.ticker}" if count else "before"
    status: Status = "warning" if share > REVISED else "ok"
    return Check("revisions", share, REVISED, status, sentence, "of sessions")


def age(desk: Desk, due: pd.Timestamp) -> int:
    """Sessions of the calendar since the last one that the desk has learned from, `due` included.

    It has nothing to do with the bars at hand: a short or a late history makes nobody younger.
    """
    calendar = desk.experiment.data.calendar
    return len(expected_sessions(calendar, desk.fold.test.date(), (due + DAY).date()))


def expiry(desk: Desk) -> pd.Timestamp:
    """First session on which the desk is too old to be followed."""
    sessions, first = desk.experiment.production.expires_after, desk.fold.test.date()
    until = first + timedelta(days=2 * sessions + 30)
    return pd.Timestamp(expected_sessions(desk.experiment.data.calendar, first, until)[sessions])


def age_check(desk: Desk, due: pd.Timestamp) -> Check:
    """Count the sessions since the last one that the desk has learned from.

    due  newest session that is over, whether or not there are bars of it
    """
    last, count = expiry(desk), age(desk, due)
    limit = float(desk.experiment.production.expires_after)
    sentence = f"age: {count:,} sessions since it last learned, "
    sentence += f"to be followed until {last:%Y-%m-%d}"
    status: Status = "expired" if due >= last else "ok"
    return Check("age", float(count), limit, status, sentence, SESSIONS)
