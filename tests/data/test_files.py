import gzip
import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import DataConfig
from rnntrade.data.checks import check, raise_errors
from rnntrade.data.sources import fetch
from rnntrade.errors import DataError
from rnntrade.types import FIELDS

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own

START, END = date(2024, 1, 1), date(2024, 2, 1)
HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
ROWS = ("2024-01-02,10,12,9,11,5.5,1000", "2024-01-03,11,12.5,10,12,12,2000")
EXPECTED = pd.DataFrame(
    [[5.0, 6.0, 4.5, 5.5, 1000.0, 11.0], [11.0, 12.5, 10.0, 12.0, 2000.0, 12.0]],
    index=pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="date").as_unit("ns"),
    columns=list(FIELDS),
)
QUOTES = pd.DataFrame(
    [[10.0, 12.0, 9.0, 11.0, 5.5, 1000], [11.0, 12.5, 10.0, 12.0, 12.0, 2000]],
    index=pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date"),
    columns=HEADER.split(",")[1:],
)


def load(folder: Path, ticker: str = "SPY") -> pd.DataFrame:
    return fetch(ticker, START, END, DataConfig(source="files", folder=str(folder)))[0]


def write(folder: Path, text: str, name: str = "SPY.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def assert_expected(bars: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)


# what is understood


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        HEADER.lower(),
        "date,open,high,low,close,adj_close,volume",
        "timestamp,open,high,low,close,adjclose,volume",
        "Datetime,Open,High,Low,Close,Adjusted Close,Vol",
        " Date , Open,High,Low,Close*,Adj Close**,Volume",
        ",Open,High,Low,Close,Adj Close,Volume",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<ADJ CLOSE>,<VOL>",
    ],
)
def test_the_usual_spellings_mean_the_same(tmp_path: Path, header: str):
    write(tmp_path, "\n".join((header, *ROWS)))
    assert_expected(load(tmp_path))


@pytest.mark.parametrize("name", ["SPY.csv", "SPY.CSV", "spy.csv", "SPY.csv.gz", "SPY.Csv.GZ"])
def test_file_names_may_be_written_in_any_case(tmp_path: Path, name: str):
    text = "\n".join((HEADER, *ROWS)).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.lower().endswith("gz") else text)
    assert_expected(load(tmp_path))


@pytest.mark.parametrize("zone", [None, "America/New_York", "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("indexed", [True, False])
def test_parquet_files_may_have_the_date_as_index_or_column_and_any_zone(
    tmp_path: Path, zone: str | None, indexed: bool
):
    table = QUOTES.tz_localize(zone)
    (table if indexed else table.reset_index()).to_parquet(tmp_path / "SPY.parquet")
    assert_expected(load(tmp_path))


@pytest.mark.parametrize(
    "dates",
    [
        ("2024-01-02 00:00:00-05:00", "2024-01-03 00:00:00-05:00"),
        ("2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"),
        ("2024-01-02T05:00:00Z", "2024-01-03T05:00:00Z"),  # midnight in New York
        ("2024-01-02T21:00:00+00:00", "2024-01-03T21:00:00+00:00"),  # the close
        ("2024-01-03 01:00:00+00:00", "2024-01-04 01:00:00+00:00"),  # the evening in New York
        ("2024-01-02 16:00", "2024-01-03 16:00"),
        (date(2024, 1, 2), date(2024, 1, 3)),
    ],
)
def test_times_become_the_date_of_their_session(tmp_path: Path, dates: tuple[object, object]):
    QUOTES.set_axis(pd.Index(dates, name="Date")).to_csv(tmp_path / "SPY.csv")
    assert_expected(load(tmp_path))
    QUOTES.reset_index(drop=True).assign(Date=dates).to_parquet(tmp_path / "QQQ.parquet")
    assert_expected(load(tmp_path, "QQQ"))


def test_times_with_a_zone_in_parquet_are_taken_to_the_exchange(tmp_path: Path):
    closes = QUOTES.index.tz_localize("America/New_York") + pd.Timedelta(hours=20)
    QUOTES.set_axis(closes.tz_convert("UTC").rename("Date")).to_parquet(tmp_path / "SPY.parquet")
    assert_expected(load(tmp_path))


def test_files_that_begin_with_the_newest_day_are_turned_round(tmp_path: Path):
    write(tmp_path, "\n".join((HEADER, *reversed(ROWS))))
    assert_expected(load(tmp_path))


def test_without_an_adjusted_close_prices_are_taken_as_they_are(tmp_path: Path):
    write(tmp_path, "date,open,high,low,close,volume\n2024-01-02,10,12,9,11,1000\n")
    assert load(tmp_path).iloc[0].tolist() == [10, 12, 9, 11, 1000, 11]


def test_bars_that_were_written_can_be_read_back(tmp_path: Path):
    EXPECTED.to_parquet(tmp_path / "SPY.parquet")
    EXPECTED.to_csv(tmp_path / "QQQ.csv")
    assert_expected(load(tmp_path))
    assert_expected(load(tmp_path, "QQQ"))


def test_blank_lines_at_the_end_do_not_matter(tmp_path: Path):
    write(tmp_path, "\n".join((HEADER, *ROWS, ",,,,,,", "", "")))
    assert_expected(load(tmp_path))


# what is refused, and why


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is empty"),
        (HEADER, "has no rows"),
        ("Open,High,Low,Close,Volume\n1,1,1,1,1", "no column date; it has Open, High"),
        (f"{HEADER},close\n{ROWS[0]},11.5", "two columns for close"),
        (f"{HEADER}\n2024-01-02,ten,12,9,11,5.5,1000", "'ten' in column Open, row 1"),
        (f"{HEADER}\n2024-01-02,10,12,9,,5.5,1000", "column Close is empty"),
        (
            f"{HEADER}\n{ROWS[0]}\n2024-01-03,10,12,,,5.5,1000",
            "column Low has no number on 2024-01-03",
        ),
        (f"{HEADER}\n{ROWS[0]}\nsoon,11,12,10,12,12,1", "'soon' in row 2 is not a date"),
        (
            f"{HEADER}\n01/02/2024,11,12,10,12,12,1",
            "'01/02/2024' in row 1 can be read as 2024-02-01",
        ),
        (f"{HEADER}\n2024-02-30,11,12,10,12,12,1", "'2024-02-30' in row 1 is not a date"),
        (f"{HEADER}\n,11,12,10,12,12,1", "row 1 is not a date"),
        (f"{HEADER}\n{ROWS[0]},9,9,9\n{ROWS[1]},9", "row 1 has 10 cells and the header 7"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_cause(tmp_path: Path, text: str, cause: str):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=cause) as caught:
        load(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_no_parquet_are_told(tmp_path: Path):
    (tmp_path / "A.csv").write_bytes(b"Date,Open\n\xff\xfe\x00\x01,1\n")
    (tmp_path / "B.csv.gz").write_bytes(b"not gzip")
    (tmp_path / "C.parquet").write_text("not Parquet")
    (tmp_path / "D.parquet").write_bytes(b"")
    QUOTES.to_parquet(tmp_path / "E.parquet")
    whole = (tmp_path / "E.parquet").read_bytes()
    (tmp_path / "E.parquet").write_bytes(whole[:-50])
    (tmp_path / "F.csv.gz").write_bytes(gzip.compress(HEADER.encode() * 100)[:-20])
    (tmp_path / "G.csv").mkdir()
    for ticker in "ABCDEFG":
        with pytest.raises(DataError, match=rf"{ticker}\.\S+ cannot be read as"):
            load(tmp_path, ticker)


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ((ROWS[0], ROWS[0]), "more than one bar on 2024-01-02"),
        ((ROWS[0], ROWS[1], ROWS[0]), "more than one bar on 2024-01-02"),
        ((ROWS[1], "2024-01-05,1,1,1,1,1,1", ROWS[0]), "dates go back at 2024-01-02"),
        (("2024-01-02,10,12,9,11,0,1000",), "not above 0 on 2024-01-02"),
    ],
)
def test_what_the_reader_lets_pass_the_checks_stop(
    tmp_path: Path, rows: tuple[str, ...], cause: str
):
    write(tmp_path, "\n".join((HEADER, *rows)))
    with pytest.raises(DataError, match=cause):
        raise_errors(check(load(tmp_path), "SPY", "XNYS", START, END))


def test_a_missing_folder_or_file_is_told_with_what_is_there(tmp_path: Path):
    with pytest.raises(DataError, match="--folder"):
        fetch("SPY", START, END, DataConfig(source="files"))
    with pytest.raises(DataError, match=r"no folder .*nowhere.*--folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"SPY: no SPY.csv.*no such files at all"):
        load(tmp_path)
    write(tmp_path, "", "SPYG.csv")
    write(tmp_path, "", "QQQ.parquet")
    with pytest.raises(DataError, match=r"SPY: no SPY.csv.*there are files for SPYG\."):
        load(tmp_path)
    with pytest.raises(DataError, match="there are files for QQQ, SPYG"):
        load(tmp_path, "ZZZZ")


def test_two_files_for_one_ticker_are_one_too_many(tmp_path: Path):
    write(tmp_path, "", "SPY.csv")
    write(tmp_path, "", "SPY.parquet")
    with pytest.raises(DataError, match=r"several files .*SPY.csv, SPY.parquet"):
        load(tmp_path)


def test_a_ticker_is_never_a_path(tmp_path: Path):
    write(tmp_path, "\n".join((HEADER, *ROWS)), "SPY.csv")
    inner = tmp_path / "inner"
    inner.mkdir()
    for ticker in ("../SPY", "..\\SPY", "/SPY", "../spy.csv"):
        with pytest.raises(DataError, match="no such files at all"):
            load(inner, ticker)


def test_a_range_outside_the_file_names_what_it_has(tmp_path: Path):
    write(tmp_path, "\n".join((HEADER, "2020-01-02,1,1,1,1,1,1")))
    with pytest.raises(DataError, match="has 2020-01-02 to 2020-01-02"):
        load(tmp_path)


# real prices, where they are at hand


@pytest.fixture(scope="module")
def shared() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("RNNTRADE_SHARED_DATA", beside)) / "yahoo"
    if not folder.is_dir():
        pytest.skip("no real prices beside the checkout: set RNNTRADE_SHARED_DATA to their folder")
    return folder


def test_real_prices_load_without_errors(shared: Path):
    paths = sorted(shared.glob("*.parquet"))
    assert len(paths) == 16
    config = DataConfig(source="files", folder=str(shared))
    for path in paths:
        bars = fetch(path.stem, date(1990, 1, 1), date(2025, 1, 1), config)[0]
        start = bars.index[0].date()
        findings = check(bars, path.stem, "XNYS", start, date(2025, 1, 1))
        assert [finding for finding in findings if finding.severity == "error"] == []
        assert {finding.check for finding in findings} <= {"jump", "missing_session"}
        quotes = pd.read_parquet(path)
        np.testing.assert_array_equal(bars["close"], quotes["Adj Close"])


@pytest.mark.parametrize(("ticker", "close"), [("SPY", 477.71), ("QQQ", 401.68), ("IWM", 225.32)])
def test_the_default_universe_is_complete(shared: Path, ticker: str, close: float):
    config = DataConfig(source="files", folder=str(shared))
    bars = fetch(ticker, date(2015, 1, 1), date(2024, 1, 1), config)[0]
    assert len(bars) == 2264
    assert check(bars, ticker, "XNYS", date(2015, 1, 1), date(2024, 1, 1)) == []
    assert bars.loc["2022-01-03", "raw_close"] == pytest.approx(close, abs=0.005)
