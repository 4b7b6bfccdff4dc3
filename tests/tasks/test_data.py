"""Trying again at the world's edge: when it can help, and only then."""

import logging
import re

import pytest
from prefect import flow

import tasks.data
from rnntrade.config import find_experiment
from rnntrade.data import store
from rnntrade.errors import DownloadError
from tasks.data import DataWarning, Download, download_prices, shown_warnings

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
    return download_prices.prefect.with_options(retry_delay_seconds=0.01)(DATA, "AAA")


def test_a_passing_failure_is_tried_again(prefect_server, home, monkeypatch):
    calls = failing(monkeypatch, times=2, transient=True)
    done = download()
    assert calls == ["AAA"] * 3
    assert (done.ticker, done.sessions) == ("AAA", 755)
    assert (done.first, done.last) == ("2019-01-02", "2021-12-31")
    assert done.prices.is_intact()
    (warning,) = done.warnings
    assert warning.until == "2021-11-15"
    assert {"AAA", "2020-05-14", "2021-11-15"} <= set(re.split(r"[:,. ]+", warning.message))


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


def test_the_download_does_not_log_what_may_be_sealed(prefect_server, home, monkeypatch):
    told: list[str] = []
    log = logging.Logger("of this test alone")  # Prefect's own depend on what ran before
    log.addFilter(lambda record: told.append(record.getMessage()) or False)
    monkeypatch.setattr(tasks.data, "run_logger", lambda: log)
    download()
    assert "AAA: 1 warning(s) about its prices" in told
    assert not any("2021-11-15" in each for each in told)


JUMP = DataWarning(message="A: the close moves on 2020-01-06, 2021-06-01.", until="2021-06-01")
STALE = DataWarning(message="B: the close has not changed on 2020-02-03.", until="2020-02-03")


def test_without_a_seal_every_warning_is_shown():
    assert shown_warnings([JUMP, STALE]) == [JUMP.message, STALE.message]


def test_a_warning_is_shown_once_and_one_about_no_session_is_never_sealed():
    column = DataWarning(message="A: column vwap is not used.", until="")
    assert shown_warnings([column, STALE, column]) == [column.message, STALE.message]
    told = "1 warning about sealed sessions is not shown."
    assert shown_warnings([column, JUMP, JUMP], "2021-06-01") == [column.message, told]


def test_a_sealed_run_is_told_nothing_about_sealed_sessions():
    assert shown_warnings([JUMP, STALE], "2021-06-02") == [JUMP.message, STALE.message]
    told = "1 warning about sealed sessions is not shown."
    assert shown_warnings([JUMP, STALE], "2021-06-01") == [STALE.message, told]
    assert shown_warnings([JUMP, STALE], "2020-02-03") == [
        "2 warnings about sealed sessions are not shown."
    ]


def test_a_sealed_run_is_told_what_is_about_the_whole_file():
    whole = DataWarning(message="A: not used of its file: VWAP.", until="")
    assert shown_warnings([whole, JUMP], "2020-01-01")[0] == whole.message


def test_without_a_flow_it_is_tried_again_too_and_prefect_is_not_asked(home, monkeypatch):
    monkeypatch.setattr(download_prices, "delays", (0.01,) * 3)
    calls = failing(monkeypatch, times=2, transient=True)
    assert download_prices.submit(DATA, "AAA").result().sessions == 755
    assert calls == ["AAA"] * 3
    calls = failing(monkeypatch, times=9, transient=False)
    with pytest.raises(DownloadError, match="AAA: no"):
        download_prices(DATA, "AAA")
    assert calls == ["AAA"]
