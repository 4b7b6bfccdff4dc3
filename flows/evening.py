"""The evening: tonight's decision, what became of the earlier ones, the champions' health.

Plain functions, for a command without a server; `flows.scheduled` makes them Prefect flows.
"""

from datetime import date

from flows.data import Fetched, fetch_available
from rnntrade.config import DataConfig
from tasks.data import shown_warnings
from tasks.production.monitoring import (
    Monitored,
    announce,
    check_champion,
    followed_versions,
    prices_of,
    record_look,
    show,
)
from tasks.production.notify import tell_abstention
from tasks.production.signals import (
    Reconciled,
    Said,
    followed,
    reconcile_journal,
    say,
    sessions_to_say,
)
from tasks.tracking.runs import alive


def signal(as_of: date | None = None, tickers: list[str] | None = None) -> list[Said]:
    """Decide after the newest close, and on sessions missed since the last decision.

    as_of    decide as of this session (default: the newest); it is shown and not written down
    tickers  to be heard of beside the champion's own
    returns  one a session, the newest last
    """
    with alive():
        prices, noticed, missing = fetch_available(followed().data)
        warnings = shown_warnings(noticed)
        said = [
            say(prices, session, tickers or [], as_of is None, missing)
            for session in sessions_to_say(prices, as_of)
        ]
        said = [decision.model_copy(update={"warnings": warnings}) for decision in said]
        tell_abstention(said)
        return said


def reconcile() -> Reconciled:
    """Compare every decision that counts with today's backtest of the champion."""
    with alive():
        prices, _, missing = fetch_available(followed().data)
        return reconcile_journal(prices).model_copy(update={"missing": missing})


def monitor(as_of: date | None = None) -> list[Monitored]:
    """Check every champion's inputs, hits, calibration, bars and age; drift or expiry is an event.

    as_of    evaluate as of this date (default: now)
    returns  one a champion
    """
    fetched: dict[DataConfig, Fetched] = {}
    looks = []
    with alive():
        for version in followed_versions():
            config = prices_of(version)
            if config not in fetched:
                fetched[config] = fetch_available(config)
            prices, noticed, missing = fetched[config]
            look = check_champion(version, prices, as_of, missing)
            look = record_look(look.model_copy(update={"warnings": shown_warnings(noticed)}))
            show(look)
            looks.append(announce(look))
    return looks
