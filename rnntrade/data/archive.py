"""Where bars lie: one Parquet file per source and ticker, and every state it was ever in.

    root/source=yahoo/ticker=%5EGSPC/bars.parquet         the current bars
    root/source=yahoo/ticker=%5EGSPC/vintages/ID.parquet  each state; ID: digest of its content

Provenance is JSON under the key `rnntrade` of the file's metadata: source, ticker, fetched_at
(UTC), library, adjusted, calendar, asked (the range the source was asked for), vintage, left_out
(days whose bars were left out, having no session), warnings.
The folders can be read as a partitioned data set.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet

from rnntrade.data.bars import canonical, digest
from rnntrade.errors import DataError
from rnntrade.storage import atomic_file

LOG = logging.getLogger("rnntrade.data")
KEY = b"rnntrade"
PATIENCE = 600  # seconds to wait for another process
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")  # safe in every file system


class Vintage(NamedTuple):
    """One state of a ticker's bars."""

    id: str
    fetched_at: str  # UTC
    first: str  # session, YYYY-MM-DD
    last: str
    rows: int


@dataclass(frozen=True, eq=False)
class Stored:
    """What one file holds."""

    bars: pd.DataFrame
    provenance: dict[str, Any]


class CorruptError(DataError):
    """A file of the archive that cannot be read, or is not one of ours."""


def folder(root: Path, source: str, ticker: str) -> Path:
    """Return the ticker's folder; no name leads out of `root`, and no two names share a folder.

    Lower-case letters are escaped too: some file systems do not tell abc from ABC.
    """
    return root / f"source={source.replace('/', '%2F')}" / f"ticker={_quoted(ticker)}"


def current(root: Path, source: str, ticker: str) -> Path:
    """Return the path of the ticker's current bars."""
    return folder(root, source, ticker) / "bars.parquet"


@contextmanager
def exclusive(root: Path, source: str, ticker: str) -> Iterator[None]:
    """Hold the ticker's lock: processes and threads take turns."""
    from filelock import FileLock, Timeout

    place = folder(root, source, ticker)
    lock = FileLock(place / ".lock", timeout=PATIENCE)
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"another process has been updating {place} for {PATIENCE} seconds.  "
            "End it, or wait for it."
        ) from error
    except OSError as error:
        raise DataError(f"cannot write to {place}: {error.strerror}.  Make it writable.") from error
    try:
        yield
    finally:
        lock.release()


def load(path: Path) -> Stored:
    """Read one file; CorruptError when it is not whole, FileNotFoundError when it is not there."""
    try:
        table = parquet.read_table(path)
        provenance = json.loads(table.schema.metadata[KEY])
        bars = canonical(table.to_pandas())
        if bars.empty or digest(bars) != provenance["vintage"]:
            raise ValueError("its content is not what was stored")
        return Stored(bars, provenance)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, TypeError) as error:  # Arrow's errors are ValueErrors
        reason = str(error).strip().partition("\n")[0][:120]
        raise CorruptError(f"{path} is damaged: {reason}.  Delete it and update again.") from error


def save(root: Path, bars: pd.DataFrame, provenance: dict[str, Any]) -> None:
    """Keep the bars as a vintage, then make them the current ones."""
    source, ticker = provenance["source"], provenance["ticker"]
    vintage = _vintage_path(root, source, ticker, provenance["vintage"])
    if not vintage.exists():
        _write(vintage, bars, provenance)
    _write(current(root, source, ticker), bars, provenance)


def read(root: Path, source: str, ticker: str) -> pd.DataFrame:
    """Return the current bars; DataError when none are stored."""
    try:
        return load(current(root, source, ticker)).bars
    except FileNotFoundError as error:
        cause = f"{ticker}: no prices from {source} are stored.  Update them first."
        raise DataError(cause) from error


def read_vintage(root: Path, source: str, ticker: str, vintage: str) -> pd.DataFrame:
    """Return the bars as they once were; DataError lists the vintages there are."""
    try:
        return load(_vintage_path(root, source, ticker, vintage)).bars
    except FileNotFoundError as error:
        known = ", ".join(entry.id for entry in vintages(root, source, ticker)) or "none"
        raise DataError(
            f"{ticker}: no vintage {vintage!r} of {source} is stored; there are: {known}."
        ) from error


def vintages(root: Path, source: str, ticker: str) -> list[Vintage]:
    """Return all states of a ticker's bars, oldest first."""
    files = (folder(root, source, ticker) / "vintages").glob("*.parquet")
    return sorted(
        (_vintage(stored) for _, stored in _readable(files)),
        key=lambda vintage: (vintage.fetched_at, vintage.id),
    )


def fetched_before(root: Path, source: str, ticker: str, vintage: str) -> tuple[str, str] | None:
    """Return id and fetched_at of the vintage fetched last, other than this one; None: no other.

    Only metadata are read: a daily update leaves hundreds of files in a year.
    """
    known = []
    for path in (folder(root, source, ticker) / "vintages").glob("*.parquet"):
        if path.stem == vintage:
            continue
        try:
            told = json.loads(parquet.read_schema(path).metadata[KEY])
            known.append((told["fetched_at"], told["vintage"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            LOG.warning("%s is damaged (%s): left out", path, type(error).__name__)
    if not known:
        return None
    at, name = max(known)
    return name, at


def catalogue(root: Path) -> pd.DataFrame:
    """Return what is stored, one row per source and ticker; damaged files are logged, left out."""
    rows = []
    for path, stored in _readable(sorted(root.glob("source=*/ticker=*/bars.parquet"))):
        vintage = _vintage(stored)
        rows.append(
            {
                "source": unquote(path.parent.parent.name.removeprefix("source=")),
                "ticker": unquote(path.parent.name.removeprefix("ticker=")),
                "first": vintage.first,
                "last": vintage.last,
                "rows": vintage.rows,
                "fetched_at": vintage.fetched_at,
                "vintages": len(list((path.parent / "vintages").glob("*.parquet"))),
                "warnings": len(stored.provenance["warnings"]),
            }
        )
    columns = ["source", "ticker", *Vintage._fields[2:], "fetched_at", "vintages", "warnings"]
    return pd.DataFrame(rows, columns=columns)


def _readable(files: Iterator[Path] | list[Path]) -> Iterator[tuple[Path, Stored]]:
    for path in files:
        try:
            yield path, load(path)
        except CorruptError as error:
            LOG.warning("%s", error)


def _vintage(stored: Stored) -> Vintage:
    index = stored.bars.index
    return Vintage(
        stored.provenance["vintage"],
        stored.provenance["fetched_at"],
        f"{index[0]:%Y-%m-%d}",
        f"{index[-1]:%Y-%m-%d}",
        len(index),
    )


def _vintage_path(root: Path, source: str, ticker: str, vintage: str) -> Path:
    name = "".join(letter for letter in vintage if letter.isalnum())
    return folder(root, source, ticker) / "vintages" / f"{name}.parquet"


def _write(path: Path, bars: pd.DataFrame, provenance: dict[str, Any]) -> None:
    table = arrow.Table.from_pandas(bars)
    metadata = {**table.schema.metadata, KEY: json.dumps(provenance).encode()}
    with atomic_file(path) as temporary:
        parquet.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def _quoted(ticker: str) -> str:
    return "".join(
        letter if letter in PLAIN else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in ticker
    )
