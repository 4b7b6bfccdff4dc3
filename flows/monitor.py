"""The evening's look at the champions, and whether the world is still the one they learned from."""

from datetime import date

from prefect import flow

from flows.run import fetch
from flows.runner import THREADS
from rnntrade.config import DataConfig
from tasks.artifacts import Ref
from tasks.monitoring import (
    Monitored,
    announce,
    check_champion,
    followed_versions,
    prices_of,
    record_look,
    show,
)
from tasks.notify import tell_failure
from tasks.tracking import alive


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
    fetched: dict[DataConfig, dict[str, Ref]] = {}
    looks = []
    with alive():
        for version in followed_versions():
            config = prices_of(version)
            if config not in fetched:
                fetched[config], _ = fetch(config)
            found = record_look(check_champion(version, fetched[config], as_of))
            show(found)
            looks.append(announce(found))
    return looks
