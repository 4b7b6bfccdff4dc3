"""The evening as Prefect flows: for prefect.yaml, and for commands where a server is named."""

from typing import Any

from prefect import flow

from flows import data, evening
from flows.runner import THREADS
from tasks.production.notify import tell_failure

TELL: Any = {"on_failure": [tell_failure], "on_crashed": [tell_failure]}

signal = flow(flow_run_name="signal", task_runner=THREADS, **TELL)(evening.signal)
monitor = flow(flow_run_name="monitor", task_runner=THREADS, **TELL)(evening.monitor)
reconcile = flow(flow_run_name="reconcile", task_runner=THREADS)(evening.reconcile)
refresh_data = flow(flow_run_name="refresh_data", task_runner=THREADS)(data.refresh_data)
