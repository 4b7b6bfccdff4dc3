"""Every decision, kept for good: one small Parquet file each, added and never changed.

    2026-11-20/<digest>.parquet   a row a ticker; the digest is of the decision, not of its time

The same decision again adds nothing.  Another one about the same session (prices revised, another
champion) adds a second file; the first one counts.  The whole folder can be read as one data set.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rnntrade.errors import DataError
from rnntrade.fingerprint import fingerprint
from rnntrade.production.signal import Signal
from rnntrade.storage import explained, temporary_folder

WHEN = ("emitted_at", "late")  # not part of the decision
COLUMNS = (
    *("as_of", "ticker", "task_version", "experiment", "probability", "low", "high", "regime"),
    *("regime_ahead", "path", "target", "standing", "change", "abstain"),
    *("prices", "code", "desk", "emitted_at", "late"),
)
COMPARED = (  # of today's backtest
    *("as_of", "ticker", "task_version", "probability", "target", "prices", "code", "desk"),
)


def as_rows(signal: Signal, prices: Mapping[str, str], **about: object) -> pd.DataFrame:
    """One row a ticker, columns COLUMNS; lists as JSON.

    prices  by ticker, digest of its bars up to the session
    about   code and desk (digests), emitted_at, late
    """
    rows = [
        {
            **asdict(ticker),
            "as_of": signal.as_of,
            "task_version": signal.versions.get("direction", ""),
            "experiment": signal.experiment,
            "path": json.dumps(ticker.path),
            "abstain": json.dumps([*signal.abstain, *ticker.abstain]),
            "prices": prices.get(ticker.ticker, ""),
            **about,
        }
        for ticker in signal.tickers
    ]
    numbers = ["probability", "low", "high", "target", "standing", "change"]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(numbers, float))


def add(root: Path, rows: pd.DataFrame) -> bool:
    """Keep a decision; False if the very same stands there already.

    errors  RnntradeError when the place cannot be written to
    """
    (as_of,) = set(rows["as_of"])
    decision = rows.drop(columns=list(WHEN))
    name = fingerprint([tuple(map(_plain, row)) for row in decision.itertuples(index=False)])
    path = root / str(as_of) / f"{name}.parquet"
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(root) as folder:
            made = folder / path.name
            rows.to_parquet(made)
            with made.open("rb") as handle:
                os.fsync(handle.fileno())
            try:
                os.link(made, path)  # unlike a rename, it never replaces what is there
            except FileExistsError:
                return False
    return True


def read(root: Path) -> pd.DataFrame:
    """Every decision, oldest first; DataError names a file that is damaged."""
    tables = []
    for path in sorted(root.glob("*-*-*/*.parquet")):
        try:
            table = pd.read_parquet(path)
            tables.append(table.loc[:, list(COLUMNS)])
        except (OSError, ValueError, LookupError) as error:
            reason = str(error).strip().partition("\n")[0][:120]
            raise DataError(
                f"{path} is damaged: {reason}.  Bring it back from a copy; the journal is not "
                "made anew, because nobody can know what was said."
            ) from error
    if not tables:
        return pd.DataFrame(columns=list(COLUMNS))
    order = ["as_of", "emitted_at", "ticker"]
    return pd.concat(tables, ignore_index=True).sort_values(order, ignore_index=True)


def first_said(journal: pd.DataFrame) -> pd.DataFrame:
    """What counts: the first row of each session and ticker."""
    return journal.drop_duplicates(["as_of", "ticker"], keep="first").reset_index(drop=True)


def compare(said: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Each decision beside what a fresh backtest says, and why they differ.

    said     rows of the journal, from `first_said`
    now      columns COMPARED, of the backtest
    returns  as_of, ticker, said and now (target), probability_said and probability_now, same,
             reason ("" if the same)
    """
    both = said.merge(now, on=["as_of", "ticker"], how="left", suffixes=("_said", "_now"))
    both["same"] = both["desk_now"].notna()
    for figure in ("probability", "target"):
        said_then, said_now = both[f"{figure}_said"], both[f"{figure}_now"]
        both["same"] &= (said_then == said_now) | (said_then.isna() & said_now.isna())
    both["reason"] = ["" if row["same"] else _why(row) for row in both.to_dict("records")]
    columns = ["as_of", "ticker", "said", "now", "probability_said", "probability_now"]
    both = both.rename(columns={"target_said": "said", "target_now": "now"})
    return both[[*columns, "same", "reason"]]


def _why(row: Mapping[Any, Any]) -> str:
    if not isinstance(row["desk_now"], str):
        return "no backtest: the model has learned from this session, or does not know the ticker"
    reasons = []
    if row["desk_said"] != row["desk_now"]:
        reasons.append(f"model: {row['task_version_said']} then, {row['task_version_now']} now")
    if not row["prices_now"]:
        reasons.append(f"data: there are no bars of {row['ticker']} any more")
    elif row["prices_said"] != row["prices_now"]:
        reasons.append(f"data: bars of {row['ticker']} up to this session were revised")
    if row["code_said"] != row["code_now"]:
        reasons.append("code: another version of rnntrade")
    return "; ".join(reasons) or "nothing that was written down differs: a defect of rnntrade"


def _plain(value: Any) -> Any:
    """A cell for comparing and naming: missing is None."""
    return None if value is None or value != value else value
