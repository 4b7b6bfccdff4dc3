"""What else tells whether a champion may be followed: the age of its bars, revisions, its own age.

None of these is drift.  Stale or revised bars are a warning: retraining would not mend them.  Too
old a champion is called expired.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

import pandas as pd

from rnntrade.data.revisions import Revision
from rnntrade.data.sessions import expected_sessions
from rnntrade.production.abstain import age, expiry
from rnntrade.production.desk import Desk
from rnntrade.production.health import SESSIONS, Check, Status

MISSING = 0  # newest sessions that may be without a bar
REVISED = 0.01  # share of the sessions known before that may be revised

DAY = timedelta(days=1)


def freshness(
    newest: Mapping[str, pd.Timestamp],
    due: pd.Timestamp,
    calendar: str,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> Check:
    """Count the sessions after each ticker's newest bar that are over, and look at the oldest.

    newest  by ticker, session of its newest bar
    due     newest session that is over
    failed  why a ticker's prices could not be had, by ticker
    """
    missing = {
        ticker: len(expected_sessions(calendar, (day + DAY).date(), (due + DAY).date()))
        for ticker, day in newest.items()
    }
    ticker = max(missing, key=lambda each: missing[each])
    count = missing[ticker]
    late = [each for each, sessions in missing.items() if sessions > MISSING]
    why = "".join(f"; {reason}" for reason in failed.values())
    if not late and not failed:
        told = f"freshness: every ticker has its bar of {due:%Y-%m-%d}"
        return Check("freshness", float(count), float(MISSING), "ok", told, SESSIONS)
    if not late:
        told = f"freshness: every other ticker has its bar of {due:%Y-%m-%d}{why}"
        return Check("freshness", float(count), float(MISSING), "warning", told, SESSIONS)
    sessions = "session is" if count == 1 else "sessions are"
    told = f"freshness: {ticker} ends on {newest[ticker]:%Y-%m-%d}, {count:,} {sessions} missing"
    told += f" up to {due:%Y-%m-%d}"
    told += f"; late are {', '.join(late)}" if len(late) > 1 else ""
    told += why
    return Check("freshness", float(count), float(MISSING), "warning", told, SESSIONS)


def revisions(found: Sequence[Revision]) -> Check:
    """Look at the largest share of known sessions that the vendor revised in one ticker."""
    compared = [each for each in found if each.sessions]
    if not compared:
        told = "revisions: there is no earlier vintage to compare with"
        return Check("revisions", math.nan, REVISED, "unknown", told, "of sessions")
    worst = max(compared, key=lambda each: each.revised / each.sessions)
    share, count = worst.revised / worst.sessions, sum(each.revised for each in compared)
    told = f"revisions: {count} of {sum(each.sessions for each in compared)} sessions known before"
    told += f", {100 * share:.1f} % of those of {worst.ticker}" if count else ""
    status: Status = "warning" if share > REVISED else "ok"
    return Check("revisions", share, REVISED, status, told, "of sessions")


def age_check(desk: Desk, due: pd.Timestamp) -> Check:
    """Count the sessions since the last one that the desk has learned from.

    due  newest session that is over, whether or not there are bars of it
    """
    last, count = expiry(desk), age(desk, due)
    limit = float(desk.experiment.production.expires_after)
    told = f"age: {count:,} sessions since it last learned, to be followed until {last:%Y-%m-%d}"
    status: Status = "expired" if due >= last else "ok"
    return Check("age", float(count), limit, status, told, SESSIONS)
