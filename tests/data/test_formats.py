"""Files as vendors, libraries and trading programs write them: read where they are unambiguous."""

import gzip
import io
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnntrade.config import DataConfig
from rnntrade.data.files import load
from rnntrade.errors import DataError
from rnntrade.types import FIELDS

pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own

START, END = date(2019, 1, 1), date(2020, 1, 1)
DAYS = pd.DatetimeIndex(["2019-01-11", "2019-01-14", "2019-01-15"], name="date").as_unit("ns")
ROWS = [  # open, high, low, close, volume, close as quoted
    [1234.5, 1240.25, 1230.5, 1239.75, 1200000.0, 1239.75],
    [1239.5, 1250.5, 1238.25, 1249.25, 1300000.0, 1249.25],
    [1249.25, 1251.75, 1240.5, 1241.5, 1450000.0, 1241.5],
]
EXPECTED = pd.DataFrame(ROWS, index=DAYS, columns=list(FIELDS))


def read(
    folder: Path, content: str | bytes, ticker: str = "AAA", name: str = "", calendar: str = "XNYS"
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Bars, and the message of each finding by its check."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / (name or f"{ticker}.csv")).write_bytes(data)
    config = DataConfig(source="files", folder=str(folder), calendar=calendar)
    bars, findings = load(ticker, START, END, config)
    for finding in findings:
        assert (finding.severity, finding.ticker) == ("warning", ticker)
        assert finding.message.startswith(f"{ticker}: ")
        assert finding.message.endswith(".")
        assert "\n" not in finding.message
    assert len({finding.check for finding in findings}) == len(findings)
    return bars, {finding.check: finding.message for finding in findings}


def plain(header: str = "Date,Open,High,Low,Close,Volume") -> str:
    return "\n".join([header, *(f"{d:%Y-%m-%d},{','.join(map(str, r[:5]))}" for d, r in rows())])


def rows() -> list[tuple[pd.Timestamp, list[float]]]:
    return list(zip(DAYS, ROWS, strict=True))


YFINANCE = """Price,Close,High,Low,Open,Volume
Ticker,AAA,AAA,AAA,AAA,AAA
Date,,,,,
2019-01-11,1239.75,1240.25,1230.5,1234.5,1200000
2019-01-14,1249.25,1250.5,1238.25,1239.5,1300000
2019-01-15,1241.5,1251.75,1240.5,1249.25,1450000
"""
YFINANCE_OLD = """,Close,High,Low,Open,Volume
,AAA,AAA,AAA,AAA,AAA
Date,,,,,
2019-01-11,1239.75,1240.25,1230.5,1234.5,1200000
2019-01-14,1249.25,1250.5,1238.25,1239.5,1300000
2019-01-15,1241.5,1251.75,1240.5,1249.25,1450000
"""
YFINANCE_TWO_ROWS = """Date,Close,High,Low,Open,Volume
,AAA,AAA,AAA,AAA,AAA
2019-01-11,1239.75,1240.25,1230.5,1234.5,1200000
2019-01-14,1249.25,1250.5,1238.25,1239.5,1300000
2019-01-15,1241.5,1251.75,1240.5,1249.25,1450000
"""
YFINANCE_BY_TICKER = """Ticker,LOW,LOW,LOW,LOW,LOW,AAA,AAA,AAA,AAA,AAA
Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume
Date,,,,,,,,,,
2019-01-11,1,1,1,1,1,1234.5,1240.25,1230.5,1239.75,1200000
2019-01-14,1,1,1,1,1,1239.5,1250.5,1238.25,1249.25,1300000
2019-01-15,1,1,1,1,1,1249.25,1251.75,1240.5,1241.5,1450000
"""
FLATTENED = """Date,Close_AAA,High_AAA,Low_AAA,Open_AAA,Volume_AAA
2019-01-11,1239.75,1240.25,1230.5,1234.5,1200000
2019-01-14,1249.25,1250.5,1238.25,1239.5,1300000
2019-01-15,1241.5,1251.75,1240.5,1249.25,1450000
"""
QUANTMOD = """"","AAA.Open","AAA.High","AAA.Low","AAA.Close","AAA.Volume"
"2019-01-11",1234.5,1240.25,1230.5,1239.75,1200000
"2019-01-14",1239.5,1250.5,1238.25,1249.25,1300000
"2019-01-15",1249.25,1251.75,1240.5,1241.5,1450000
"""
R_TABLE = """AAA.Open AAA.High AAA.Low AAA.Close AAA.Volume
2019-01-11 1234.5 1240.25 1230.5 1239.75 1200000
2019-01-14 1239.5 1250.5 1238.25 1249.25 1300000
2019-01-15 1249.25 1251.75 1240.5 1241.5 1450000
""".replace(" ", "\t")
NASDAQ = """Date,Close/Last,Volume,Open,High,Low
01/15/2019,"$1,241.50","1,450,000","$1,249.25","$1,251.75","$1,240.50"
01/14/2019,"$1,249.25","1,300,000","$1,239.50","$1,250.50","$1,238.25"
01/11/2019,"$1,239.75","1,200,000","$1,234.50","$1,240.25","$1,230.50"
"""
STOOQ = """<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>
AAA.US,D,20190111,000000,1234.5,1240.25,1230.5,1239.75,1200000
AAA.US,D,20190114,000000,1239.5,1250.5,1238.25,1249.25,1300000
AAA.US,D,20190115,000000,1249.25,1251.75,1240.5,1241.5,1450000
"""
METATRADER = """<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2019.01.11\t1234.50\t1240.25\t1230.50\t1239.75\t1200000\t0\t2
2019.01.14\t1239.50\t1250.50\t1238.25\t1249.25\t1300000\t0\t2
2019.01.15\t1249.25\t1251.75\t1240.50\t1241.50\t1450000\t0\t2
"""
TRADINGVIEW = """time,open,high,low,close,Volume,Volume MA,RSI
1547217000,1234.5,1240.25,1230.5,1239.75,1200000,NaN,NaN
1547476200,1239.5,1250.5,1238.25,1249.25,1300000,1250000,55.1
1547562600,1249.25,1251.75,1240.5,1241.5,1450000,1316666,50.2
"""
INVESTING = """\ufeff"Date","Price","Open","High","Low","Vol.","Change %"
"Jan 15, 2019","1,241.50","1,249.25","1,251.75","1,240.50","1.45M","-0.62%"
"Jan 14, 2019","1,249.25","1,239.50","1,250.50","1,238.25","1.30M","0.77%"
"Jan 11, 2019","1,239.75","1,234.50","1,240.25","1,230.50","1200K","0.10%"
"""
GERMAN = """Datum;Zuletzt;Eröffn.;Hoch;Tief;Vol.
15.01.2019;1.241,50;1.249,25;1.251,75;1.240,50;1,45M
14.01.2019;1.249,25;1.239,50;1.250,50;1.238,25;1,30M
11.01.2019;1.239,75;1.234,50;1.240,25;1.230,50;1,20M
"""
DECIMAL_COMMAS = """Date;Open;High;Low;Close;Volume
11.01.2019;1234,50;1240,25;1230,50;1239,75;1200000
14.01.2019;1239,50;1250,50;1238,25;1249,25;1300000
15.01.2019;1249,25;1251,75;1240,50;1241,50;1450000
"""
SPACES = DECIMAL_COMMAS.replace("12", "1\u202f2", 1).replace("1249,25", "1 249,25")
ALPHA_VANTAGE = """timestamp,1. open,2. high,3. low,4. close,5. volume
2019-01-15,1249.25,1251.75,1240.5,1241.5,1450000
2019-01-14,1239.5,1250.5,1238.25,1249.25,1300000
2019-01-11,1234.5,1240.25,1230.5,1239.75,1200000
"""
BINANCE = """Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades
1547164800000,1234.5,1240.25,1230.5,1239.75,1200000,1547251199999,5,6
1547424000000000,1239.5,1250.5,1238.25,1249.25,1300000,1547510399999,5,6
1547510400000,1249.25,1251.75,1240.5,1241.5,1450000,1547596799999,5,6
"""
DOWNLOAD = """https://www.example.org
unix,date,symbol,open,high,low,close,Volume AAA,Volume USDT
1547164800,2019-01-11,AAA/USDT,1234.5,1240.25,1230.5,1239.75,1200000,7
1547424000,2019-01-14,AAA/USDT,1239.5,1250.5,1238.25,1249.25,1300000,7
1547510400,2019-01-15,AAA/USDT,1249.25,1251.75,1240.5,1241.5,1450000,7
"""
BLOOMBERG = """Security,AAA US Equity
Start Date,2019-01-11

Dates,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME
1/15/2019,1249.25,1251.75,1240.5,1241.5,1450000
1/14/2019,1239.5,1250.5,1238.25,1249.25,1300000
1/11/2019,1234.5,1240.25,1230.5,1239.75,1200000
"""
LONG = """date,open,high,low,close,volume,Name
2019-01-11,1234.5,1240.25,1230.5,1239.75,1200000,AAA
2019-01-14,1239.5,1250.5,1238.25,1249.25,1300000,AAA
2019-01-15,1249.25,1251.75,1240.5,1241.5,1450000,AAA
2019-01-11,1,1,1,1,1,BBB
2019-01-14,1,1,1,1,1,BBB
"""
PANDAS = """,Date,Open,High,Low,Close,Volume
0,2019-01-11 00:00:00,1234.5,1240.25,1230.5,1239.75,1200000
1,2019-01-14 00:00:00,1239.5,1250.5,1238.25,1249.25,1300000
2,2019-01-15 00:00:00,1249.25,1251.75,1240.5,1241.5,1450000
"""
DUKASCOPY = """Gmt time,Open,High,Low,Close,Volume
11.01.2019 00:00:00.000,1234.5,1240.25,1230.5,1239.75,1200000
14.01.2019 00:00:00.000,1239.5,1250.5,1238.25,1249.25,1300000
15.01.2019 00:00:00.000,1249.25,1251.75,1240.5,1241.5,1450000
"""
YAHOO_PAGE = """Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\tAdj Close \
Adjusted close price adjusted for splits and dividend and/or capital gain distributions.\tVolume
Jan 15, 2019\t1,249.25\t1,251.75\t1,240.50\t1,241.50\t1,241.50\t1,450,000
Jan 14, 2019\t1,239.50\t1,250.50\t1,238.25\t1,249.25\t1,249.25\t1,300,000
Jan 11, 2019\t1,234.50\t1,240.25\t1,230.50\t1,239.75\t1,239.75\t1,200,000
"""
FOOTER = f"{plain()}\nSource: Example\n"
LETTERS = plain("t,o,h,l,c,v")
TO_STRING = plain().replace(",", "   ")
AS_EXPECTED: dict[str, tuple[str, dict[str, str]]] = {  # text, and what each finding must name
    "yfinance": (YFINANCE, {}),
    "yfinance without names": (YFINANCE_OLD, {}),
    "yfinance without its index": (YFINANCE_TWO_ROWS, {}),
    "yfinance by ticker": (YFINANCE_BY_TICKER, {"unused_column": "LOW"}),
    "yfinance flattened": (FLATTENED, {}),
    "quantmod": (QUANTMOD, {}),
    "R's write.table": (R_TABLE, {}),
    "Nasdaq": (NASDAQ, {}),
    "Stooq": (STOOQ, {"unused_column": "<PER>"}),
    "MetaTrader": (METATRADER, {"unused_column": "<VOL>, <SPREAD>"}),
    "TradingView": (TRADINGVIEW, {"unused_column": "Volume MA, RSI"}),
    "investing.com": (INVESTING, {"unused_column": "Change %"}),
    "investing.com in German": (GERMAN, {}),
    "decimal commas": (DECIMAL_COMMAS, {}),
    "spaces for thousands": (SPACES, {}),
    "Alpha Vantage": (ALPHA_VANTAGE, {}),
    "Binance, ms and then us": (BINANCE, {"unused_column": "Close time, Quote asset volume"}),
    "CryptoDataDownload": (
        DOWNLOAD,
        {"unused_column": "Volume USDT", "text": "www.example.org", "symbol": "AAA/USDT"},
    ),
    "Bloomberg": (BLOOMBERG, {"text": "Security"}),
    "several tickers below each other": (LONG, {"symbol": "BBB"}),
    "a row number before the date": (PANDAS, {"unused_column": "1 (no name)"}),
    "Dukascopy": (DUKASCOPY, {}),
    "Yahoo's page, copied": (YAHOO_PAGE, {}),
    "a line of text below": (FOOTER, {"empty_row": "Source: Example"}),
    "single letters": (LETTERS, {}),
    "spaces between": (TO_STRING, {}),
    "Excel's separator": ("sep=;\n" + plain().replace(",", ";"), {}),
    "Excel's separator, quoted": ('"sep=\\t"\n' + plain().replace(",", "\t"), {}),
    "a separator at the end of rows": (plain().replace("00.0", "00.0,"), {}),
    "a pipe": (plain().replace(",", "|"), {}),
    "spaces around": (plain().replace(",", " , "), {}),
    "slashes": (plain().replace("-", "/"), {}),
    "old line ends": (plain().replace("\n", "\r\n"), {}),
    "a day with its name": (plain().replace("2019-01-11", "2019-01-11T00:00:00.000Z"), {}),
}


@pytest.mark.parametrize("name", AS_EXPECTED)
def test_common_formats_are_read_and_what_is_not_used_is_named(tmp_path: Path, name: str):
    text, named = AS_EXPECTED[name]
    bars, findings = read(tmp_path, text)
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert list(findings) == list(named) or set(findings) == set(named)
    for check, words in named.items():
        assert words in findings[check]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_encodings_of_excel_are_read(tmp_path: Path, encoding: str):
    bars, findings = read(tmp_path, plain().encode(encoding))
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert not findings


def test_gzip_zip_and_other_endings_are_read(tmp_path: Path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("prices/AAA.csv", plain())
    contents = {
        "AAA.csv.gz": gzip.compress(plain().encode()),
        "BBB.CSV.ZIP": packed.getvalue(),
        "CCC.txt": plain().encode(),
        "DDD.tsv": plain().replace(",", "\t").encode(),
    }
    for name, content in contents.items():
        bars, _ = read(tmp_path, content, name[:3], name)
        pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)


@pytest.mark.parametrize("levels", [("Price", "Ticker"), ("Ticker", "Price")])
@pytest.mark.parametrize("reset", [True, False])
def test_two_rows_of_names_in_parquet_are_read(
    tmp_path: Path, levels: tuple[str, str], reset: bool
):
    fields = EXPECTED.drop(columns="raw_close").rename(columns=str.title)
    table = pd.concat({"AAA": fields, "BBB": fields + 1}, axis=1, names=["Ticker", "Price"])
    table = table.reorder_levels(list(levels), axis=1).rename_axis(index="Date")
    (table.reset_index() if reset else table).to_parquet(tmp_path / "AAA.parquet")
    config = DataConfig(source="files", folder=str(tmp_path))
    bars, findings = load("AAA", START, END, config)
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert [finding.check for finding in findings] == ["unused_column"]
    assert "BBB" in findings[0].message


@pytest.mark.parametrize("ticker", ["LOW", "OPEN", "C", "7203", "BRK-B", "^GSPC"])
@pytest.mark.parametrize("form", ["{}_{}", "{} {}", "yfinance", "by ticker", "quantmod"])
def test_tickers_that_look_like_columns_or_numbers_are_told_from_them(
    tmp_path: Path, ticker: str, form: str
):
    fields = ["Open", "High", "Low", "Close", "Adjusted", "Volume"]
    row = "2019-01-11,10,12,8,11,5.5,100\n"
    named = ticker.strip("^")
    dots = named.replace("-", ".")
    twice = [",".join(["Price", *fields]), ",".join(["Ticker", *[ticker] * 6]), "Date,,,,,,"]
    headers = {
        "yfinance": "\n".join(twice),
        "by ticker": "\n".join([twice[1], twice[0], twice[2]]),
        "quantmod": ",".join(['""', *[f"{dots}.{field}" for field in fields]]),
    }
    header = headers.get(form, ",".join(["Date", *[form.format(f, named) for f in fields]]))
    bars, findings = read(tmp_path, f"{header}\n{row}", ticker)
    assert bars.iloc[0].tolist() == [5.0, 6.0, 4.0, 5.5, 100.0, 11.0]
    assert not findings


def test_columns_of_another_ticker_are_used_with_a_warning(tmp_path: Path):
    bars, findings = read(tmp_path, YFINANCE.replace("AAA", "MSFT"))
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert "MSFT" in findings["symbol"]


# nothing is dropped silently

ADJUSTED_NAMES = [
    *(
        "Adj Close",
        "Adj. Close",
        "Adj_Close",
        "adjclose",
        "adjClose",
        "AdjClose",
        "Adj Close Price",
    ),
    *("adjusted", "Adjusted", "AAA.Adjusted", "closeadj", "Close (adj)", "close_adjusted", "adj"),
    *("Adjusted Close", "5. adjusted close", "Adjusted Closing Price", "adjusted_close_price"),
    *(
        "Adj Last",
        "PX_LAST_ADJ",
        "Adjusted Price",
        "Close Adj.",
        "Adj Close*",
        "adj-close",
        "ADJ_CLOSE",
    ),
    *("Split Adjusted Close", "fully adjusted close", "total return adjusted close"),
]


@pytest.mark.parametrize("name", ADJUSTED_NAMES)
def test_an_adjusted_close_is_used_however_it_is_spelled(tmp_path: Path, name: str):
    text = f"Date,Open,High,Low,Close,Volume,{name}\n2019-01-11,10,12,8,11,100,5.5\n"
    bars, findings = read(tmp_path, text)
    assert bars.iloc[0].tolist() == [5.0, 6.0, 4.0, 5.5, 100.0, 11.0]
    assert not findings


@pytest.mark.parametrize(
    "name",
    ["Unadjusted Close", "Adj Factor", "adjustment_factor", "Adj. Open", "VWAP", "Prev Close"],
)
def test_what_only_resembles_an_adjusted_close_is_named_as_not_used(tmp_path: Path, name: str):
    text = f"Date,Open,High,Low,Close,Volume,Adj Close,{name}\n2019-01-11,10,12,8,11,1,5.5,7\n"
    bars, findings = read(tmp_path, text)
    assert bars.iloc[0].tolist() == [5.0, 6.0, 4.0, 5.5, 1.0, 11.0]
    assert name in findings["unused_column"]


def test_a_whole_set_of_adjusted_prices_is_taken_as_it_is(tmp_path: Path):
    text = """date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash
2019-01-11,100,110,90,95,1000,25,27.5,22.5,23.75,4000,0.5
"""
    bars, findings = read(tmp_path, text)
    assert bars.iloc[0].tolist() == [23.75, 27.5, 22.5, 25.0, 4000.0, 100.0]
    assert "volume, divCash" in findings["unused_column"]


def test_an_adjusted_close_alone_is_the_close_where_it_fits_high_and_low(tmp_path: Path):
    text = "Date,Open,High,Low,Adj Close,Volume\n2019-01-11,10,12,8,11,100\n"
    assert read(tmp_path, text)[0].iloc[0].tolist() == [10, 12, 8, 11, 100, 11]
    with pytest.raises(DataError, match=r"no column close.*Adj Close.*row 1"):
        read(tmp_path, text.replace(",11,", ",5.5,"))


def test_an_empty_adjusted_close_is_named_and_the_close_taken(tmp_path: Path):
    bars, findings = read(tmp_path, plain("Date,Open,High,Low,Close,Volume,Adj Close"))
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert "Adj Close" in findings["empty_column"]


def test_a_hole_in_a_column_is_named_with_column_day_and_row(tmp_path: Path):
    text = plain("Date,Open,High,Low,Close,Volume,Adj Close").replace("0000.0", "0000.0,5")
    with pytest.raises(DataError, match=r"column Adj Close .*2019-01-14 \(row 2\)"):
        read(tmp_path, text.replace("1300000.0,5", "1300000.0,n/a"))


def test_a_hole_outside_the_range_does_not_matter(tmp_path: Path):
    text = plain() + "\n2018-12-03,1,1,,1,1"
    assert len(read(tmp_path, text)[0]) == 4


@pytest.mark.parametrize("null", ["null", "", "None", "NaN", "N/A", "-", "#N/A"])
def test_rows_without_prices_are_left_out_and_named(tmp_path: Path, null: str):
    row = ",".join(["2019-01-12", *[null] * 4, "0" if null == "-" else null])
    bars, findings = read(tmp_path, f"{plain()}\n{row}\n")
    pd.testing.assert_frame_equal(bars, EXPECTED, check_exact=True)
    assert "2019-01-12" in findings["empty_row"]


def test_a_missing_volume_is_0_and_named(tmp_path: Path):
    without = "\n".join(line.rpartition(",")[0] for line in plain().splitlines())
    bars, findings = read(tmp_path, without)
    assert bars["volume"].tolist() == [0, 0, 0]
    assert "no volume" in findings["no_volume"]
    bars, findings = read(tmp_path, plain().replace("1300000.0", "-"))
    assert bars["volume"].tolist() == [1200000, 0, 1450000]
    assert "2019-01-14" in findings["no_volume"]


# stated splits


def quotes(
    factor: np.ndarray, ratio: str = "2019-02-04", name: str = "Stock Splits", value: str = "4"
) -> str:
    """Sixty rows around 100 that are divided by `factor`."""
    days = pd.bdate_range("2019-01-07", periods=len(factor))
    none = "1.0" if "atio" in name or "actor" in name else "0.0"
    lines = [f"Date,Open,High,Low,Close,Volume,Dividends,{name}"]
    for number, (day, by) in enumerate(zip(days, factor, strict=True)):
        close = (100 + number % 3) / by
        stated = value if f"{day:%Y-%m-%d}" == ratio else none
        lines.append(f"{day:%Y-%m-%d},{close},{close},{close},{close},1000,0.0,{stated}")
    return "\n".join(lines)


STEP = np.where(np.arange(40) < 20, 1.0, 4.0)  # from 2019-02-04 on, 100 is 25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Stock Splits", "4.0"),
        ("Split Ratio", "4.0"),
        ("splitFactor", "4"),
        ("8. split coefficient", "4.0"),
        ("Splits", "4:1"),
        ("Splits", "4-for-1"),
    ],
)
def test_prices_that_jump_with_a_stated_split_are_adjusted_for_it(
    tmp_path: Path, name: str, value: str
):
    bars, findings = read(tmp_path, quotes(STEP, name=name, value=value))
    np.testing.assert_allclose(bars["close"] * 4, 100 + np.arange(40) % 3)
    assert bars["volume"].iloc[[0, -1]].tolist() == [4000, 1000]
    assert bars["raw_close"].iloc[0] == 100
    assert "2019-02-04" in findings["split"]


def test_a_reverse_split_is_adjusted_for_too(tmp_path: Path):
    bars, _ = read(tmp_path, quotes(np.where(np.arange(40) < 20, 10.0, 1.0), value="0.1"))
    np.testing.assert_allclose(bars["close"], 100 + np.arange(40) % 3)


def test_prices_that_do_not_jump_with_a_stated_split_are_adjusted_already(tmp_path: Path):
    bars, findings = read(tmp_path, quotes(np.ones(40)))
    np.testing.assert_array_equal(bars["close"], 100 + np.arange(40) % 3)
    assert list(findings) == ["unused_column"]  # the dividends


def test_a_price_that_moves_neither_with_a_split_nor_without_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"4:1 split on 2019-02-04.*neither"):
        read(tmp_path, quotes(STEP**0.5))


def test_an_adjusted_close_that_jumps_with_a_stated_split_is_refused(tmp_path: Path):
    text = quotes(STEP)
    lines = [f"{line},{line.split(',')[4]}" for line in text.splitlines()]
    lines[0] = lines[0].replace(",Close", ",Adj Close").removesuffix("Adj Close") + "Close"
    with pytest.raises(DataError, match=r"Adj Close is not adjusted for the 4:1 split.*2019-02-04"):
        read(tmp_path, "\n".join(lines))


# ambiguous files are refused with both readings


@pytest.mark.parametrize(
    ("text", "row", "one", "other"),
    [
        (
            "Date,Open,High,Low,Close,Volume\n1/4/2019,1,1,1,1,1\n2/4/2019,1,1,1,1,1",
            "row 1",
            "2019-04-01",
            "2019-01-04",
        ),
        (
            "Date,Open,High,Low,Close,Volume\n03-05-19,1,1,1,1,1\n04-05-19,1,1,1,1,1",
            "row 1",
            "2019-05-03",
            "2019-03-05",
        ),
        (
            'Date,Open,High,Low,Close,Volume\n2019-01-02,"1,234","1,234","1,234","1,234",100',
            "row 1",
            "1234",
            "1.234",
        ),
        (
            "Date;Open;High;Low;Close;Volume\n2019-01-02;1.234;1.234;1.234;1.234;100",
            "row 1",
            "1234",
            "1.234",
        ),
        (
            "Date,Open,High,Low,Settle,Last,Volume\n2019-01-02,1,9,1,2,3,1",
            "row 1",
            "2 in Settle",
            "3 in Last",
        ),
        (
            "Date,Open,High,Low,Close,Adj Close,Adjusted,Volume\n2019-01-02,1,9,1,2,2,3,1",
            "row 1",
            "2 in Adj Close",
            "3 in Adjusted",
        ),
    ],
)
def test_ambiguous_files_are_refused_with_the_row_and_both_readings(
    tmp_path: Path, text: str, row: str, one: str, other: str
):
    with pytest.raises(DataError, match=row) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert str(tmp_path / "AAA.csv") in message
    assert one in message
    assert other in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('Date,Open,High,Low,Close,Volume\n2019-01-02,"1,23","1.24",1,1,1', "decimals in two ways"),
        ("Date,Open,High,Low,Close,Volume\n2019-01-02,1,5,1,5,1,5,1,5,100", "row 1 has 10 cells"),
        ("2019.01.02,00:00,1,1,1,1,1\n2019.01.03,00:00,1,1,1,1,1", "has no header"),
        ("<!DOCTYPE html>\n<html><body>Too Many Requests</body></html>", "has no header"),
        (
            "date,open,high,low,close,symbol\n2019-01-02,1,1,1,1,B\n2019-01-02,1,1,1,1,C",
            "none of AAA",
        ),
        ("Date,Open,High,Low,Close,Volume\n13/13/2019,1,1,1,1,1", "row 1 is not a date"),
        ("Date,Open,High,Low,Close,Volume\n43467,1,1,1,1,1", "row 1 is not a date"),
        ("Date,Open,High,Low,Close,Volume\n201901,1,1,1,1,1", "row 1 is not a date"),
        (
            "Date,B.Open,B.High,B.Low,B.Close,C.Open,C.High,C.Low,C.Close\n2019-01-02" + ",1" * 8,
            "none of AAA",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, text: str, cause: str):
    with pytest.raises(DataError, match=cause) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
