"""A fit as two files: weights.safetensors, and fit.json with everything else.

The same fit gives the same bytes.  Nothing here can run code on loading: no pickle is ever read.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rnntrade.config import ModelConfig
from rnntrade.errors import TrainingError
from rnntrade.storage import atomic_file, write_json
from rnntrade.types import Epoch, Fit, Scaler, Thresholds

WEIGHTS, REST = "weights.safetensors", "fit.json"


def save_fit(fit: Fit, folder: Path) -> None:
    """Write a fit into `folder`, which is made where it is missing."""
    with atomic_file(folder / WEIGHTS) as temporary:
        save_file({name: np.ascontiguousarray(w) for name, w in fit.weights.items()}, temporary)
    write_json(
        folder / REST,
        {
            "model": asdict(fit.model),
            "scaler": {
                "mean": fit.scaler.mean.tolist(),
                "deviation": fit.scaler.deviation.tolist(),
                "target_mean": fit.scaler.target_mean,
                "target_deviation": fit.scaler.target_deviation,
            },
            "thresholds": {ticker: asdict(each) for ticker, each in fit.thresholds.items()},
            "history": [asdict(epoch) for epoch in fit.history],
            "best": fit.best,
            "fold": fit.fold,
            "seed": fit.seed,
            "trained_until": fit.trained_until,
            "temperature": fit.temperature,
            "classes": fit.classes,
        },
    )


def load_fit(folder: Path) -> Fit:
    """Read a fit back, bit for bit; TrainingError when the files are missing or something else."""
    with _explained(folder / WEIGHTS) as path:
        weights = load_file(path)
    with _explained(folder / REST) as path:
        return _fit(json.loads(path.read_text(encoding="utf-8")), weights)


@contextmanager
def _explained(path: Path) -> Iterator[Path]:
    try:
        yield path
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(
            f"{path} is not the file of a fit ({type(error).__name__}: {error}).  "
            "Only safetensors and JSON are read; train again to replace it."
        ) from error


def _fit(about: dict[str, Any], weights: dict[str, Any]) -> Fit:
    scaler = about["scaler"]
    return Fit(
        model=ModelConfig(**about["model"]),
        weights={name: weights[name] for name in sorted(weights)},
        scaler=Scaler(
            mean=np.array(scaler["mean"], dtype=float),
            deviation=np.array(scaler["deviation"], dtype=float),
            target_mean=float(scaler["target_mean"]),
            target_deviation=float(scaler["target_deviation"]),
        ),
        thresholds={ticker: Thresholds(**each) for ticker, each in about["thresholds"].items()},
        history=tuple(Epoch(**epoch) for epoch in about["history"]),
        best=int(about["best"]),
        fold=int(about["fold"]),
        seed=int(about["seed"]),
        trained_until=str(about["trained_until"]),
        temperature=float(about["temperature"]),
        classes=tuple(about["classes"]),
    )
