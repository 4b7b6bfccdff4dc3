"""The text of a price file: its encoding, separator, header and rows, and how numbers are written.

The header is the line that names the most of the columns we look for; it may have text above it,
and up to three rows (yfinance writes Price, Ticker and Date one below the other).  How a file
writes its numbers is decided from all of its cells together.  If they leave two readings, the file
is refused with both.
"""

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

import pandas as pd

from rnntrade.data.columns import WANTED, field_of, key
from rnntrade.errors import DataError

SEPARATORS = (",", ";", "\t", "|", " ")  # spaces only where the others separate nothing
LOOKED_AT = 50  # lines, for the header
STACKED = ("", "ticker", "tickers", "symbol", "symbols", "price", "attributes", "date", "datetime")
NULLS = frozenset({"", "-", "--", ".", "null", "none", "nan", "na", "n/a", "#n/a", "nat", "<na>"})
BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
MAGNITUDES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
GROUPED = {mark: rf"[+-]?\d{{1,3}}(?:\{mark}\d{{3}})+" for mark in ",."}  # 1,234 and 1,234,567
UNGROUPED = r"[+-]?\d{4,}"


@dataclass(frozen=True, eq=False)
class Table:
    """A file's cells; rows are numbered from 1, below the header."""

    names: list[tuple[str, ...]]  # one a column: its header cells, top to bottom
    cells: pd.DataFrame  # columns 0, 1, ...; text, or whatever types Parquet has
    above: tuple[str, ...] = ()  # lines of text above the header
    separator: str = ","


def read(path: Path) -> Table:
    """Return the cells of a CSV or Parquet file; DataError names the file, the cause, the cure."""
    parquet = path.name.lower().endswith(".parquet")
    try:
        table = _parquet(path) if parquet else _text(_decoded(_bytes(path)), path)
    except DataError:
        raise
    except (OSError, ValueError, EOFError, ZlibError, zipfile.BadZipFile, csv.Error) as error:
        kind = "a Parquet file" if parquet else "a text file of prices"
        reason = str(error).strip().partition("\n")[0][:160]
        raise DataError(
            f"{path} cannot be read as {kind}: {reason}.  Save it again as one."
        ) from error
    cells = table.cells
    cells = cells if cells.empty else cells[~cells.map(is_null).all(axis=1)]
    if cells.empty:
        raise DataError(f"{path} has no rows.  It must have a line per day.")
    return replace(table, cells=cells)


def is_null(cell: object) -> bool:
    """Whether a cell holds nothing, in one of the ways to write that."""
    if isinstance(cell, str):
        return cell.strip().lower() in NULLS
    return bool(pd.isna(cell))  # type: ignore[call-overload]  # a scalar


def first(rows: pd.Series) -> Any:
    """Return the label of the first row that is true."""
    return rows.idxmax()


def _parquet(path: Path) -> Table:
    frame = pd.read_parquet(path)
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    labels = [name if isinstance(name, tuple) else (name,) for name in frame.columns]
    names = [tuple(map(str, parts)) for parts in labels]
    cells = frame.set_axis(range(frame.shape[1]), axis=1).set_axis(range(1, len(frame) + 1))
    return Table(names, cells)


def _bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        return gzip.decompress(raw)
    if not path.name.lower().endswith(".zip"):
        return raw
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        if len(members) != 1:
            raise ValueError(f"it holds {len(members)} files instead of one")
        return archive.read(members[0])


def _decoded(raw: bytes) -> str:
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return raw.decode(encoding)
    if b"\x00" in raw:  # UTF-16 without a mark: every other byte is zero
        encoding = "utf-16-le" if raw[1::2].count(0) > raw[::2].count(0) else "utf-16-be"
        if raw.count(0) < 0.4 * len(raw):
            raise ValueError("it holds bytes that are not text")
        return raw.decode(encoding)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252")  # Windows programs; only names can differ


def _text(text: str, path: Path) -> Table:
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        raise DataError(f"{path} is empty.  It must have a header and a line per day.")
    stated = re.fullmatch(r'"?sep=(.|\\t)"?', lines[0].strip("\ufeff \r"), re.IGNORECASE)
    above = 1 if stated else 0  # Excel's line is used
    separators = (stated[1].replace("\\t", "\t"),) if stated else SEPARATORS
    begin, separator = _header(lines, separators, path)
    rows = [[cell.strip() for cell in row] for row in _rows(lines[begin:], separator) if any(row)]
    stacked = _stacked(rows)
    names, body = rows[:stacked], rows[stacked:]
    width = max(len(row) for row in names)
    names = [row + [""] * (width - len(row)) for row in names]
    body, names = _even(body, names, path)
    columns = [tuple(cells) for cells in zip(*names, strict=True)]
    index = pd.RangeIndex(1, len(body) + 1)
    cells = pd.DataFrame(body, index=index, columns=range(len(columns)), dtype="object")
    skipped = tuple(line.strip() for line in lines[above:begin] if line.strip())
    return Table(columns, cells, skipped, separator)


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    text = io.StringIO("".join(f"{line.strip(' ')}\n" for line in lines))
    return list(csv.reader(text, delimiter=separator, skipinitialspace=True))


def _header(lines: list[str], separators: Sequence[str], path: Path) -> tuple[int, str]:
    """Return the number of the first header line, and the separator."""
    best, found = 0, (0, "")
    for number, line in enumerate(lines[:LOOKED_AT]):
        for separator in separators:
            fields = {field_of((name,))[0] for name in _rows([line], separator)[0]} - {None}
            if len(fields) > best and (separator != " " or best < 2):
                best, found = len(fields), (number, separator)
    if not best:
        begins = next(line.strip() for line in lines if line.strip())[:80]
        raise DataError(f"{path} has no header: it begins with {begins!r}.  Wanted: {WANTED}.")
    number, separator = found
    if number:  # tickers stand above the fields where yfinance groups by ticker
        above, names = _rows(lines[number - 1 : number + 1], separator)
        if len(above) == len(names) > 1 and key(above[0]) in STACKED and all(above[1:]):
            return number - 1, separator
    return found


def _stacked(rows: list[list[str]]) -> int:
    """Return how many rows the header has."""
    count = 1
    for row in rows[1:3]:
        others = row[1:]
        filled = [cell for cell in others if cell]
        names_only = not any(re.fullmatch(PLAIN, cell) for cell in filled) or (
            key(row[0]).startswith(("ticker", "symbol"))  # 7203 is one
        )
        whole = len(filled) == len(others) > 0 or (not filled and key(row[0]) != "")
        if key(row[0]) not in STACKED or not names_only or not whole:
            break
        if all(is_null(cell) for cell in row):
            break
        count += 1
    return count


def _even(
    body: list[list[str]], names: list[list[str]], path: Path
) -> tuple[list[list[str]], list[list[str]]]:
    """Give all rows as many cells as the header; R leaves the name of its row names out."""
    width = len(names[0])
    if body and all(len(row) == width + 1 for row in body) and any(row[-1] for row in body):
        names = [["", *row] for row in names]
        width += 1
    even = []
    for number, row in enumerate(body, 1):
        if any(row[width:]):
            raise DataError(
                f"{path}: row {number} has {len(row)} cells and the header {width}.  Give each "
                "row the cells of the header, and put numbers with a comma into quotes."
            )
        even.append((row + [""] * width)[:width])
    return even, names


def numbers(cells: pd.DataFrame, names: Sequence[str], separator: str, path: Path) -> pd.DataFrame:
    """Return the cells as floats, NaN where there is nothing.

    Commas and points mean the same in the whole file.  DataError shows a cell that is not a
    number, or one that can be read in two ways, with its row.
    names        of all columns of the file, for messages
    """
    text = {
        name: _clean(column) for name, column in cells.items() if column.dtype.kind not in "iuf"
    }
    decimal = _decimal(pd.DataFrame(text, index=cells.index), names, separator, path)
    read = {}
    for number in map(int, cells.columns):
        column = cells[number]
        if number in text:
            read[number], wrong = _floats(text[number], decimal)
            if wrong.any():
                row = first(wrong)
                raise DataError(
                    f"{path}: {str(column[row])[:40]!r} in column {names[number]}, row {row}, is "
                    "not a number.  Write numbers plainly, as in 1234.5."
                )
        else:
            read[number] = column.astype("float64")
    return pd.DataFrame(read, index=cells.index)


def _clean(cells: pd.Series) -> pd.Series:
    """Return the cells as text without currency signs and spaces; empty where there is nothing."""
    text = cells.astype("str").where(~cells.map(is_null), "")
    text = text.str.replace(r"[\s'\u2019$\u20ac\u00a3\u00a5\u20b9]|USD|EUR", "", regex=True)
    return text.str.replace("\u2212", "-").str.upper()


def _decimal(text: pd.DataFrame, names: Sequence[str], separator: str, path: Path) -> str:
    """Return the file's decimal mark, from all cells together."""
    bare = text.replace(r"[KMBT]$", "", regex=True)
    cells: Any = bare.T.unstack().astype("str")  # row by row, indexed by row and column
    commas, points = (cells.map(lambda cell, mark=mark: cell.count(mark)) for mark in ",.")
    both = (commas > 0) & (points > 0)
    comma_last = cells.str.rfind(",") > cells.str.rfind(".")
    zero = cells.str.match(r"[+-]?0\D")
    doubtful = {mark: cells.str.fullmatch(GROUPED[mark]) & ~zero for mark in ",."}
    sure = {
        ",": (both & comma_last) | (points > 1) | (commas.eq(1) & ~both & ~doubtful[","]),
        ".": (both & ~comma_last) | (commas > 1) | (points.eq(1) & ~both & ~doubtful["."]),
    }

    def place(cell: tuple[int, int]) -> str:
        return f"{cells[cell]!r} (column {names[cell[1]]}, row {cell[0]})"

    if sure[","].any() and sure["."].any():
        raise DataError(
            f"{path} writes decimals in two ways: {place(first(sure[',']))} and "
            f"{place(first(sure['.']))}.  Write all numbers plainly, as in 1234.5."
        )
    for mark in ",.":
        if sure[mark].any():
            return mark
    points_group = separator != "," and not cells.str.fullmatch(UNGROUPED).any()
    for mark, count, possible in ((",", commas, True), (".", points, points_group)):
        unclear = doubtful[mark] & count.eq(1)
        if unclear.any() and possible:
            at = first(unclear)
            raise DataError(
                f"{path}: {place(at)} can be read as {cells[at].replace(mark, '')} or as "
                f"{cells[at].replace(mark, '.')}, and no other cell decides it.  Write numbers "
                "plainly, as in 1234.5."
            )
    return "."


def _floats(text: pd.Series, decimal: str) -> tuple[pd.Series, pd.Series]:
    """Return numbers, and which cells are none; groups of thousands must be whole."""
    thousands = "." if decimal == "," else ","
    bare = text.str.replace(r"[KMBT]$", "", regex=True)
    whole = bare.str.partition(decimal)[0]
    broken = whole.str.contains(thousands, regex=False) & ~whole.str.fullmatch(GROUPED[thousands])
    plain = bare.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    wrong = (text != "") & (broken | ~plain.str.fullmatch(PLAIN))
    scale = text.str[-1:].map(MAGNITUDES).fillna(1.0)
    return pd.to_numeric(plain.where((text != "") & ~wrong)).astype("float64") * scale, wrong
