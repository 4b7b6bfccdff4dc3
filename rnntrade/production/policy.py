"""When a model is retrained: by the calendar, by sessions, on drift, or never.

`due` answers for one evening; `live_through` asks it session by session, which simulates a history.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from rnntrade.errors import ConfigError
from rnntrade.production.decisions import Evening, ask, decide, observe
from rnntrade.production.desk import Desk
from rnntrade.production.health import monitor
from rnntrade.production.upkeep import expiry
from rnntrade.types import Prices

POLICIES = ("never", "monthly", "quarterly", "on_drift")
EVERY = re.compile(r"every_([1-9][0-9]{0,5})")  # every_63: once 63 sessions have passed

Retrain = Callable[[pd.Timestamp, int, Desk | None], Desk]


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
        reason = f"{elapsed} sessions have passed since {trained:%Y-%m-%d}, {every} are the limit"
        return reason if elapsed >= every else ""
    if policy == "on_drift":
        return f"drift was found on {now:%Y-%m-%d}" if drifted else ""
    unit = {"monthly": "month", "quarterly": "quarter"}[policy]
    later = now.to_period(unit[0].upper()) > trained.to_period(unit[0].upper())
    return f"{now:%Y-%m-%d} lies in a later {unit} than {trained:%Y-%m-%d}" if later else ""


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


@dataclass(frozen=True, eq=False)
class History:
    """The decisions of one policy, (T, K), and its retrainings."""

    probability: pd.DataFrame
    target: pd.DataFrame
    retrainings: pd.DataFrame  # session, reason, replaced


def live_through(
    policy: str, prices: Prices, sessions: pd.DatetimeIndex, retrain: Retrain
) -> History:
    """Live through the sessions, one evening after the other, knowing nothing later.

    policy    as `due` takes it
    sessions  (T,) ascending; on the evening of the first the first model is trained
    retrain   (session, retrainings before, the desk so far) -> the desk that is followed now
    returns   the row of each session, decided that evening by the desk that was followed then
    """
    evening: Evening | None = None  # of the desk that is followed
    rows: dict[str, list[pd.Series]] = {"probability": [], "target": []}
    events: list[tuple[pd.Timestamp, str, bool]] = []
    trained, elapsed = sessions[0], 0
    for day in sessions:
        known, desk = prices.upto(day), evening.desk if evening else None
        evening, reason = ask(desk, known, evening) if desk else None, "the first model"
        if evening:
            drifted = policy == "on_drift" and _drifted(evening, elapsed)
            reason = due(policy, day, trained, elapsed, drifted, day >= expiry(evening.desk))
        if evening is None or reason:
            chosen = retrain(day, len(events), desk)
            events.append((day, reason, chosen is not desk))
            trained, elapsed = day, 0
            if evening is None or chosen is not desk:
                evening = ask(chosen, known)
        decided = decide(evening)
        rows["probability"].append(pd.Series(decided.probability.loc[day]))
        rows["target"].append(pd.Series(decided.target.loc[day]))
        elapsed += 1
    probability, target = (
        pd.DataFrame(part).rename_axis(index="decision", columns="ticker") for part in rows.values()
    )
    columns = pd.Index(["session", "reason", "replaced"])
    return History(probability, target, pd.DataFrame(events, columns=columns))


def _drifted(evening: Evening, elapsed: int) -> bool:
    """Whether the market has drifted; it counts once all sessions looked at came since."""
    config = evening.desk.experiment.production
    if elapsed < config.drift_sessions:
        return False
    return monitor(evening.desk.reference, observe(evening), config).drifted
