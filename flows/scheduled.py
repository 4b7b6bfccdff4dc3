"""The evening as Prefect flows: for prefect.yaml, and for commands where a server is named."""

from datetime import date
from typing import Any

from prefect import flow

from flows import data, evening
from flows.runner import THREADS
from rnntrade.config import DataConfig
from tasks.data import Download
from tasks.production.monitoring import Monitored
from tasks.production.notify import tell_failure
from tasks.production.signals import Reconciled, Said

TELL: Any = {"on_failure": [tell_failure], "on_crashed": [tell_failure]}


@flow(flow_run_name="signal", task_runner=THREADS, **TELL)
def signal(as_of: date | None = None, tickers: list[str] | None = None) -> list[Said]:
    """Decide after the newest close, and on sessions missed since: `evening.signal`."""
    return evening.signal(as_of, tickers)


@flow(flow_run_name="monitor", task_runner=THREADS, **TELL)
def monitor(as_of: date | None = None) -> list[Monitored]:
    """Check every champion: `evening.monitor`."""
    return evening.monitor(as_of)


@flow(flow_run_name="reconcile", task_runner=THREADS)
def reconcile() -> Reconciled:
    """Compare every decision that counts with today's backtest: `evening.reconcile`."""
    return evening.reconcile()


@flow(flow_run_name="refresh_data", task_runner=THREADS)
def refresh_data(config: DataConfig) -> list[Download]:
    """Bring the store up to date for every ticker: `data.refresh_data`."""
    return data.refresh_data(config)
