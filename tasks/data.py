"""Prices as tasks: the one place where the outside world is asked, hence retried."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import BaseModel

from rnntrade.config import DataConfig
from rnntrade.errors import DownloadError
from rnntrade.labels.regimes import Labels
from rnntrade.types import Windows
from tasks import clock
from tasks.home import data_folder
from tasks.plain import run_logger, task
from tasks.refs import Ref, Tables, put


class DataWarning(BaseModel):
    """Something to know about one ticker's bars."""

    message: str  # one sentence, beginning with the ticker
    until: str  # newest session that it is about, YYYY-MM-DD; empty: the whole file


class Download(BaseModel):
    """One ticker's bars between start and end, and what was noticed about them."""

    ticker: str
    prices: Ref[pd.DataFrame]
    first: str
    last: str
    sessions: int
    warnings: list[DataWarning]


def is_transient(error: BaseException) -> bool:
    """Tell whether trying again can help: not for an unknown ticker, or a wrong price."""
    return isinstance(error, DownloadError) and error.transient


@task("download_prices-{ticker}", is_transient)
def download_prices(config: DataConfig, ticker: str) -> Download:
    """Bring the store up to date, and hand on the sessions asked for."""
    from rnntrade.data.store import update

    done = update(data_folder(), config, ticker, clock.now())
    log = run_logger()
    log.info("%s: %d sessions, %d fetched", ticker, len(done.bars), done.fetched)
    if done.rebased:
        log.warning("%s: the vendor revised %d sessions; fetched anew", ticker, done.revised)
    if done.findings:  # in words only after the seal: see `shown_warnings`
        log.warning("%s: %d warning(s) about its prices", ticker, len(done.findings))
    warnings = [
        DataWarning(message=finding.message, until=max(finding.sessions, default=""))
        for finding in done.findings
    ]
    return _download(ticker, done.bars, warnings)


def stored_prices(config: DataConfig, ticker: str) -> Download | None:
    """What the store has of a ticker whose source fails; None if it is nothing of this source."""
    from rnntrade.data.store import stored_bars

    bars = stored_bars(data_folder(), config, ticker)
    return None if bars is None else _download(ticker, bars, [])


def _download(ticker: str, bars: pd.DataFrame, warnings: list[DataWarning]) -> Download:
    first, last = (f"{bars.index[at]:%Y-%m-%d}" for at in (0, -1))
    return Download(
        ticker=ticker,
        prices=put("prices", bars),
        first=first,
        last=last,
        sessions=len(bars),
        warnings=warnings,
    )


def shown_warnings(warnings: list[DataWarning], sealed_from: str = "") -> list[str]:
    """What a run may be told: nothing about a sealed session.

    sealed_from  first sealed session, YYYY-MM-DD; empty if the run may see all of them
    returns      messages, each once, and how many were left out
    """
    until = {each.message: each.until for each in warnings}
    if not sealed_from:
        return list(until)
    shown = [message for message, last in until.items() if last < sealed_from]
    hidden = len(until) - len(shown)
    if not hidden:
        return shown
    number, are = ("warnings", "are") if hidden > 1 else ("warning", "is")
    return [*shown, f"{hidden} {number} about sealed sessions {are} not shown."]


def partly_used(
    prices: Tables, labels: list[Ref[Labels]], windows: Mapping[str, Ref[Windows]]
) -> list[DataWarning]:
    """Name the tickers that not every fold trains on, judges or knows a regime of.

    windows  by model
    """
    learned = [ref.load() for ref in labels]
    used: dict[str, dict[str, list[bool]]] = {
        ticker: {
            "trains no model": [False] * len(labels),
            "is not judged": [False] * len(labels),
            "has no regime": [math.isfinite(fold.thresholds[ticker].median) for fold in learned],
        }
        for ticker in prices
    }
    models: dict[str, set[str]] = {ticker: set() for ticker in prices}  # with windows of a ticker
    for name, made in windows.items():
        stored = made.load()
        tickers = stored.samples.spans.ticker
        for number, targets in enumerate(stored.folds):
            training, test = targets.fold.training, targets.fold.test
            taught = training[np.isfinite(targets.target[training]).all(axis=1)]
            for what, rows in (("trains no model", taught), ("is not judged", test)):
                for ticker in np.unique(tickers[rows]):
                    used[str(ticker)][what][number] = True
        for ticker in np.unique(tickers):
            models[str(ticker)].add(name)
    warnings = []
    for ticker, ref in prices.items():
        parts = [
            f"{what} in {folds.count(False)} of {len(labels)} folds"
            for what, folds in used[ticker].items()
            if not all(folds)
        ]
        if without := [name for name in windows if name not in models[ticker]]:
            parts = [f"has too few sessions for one window of {', '.join(without)}", *parts]
        if parts:
            bars, traded = ref.load(), bool(models[ticker])
            days = [f"{day:%Y-%m-%d}" for day in bars.index[[0, -1]]] if len(bars) else []
            what = "it " + "; it ".join(parts) if traded else f"left out: it {parts[0]}"
            message = f"{ticker}: bars from {' to '.join(days) or 'nowhere'}; {what}.  The other "
            message += "tickers go on.  Change data.start, data.end or split, or leave it out of "
            message += "data.tickers."
            warnings.append(DataWarning(message=message, until="".join(days[-1:])))
    return warnings
