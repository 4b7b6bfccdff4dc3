"""Prices alone, without training anything."""

from prefect import flow, get_run_logger

from flows.runner import THREADS
from rnntrade.config import DataConfig
from rnntrade.errors import DataError, RnntradeError
from tasks.data import Download, download_prices, shown_warnings
from tasks.tracking.runs import alive


@flow(flow_run_name="refresh_data", task_runner=THREADS)
def refresh_data(config: DataConfig) -> list[Download]:
    """Bring the store up to date for every ticker; one that fails does not stop the others.

    errors  the tickers' own, in one DataError, once all others are stored
    """
    with alive():
        asked = [download_prices.submit(config, ticker) for ticker in config.tickers]
        downloads, failed = [], []
        for each in asked:
            try:
                downloads.append(each.result())
            except RnntradeError as error:
                failed.append(error)
        for done in downloads:
            for warning in shown_warnings(done.warnings):
                get_run_logger().warning("%s", warning)
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise DataError(f"{len(failed)} tickers failed: {' | '.join(map(str, failed))}")
        return downloads
