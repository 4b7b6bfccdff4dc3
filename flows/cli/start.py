"""What happens before a command's own work: everything that can be refused is refused here."""

import logging
import os
from datetime import date
from importlib import import_module
from typing import Any

from flows.cli.failures import debugging
from rnntrade.config import Experiment
from rnntrade.errors import ConfigError

TOLD = ("signal", "monitor")  # whose failure people are told: nobody may be looking


def prepare(experiment: Experiment | None = None) -> None:
    """Make ready for a flow: check what it needs, start a Prefect server if none is named."""
    from tasks.setup.prefect_settings import check_prefect
    from tasks.setup.surroundings import check_records

    check_records()
    if experiment:
        check_experiment(experiment)
    prepare_logging()
    check_prefect()
    from tasks.setup.temporary_server import start_server

    start_server()


def check_experiment(experiment: Experiment) -> None:
    """Refuse files that cannot be used, prices that a source lacks, and a device that is absent."""
    from rnntrade.data.store import update
    from rnntrade.training.devices import resolve_device
    from tasks import clock
    from tasks.home import data_folder

    resolve_device(experiment.compute.device)
    if experiment.data.source != "yahoo":  # the others cost nothing
        for ticker in experiment.data.tickers:
            update(data_folder(), experiment.data, ticker, clock.now())


def run_light(function: str, *arguments: Any) -> Any:
    """Run a function of flows that Prefect need not see: as a flow only if a server is named.

    function  such as evening.signal; its flow is the one of that name in flows.scheduled
    """
    module, _, name = function.partition(".")
    from tasks.production.notify import notify, receivers
    from tasks.setup.prefect_settings import ADDRESS, find_setting
    from tasks.setup.surroundings import check_records

    if find_setting(ADDRESS)[0] or any("://" not in each for each in receivers()):  # blocks
        prepare()
        from flows import scheduled

        return getattr(scheduled, name)(*arguments)
    check_records()
    prepare_logging()
    log = logging.getLogger("prefect.rnntrade")
    log.setLevel(logging.INFO)
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    try:
        return getattr(import_module(f"flows.{module}"), name)(*arguments)
    except BaseException as error:
        if name in TOLD:
            fate = "failed" if isinstance(error, Exception) else "crashed"
            notify(f"rnntrade: {name} has {fate}", f"{type(error).__name__}: {error}")
        raise


def prepare_logging() -> None:
    """Short lines on standard error; an error is shown once, at the end, and untraced."""
    from tasks.setup.prefect_settings import LINES

    for name, value in LINES.items():
        os.environ.setdefault(name, value)
    if debugging():
        return

    def once(record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.exc_info = None
            return "Retry" in record.getMessage()  # the last one is shown by the command itself
        if record.getMessage().startswith("Finished in state Failed"):
            record.msg, record.args = "Finished in state Failed", ()
        return True

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(once)
    # MLflow raises what its database refuses, and need not show it, too
    logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: not record.exc_info)
    # that the server is silent is a line of its own; every event that waits for it need not be one
    logging.getLogger("prefect._internal.concurrency").addFilter(
        lambda record: "failed to process item" not in str(record.msg)
    )


def session(text: str | None) -> date | None:
    """Read --as-of; ConfigError when it is no date."""
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError as error:
        raise ConfigError(f"--as-of {text!r} is no date.  Write YYYY-MM-DD.") from error
