"""Prices as tasks: the one place where the outside world is asked, hence retried."""

from pydantic import BaseModel

from rnntrade.config import DataConfig
from rnntrade.errors import DownloadError
from tasks import clock
from tasks.artifacts import Ref, publish
from tasks.home import data_folder
from tasks.plain import run_logger, task


class DataWarning(BaseModel):
    """Something to know about one ticker's bars."""

    message: str  # one sentence, beginning with the ticker
    until: str  # newest session that it is about, YYYY-MM-DD; empty: the whole file


class Download(BaseModel):
    """One ticker's bars between start and end, and what was noticed about them."""

    ticker: str
    prices: Ref  # bars.parquet
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
    with publish("prices") as out:
        done.bars.to_parquet(out.folder / "bars.parquet")
    return Download(
        ticker=ticker,
        prices=out.ref,
        first=f"{done.bars.index[0]:%Y-%m-%d}",
        last=f"{done.bars.index[-1]:%Y-%m-%d}",
        sessions=len(done.bars),
        warnings=[
            DataWarning(message=finding.message, until=max(finding.sessions, default=""))
            for finding in done.findings
        ],
    )


def stored_prices(config: DataConfig, ticker: str) -> Download | None:
    """What the store has of a ticker whose source fails; None if it is nothing of this source."""
    from rnntrade.data.store import stored_bars

    bars = stored_bars(data_folder(), config, ticker)
    if bars is None:
        return None
    with publish("prices") as out:
        bars.to_parquet(out.folder / "bars.parquet")
    return Download(
        ticker=ticker,
        prices=out.ref,
        first=f"{bars.index[0]:%Y-%m-%d}",
        last=f"{bars.index[-1]:%Y-%m-%d}",
        sessions=len(bars),
        warnings=[],
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
