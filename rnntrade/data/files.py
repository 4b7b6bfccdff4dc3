"""The user's own bars: a folder with one CSV or Parquet file per ticker.

<TICKER>.csv, .csv.gz or .parquet; upper or lower case alike.  Wanted are a date, open, high, low,
close and volume; Yahoo's spellings and the usual others are understood.  With an adjusted close
the prices are multiplied by adjusted / close; with a `raw_close` they are taken as adjusted
already; with neither, as given.  Newest-first files are turned round; any other disorder, a gap in
the numbers or a date twice is an error of the checks.  Dates are written YYYY-MM-DD, since 1/4 is
January in one country and April in another.
"""

from datetime import date
from difflib import get_close_matches
from pathlib import Path
from zlib import error as ZlibError

import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import sessions
from rnntrade.data.bars import canonical, from_quotes
from rnntrade.errors import DataError

ENDINGS = (".parquet", ".csv", ".csv.gz")
NUMBERS = ("open", "high", "low", "close", "volume")
OPTIONAL = ("adj_close", "raw_close")
SPELLINGS = {
    "datetime": "date",
    "timestamp": "date",
    "time": "date",
    "session": "date",
    "adjclose": "adj_close",
    "adjusted_close": "adj_close",
    "close_adj": "adj_close",
    "vol": "volume",
}
WANTED = "Date, Open, High, Low, Close, Volume, and Adj Close if there is one"


def load(ticker: str, start: date, end: date, config: DataConfig) -> pd.DataFrame:
    """Return every bar of the ticker's file; DataError names the file, the cause and the cure."""
    path = _find(config.folder, ticker)
    table = _columns(_read(path), path)
    numbers = {name: _numbers(table[name], path) for name in (*NUMBERS, *OPTIONAL) if name in table}
    dates = _dates(table["date"], path, sessions.timezone(config.calendar))
    quotes = pd.DataFrame(numbers).set_index(dates)
    if dates.is_monotonic_decreasing and len(dates) > 1:
        quotes = quotes.iloc[::-1]
    if "adj_close" in quotes:
        return from_quotes(quotes)
    return canonical(quotes.assign(raw_close=quotes.get("raw_close", quotes["close"])))


def _find(folder: str, ticker: str) -> Path:
    """Return the ticker's file; it is looked up in the folder's list, never made from the name."""
    if not folder:
        raise DataError("source files needs data.folder (--folder): the folder of your CSV files.")
    if not Path(folder).is_dir():
        raise DataError(f"there is no folder {folder}.  Check data.folder (--folder).")
    named: dict[str, list[Path]] = {}
    for path in sorted(Path(folder).iterdir()):
        for ending in ENDINGS:
            if path.name.lower().endswith(ending):
                named.setdefault(path.name[: -len(ending)].upper(), []).append(path)
    found = named.get(ticker.upper(), [])
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{ticker}: several files in {folder}: {names}.  Keep one of them.")
    if not found:
        near = get_close_matches(ticker.upper(), named, n=3, cutoff=0.5) or sorted(named)[:5]
        there = f"there are files for {', '.join(near)}" if near else "it has no such files at all"
        raise DataError(
            f"{ticker}: no {ticker}.csv, .csv.gz or .parquet in {folder}; {there}.  "
            "Add the file, or change data.tickers."
        )
    return found[0]


def _read(path: Path) -> pd.DataFrame:
    parquet = path.name.lower().endswith(".parquet")
    try:
        table = pd.read_parquet(path) if parquet else pd.read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.  It must have a header and a line per day.") from error
    except (OSError, ValueError, EOFError, ZlibError) as error:  # Arrow's and the parser's, too
        kind = "a Parquet file" if parquet else "a CSV file in UTF-8"
        reason = str(error).strip().partition("\n")[0][:160]
        raise DataError(
            f"{path} cannot be read as {kind}: {reason}.  Save it again as one."
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index()
    table = table.dropna(how="all")
    if table.empty:
        raise DataError(f"{path} has no rows.  It must have a line per day.")
    return table


def _columns(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Rename the columns to ours; DataError lists those seen and those wanted."""
    seen = [str(name) for name in table.columns]
    plain = [name.strip(" *<>").lower().replace(" ", "_").replace("-", "_") for name in seen]
    names = [SPELLINGS.get(name, name) for name in plain]
    if "date" not in names and (plain[0].startswith("unnamed") or plain[0] == "index"):
        names[0] = "date"
    wanted = ("date", *NUMBERS)
    missing = [name for name in wanted if name not in names]
    double = [name for name in (*wanted, *OPTIONAL) if names.count(name) > 1]
    if missing or double:
        cause = f"has no column {missing[0]}" if missing else f"has two columns for {double[0]}"
        raise DataError(f"{path} {cause}; it has {', '.join(seen)[:200]}.  Wanted: {WANTED}.")
    return table.set_axis(names, axis="columns")


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    """Return the column as floats; DataError shows the first cell that is none."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(
            f"{path}: {str(column.iloc[row])[:40]!r} in column {column.name}, row {row + 1}, is "
            "not a number.  Write numbers plainly, as in 1234.5."
        )
    return numbers.astype("float64")


def _dates(column: pd.Series, path: Path, zone: str) -> pd.DatetimeIndex:
    """Return session dates.

    A time of midnight, in whatever zone, belongs to its own date; another time with a zone is
    taken to the exchange's.  Without a zone the date counts as written.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        stamps = pd.DatetimeIndex(column)
        own = stamps.tz_localize(None)
        moved = stamps.tz_convert(zone).tz_localize(None)
        dates = own if (own == own.normalize()).all() else moved
    elif column.dtype.kind in "iufb":
        raise _no_date(column, 0, path)
    elif column.dtype.kind == "M":
        dates = pd.DatetimeIndex(column)
    else:
        dates = _written(column.astype("str").str.strip(), zone)
    if dates.isna().any():
        raise _no_date(column, int(dates.isna().argmax()), path)
    return dates.normalize()


def _written(text: pd.Series, zone: str) -> pd.DatetimeIndex:
    """Read ISO 8601 dates or times; NaT where it is none."""
    own = pd.to_datetime(text.str[:10], format="%Y-%m-%d", errors="coerce")
    clock = text.str[10:]
    zoned = clock.str.contains(r"[+-]\d\d:?\d\d$|Z$")
    if clock.str.match(r"^([T ]00:00|$)").all() or not zoned.all():
        return pd.DatetimeIndex(own)
    moved = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    return pd.DatetimeIndex(moved).tz_convert(zone).tz_localize(None)


def _no_date(column: pd.Series, row: int, path: Path) -> DataError:
    return DataError(
        f"{path}: {str(column.iloc[row])[:40]!r} in row {row + 1} is not a date.  "
        "Write dates as YYYY-MM-DD."
    )
