"""Samples as files that people can open: rows, spans, and a table per fold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.types import REGIMES, Fold, Samples, Spans, Thresholds

PARTS = ("purged", "training", "validation", "test")


@dataclass(frozen=True, eq=False)
class FoldTargets:
    """A fold, the targets as its training part defines them, and what is known at the decision."""

    fold: Fold
    target: NDArray[np.float64]  # (N, O)
    current: NDArray[np.float64]  # (N,) regime at the decision; NaN where none is predicted
    thresholds: Mapping[str, Thresholds]  # by ticker, as the training part defines them
    classes: tuple[str, ...] = REGIMES  # what the regimes are called


def save_samples(folder: Path, samples: Samples, folds: Sequence[FoldTargets]) -> None:
    """Write rows.parquet, spans.parquet, fold_<n>.parquet and samples.json into `folder`."""
    pd.DataFrame(samples.rows, columns=list(samples.features)).to_parquet(folder / "rows.parquet")
    spans = {name: getattr(samples.spans, name) for name in Spans.__dataclass_fields__}
    pd.DataFrame({**spans, "last": samples.last}).to_parquet(folder / "spans.parquet")
    for each in folds:
        part = np.zeros(len(samples), np.int8)
        for code, name in enumerate(PARTS[1:], start=1):
            part[getattr(each.fold, name)] = code
        table = pd.DataFrame(each.target, columns=_target_names(each.target.shape[1]))
        parts = pd.Series(pd.Categorical.from_codes(part, pd.Index(PARTS)))
        table.insert(0, "part", parts)
        table.insert(1, "current", each.current)
        table.to_parquet(folder / f"fold_{each.fold.number}.parquet")
    about = {
        "lookback": samples.lookback,
        "thresholds": [
            {ticker: asdict(values) for ticker, values in each.thresholds.items()} for each in folds
        ],
        "classes": folds[0].classes if folds else REGIMES,
    }
    (folder / "samples.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_samples(folder: Path, fold: int) -> tuple[Samples, FoldTargets]:
    """Read the samples, with the targets of one fold, and that fold."""
    about: dict[str, Any] = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    rows = pd.read_parquet(folder / "rows.parquet")
    spans = pd.read_parquet(folder / "spans.parquet")
    table = pd.read_parquet(folder / f"fold_{fold}.parquet")
    part = table["part"].cat.codes.to_numpy()
    target = table.filter(regex="^target_").to_numpy(dtype=float)
    training, validation, test = (np.flatnonzero(part == code) for code in (1, 2, 3))
    samples = Samples(
        spans=Spans(
            spans["ticker"].to_numpy(dtype=str),
            *(
                spans[name].to_numpy().astype("datetime64[ns]")
                for name in ("feature_start", "decision", "label_start", "label_end")
            ),
        ),
        rows=rows.to_numpy(dtype=float),
        last=spans["last"].to_numpy(dtype=np.int64),
        target=target,
        lookback=int(about["lookback"]),
        features=tuple(rows.columns),
    )
    return samples, FoldTargets(
        fold=Fold(fold, training, validation, test),
        target=target,
        current=table["current"].to_numpy(dtype=float),
        thresholds={t: Thresholds(**values) for t, values in about["thresholds"][fold].items()},
        classes=tuple(about["classes"]),
    )


def _target_names(outputs: int) -> list[str]:
    return [f"target_{step}" for step in range(1, outputs + 1)]
