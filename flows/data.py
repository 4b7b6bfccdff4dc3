"""Prices alone, without training anything."""

from prefect import flow, get_run_logger

from flows.runner import THREADS
from rnntrade.config import DataConfig
from tasks.data import Download, download_prices, shown_warnings
from tasks.tracking import alive


@flow(flow_run_name="refresh_data", task_runner=THREADS)
def refresh_data(config: DataConfig) -> list[Download]:
    """Bring the store up to date for every ticker; one that fails does not stop the others."""
    with alive():
        asked = [download_prices.submit(config, ticker) for ticker in config.tickers]
        for each in asked:
            each.wait()
        downloads = [each.result() for each in asked]
        for done in downloads:
            for warning in shown_warnings(done.warnings):
                get_run_logger().warning("%s", warning)
        return downloads
