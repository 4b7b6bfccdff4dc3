"""What a run was made of, by digest: enough to make it again, and to tell what differs."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from rnntrade.config import Experiment
from rnntrade.labels.regimes import Labels
from tasks.ledger.seal import Holdout
from tasks.refs import ModelRefs, Ref, Tables
from tasks.tracking.runs import commit

FILE = "provenance.json"
LIBRARIES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "torch", "arch", "pyarrow", "safetensors"),
    *("hmmlearn", "jumpmodels", "prefect", "mlflow", "yfinance"),
)


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
    from tasks.steps import sources

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
        commit=commit().get("mlflow.source.git.commit", "")
        + (" and edits" if commit().get("git.edited") == "true" else ""),
    )


def _processor() -> str:
    """Model of the processor: another one may round differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown processor"
