"""Prices: of every ticker or of none, of those that can be had, or alone, without training."""

from typing import NamedTuple

from rnntrade.config import DataConfig
from rnntrade.errors import DataError, RnntradeError
from tasks.data import DataWarning, Download, download_prices, shown_warnings, stored_prices
from tasks.plain import run_logger
from tasks.refs import Tables
from tasks.tracking.runs import alive


def fetch(config: DataConfig) -> tuple[Tables, list[DataWarning]]:
    """Every ticker's prices, and what was noticed about them."""
    futures = [download_prices.submit(config, ticker) for ticker in config.tickers]
    downloads = [future.result() for future in futures]
    warnings = [warning for download in downloads for warning in download.warnings]
    return {download.ticker: download.prices for download in downloads}, warnings


class Fetched(NamedTuple):
    """What could be had of the tickers asked for."""

    prices: Tables
    warnings: list[DataWarning]
    missing: dict[str, str]  # by ticker, why its newest prices could not be had


def fetch_available(config: DataConfig) -> Fetched:
    """As `fetch`, for what runs on a schedule: a ticker whose source fails stops no other.

    Its bars are those last stored; without any it is left out.
    errors  the first ticker's, where all fail
    """
    futures = {ticker: download_prices.submit(config, ticker) for ticker in config.tickers}
    fetched, errors = Fetched({}, [], {}), []
    for ticker, future in futures.items():
        try:
            done: Download | None = future.result()
        except RnntradeError as error:
            errors.append(error)
            done, fetched.missing[ticker] = stored_prices(config, ticker), str(error)
            used = f"its bars up to {done.last}, stored before, are used" if done else "left out"
            message = f"{error}  Until then: {used}."
            run_logger().warning("%s", message)
            fetched.warnings.append(DataWarning(message=message, until=done.last if done else ""))
        if done is not None:
            fetched.prices[ticker] = done.prices
            fetched.warnings.extend(done.warnings)
    if len(errors) == len(futures):
        raise errors[0]
    return fetched


def refresh_data(config: DataConfig) -> list[Download]:
    """Bring the store up to date for every ticker; one that fails does not stop the others.

    errors  the tickers' own, in one DataError, once all others are stored
    """
    with alive():
        futures = [download_prices.submit(config, ticker) for ticker in config.tickers]
        downloads, errors = [], []
        for future in futures:
            try:
                downloads.append(future.result())
            except RnntradeError as error:
                errors.append(error)
        for download in downloads:
            for warning in shown_warnings(download.warnings):
                run_logger().warning("%s", warning)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise DataError(f"{len(errors)} tickers failed: {' | '.join(map(str, errors))}")
        return downloads
