"""What a retraining policy would have decided, session by session: a simulated flow history."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from rnntrade.production.abstain import expiry
from rnntrade.production.decisions import Answers, ask, decide
from rnntrade.production.desk import Desk
from rnntrade.production.outcomes import check_health, observe
from rnntrade.production.policy import due
from rnntrade.types import Prices

Retrain = Callable[[pd.Timestamp, int, Desk | None], Desk]


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

    policy    as `live.policy.due` takes it
    sessions  (T,) ascending; on the evening of the first the first model is trained
    retrain   (session, retrainings before, the desk so far) -> the desk that is followed now
    returns   the row of each session, decided that evening by the desk that was followed then
    """
    desk: Desk | None = None
    said: list[pd.Series] = []
    held: list[pd.Series] = []
    events: list[tuple[pd.Timestamp, str, bool]] = []
    trained, elapsed = sessions[0], 0
    answers: Answers | None = None  # of the desk that is followed, so far
    for day in sessions:
        known, reason = prices.upto(day), "the first model"
        if desk is not None:
            answers = ask(desk, known, answers)
            reason = _due(policy, desk, known, answers, trained, elapsed)
        if desk is None or reason:
            before, desk = desk, retrain(day, len(events), desk)
            events.append((day, reason, desk is not before))
            trained, elapsed = day, 0
            answers = answers if desk is before else ask(desk, known)
        decided = decide(desk, known, answers)
        said.append(pd.Series(decided.probability.loc[day]))
        held.append(pd.Series(decided.target.loc[day]))
        elapsed += 1
    columns = pd.Index(["session", "reason", "replaced"])
    return History(_table(said), _table(held), pd.DataFrame(events, columns=columns))


def _due(
    policy: str,
    desk: Desk,
    known: Prices,
    answers: Answers,
    trained: pd.Timestamp,
    elapsed: int,
) -> str:
    """Why to retrain; drift counts once all sessions that it is looked for in came since."""
    day, drifted = known.sessions[-1], False
    if policy == "on_drift" and elapsed >= desk.experiment.production.drift_sessions:
        drifted = check_health(desk, known, seen=observe(desk, known, answers)).drifted
    return due(policy, day, trained, elapsed, drifted, expired=day >= expiry(desk))


def _table(rows: list[pd.Series]) -> pd.DataFrame:
    return pd.DataFrame(rows).rename_axis(index="decision", columns="ticker")
