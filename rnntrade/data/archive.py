"""Where bars lie: one Parquet file per source and ticker, and every state it was ever in.

    root/source=yahoo/ticker=%5EGSPC/bars.parquet         the current bars
    root/source=yahoo/ticker=%5EGSPC/vintages/ID.parquet  each state; ID: digest of its content

Provenance is JSON under the key `rnntrade` of the file's metadata: source, ticker, fetched_at
(UTC), library, adjusted, calendar, asked (the range the source was asked for), vintage, left_out
(days whose bars were left out, having no session), warnings.
The folders can be read as a partitioned data set.

A dividend or a split multiplies a whole history by a number, which changes nothing that a model
sees.  So a session counts as revised when its return, or its open, high or low as a multiple of its
close, is another one than in the vintage before, by more than REVISED.  A new close changes two
returns, hence two sessions.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as arrow
import pyarrow.parquet as parquet

from rnntrade.data.bars import canonical, digest
from rnntrade.errors import DataError
from rnntrade.storage import atomic_file, explained

LOG = logging.getLogger("rnntrade.data")
KEY = b"rnntrade"
PATIENCE = 600  # seconds to wait for another process
REVISED = 1e-4
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")  # safe in every file system


@dataclass(frozen=True, eq=False)
class Stored:
    """What one file holds."""

    bars: pd.DataFrame
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Revision:
    """The current bars of one ticker beside those before."""

    ticker: str
    sessions: int  # in both vintages
    revised: int  # of these
    since: str  # when the vintage before was fetched, UTC; "": there is none


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
        with explained(place):
            place.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout as error:
        raise DataError(
            f"another process has been updating {place} for {PATIENCE} seconds.  "
            "End it, or wait for it."
        ) from error
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
        known = ", ".join(id for _, id in vintages(root, source, ticker)) or "none"
        raise DataError(
            f"{ticker}: no vintage {vintage!r} of {source} is stored; there are: {known}."
        ) from error


def vintages(root: Path, source: str, ticker: str) -> list[tuple[str, str]]:
    """Return when each state of a ticker's bars was fetched (UTC), and its id; oldest first.

    Only metadata are read: a daily update leaves hundreds of files in a year.
    """
    states = []
    for path in (folder(root, source, ticker) / "vintages").glob("*.parquet"):
        try:
            provenance = json.loads(parquet.read_schema(path).metadata[KEY])
            states.append((provenance["fetched_at"], provenance["vintage"]))
        except (OSError, ValueError, LookupError, TypeError) as error:
            LOG.warning("%s is damaged (%s): left out", path, type(error).__name__)
    return sorted(states)


def last_revision(root: Path, source: str, ticker: str, until: pd.Timestamp) -> Revision:
    """Compare the current bars with the vintage fetched last before them, up to a session.

    errors  DataError when no bars are stored, or the files are damaged
    """
    current = read(root, source, ticker)
    earlier = [v for v in vintages(root, source, ticker) if v[1] != digest(current)]
    if not earlier:
        return Revision(ticker, 0, 0, "")
    at, vintage = earlier[-1]
    before = read_vintage(root, source, ticker, vintage)
    changed = revised_sessions(before.loc[:until], current.loc[:until])
    return Revision(ticker, len(changed), int(changed.sum()), at)


def revised_sessions(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series:
    """(sessions in both,) whether each was revised.

    before, after  tables of bars; the first session in both has no return to compare
    """
    both = before.index.intersection(after.index)
    then, now = _shape(before.loc[both]), _shape(after.loc[both])
    return ((now - then).abs() > REVISED).any(axis=1)


def _shape(bars: pd.DataFrame) -> pd.DataFrame:
    """(T, 4): growth of the close since the session before, open, high and low over the close."""
    shape = bars[["close", "open", "high", "low"]].div(bars["close"], axis=0)
    return shape.assign(close=(bars["close"] / bars["close"].shift()).fillna(1.0))


def catalogue(root: Path) -> pd.DataFrame:
    """Return what is stored, one row per source and ticker; damaged files are logged, left out."""
    columns = ["source", "ticker", "first", "last", "rows", "fetched_at", "vintages", "warnings"]
    rows = []
    for path in sorted(root.glob("source=*/ticker=*/bars.parquet")):
        try:
            stored = load(path)
        except CorruptError as error:
            LOG.warning("%s", error)
            continue
        source, ticker = (unquote(part.partition("=")[2]) for part in path.parts[-3:-1])
        index, about = stored.bars.index, stored.provenance
        states = len(list((path.parent / "vintages").glob("*.parquet")))
        first, last = f"{index[0]:%Y-%m-%d}", f"{index[-1]:%Y-%m-%d}"
        counts = states, len(about["warnings"])
        rows.append((source, ticker, first, last, len(index), about["fetched_at"], *counts))
    return pd.DataFrame(rows, columns=columns)


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
