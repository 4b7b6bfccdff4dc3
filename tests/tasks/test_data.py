"""Trying again at the world's edge: when it can help, and only then."""

import pytest
from prefect import flow

from rnntrade.config import find_experiment
from rnntrade.data import store
from rnntrade.errors import DownloadError
from tasks.data import Download, download_prices

DATA = find_experiment("debug").data


def failing(monkeypatch, times: int, transient: bool) -> list[str]:
    """Let the store's update fail that often before it works."""
    calls: list[str] = []
    works = store.update

    def update(root, config, ticker, now):
        calls.append(ticker)
        if len(calls) <= times:
            raise DownloadError(f"{ticker}: no", transient=transient)
        return works(root, config, ticker, now)

    monkeypatch.setattr(store, "update", update)
    return calls


@flow
def download() -> Download:
    return download_prices.with_options(retry_delay_seconds=0.01)(DATA, "AAA")


def test_a_passing_failure_is_tried_again(prefect_server, home, monkeypatch):
    calls = failing(monkeypatch, times=2, transient=True)
    done = download()
    assert calls == ["AAA"] * 3
    assert (done.ticker, done.sessions) == ("AAA", 755)
    assert (done.first, done.last) == ("2019-01-02", "2021-12-31")
    assert done.prices.is_intact()
    assert done.warnings == ["AAA: no bar on sessions of XNYS: 2020-05-14, 2021-11-15."]


def test_it_gives_up_after_three_retries(prefect_server, home, monkeypatch):
    calls = failing(monkeypatch, times=9, transient=True)
    with pytest.raises(DownloadError, match="AAA: no"):
        download()
    assert len(calls) == 4


def test_what_cannot_get_better_is_not_tried_again(prefect_server, home, monkeypatch):
    calls = failing(monkeypatch, times=9, transient=False)
    with pytest.raises(DownloadError, match="AAA: no"):
        download()
    assert len(calls) == 1
