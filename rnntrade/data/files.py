"""The user's own bars: a folder with one file per ticker, as vendors and programs write them.

<TICKER>.csv, .txt or .tsv, plain, in .gz or in .zip, or <TICKER>.parquet; upper or lower case
alike.  A date, open, high, low and close are needed; `columns` knows their spellings, `formats`
how text and numbers are written, `stamps` which day a date or a time belongs to.

With an adjusted close the prices are multiplied by adjusted / close; with a raw close beside the
close they are taken as adjusted already; with neither, as given, apart from `splits` the file
states.  What is not used, left out or changed is a finding.  Newest-first files are turned round;
any other disorder is left to the checks.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import DataConfig
from rnntrade.data import formats, splits, stamps
from rnntrade.data.bars import canonical, from_quotes
from rnntrade.data.checks import SHOWN, TOLERANCE, Finding
from rnntrade.data.columns import WANTED, candidates, key
from rnntrade.errors import DataError

ENDING = re.compile(r"\.(?:parquet|(?:csv|txt|tsv)(?:\.gz|\.zip)?)$", re.IGNORECASE)
PRICES = ["open", "high", "low", "close"]
ADJUSTED = ["adj_open", "adj_high", "adj_low", "adj_close"]
NUMBERS = [*PRICES, "volume", "raw_close", *ADJUSTED, "adj_volume"]


@dataclass(frozen=True, eq=False)
class _File:
    """One ticker's rows; `quotes` has the numbers of the fields in `column`, by row."""

    path: Path
    names: list[str]  # of all columns
    cells: pd.DataFrame
    column: dict[str, int]  # field -> number of its column
    dates: list[int]  # columns of dates, the best one first
    quotes: pd.DataFrame
    findings: tuple[Finding, ...] = ()  # the ticker is filled in at the end

    def name(self, field: str) -> str:
        return self.names[self.column[field]]


def load(
    ticker: str, start: date, end: date, config: DataConfig
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Return every bar of the ticker's file, and findings about the file and [start, end).

    Errors: DataError names the file, the cause and the cure.
    """
    file = _with_close(_without_empty(_open(_find(config.folder, ticker), ticker)))
    file, dates = _dated(file, config.calendar)
    inside = (dates >= pd.Timestamp(start)) & (dates < pd.Timestamp(end))
    file = _with_volume(_whole(file, dates, inside), dates, inside)
    ratios = splits.read(file.cells[file.column["split"]]) if "split" in file.column else None
    quotes = file.quotes.set_axis(dates)
    if ratios is not None:
        quotes["split"] = ratios.to_numpy()
    if dates.is_monotonic_decreasing and len(dates) > 1:
        quotes = quotes.iloc[::-1]
    bars, split_findings = _bars(quotes, file)
    findings = (*_unused(file, quotes, dates, config.calendar), *file.findings, *split_findings)
    shown = [_in_range(finding, start, end) for finding in findings]
    return bars, tuple(
        replace(finding, ticker=ticker, message=f"{ticker}: {_sentence(finding)}.")
        for finding in shown
        if finding is not None
    )


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


def _open(path: Path, ticker: str) -> _File:
    """Read the file, and find out which column is what."""
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
    cells, findings = _rows_of(ticker, found.get("symbol"), table.cells, names, path)
    if owner not in {"", key(ticker)}:
        findings += _finding("symbol", f"the columns of its file are named after {owner.upper()}")
    if table.above:
        lines = f"{len(table.above)} line(s) above the header, {table.above[0][:60]!r}"
        findings += _finding("text", f"not used: {lines}")
    columns = [number for field in NUMBERS for _, number in found.get(field, [])]
    numbers = formats.numbers(cells[columns], names, table.separator, path)
    column = {
        field: _best(field, ranked, numbers, names, path) if field in NUMBERS else ranked[0][1]
        for field, ranked in found.items()
    }
    quotes = pd.DataFrame({field: numbers[column[field]] for field in NUMBERS if field in column})
    dates = [number for _, number in found["date"]]
    return _File(path, names, cells, column, dates, quotes, findings)


def _rows_of(
    ticker: str,
    symbols: list[tuple[int, int]] | None,
    cells: pd.DataFrame,
    names: list[str],
    path: Path,
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Return the ticker's rows of a file that has several tickers below each other."""
    if not symbols:
        return cells, ()
    column = symbols[0][1]
    stated = cells[column].astype("str").str.strip()
    mine = stated.map(lambda name: key(ticker) in {key(name), key(name.rpartition(".")[0])})
    if mine.all():
        return cells, ()
    if mine.any():
        others = ", ".join(stated[~mine].unique()[:SHOWN])
        return cells[mine], _finding("symbol", f"rows of {others} in its file not used")
    if (stated == stated.iloc[0]).all():
        return cells, _finding("symbol", f"column {names[column]} says {stated.iloc[0]}")
    others = ", ".join(stated.unique()[:SHOWN])
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


def _without_empty(file: _File) -> _File:
    """Leave out columns without a single number; a price must have some."""
    empty = [
        field for field in file.column if field in file.quotes and file.quotes[field].isna().all()
    ]
    for field in empty:
        if field in PRICES:
            raise DataError(
                f"{file.path}: column {file.name(field)} is empty.  Fill it, or remove the file."
            )
    findings = file.findings
    for field in empty:
        findings += _finding("empty_column", f"column {file.name(field)} is empty and not used")
    return replace(file, quotes=file.quotes.drop(columns=empty), findings=findings)


def _with_close(file: _File) -> _File:
    """Take the adjusted close for the close where that is the only one, and fits high and low."""
    quotes = file.quotes
    if "close" in quotes:
        return file
    close = quotes.get("raw_close", quotes["adj_close"])
    low, high = quotes["low"] * (1 - TOLERANCE), quotes["high"] * (1 + TOLERANCE)
    outside = (close < low) | (close > high)
    if outside.any():
        raise DataError(
            f"{file.path} has no column close, and {file.name('adj_close')} does not fit the high "
            f"and low in row {formats.first(outside)}.  Wanted: {WANTED}."
        )
    return replace(file, quotes=quotes.assign(close=close))


def _dated(file: _File, calendar: str) -> tuple[_File, pd.DatetimeIndex]:
    """Leave out rows without any price, and return the dates of the others."""
    column = file.cells[file.dates[0]]
    blank = file.quotes[PRICES].isna().all(axis=1)
    dates = stamps.read(column[~blank], calendar, file.path)
    findings = file.findings
    if blank.any():
        findings += _blank(column[blank], calendar, file.path)
    kept = replace(file, cells=file.cells[~blank], quotes=file.quotes[~blank], findings=findings)
    return kept, dates


def _blank(cells: pd.Series, calendar: str, path: Path) -> tuple[Finding, ...]:
    what = "rows without prices left out:"
    try:
        return _finding("empty_row", what, stamps.read(cells, calendar, path))
    except DataError:  # a line of text below the prices
        shown = ", ".join(cells.astype("str").iloc[:SHOWN])
        return _finding("empty_row", f"{what} {shown[:100]}")


def _whole(file: _File, dates: pd.DatetimeIndex, inside: NDArray[np.bool_]) -> _File:
    """Raise DataError where a price is missing in a row that has others."""
    holes = file.quotes.drop(columns="volume", errors="ignore").isna()
    holes = holes[inside]
    if holes.any(axis=None):
        field = formats.first(holes.any())
        row = formats.first(holes[field])
        day = dates[file.quotes.index.get_loc(row)]
        others = int(holes[field].sum()) - 1
        more = f", and on {others} other day{'s' * (others > 1)}" if others else ""
        raise DataError(
            f"{file.path}: column {file.name(field)} has no number on {day:%Y-%m-%d} (row {row})"
            f"{more}.  Fill the gaps, or remove the column if you can do without it."
        )
    return file


def _with_volume(file: _File, dates: pd.DatetimeIndex, inside: NDArray[np.bool_]) -> _File:
    """Take 0 where there is no volume."""
    effect = "taken as 0, so that slippage_impact counts an order as the volume of a whole session"
    if "volume" not in file.quotes:
        finding = _finding("no_volume", f"its file has no volume: {effect}")
        return replace(
            file, quotes=file.quotes.assign(volume=0.0), findings=file.findings + finding
        )
    volume = file.quotes["volume"]
    none = volume.isna().to_numpy()
    findings = file.findings
    if (none & inside).any():
        days = dates[none & inside]
        findings += _finding("no_volume", f"no volume, {effect}, on", days)
    return replace(file, quotes=file.quotes.assign(volume=volume.fillna(0.0)), findings=findings)


def _bars(quotes: pd.DataFrame, file: _File) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Adjust the quotes; the splits that the file states are checked on the way."""
    ratios = quotes.get("split", pd.Series(1.0, index=quotes.index))
    if not quotes.index.is_unique:  # the checks refuse such bars
        ratios[:] = 1.0
    if "adj_close" in quotes:
        bars = from_quotes(quotes)
        if set(ADJUSTED) <= set(quotes):
            own = {name: quotes[f"adj_{name}"] for name in PRICES}
            bars = canonical(bars.assign(**own, volume=quotes.get("adj_volume", quotes["volume"])))
        jumps = splits.unadjusted(bars["open"], bars["close"], ratios, file.path, strict=False)
        splits.refuse_unadjusted(jumps, file.name("adj_close"), file.path)
        return bars, ()
    jumps = splits.unadjusted(quotes["open"], quotes["close"], ratios, file.path)
    raw = quotes.get("raw_close", quotes["close"])
    bars = canonical(splits.apply(quotes, jumps).assign(raw_close=raw))
    if jumps.empty:
        return bars, ()
    what = "prices adjusted for the splits that the file states and the prices jump with, on"
    return bars, _finding("split", what, pd.DatetimeIndex(jumps.index))


def _unused(
    file: _File, quotes: pd.DataFrame, dates: pd.DatetimeIndex, calendar: str
) -> tuple[Finding, ...]:
    """Name the columns that say something and are not used."""
    whole = set(ADJUSTED) <= set(quotes)
    skipped = set() if whole else {"adj_open", "adj_high", "adj_low", "adj_volume"}
    skipped |= {"volume"} if whole and "adj_volume" in quotes else set()
    skipped |= {"raw_close"} if {"adj_close", "close"} <= set(file.column) else set()
    used = {file.column[field] for field in set(file.column) - skipped}
    used |= {c for c in file.dates if _agrees(file.cells[c], dates, calendar, file.path)}
    if "split" in file.column and "split" not in quotes:
        used.discard(file.column["split"])
    unused = [
        name
        for number, name in enumerate(file.names)
        if number not in used
        and not (name.endswith("(no name)") and file.cells[number].map(formats.is_null).all())
    ]
    if not unused:
        return ()
    return _finding("unused_column", f"not used of its file: {', '.join(unused)}")


def _agrees(cells: pd.Series, dates: pd.DatetimeIndex, calendar: str, path: Path) -> bool:
    """Whether a second column of dates says the same, or is a clock at midnight."""
    if cells.astype("str").str.fullmatch(r"[0:. ]+").all():
        return True
    try:
        return bool((stamps.read(cells, calendar, path) == dates).all())
    except DataError:
        return False


def _finding(check: str, what: str, days: pd.DatetimeIndex | None = None) -> tuple[Finding, ...]:
    sessions = () if days is None else tuple(f"{day:%Y-%m-%d}" for day in days)
    return (Finding("warning", check, "", what, sessions),)


def _in_range(finding: Finding, start: date, end: date) -> Finding | None:
    """Keep what is about the file, or about a session in [start, end)."""
    sessions = tuple(day for day in finding.sessions if start <= date.fromisoformat(day) < end)
    return replace(finding, sessions=sessions) if sessions or not finding.sessions else None


def _sentence(finding: Finding) -> str:
    if not finding.sessions:
        return finding.message
    more = len(finding.sessions) - SHOWN
    days = ", ".join(finding.sessions[:SHOWN])
    return f"{finding.message} {days}{f' and {more} more' if more > 0 else ''}"
