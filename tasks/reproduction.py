"""What a run was made of, by digest; what it needs to be made again, and what differs then."""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from rnntrade.codec import save
from rnntrade.config import DataConfig, Experiment
from rnntrade.data import archive
from rnntrade.data.bars import cut
from rnntrade.errors import DataError, RnntradeError
from rnntrade.fingerprint import folder_digest
from rnntrade.labels.regimes import Labels
from tasks.home import data_folder, home
from tasks.ledger.seal import Holdout
from tasks.refs import ModelRefs, Ref, Tables
from tasks.steps import sources
from tasks.tracking import runs

FILE = "provenance.json"
LIBRARIES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "torch", "arch", "pyarrow", "safetensors"),
    *("hmmlearn", "jumpmodels", "prefect", "mlflow", "yfinance"),
)
KEPT_BY_HAND = ("seals", "trials")  # in the home folder: they decide which sessions a run sees


class Provenance(BaseModel):
    """Everything that a run's figures follow from, and the digest of every step on the way."""

    experiment: dict[str, Any]
    fetched: dict[str, Ref[Any]]  # prices by ticker, before the seal
    holdout: str  # "none", "sealed", "opened" or "spent"
    digests: dict[str, str]  # "fit regime_lstm, fold 0, member 0" -> digest; in order of the steps
    sources: dict[str, str]  # step -> digest of its code
    versions: dict[str, str]  # of Python and the libraries that compute
    device: str
    machine: str
    commit: str

    def rebuilt(self) -> Experiment:
        """Return the experiment as it was."""
        return TypeAdapter(Experiment).validate_python(self.experiment)


def provenance(
    experiment: Experiment,
    fetched: Tables,
    holdout: Holdout,
    features: Tables,
    labels: list[Ref[Labels]],
    models: Mapping[str, ModelRefs],
    device: str,
) -> Provenance:
    """Collect it at the end of a run."""
    digests = {f"prices {ticker}": ref.digest for ticker, ref in holdout.prices.items()}
    digests |= {f"features {ticker}": ref.digest for ticker, ref in features.items()}
    digests |= {f"regimes, fold {fold}": ref.digest for fold, ref in enumerate(labels)}
    for name, refs in models.items():
        digests[f"windows {name}"] = refs.windows.digest
        if refs.baselines:
            digests[f"baselines {name}"] = refs.baselines.digest
        for fold, members in enumerate(refs.fits):
            for member, ref in enumerate(members):
                digests[f"fit {name}, fold {fold}, member {member}"] = ref.digest
        digests[f"predictions {name}"] = refs.predictions.digest
        if refs.books:
            digests[f"backtest {name}"] = refs.books.digest
    installed = {each.metadata["Name"].lower(): each.version for each in distributions()}
    return Provenance(
        experiment=json.loads(json.dumps(asdict(experiment), default=str)),
        fetched=dict(fetched),
        holdout=holdout.state,
        digests=digests,
        sources=sources(),
        versions={
            "python": platform.python_version(),
            **{name: installed[name] for name in LIBRARIES if name in installed},
        },
        device=device,
        machine=f"{platform.machine()}, {_processor()}, {os.cpu_count()} cores",
        commit=runs.commit(" and edits"),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown processor"


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
        text = runs.read_text_artifact(run.run_id, FILE)
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
        then, new = (at.digests.get(step, "missing") for at in (recorded, now))
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
        commit, _, edits = recorded.commit.partition(" ")
        lost = "; its edits are in no commit" if edits else ""
        cure = f"  Try again after: git checkout {commit}{lost}."
        cure = cure if commit else "  Which code it was cannot be told."
        changes.append(sentence + (cure if different else ""))
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
