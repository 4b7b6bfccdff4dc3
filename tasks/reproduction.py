"""What a recorded run needs to be made again, and what differs when the answer does."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ValidationError

from rnntrade.codec import save
from rnntrade.config import DataConfig
from rnntrade.data import archive
from rnntrade.data.bars import cut
from rnntrade.errors import DataError, RnntradeError
from rnntrade.fingerprint import folder_digest
from tasks.home import data_folder, home
from tasks.refs import Ref
from tasks.tracking.provenance import FILE, Provenance
from tasks.tracking.runs import read_text_artifact

KEPT_BY_HAND = ("seals", "trials")  # in the home folder: they decide which sessions a run sees
MISSING = "missing"


class Row(BaseModel):
    """One step's output: its digest then and now."""

    step: str  # "fit regime_lstm, fold 0, member 0"
    recorded: str
    now: str
    same: bool


class Reproduction(BaseModel):
    """Whether a run gave the same again, byte for byte; if not, why that may be."""

    run_id: str
    same: bool
    compared: int  # digests
    rows: list[Row]  # in the order of the steps
    first_difference: str  # step; empty when all are the same
    explanation: list[str]  # what is not as it was then; empty when nothing is


def read_provenance(run: Any) -> Provenance:
    """Return what the run was made of; RnntradeError when that was not, or cannot be, kept."""
    name = f"run {run.run_id}"
    try:
        text = read_text_artifact(run.run_id, FILE)
    except FileNotFoundError as error:
        if run.status == "RUNNING":
            reason, cure = "is still going on", "Wait for its end"
        elif run.status == "FINISHED":
            reason = "was recorded by a version that kept no digests"
            cure = "Run the experiment again, and reproduce that run"
        else:
            reason = f"ended as {run.status}, before its digests were written down"
            cure = "Start it again: it goes on from there; then reproduce that run"
        raise RnntradeError(f"{name} {reason}, so there is nothing to compare.  {cure}.") from error
    try:
        known = Provenance.model_validate_json(text)
        known.rebuilt()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RnntradeError(
            f"{name} was recorded by a version with other settings ({where}: {first['msg']}).  "
            "Use the version that recorded it: its commit is on its page in MLflow."
        ) from error
    return known


def copy_inputs(recorded: Provenance, scratch: Path) -> None:
    """Lay the recorded prices, the seals and the trials into another home folder.

    Prices come from the artifacts; where these are gone, from the vintage in the store that gives
    the very same bytes.
    errors  DataError naming the ticker whose prices are in neither
    """
    data = recorded.rebuilt().data
    for ticker, ref in recorded.fetched.items():
        place = scratch / ref.folder.relative_to(home())
        if ref.is_intact():
            shutil.copytree(ref.folder, place, dirs_exist_ok=True)
        else:
            _rebuild(data, ticker, ref, place)
    for name in KEPT_BY_HAND:
        if (home() / name).is_dir():
            left_out = shutil.ignore_patterns("*.lock")
            shutil.copytree(home() / name, scratch / name, ignore=left_out)


def _rebuild(data: DataConfig, ticker: str, ref: Ref[Any], place: Path) -> None:
    """Write the bars of the vintage whose cut has that digest, newest first."""
    known = archive.vintages(data_folder(), data.source, ticker)
    for _, vintage in reversed(known):
        bars = archive.read_vintage(data_folder(), data.source, ticker, vintage)
        with TemporaryDirectory() as folder:
            save(cut(bars, data.start, data.end), Path(folder))
            if folder_digest(Path(folder)) == ref.digest:
                shutil.copytree(folder, place, dirs_exist_ok=True)
                return
    stored = f"{len(known)} vintages" if len(known) != 1 else "one vintage"
    tried = f"{stored} of {data.source} {ticker}, and none gives these bytes" if known else "none"
    raise DataError(
        f"{ticker}: the prices {ref.digest[:16]} of that run are gone.  Missing or changed: "
        f"{ref.folder}; and of the vintages below {data_folder()}, there are {tried}.  Bring back "
        "either from a copy: without the same prices nothing can be compared."
    )


def compare(run_id: str, recorded: Provenance, now: Provenance) -> Reproduction:
    """Put the digests side by side, in the order of the steps."""
    rows = []
    for step in {**recorded.digests, **now.digests}:
        then, new = (at.digests.get(step, MISSING) for at in (recorded, now))
        rows.append(Row(step=step, recorded=then, now=new, same=then == new))
    different = [row for row in rows if not row.same]
    changed = _changes(recorded, now, different)
    if different and not changed:
        changed = [
            "Nothing that was recorded differs: not the prices, the code, the libraries, the "
            "device or the machine.  This is a defect of rnntrade."
        ]
    return Reproduction(
        run_id=run_id,
        same=not different,
        compared=len(rows),
        rows=rows,
        first_difference=different[0].step if different else "",
        explanation=changed,
    )


def _changes(recorded: Provenance, now: Provenance, different: list[Row]) -> list[str]:
    """Say what is not as it was: data, code, libraries, device, machine."""
    changes = []
    if recorded.experiment != now.experiment:
        changes.append("Settings: this version has settings that the recorded one had not.")
    prices = {f"prices {ticker}": ticker for ticker in now.fetched}
    if tickers := ", ".join(prices[row.step] for row in different if row.step in prices):
        changes.append(
            f"Data: the prices of {tickers} differ."
            if recorded.holdout == "none"
            else f"Data: the sessions of {tickers} that the sealed holdout leaves differ.  "
            "Was the folder seals/ lost or changed?"
        )
    if recorded.holdout != now.holdout:
        changes.append(f"Holdout: {recorded.holdout} then, {now.holdout} now.")
    if steps := ", ".join(_differing(recorded.sources, now.sources)):
        then, new = (f"commit {at.commit}" if at.commit else "no commit" for at in (recorded, now))
        sentence = f"Code: that of {steps} differs; recorded at {then}, now {new}."
        changes.append(sentence + (_way_back(recorded.commit) if different else ""))
    for name in _differing(recorded.versions, now.versions):
        then, new = (at.versions.get(name, "not there") for at in (recorded, now))
        changes.append(f"Version: {name} {then} then, {new} now.")
    for part, why in {
        "device": "they round differently",
        "machine": "floating-point kernels differ between processors",
    }.items():
        then, new = getattr(recorded, part), getattr(now, part)
        if then != new:
            changes.append(f"{part.capitalize()}: {then} then, {new} now; {why}.")
    return changes


def _differing(then: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in {**then, **now} if then.get(name) != now.get(name)]


def _way_back(recorded: str) -> str:
    """How to get the recorded code back."""
    commit, _, edits = recorded.partition(" ")
    if not commit:
        return "  Which code it was cannot be told."
    lost = "; its edits are in no commit" if edits else ""
    return f"  Try again after: git checkout {commit}{lost}."
