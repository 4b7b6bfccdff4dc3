"""The user's own bars: a folder with one file per ticker, as vendors and programs write them.

<TICKER>.csv, .txt or .tsv, plain, in .gz or in .zip, or <TICKER>.parquet; upper or lower case
alike.  A date, open, high, low and close are needed; `columns` knows their spellings, `formats`
how text and numbers are written, `stamps` which day a date or a time belongs to.

With an adjusted close the prices are multiplied by adjusted / close; with a raw close beside the
close they are taken as adjusted already; with neither, as given, apart from splits that the file
states.  What is not used, left out or changed is a finding.  Newest-first files are turned round;
any other disorder is left to the checks.

A stated 4:1 split is expected to be in the prices already: then they do not move with it.  Where
the open falls to about a quarter of the close before, they are as quoted, and every earlier price
is divided by 4, every earlier volume multiplied.  A move in between fits neither and is refused.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from rnntrade.config import DataConfig
from rnntrade.data import formats, stamps
from rnntrade.data.bars import between, canonical, from_quotes
from rnntrade.data.checks import NONE, SHOWN, TOLERANCE, Finding, named, warning
from rnntrade.data.columns import WANTED, candidates, key
from rnntrade.errors import DataError
from rnntrade.types import Bools

ENDING = re.compile(r"\.(?:parquet|(?:csv|txt|tsv)(?:\.gz|\.zip)?)$", re.IGNORECASE)
PRICES = ["open", "high", "low", "close"]
ADJUSTED = ["adj_open", "adj_high", "adj_low", "adj_close"]
NUMBERS = [*PRICES, "volume", "raw_close", *ADJUSTED, "adj_volume"]
RATIO = r"^(\d+(?:\.\d+)?)(?:\s*(?::|/|-?for-?)\s*(\d+(?:\.\d+)?))?$"  # of a split
SMALL = 1.25  # a smaller split cannot be told from the move of a day
IN_PRICES, AS_QUOTED = 0.25, 0.75  # log of the move over log of the split: below, above

Note = tuple[str, str, pd.DatetimeIndex | None]  # check, message, sessions; None: the whole file


@dataclass(frozen=True, eq=False)
class _File:
    """One ticker's rows, and which column is what."""

    path: Path
    names: list[str]  # of all columns
    cells: pd.DataFrame
    column: dict[str, int]  # field -> number of its column
    dates: list[int]  # columns of dates, the best one first

    def name(self, field: str) -> str:
        return self.names[self.column[field]]


def load(
    ticker: str, start: date, end: date, config: DataConfig
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Return every bar of the ticker's file, and findings about the file and [start, end).

    Errors: DataError names the file, the cause and the cure.
    """
    notes: list[Note] = []
    file, quotes = _open(_find(config.folder, ticker), ticker, notes)
    quotes = _with_close(_without_empty(quotes, file, notes), file)
    blank = quotes[PRICES].isna().all(axis=1)
    stamped = file.cells[file.dates[0]]
    dates = stamps.read(stamped[~blank], config.calendar, file.path)
    if blank.any():
        notes.append(_blank(stamped[blank], config.calendar, file.path))
    file, quotes = replace(file, cells=file.cells[~blank]), quotes[~blank]
    inside = between(dates, start, end)
    _require_prices(quotes[inside], dates[inside], file)
    quotes = _with_volume(quotes, dates, inside, notes).set_axis(dates)
    if "split" in file.column:
        ratios = _ratios(file.cells[file.column["split"]])
        quotes = quotes if ratios is None else quotes.assign(split=ratios.to_numpy())
    unused = _unused(file, quotes, dates, config.calendar)
    if dates.is_monotonic_decreasing and len(dates) > 1:
        quotes = quotes.iloc[::-1]
    bars = _bars(quotes, file, notes)
    findings = []
    for check, what, days in (*unused, *notes):
        shown = NONE if days is None else days[between(days, start, end)]
        if days is None or len(shown):
            findings.append(warning(check, what, shown))
    return bars, tuple(named(ticker, findings))


def _find(folder: str, ticker: str) -> Path:
    """Return the ticker's file; it is looked up in the folder's list, never made from the name."""
    if not folder:
        raise DataError("source files needs data.folder (--folder): the folder of your CSV files.")
    if not Path(folder).is_dir():
        raise DataError(f"there is no folder {folder}.  Check data.folder (--folder).")
    named: dict[str, list[Path]] = {}
    for path in sorted(Path(folder).iterdir()):
        if ENDING.search(path.name):
            named.setdefault(ENDING.sub("", path.name).upper(), []).append(path)
    found = named.get(ticker.upper(), [])
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{ticker}: several files in {folder}: {names}.  Keep one of them.")
    if not found:
        near = get_close_matches(ticker.upper(), named, n=3, cutoff=0.5) or sorted(named)[:5]
        there = f"there are files for {', '.join(near)}" if near else "it has no such files at all"
        raise DataError(
            f"{ticker}: no {ticker}.csv, .txt or .parquet in {folder}; {there}.  "
            "Add the file, or change data.tickers."
        )
    return found[0]


def _open(path: Path, ticker: str, notes: list[Note]) -> tuple[_File, pd.DataFrame]:
    """Find out which column is what; return the file, and the numbers of its fields by row."""
    table = formats.read(path)
    found, owner = candidates(table.names, ticker)
    names = [" ".join(part for part in parts if part) for parts in table.names]
    names = [name or f"{number} (no name)" for number, name in enumerate(names, 1)]
    missing = [field for field in ("date", "open", "high", "low") if field not in found]
    if not {"close", "adj_close"} & set(found):
        missing.append("close")
    if missing:
        seen = ", ".join(names)[:200]
        raise DataError(f"{path} has no column {missing[0]}; it has {seen}.  Wanted: {WANTED}.")
    cells = table.cells
    if "symbol" in found:
        cells = _rows_of(ticker, found["symbol"][0][1], cells, names, path, notes)
    if owner not in {"", key(ticker)}:
        what = f"the columns of its file are named after {owner.upper()}"
        notes.append(("symbol", what, None))
    if table.above:
        lines = f"{len(table.above)} line(s) above the header, {table.above[0][:60]!r}"
        notes.append(("text", f"not used: {lines}", None))
    columns = [number for field in NUMBERS for _, number in found.get(field, [])]
    numbers = formats.numbers(cells[columns], names, table.separator, path)
    column = {
        field: _best(field, ranked, numbers, names, path) if field in NUMBERS else ranked[0][1]
        for field, ranked in found.items()
    }
    quotes = pd.DataFrame({field: numbers[column[field]] for field in NUMBERS if field in column})
    return _File(path, names, cells, column, [number for _, number in found["date"]]), quotes


def _rows_of(
    ticker: str, column: int, cells: pd.DataFrame, names: list[str], path: Path, notes: list[Note]
) -> pd.DataFrame:
    """Return the ticker's rows of a file that has several tickers below each other."""
    stated = cells[column].astype("str").str.strip()
    mine = stated.map(lambda name: key(ticker) in {key(name), key(name.rpartition(".")[0])})
    if mine.all():
        return cells
    others = ", ".join(stated[~mine].unique()[:SHOWN])
    if mine.any():
        notes.append(("symbol", f"rows of {others} in its file not used", None))
        return cells[mine]
    if (stated == stated.iloc[0]).all():
        notes.append(("symbol", f"column {names[column]} says {stated.iloc[0]}", None))
        return cells
    raise DataError(
        f"{path} has rows of {others}, but none of {ticker}.  Name the ticker as in column "
        f"{names[column]}, or change data.tickers."
    )


def _best(
    field: str, ranked: list[tuple[int, int]], numbers: pd.DataFrame, names: list[str], path: Path
) -> int:
    """Return the column to use; DataError where several could be it and differ."""
    if field == "volume":  # a second volume of zeros says nothing
        ranked = [(rank, c) for rank, c in ranked if numbers[c].fillna(0.0).any()] or ranked
    first, *others = [column for rank, column in ranked if rank == ranked[0][0]]
    for other in others:
        same = numbers[first].eq(numbers[other]) | numbers[[first, other]].isna().all(axis=1)
        if not same.all():
            row = formats.first(~same)
            raise DataError(
                f"{path} has two columns for {field}: row {row} has {numbers[first][row]:g} in "
                f"{names[first]} and {numbers[other][row]:g} in {names[other]}.  Remove one of "
                "them, or rename it."
            )
    return first


def _without_empty(quotes: pd.DataFrame, file: _File, notes: list[Note]) -> pd.DataFrame:
    """Leave out columns without a single number; a price must have some."""
    empty = [f for f in file.column if f in quotes and quotes[f].isna().all()]
    for name, field in ((file.name(field), field) for field in empty):
        if field in PRICES:
            raise DataError(f"{file.path}: column {name} is empty.  Fill it, or remove the file.")
        notes.append(("empty_column", f"column {name} is empty and not used", None))
    return quotes.drop(columns=empty)


def _with_close(quotes: pd.DataFrame, file: _File) -> pd.DataFrame:
    """Take the adjusted close for the close where that is the only one, and fits high and low."""
    if "close" in quotes:
        return quotes
    close = quotes.get("raw_close", quotes["adj_close"])
    low, high = quotes["low"] * (1 - TOLERANCE), quotes["high"] * (1 + TOLERANCE)
    outside = (close < low) | (close > high)
    if outside.any():
        raise DataError(
            f"{file.path} has no column close, and {file.name('adj_close')} does not fit the high "
            f"and low in row {formats.first(outside)}.  Wanted: {WANTED}."
        )
    return quotes.assign(close=close)


def _blank(cells: pd.Series, calendar: str, path: Path) -> Note:
    what = "rows without prices left out:"
    try:
        return "empty_row", what, stamps.read(cells, calendar, path)
    except DataError:  # a line of text below the prices
        shown = ", ".join(cells.astype("str").iloc[:SHOWN])
        return "empty_row", f"{what} {shown[:100]}", None


def _require_prices(quotes: pd.DataFrame, dates: pd.DatetimeIndex, file: _File) -> None:
    """Raise DataError where a price is missing in a row that has others."""
    holes = quotes.drop(columns="volume", errors="ignore").isna()
    if holes.any(axis=None):
        field = formats.first(holes.any())
        row = formats.first(holes[field])
        day = dates[quotes.index.get_loc(row)]
        others = int(holes[field].sum()) - 1
        more = f", and on {others} other day{'s' * (others > 1)}" if others else ""
        raise DataError(
            f"{file.path}: column {file.name(field)} has no number on {day:%Y-%m-%d} (row {row})"
            f"{more}.  Fill the gaps, or remove the column if you can do without it."
        )


def _with_volume(
    quotes: pd.DataFrame, dates: pd.DatetimeIndex, inside: Bools, notes: list[Note]
) -> pd.DataFrame:
    """Take 0 where there is no volume."""
    effect = "taken as 0, so that slippage_impact counts an order as the volume of a whole session"
    if "volume" not in quotes:
        notes.append(("no_volume", f"its file has no volume: {effect}", None))
        return quotes.assign(volume=0.0)
    none = quotes["volume"].isna().to_numpy()
    if none.any():
        notes.append(("no_volume", f"no volume, {effect}, on", dates[none]))
    return quotes.fillna({"volume": 0.0})


def _bars(quotes: pd.DataFrame, file: _File, notes: list[Note]) -> pd.DataFrame:
    """Adjust the quotes; the splits that the file states are checked on the way."""
    ratios = quotes.get("split", pd.Series(1.0, index=quotes.index))
    if not quotes.index.is_unique:  # the checks refuse such bars
        ratios[:] = 1.0
    if "adj_close" in quotes:
        bars = from_quotes(quotes)
        if set(ADJUSTED) <= set(quotes):
            own = {name: quotes[f"adj_{name}"] for name in PRICES}
            bars = canonical(bars.assign(**own, volume=quotes.get("adj_volume", quotes["volume"])))
        jumps = _jumps(bars["open"], bars["close"], ratios)
        if len(jumps):
            split, day = _words(jumps.iloc[0]), jumps.index[0]
            raise DataError(
                f"{file.path}: column {file.name('adj_close')} is not adjusted for the {split} "
                f"split that the file states on {day:%Y-%m-%d}.  Correct the column, or remove it: "
                "then the prices are adjusted for the splits stated."
            )
        return bars
    jumps = _jumps(quotes["open"], quotes["close"], ratios, refused_in=file.path)
    if len(jumps):
        what = "prices adjusted for the splits that the file states and the prices jump with, on"
        notes.append(("split", what, pd.DatetimeIndex(jumps.index)))
    raw = quotes.get("raw_close", quotes["close"])
    later = jumps.reindex(quotes.index).fillna(1.0)[::-1].cumprod()[::-1].shift(-1, fill_value=1.0)
    prices = quotes[PRICES].div(later, axis=0)
    return canonical(quotes.assign(**prices, volume=quotes["volume"] * later, raw_close=raw))


def _ratios(cells: pd.Series) -> pd.Series | None:
    """Return new shares per old one, 1 where nothing is stated; None if the cells are no ratios."""
    text = cells.astype("str").str.strip().str.lower()
    ratios = text.str.extract(RATIO).astype("float64")
    stated = ratios[0] / ratios[1].fillna(1.0)
    if (stated.isna() & cells.notna() & ~text.isin(["", "nan", "none", "null", "-"])).any():
        return None
    return stated.where(stated > 0.0, 1.0).fillna(1.0)


def _jumps(
    opens: pd.Series, closes: pd.Series, ratios: pd.Series, refused_in: Path | None = None
) -> pd.Series:
    """Return the stated splits, by date, that the prices jump with.

    Splits below SMALL go the way of the larger ones.
    refused_in   the file, where a price must move either with the split or without: DataError
    """
    before = closes.shift()
    stated = ratios[ratios.ne(1.0) & before.gt(0.0) & opens.gt(0.0)]
    moved = np.log(opens[stated.index] / before[stated.index]) / -np.log(stated)
    large = np.log(stated).abs() >= np.log(SMALL)
    jumps = large & (moved >= AS_QUOTED) & (moved <= 2 - AS_QUOTED)
    unclear = large & ~jumps & (moved > IN_PRICES)
    if refused_in and unclear.any():
        day = formats.first(unclear)
        raise DataError(
            f"{refused_in} states a {_words(stated[day])} split on {day:%Y-%m-%d}, but the price "
            f"moves from {before[day]:g} to {opens[day]:g}: it is neither adjusted for the split "
            "nor as quoted.  Correct the split, or add an adjusted close."
        )
    return pd.Series(stated[jumps | (~large & jumps.any())])


def _words(ratio: float) -> str:
    return f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"


def _unused(
    file: _File, quotes: pd.DataFrame, dates: pd.DatetimeIndex, calendar: str
) -> list[Note]:
    """Name the columns that say something and are not used."""
    whole = set(ADJUSTED) <= set(quotes)
    skipped = set() if whole else {"adj_open", "adj_high", "adj_low", "adj_volume"}
    skipped |= {"volume"} if whole and "adj_volume" in quotes else set()
    skipped |= {"raw_close"} if {"adj_close", "close"} <= set(file.column) else set()
    skipped |= set() if "split" in quotes else {"split"}
    used = {file.column[field] for field in set(file.column) - skipped}
    used |= {c for c in file.dates if _agrees(file.cells[c], dates, calendar, file.path)}
    unused = [
        name
        for number, name in enumerate(file.names)
        if number not in used
        and not (name.endswith("(no name)") and file.cells[number].map(formats.is_null).all())
    ]
    what = f"not used of its file: {', '.join(unused)}"
    return [("unused_column", what, None)] if unused else []


def _agrees(cells: pd.Series, dates: pd.DatetimeIndex, calendar: str, path: Path) -> bool:
    """Whether a second column of dates says the same, or is a clock at midnight."""
    if cells.astype("str").str.fullmatch(r"[0:. ]+").all():
        return True
    try:
        return bool((stamps.read(cells, calendar, path) == dates).all())
    except DataError:
        return False
