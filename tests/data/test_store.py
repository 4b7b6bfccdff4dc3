import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest

from rnntrade.config import DataConfig
from rnntrade.data import archive, store
from rnntrade.data.bars import digest
from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import ConfigError, DataError, DownloadError
from tests.conftest import PATIENCE
from tests.data.conftest import share
from tests.data.yahoo_server import FakeYahoo, Share, Trouble

pytestmark = pytest.mark.filterwarnings(  # yfinance's own
    "ignore:Series.values returning", "ignore:The inplace keyword"
)

CONFIG = DataConfig(tickers=("SPY",), start=date(2024, 1, 1), end=date(2024, 12, 31))
SYNTHETIC = DataConfig(source="synthetic", start=date(2020, 1, 1), end=date(2021, 1, 1))
NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)


def evening(day: str) -> datetime:
    """Ten in the evening of UTC: an hour after New York's close in winter."""
    return datetime.fromisoformat(f"{day}T22:00:00+00:00")


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*.parquet")}


def last(bars: pd.DataFrame) -> str:
    return f"{bars.index[-1]:%Y-%m-%d}"


# updating from a vendor


def test_the_first_update_asks_for_all_that_is_over_and_stores_it(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    assert yahoo.asked("SPY") == [("2024-01-01", "2024-02-16")]
    assert (update.fetched, update.revised, update.rebased) == (len(update.bars), 0, False)
    assert last(update.bars) == "2024-02-15"
    assert update.findings == ()
    pd.testing.assert_frame_equal(archive.read(root, "yahoo", "SPY"), update.bars)


def test_a_second_update_on_the_same_day_asks_for_nothing(yahoo: FakeYahoo, spy: Share, root: Path):
    yahoo.shares["SPY"] = spy
    first = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    before = files(root)
    second = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    assert len(yahoo.asked("SPY")) == 1
    assert (second.fetched, second.revised, second.rebased) == (0, 0, False)
    assert second.provenance == first.provenance
    pd.testing.assert_frame_equal(first.bars, second.bars)
    assert files(root) == before


def test_a_later_update_asks_for_the_missing_sessions_and_five_known_ones(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    update = store.update(root, CONFIG, "SPY", evening("2024-02-21"))
    assert yahoo.asked("SPY")[1:] == [("2024-02-09", "2024-02-22")]  # 9, 12, 13, 14, 15 are known
    assert update.fetched == 5 + 3  # 16, 20, 21; the 19th was Presidents' Day
    assert (update.revised, update.rebased) == (0, False)
    np.testing.assert_array_equal(update.bars["raw_close"], spy.quotes["Close"][:"2024-02-21"])


def test_a_dividend_changes_the_history_so_all_of_it_is_fetched_again(yahoo: FakeYahoo, root: Path):
    yahoo.shares["SPY"] = share("2024-01-02", "2024-02-28")
    old = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    yahoo.shares["SPY"] = share("2024-01-02", "2024-02-28", dividend="2024-02-16")
    new = store.update(root, CONFIG, "SPY", evening("2024-02-16"))
    assert yahoo.asked("SPY")[1:] == [("2024-02-09", "2024-02-17"), ("2024-01-01", "2024-02-17")]
    assert new.rebased
    assert new.revised == len(old.bars)
    np.testing.assert_allclose(new.bars["close"][:-1], old.bars["close"] * 0.98)
    np.testing.assert_array_equal(new.bars["raw_close"][:-1], old.bars["raw_close"])
    assert len(archive.vintages(root, "yahoo", "SPY")) == 2


def test_a_corrected_volume_in_the_overlap_is_taken_without_fetching_all(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    spy.quotes.loc["2024-02-15", "Volume"] = 7.0
    update = store.update(root, CONFIG, "SPY", evening("2024-02-16"))
    assert len(yahoo.asked("SPY")) == 2
    assert (update.revised, update.rebased) == (1, False)
    assert update.bars.loc["2024-02-15", "volume"] == 7.0


def test_noise_in_the_last_digits_changes_nothing_that_is_stored(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    old = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    spy.quotes["Adj Close"] *= 1 + 1e-8
    new = store.update(root, CONFIG, "SPY", evening("2024-02-16"))
    assert not new.rebased
    pd.testing.assert_frame_equal(new.bars[:-1], old.bars, check_exact=True)


def test_an_earlier_start_fetches_the_whole_history(yahoo: FakeYahoo, spy: Share, root: Path):
    yahoo.shares["SPY"] = spy
    late = replace(CONFIG, start=date(2024, 2, 1))
    store.update(root, late, "SPY", evening("2024-02-15"))
    update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    assert yahoo.asked("SPY")[1:] == [("2024-01-01", "2024-02-16")]
    assert not update.rebased
    narrow = store.update(root, late, "SPY", evening("2024-02-15"))
    assert len(yahoo.asked("SPY")) == 2  # the narrow range is part of what is there
    pd.testing.assert_frame_equal(narrow.bars, update.bars["2024-02-01":])


def test_a_missing_session_is_listed_and_not_asked_for_again(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    spy.quotes = spy.quotes.drop(pd.Timestamp("2024-01-17"))
    yahoo.shares["SPY"] = spy
    for _ in range(2):
        update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
        (finding,) = update.findings
        assert (finding.check, finding.sessions) == ("missing_session", ("2024-01-17",))
    assert len(yahoo.asked("SPY")) == 1


def test_a_session_the_vendor_is_late_with_is_asked_for_again(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    late = spy.quotes.loc[["2024-02-15"]]
    spy.quotes = spy.quotes.drop(late.index)
    yahoo.shares["SPY"] = Share(spy.quotes[:"2024-02-15"])
    update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    assert [finding.check for finding in update.findings] == ["early_end"]
    yahoo.shares["SPY"] = Share(pd.concat([spy.quotes, late]).sort_index())
    update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    assert last(update.bars) == "2024-02-15"
    assert update.findings == ()


def test_what_is_late_on_friday_is_asked_for_all_weekend(yahoo: FakeYahoo, spy: Share, root: Path):
    yahoo.shares["SPY"] = Share(spy.quotes[:"2024-02-15"])
    for day in ("2024-02-16", "2024-02-17", "2024-02-18"):
        store.update(root, CONFIG, "SPY", evening(day))
    assert yahoo.asked("SPY")[1:] == [("2024-02-09", "2024-02-17")] * 2


def test_a_share_that_trades_no_more_is_not_asked_for_for_ever(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = Share(spy.quotes[:"2024-01-31"])
    for _ in range(2):
        update = store.update(root, CONFIG, "SPY", evening("2024-02-20"))
        assert last(update.bars) == "2024-01-31"
    assert yahoo.asked("SPY") == [("2024-01-01", "2024-02-21"), ("2024-01-25", "2024-02-21")]
    ended = replace(CONFIG, end=date(2024, 2, 10))
    assert store.update(root, ended, "SPY", evening("2024-02-20")).fetched == 0


def test_the_bar_of_a_session_that_is_not_over_never_enters(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    at_noon = datetime(2024, 2, 15, 17, tzinfo=UTC)
    assert last(store.update(root, CONFIG, "SPY", at_noon).bars) == "2024-02-14"
    at_the_close = datetime(2024, 2, 15, 21, 10, tzinfo=UTC)
    assert last(store.update(root, CONFIG, "SPY", at_the_close).bars) == "2024-02-14"
    later = datetime(2024, 2, 15, 21, 16, tzinfo=UTC)
    assert last(store.update(root, CONFIG, "SPY", later).bars) == "2024-02-15"


def bitcoin(end: str = "2024-06-13") -> Share:
    """One quote a day, weekends too, from 2024-01-01, dated by UTC."""
    days = pd.date_range("2024-01-01", end, inclusive="left")
    close = 40_000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.03, len(days))))
    quotes = dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), close)
    return Share(pd.DataFrame(quotes | {"Volume": 1.0}, index=days), zone="UTC", opens=time(0))


@pytest.mark.parametrize("calendar", ["XNYS", "24/7"])
def test_an_unfinished_day_of_another_market_is_not_stored(
    yahoo: FakeYahoo, root: Path, calendar: str
):
    yahoo.shares["BTC-USD"] = bitcoin()
    config = replace(CONFIG, calendar=calendar)
    in_new_york = datetime(2024, 6, 12, 20, 30, tzinfo=UTC)  # half past four, the market is closed
    first = store.update(root, config, "BTC-USD", in_new_york)
    assert last(first.bars) == "2024-06-11"
    yahoo.shares["BTC-USD"].quotes.loc["2024-06-12", ["Close", "Adj Close", "Open"]] *= 0.99
    yahoo.shares["BTC-USD"].quotes.loc["2024-06-12", "Low"] *= 0.9
    second = store.update(root, config, "BTC-USD", in_new_york + timedelta(days=1))
    assert last(second.bars) == "2024-06-12"
    assert (second.revised, second.rebased) == (0, False)
    revision = archive.last_revision(root, "yahoo", "BTC-USD", pd.Timestamp("2024-12-31"))
    assert (revision.sessions, revision.revised) == (len(first.bars), 0)


def test_days_that_the_calendar_does_not_have_are_left_out_and_counted_at_every_update(
    yahoo: FakeYahoo, root: Path
):
    yahoo.shares["BTC-USD"] = bitcoin()
    for moment in (datetime(2024, 6, 3, tzinfo=UTC), datetime(2024, 6, 10, tzinfo=UTC)):
        for _ in range(2):
            update = store.update(root, CONFIG, "BTC-USD", moment)
            days = pd.date_range("2024-01-01", update.bars.index[-1])
            sessions = expected_sessions("XNYS", date(2024, 1, 1), moment.date())
            assert list(update.bars.index) == list(sessions)
            (left_out,) = [each for each in update.findings if each.check == "left_out"]
            assert list(left_out.sessions) == [
                f"{day:%Y-%m-%d}" for day in days.difference(sessions)
            ]
    assert update.provenance["left_out"] == list(left_out.sessions)


def test_another_calendar_fetches_the_days_that_were_left_out(yahoo: FakeYahoo, root: Path):
    yahoo.shares["BTC-USD"] = bitcoin()
    now = datetime(2024, 6, 1, 1, tzinfo=UTC)
    store.update(root, CONFIG, "BTC-USD", now)
    every = store.update(root, replace(CONFIG, calendar="24/7"), "BTC-USD", now)
    assert len(every.bars) == (date(2024, 6, 1) - date(2024, 1, 1)).days
    assert every.findings == ()


def test_the_end_of_trading_in_the_answer_decides_where_it_is_later(yahoo: FakeYahoo, root: Path):
    gold = share("2024-01-02", "2024-02-16")
    yahoo.shares["GC=F"] = replace(gold, opens=time(0), closes=time(17))
    at_half_past_four = datetime(2024, 2, 15, 21, 30, tzinfo=UTC)
    assert last(store.update(root, CONFIG, "GC=F", at_half_past_four).bars) == "2024-02-14"
    at_quarter_past_five = datetime(2024, 2, 15, 22, 16, tzinfo=UTC)
    assert last(store.update(root, CONFIG, "GC=F", at_quarter_past_five).bars) == "2024-02-15"


def test_a_ticker_of_another_exchange_is_refused_with_its_calendar(yahoo: FakeYahoo, root: Path):
    days = expected_sessions("XTKS", date(2022, 1, 1), date(2024, 1, 1))
    quotes = share("2022-01-03", "2023-12-29").quotes.iloc[: len(days)]
    yahoo.shares["7203.T"] = Share(
        quotes.set_axis(days[: len(quotes)]), zone="Asia/Tokyo", opens=time(9)
    )
    config = replace(CONFIG, start=date(2022, 1, 1))
    with pytest.raises(DataError, match=r"7203.T.*they fit XTKS: set data\.calendar"):
        store.update(root, config, "7203.T", NOW)
    assert not files(root)
    assert store.update(root, replace(config, calendar="XTKS"), "7203.T", NOW).bars.shape[0] > 480


def test_one_unknown_ticker_does_not_hinder_the_others(yahoo: FakeYahoo, spy: Share, root: Path):
    yahoo.shares |= {"SPY": spy, "QQQ": share("2024-01-02", "2024-02-28", seed=1)}
    for ticker in ("SPY", "QQQ"):
        assert len(store.update(root, CONFIG, ticker, NOW).bars) == 39
    with pytest.raises(DownloadError, match="NOPE"):
        store.update(root, CONFIG, "NOPE", NOW)
    assert list(archive.catalogue(root)["ticker"]) == ["QQQ", "SPY"]


def test_tickers_can_be_updated_side_by_side(yahoo: FakeYahoo, root: Path):
    names = [f"T{number}" for number in range(8)]
    for number, name in enumerate(names):
        yahoo.shares[name] = share("2024-01-02", "2024-02-28", seed=number)
    with ThreadPoolExecutor(8) as pool:
        updates = list(pool.map(lambda name: store.update(root, CONFIG, name, NOW), names))
    for name, update in zip(names, updates, strict=True):
        quotes = yahoo.shares[name].quotes
        np.testing.assert_array_equal(update.bars["raw_close"], quotes["Close"])
    assert yahoo.strays == []


# nothing is half-written


@pytest.mark.parametrize(
    "trouble", [Trouble(429, "Too Many Requests"), Trouble(500, "<html>"), Trouble(length=300)]
)
def test_a_failed_download_leaves_every_file_as_it_was(
    yahoo: FakeYahoo, spy: Share, root: Path, trouble: Trouble
):
    yahoo.shares["SPY"] = spy
    store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    before = files(root)
    yahoo.trouble["SPY"] = trouble
    with pytest.raises(DownloadError, match="SPY") as caught:
        store.update(root, CONFIG, "SPY", evening("2024-02-16"))
    assert caught.value.transient
    assert files(root) == before
    yahoo.trouble.clear()
    assert last(store.update(root, CONFIG, "SPY", evening("2024-02-16")).bars) == "2024-02-16"


@pytest.mark.parametrize(
    ("column", "value", "cause"),
    [
        ("Low", 1000.0, "low above"),
        ("High", np.nan, "missing or infinite numbers on 2024-02-16"),
        ("Close", -1.0, "not above 0"),
    ],
)
def test_bars_that_fail_a_check_are_not_stored(
    yahoo: FakeYahoo, spy: Share, root: Path, column: str, value: float, cause: str
):
    yahoo.shares["SPY"] = spy
    store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    before = files(root)
    spy.quotes.loc["2024-02-16", column] = value
    with pytest.raises(DataError, match=f"SPY.*{cause}"):
        store.update(root, CONFIG, "SPY", evening("2024-02-16"))
    assert files(root) == before


def test_a_failing_write_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch):
    old = store.update(root, SYNTHETIC, "AAA", NOW).bars
    before = files(root)
    write = parquet.write_table

    def write_half(table: object, path: Path, **options: object) -> None:
        write(table, path, **options)
        path.write_bytes(path.read_bytes()[:100])
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(archive.parquet, "write_table", write_half)
    with pytest.raises(OSError, match="Input/output"):
        store.update(root, replace(SYNTHETIC, seed=1), "AAA", NOW)
    assert files(root) == before
    assert not list(root.rglob("*.tmp"))
    pd.testing.assert_frame_equal(archive.read(root, "synthetic", "AAA"), old)


@pytest.mark.parametrize("damage", ["cut", "text", "edited", "foreign"])
def test_a_damaged_file_is_told_and_fetched_again(
    yahoo: FakeYahoo, spy: Share, root: Path, damage: str, caplog: pytest.LogCaptureFixture
):
    yahoo.shares["SPY"] = spy
    bars = store.update(root, CONFIG, "SPY", NOW).bars
    path = archive.current(root, "yahoo", "SPY")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "text":
        path.write_text("not Parquet")
    elif damage == "edited":
        table = parquet.read_table(path)
        parquet.write_table(table.slice(1), path)
    else:
        bars.to_parquet(path)
    with pytest.raises(DataError, match="damaged"):
        archive.read(root, "yahoo", "SPY")
    assert archive.catalogue(root).empty
    with caplog.at_level(logging.WARNING, "rnntrade.data"):
        update = store.update(root, CONFIG, "SPY", NOW)
    assert "SPY" in caplog.text
    assert "damaged" in caplog.text
    assert update.fetched == 39
    pd.testing.assert_frame_equal(archive.read(root, "yahoo", "SPY"), bars)


PROCESS = """
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from rnntrade.config import DataConfig
from rnntrade.data import store
for seed in range(4):
    config = DataConfig(source="synthetic", start=date(2020, 1, 1), end=date(2021, 1, 1), seed=seed)
    store.update(Path(sys.argv[1]), config, "AAA", datetime(2024, 6, 3, tzinfo=UTC))
"""


def test_two_processes_update_one_ticker_in_turn(root: Path):
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(root)]) for _ in range(2)]
    assert [process.wait(PATIENCE) for process in running] == [0, 0]
    assert len(archive.vintages(root, "synthetic", "AAA")) == 4
    assert len(archive.read(root, "synthetic", "AAA")) > 240
    assert not list(root.rglob("*.tmp"))


def test_who_waits_too_long_for_another_process_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(archive, "PATIENCE", 0.1)
    with (
        archive.exclusive(root, "synthetic", "AAA"),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(DataError, match="another process has been updating"),
    ):
        pool.submit(store.update, root, SYNTHETIC, "AAA", NOW).result()


# what is kept


def test_every_state_is_kept_under_the_digest_of_its_content(root: Path):
    states = [store.update(root, replace(SYNTHETIC, seed=seed), "AAA", NOW) for seed in (0, 1, 0)]
    kept = {vintage for _, vintage in archive.vintages(root, "synthetic", "AAA")}
    assert kept == {digest(state.bars) for state in states}
    assert len(kept) == 2
    for state in states:
        again = archive.read_vintage(root, "synthetic", "AAA", state.provenance["vintage"])
        pd.testing.assert_frame_equal(again, state.bars)
    assert states[1].revised == len(states[1].bars.index.intersection(states[0].bars.index))
    with pytest.raises(DataError, match=r"no vintage 'nope'.*there are: [0-9a-f]{16}, "):
        archive.read_vintage(root, "synthetic", "AAA", "nope")


def test_a_file_says_where_it_comes_from(yahoo: FakeYahoo, spy: Share, root: Path):
    yahoo.shares["SPY"] = spy
    update = store.update(root, CONFIG, "SPY", evening("2024-02-15"))
    metadata = parquet.read_metadata(archive.current(root, "yahoo", "SPY")).metadata
    provenance = json.loads(metadata[b"rnntrade"])
    assert provenance == update.provenance
    assert provenance["library"].startswith("yfinance 1.")
    assert {name: provenance[name] for name in ("source", "ticker", "fetched_at", "asked")} == {
        "source": "yahoo",
        "ticker": "SPY",
        "fetched_at": "2024-02-15T22:00:00+00:00",
        "asked": ["2024-01-01", "2024-02-16"],
    }


def test_the_catalogue_lists_what_is_stored(root: Path):
    assert archive.catalogue(root).empty
    store.update(root, SYNTHETIC, "brk.B", NOW)
    store.update(root, replace(SYNTHETIC, seed=1), "brk.B", NOW)
    (row,) = archive.catalogue(root).to_dict("records")
    assert row == {
        "source": "synthetic",
        "ticker": "brk.B",
        "first": "2020-01-02",
        "last": "2020-12-31",
        "rows": len(archive.read(root, "synthetic", "brk.B")),
        "fetched_at": "2024-06-03T12:00:00+00:00",
        "vintages": 2,
        "warnings": 0,
    }


def test_the_archive_is_a_partitioned_data_set(root: Path):
    for ticker in ("^AAA", "bbb"):
        store.update(root, SYNTHETIC, ticker, NOW)
    paths = [str(archive.current(root, "synthetic", ticker)) for ticker in ("^AAA", "bbb")]
    table = parquet.ParquetDataset(paths).read().to_pandas()
    assert len(table) == archive.catalogue(root)["rows"].sum()


@pytest.mark.parametrize(
    "ticker", ["../x", "..", "/etc/passwd", "a/../../b", "C:\\x", "%2E%2E", "∞"]
)
def test_no_ticker_leads_out_of_the_archive(root: Path, ticker: str):
    store.update(root, SYNTHETIC, ticker, NOW)
    (path,) = root.rglob("bars.parquet")
    assert path.resolve().is_relative_to(root.resolve())
    assert len(path.relative_to(root).parts) == 3
    assert list(archive.catalogue(root)["ticker"]) == [ticker]
    with pytest.raises(DataError):
        archive.read_vintage(root, "synthetic", ticker, "../bars")


def test_names_that_differ_only_in_case_do_not_share_a_folder():
    places = {
        str(archive.folder(Path(), "files", ticker)).lower()
        for ticker in ("ABC", "abc", "Abc", "%61BC", "A_B", "A-B", "A.B")
    }
    assert len(places) == 7


# requests that make no sense


@pytest.mark.parametrize(
    ("ticker", "config", "cause"),
    [
        ("A", replace(SYNTHETIC, start=date(2030, 1, 1), end=date(2031, 1, 1)), "no finished"),
        ("A", replace(SYNTHETIC, start=date(2020, 1, 4), end=date(2020, 1, 6)), "no finished"),
        ("A", replace(SYNTHETIC, calendar="XNYSE"), "XNYS"),
    ],
)
def test_a_request_that_makes_no_sense_says_why(
    root: Path, ticker: str, config: DataConfig, cause: str
):
    with pytest.raises(ConfigError, match=cause):
        store.update(root, config, ticker, NOW)
    assert not list(root.rglob("*.parquet"))


def test_a_range_the_source_does_not_have_names_the_one_it_has(root: Path):
    config = DataConfig(source="sample", start=date(2020, 1, 1), end=date(2021, 1, 1))
    with pytest.raises(DataError, match=r"\^GSPC.*has 1999-01-04 to 2018-12-31"):
        store.update(root, config, "^GSPC", NOW)


def test_a_stored_range_without_bars_is_told_from_the_archive(
    yahoo: FakeYahoo, spy: Share, root: Path
):
    yahoo.shares["SPY"] = spy
    store.update(root, replace(CONFIG, start=date(2023, 1, 1)), "SPY", NOW)
    early = replace(CONFIG, start=date(2023, 2, 1), end=date(2023, 3, 1))
    with pytest.raises(DataError, match=r"SPY.*has 2024-01-02 to 2024-02-27"):
        store.update(root, early, "SPY", NOW)


def test_reading_what_was_never_stored_is_told(root: Path):
    with pytest.raises(DataError, match="QQQ: no prices from yahoo are stored"):
        archive.read(root, "yahoo", "QQQ")
    assert archive.vintages(root, "yahoo", "QQQ") == []


def test_an_earlier_wider_request_does_not_make_a_new_one_fail(root: Path, tmp_path: Path):
    config = DataConfig(source="files", start=date(2015, 1, 1), end=date(2020, 1, 1))
    quotes = share("2015-01-02", "2019-12-31").quotes
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        quotes.to_csv(tmp_path / name / "SPY.csv", index_label="Date")
        quotes.loc["2015-06-01", "Close"] = -1.0  # in the second folder
    store.update(root, replace(config, folder=str(tmp_path / "whole")), "SPY", NOW)
    broken = replace(config, folder=str(tmp_path / "broken"))
    late = store.update(root, replace(broken, start=date(2018, 1, 1)), "SPY", NOW)
    assert f"{late.bars.index[0]:%Y-%m-%d}" == "2018-01-02"
    assert late.provenance["asked"] == ["2018-01-01", "2020-01-01"]
    with pytest.raises(DataError, match="2015-06-01"):
        store.update(root, broken, "SPY", NOW)


def test_a_changed_file_of_the_user_is_seen_at_once(root: Path, tmp_path: Path, spy: Share):
    mine = tmp_path / "mine"
    mine.mkdir()
    config = replace(CONFIG, source="files", folder=str(mine))
    spy.quotes.to_csv(mine / "SPY.csv", index_label="Date")
    store.update(root, config, "SPY", NOW)
    spy.quotes.loc["2024-01-10", ["Volume"]] = 5.0
    spy.quotes.to_csv(mine / "SPY.csv", index_label="Date")
    update = store.update(root, config, "SPY", NOW)
    assert (update.revised, update.rebased) == (1, False)
    assert update.bars.loc["2024-01-10", "volume"] == 5.0
    assert len(archive.vintages(root, "files", "SPY")) == 2


def test_what_was_noticed_in_a_file_is_told_each_time_and_kept_with_the_bars(
    tmp_path: Path, root: Path
):
    path = tmp_path / "AAA.csv"
    rows = "2024-01-02,10,12,9,11,1\n2024-01-03,11,13,9,12,2\n"
    path.write_text(f"Date,Open,High,Low,Close,VWAP\n{rows}")
    config = DataConfig(
        source="files",
        tickers=("AAA",),
        folder=str(tmp_path),
        start=date(2024, 1, 2),
        end=date(2024, 1, 4),
    )
    for _ in range(2):
        update = store.update(root, config, "AAA", NOW)
        assert {finding.check for finding in update.findings} == {"unused_column", "no_volume"}
        messages = [finding.message for finding in update.findings]
        assert update.provenance["warnings"] == messages
        assert all(message.startswith("AAA: ") for message in messages)
    path.write_text(f"Date,Open,High,Low,Close,Vol\n{rows}")
    update = store.update(root, config, "AAA", NOW)
    assert update.findings == ()
    assert update.provenance["warnings"] == []
