"""The real yfinance client against a server on the loopback interface."""

import json
import socket
from datetime import date, time

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import DataConfig
from rnntrade.data import sources
from rnntrade.data import yahoo as client
from rnntrade.errors import DownloadError
from tests.data.conftest import share
from tests.data.yahoo_server import FakeYahoo, Share, Trouble, opening

pytestmark = pytest.mark.filterwarnings(  # yfinance's own
    "ignore:Series.values returning", "ignore:The inplace keyword"
)
START, END = date(2024, 1, 1), date(2024, 3, 1)


def fetch(ticker: str, start: date = START, end: date = END) -> pd.DataFrame:
    return sources.fetch(ticker, start, end, DataConfig(start=start, end=end))[0]


def failure(ticker: str) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        fetch(ticker)
    assert str(caught.value).startswith(f"{ticker}: ")
    return caught.value


def test_bars_are_what_yahoo_sent_adjusted_on_plain_session_dates(yahoo: FakeYahoo):
    yahoo.shares["SPY"] = Share(
        pd.DataFrame(
            {
                "Open": [10.0, 11.0],
                "High": [12.0, 12.5],
                "Low": [9.0, 10.0],
                "Close": [11.0, 12.0],
                "Adj Close": [5.5, 12.0],
                "Volume": [1000.0, 2000.0],
            },
            index=pd.to_datetime(["2024-01-02", "2024-01-03"]),
        )
    )
    expected = pd.DataFrame(
        {
            "open": [5.0, 11.0],
            "high": [6.0, 12.5],
            "low": [4.5, 10.0],
            "close": [5.5, 12.0],
            "volume": [1000.0, 2000.0],
            "raw_close": [11.0, 12.0],
        },
        index=pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="date").as_unit("ns"),
    )
    pd.testing.assert_frame_equal(fetch("SPY"), expected, check_exact=True, check_freq=False)


def test_one_request_is_enough_and_asks_for_exactly_the_range(yahoo: FakeYahoo, spy: Share):
    yahoo.shares["SPY"] = spy
    bars = fetch("SPY", date(2024, 1, 10), date(2024, 1, 20))
    assert yahoo.asked("SPY") == [("2024-01-10", "2024-01-20")]
    assert yahoo.strays == []
    assert [str(day.date()) for day in bars.index] == [
        *("2024-01-10", "2024-01-11", "2024-01-12", "2024-01-16"),
        *("2024-01-17", "2024-01-18", "2024-01-19"),
    ]


def test_dividends_and_splits_do_not_disturb_the_bars(yahoo: FakeYahoo, spy: Share):
    spy.events = {
        "dividends": {"1": {"amount": 2.0, "date": opening("2024-02-01")}},
        "splits": {
            "2": {
                "date": opening("2024-01-10"),
                "numerator": 2,
                "denominator": 1,
                "splitRatio": "2:1",
            }
        },
    }
    yahoo.shares["SPY"] = spy
    bars = fetch("SPY")
    quotes = spy.quotes
    assert len(bars) == len(quotes)
    np.testing.assert_array_equal(bars["close"], quotes["Adj Close"])
    np.testing.assert_array_equal(bars["raw_close"], quotes["Close"])
    np.testing.assert_allclose(bars["high"], quotes["High"] * quotes["Adj Close"] / quotes["Close"])


def test_an_unknown_ticker_is_named_and_not_worth_another_try(yahoo: FakeYahoo, spy: Share):
    yahoo.shares["SPY"] = spy
    assert len(fetch("SPY")) == 39
    error = failure("NOPE")
    assert not error.transient
    assert "no prices for it" in str(error)
    assert "spelling" in str(error)
    assert len(fetch("SPY")) == 39


def test_a_range_before_the_first_session_is_not_worth_another_try(yahoo: FakeYahoo, spy: Share):
    yahoo.shares["SPY"] = spy
    with pytest.raises(DownloadError, match="SPY: Yahoo has no prices for it") as caught:
        fetch("SPY", date(2020, 1, 1), date(2020, 2, 1))
    assert not caught.value.transient


def test_a_rate_limit_is_told_as_one(yahoo: FakeYahoo):
    yahoo.trouble["SPY"] = Trouble(429, "Too Many Requests\r\n")
    error = failure("SPY")
    assert error.transient
    assert "rate limit" in str(error)
    assert "Wait" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "<html>Internal Server Error</html>",
        json.dumps({"chart": {"result": None, "error": {"description": "Internal Server Error"}}}),
    ],
)
def test_a_server_error_is_transient(yahoo: FakeYahoo, body: str):
    yahoo.trouble["SPY"] = Trouble(500, body)
    error = failure("SPY")
    assert error.transient
    assert "delisted" not in str(error)


def test_the_next_try_asks_again_instead_of_remembering_the_failure(yahoo: FakeYahoo, spy: Share):
    yahoo.shares["SPY"] = spy
    yahoo.trouble["SPY"] = Trouble(500, "<html>")
    assert failure("SPY").transient
    yahoo.trouble.clear()
    assert len(fetch("SPY")) == 39


def test_an_answer_that_does_not_come_is_a_time_out(
    yahoo: FakeYahoo, spy: Share, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "TIMEOUT", 0.3)
    yahoo.shares["SPY"] = spy
    yahoo.trouble["SPY"] = Trouble(wait=5.0)
    error = failure("SPY")
    assert error.transient
    assert "did not answer within 0.3 seconds" in str(error)


def test_a_refused_connection_is_transient(yahoo: FakeYahoo, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setattr(
            "yfinance.scrapers.history._BASE_URL_", f"http://127.0.0.1:{port}"
        )  # bound, but nobody listens
        error = failure("SPY")
    assert error.transient
    assert "connection to Yahoo failed" in str(error)


def test_a_cut_off_answer_is_transient(yahoo: FakeYahoo, spy: Share):
    yahoo.shares["SPY"] = spy
    yahoo.trouble["SPY"] = Trouble(length=500)
    error = failure("SPY")
    assert error.transient
    assert "broke off" in str(error)


def test_yahoo_down_for_maintenance_is_transient(yahoo: FakeYahoo):
    yahoo.trouble["SPY"] = Trouble(200, "<html>Will be right back...</html>")
    assert failure("SPY").transient


def test_an_answer_of_another_shape_is_transient(yahoo: FakeYahoo):
    answer = {"chart": {"result": [{"meta": {}, "indicators": {"quote": [{"open": [1.0]}]}}]}}
    answer["chart"]["error"] = None
    yahoo.trouble["SPY"] = Trouble(200, json.dumps(answer))
    assert failure("SPY").transient


def test_an_empty_row_is_no_bar_and_a_wrong_one_is_kept_for_the_checks(
    yahoo: FakeYahoo, spy: Share
):
    spy.quotes.loc["2024-01-10"] = np.nan
    spy.quotes.loc["2024-01-11", "High"] = np.nan
    spy.quotes.loc["2024-01-12"] = 0.0
    yahoo.shares["SPY"] = spy
    bars = fetch("SPY")
    assert pd.Timestamp("2024-01-10") not in bars.index
    bad = bars.index[~(bars > 0).all(axis=1)]
    assert list(bad) == [pd.Timestamp("2024-01-11"), pd.Timestamp("2024-01-12")]


def test_a_name_that_would_change_the_address_is_never_sent(yahoo: FakeYahoo):
    for name in ("../v1/test", "SPY?x=1", "S P", "SPY/../QQQ"):
        with pytest.raises(DownloadError, match="no such ticker"):
            fetch(name)
    assert yahoo.requests == []
    assert yahoo.strays == []


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("Asia/Tokyo", time(9)),
        ("Pacific/Auckland", time(10)),
        ("Europe/London", time(0)),  # currencies
        ("UTC", time(0)),
        ("America/Los_Angeles", time(6, 30)),
    ],
)
def test_dates_follow_the_zone_in_the_answer_and_none_is_lost_at_either_end(
    yahoo: FakeYahoo, zone: str, opens: time
):
    days = pd.date_range("2024-03-01", "2024-03-20")  # clocks change in New York on the 10th
    quotes = share("2024-01-02", "2024-01-31").quotes.iloc[:20].set_axis(days)
    yahoo.shares["AAA"] = Share(quotes, zone=zone, opens=opens)
    bars = fetch("AAA", date(2024, 3, 5), date(2024, 3, 15))
    assert [str(day)[:10] for day in bars.index] == [f"2024-03-{day:02}" for day in range(5, 15)]
    np.testing.assert_array_equal(bars["raw_close"], quotes["Close"].iloc[4:14])


def indicators(values: list[float | str | None]) -> dict[str, object]:
    quote = {name: values for name in ("open", "high", "low", "close", "volume")}
    return {"quote": [quote], "adjclose": [{"adjclose": values}]}


def chart(**changes: object) -> str:
    result = {
        "meta": {
            "symbol": "NEW",
            "currency": "USD",
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": "America/New_York",
        },
        "timestamp": [opening("2024-01-02"), opening("2024-01-03")],
        "indicators": indicators([1.0, 2.0]),
    }
    return json.dumps({"chart": {"result": [result | changes], "error": None}})


@pytest.mark.parametrize(
    "answer",
    [
        chart(timestamp=[], indicators=indicators([])),
        chart(indicators=indicators([None, None])),
        chart(timestamp=[None, None]),
        chart(indicators={"quote": [{}], "adjclose": [{}]}),
        json.dumps({"chart": {"result": [], "error": None}}),
    ],
)
def test_an_answer_without_a_single_price_is_no_price_and_not_worth_another_try(
    yahoo: FakeYahoo, answer: str
):
    yahoo.trouble["NEW"] = Trouble(200, answer)
    error = failure("NEW")
    assert "has no prices for it in this range" in str(error)
    assert not error.transient


@pytest.mark.parametrize(
    "answer",
    [
        chart(timestamp=[10**20, 10**20]),
        chart(timestamp=["x", "y"]),
        chart(timestamp=[opening("2024-01-02")]),
        chart(indicators=indicators([1.0, "n/a"])),
        chart(indicators={"quote": []}),
        chart(meta=None),
        chart(meta={"exchangeTimezoneName": "Mars/Phobos", "instrumentType": "", "currency": ""}),
        json.dumps({"chart": {"result": [None], "error": None}}),
        "",
    ],
)
def test_a_malformed_answer_is_one_line_and_transient(yahoo: FakeYahoo, answer: str):
    yahoo.trouble["NEW"] = Trouble(200, answer)
    error = failure("NEW")
    assert error.transient
    assert "\n" not in str(error)


def test_index_names_and_lower_case_reach_yahoo(yahoo: FakeYahoo):
    yahoo.shares["^GSPC"] = share("2024-01-02", "2024-02-01")
    assert len(fetch("^GSPC")) == len(fetch("^gspc")) == 21
