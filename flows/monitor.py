"""The evening's look at the champions, and whether the world is still the one they learned from."""

from datetime import date

from prefect import flow

from flows.run import Fetched, fetch_available
from flows.runner import THREADS
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
from tasks.production.notify import tell_failure
from tasks.tracking.runs import alive


@flow(
    flow_run_name="monitor",
    task_runner=THREADS,
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
)
def monitor(as_of: date | None = None) -> list[Monitored]:
    """Check every champion's inputs, hits, calibration, bars and age; drift or expiry is an event.

    as_of    the evening to look as if it were; else now
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
            seen = check_champion(version, prices, as_of, missing)
            seen = seen.model_copy(update={"warnings": shown_warnings(noticed)})
            found = record_look(seen)
            show(found)
            looks.append(announce(found))
    return looks
