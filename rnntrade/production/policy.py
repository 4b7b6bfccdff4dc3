"""When a model is retrained: by the calendar, by sessions, on drift, or never."""

import re
from difflib import get_close_matches

import pandas as pd

from rnntrade.errors import ConfigError

POLICIES = ("never", "monthly", "quarterly", "on_drift")
EVERY = re.compile(r"every_([1-9][0-9]{0,5})")  # every_63: once 63 sessions have passed


def due(
    policy: str,
    now: pd.Timestamp,
    trained: pd.Timestamp,
    elapsed: int = 0,
    drifted: bool = False,
    expired: bool = False,
) -> str:
    """Return why a retraining is due after session `now`, "" where it is not.

    policy   never; monthly, quarterly: on the first session asked about in a later calendar month
             or quarter, so that what an outage missed is caught up; on_drift; every_N: once N
             sessions have passed
    trained  the newest session that the champion had when it was trained
    elapsed  sessions from `trained` to `now`: 0 where they are the same
    drifted  what the monitor says; it counts under on_drift alone
    expired  whether the champion is too old to be followed; it counts under all but never
    errors   ConfigError for a policy that there is not
    """
    every = sessions_between(policy)
    if policy == "never" or now <= trained:
        return ""
    if expired:
        return f"the champion, trained on data until {trained:%Y-%m-%d}, has expired"
    if every is not None:
        told = f"{elapsed} sessions have passed since {trained:%Y-%m-%d}, {every} are the limit"
        return told if elapsed >= every else ""
    if policy == "on_drift":
        return f"drift was found on {now:%Y-%m-%d}" if drifted else ""
    unit = {"monthly": "month", "quarterly": "quarter"}[policy]
    later = now.to_period(unit[0].upper()) > trained.to_period(unit[0].upper())
    told = f"{now:%Y-%m-%d} lies in a later {unit} than {trained:%Y-%m-%d}"
    return told if later else ""


def sessions_between(policy: str) -> int | None:
    """Return N of every_N, None for the other policies; ConfigError for one that there is not."""
    if matched := EVERY.fullmatch(policy):
        return int(matched[1])
    if policy not in POLICIES:
        near = get_close_matches(policy, POLICIES, n=1)
        hint = f"  Did you mean {near[0]!r}?" if near else ""
        known = f"There are {', '.join(POLICIES)} and every_N (sessions), as in every_63."
        raise ConfigError(f"no retraining policy {policy!r}.{hint}  {known}")
    return None
