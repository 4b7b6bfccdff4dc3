"""Predictions of the networks and of the baselines, in one kind of table."""

import numpy as np
import pandas as pd

from rnntrade.chain import CHAIN
from rnntrade.config import ModelConfig, Task
from rnntrade.objectives.lookup import find_objective
from rnntrade.samples.files import load_samples
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task


@cached_task("predict-{model.name}", steps=("predict_fold",))
def predict(samples: Ref, fits: list[list[Ref]], model: ModelConfig, device: str) -> Ref:
    """Predict the validation and the test part of each fold; members of an ensemble are averaged.

    fits  by fold, then by member
    """
    import torch

    from rnntrade.training.fits import load_fit
    from rnntrade.training.predict import attends, attention

    torch.set_num_threads(1)  # one order of additions, so one result
    found = []
    for fold, members in enumerate(fits):
        rows, targets = load_samples(samples.folder, fold)
        loaded = [load_fit(ref.folder) for ref in members]
        found.append(CHAIN.predict_fold(loaded, rows, targets, device=device))
    with publish("predictions") as out:
        table = pd.concat([each.table for each in found], ignore_index=True)
        table.to_parquet(out.folder / "predictions.parquet")
        if len(loaded) > 1:
            alone = pd.concat([each.members for each in found], ignore_index=True)
            alone.to_parquet(out.folder / "members.parquet")
        if attends(loaded[0]):
            test = targets.fold.test[::-1]
            _, newest = np.unique(rows.spans.ticker[test], return_index=True)
            weights = attention(loaded[0], rows, test[newest])
            shown = pd.DataFrame(weights, index=rows.spans.ticker[test[newest]])
            shown.columns = shown.columns.astype(str)
            shown.to_parquet(out.folder / "attention.parquet")
    return out.ref


@cached_task("fit_baselines-{name}", steps=("predict_baselines",), not_in_key=("name",))
def fit_baselines(
    name: str, samples: Ref, asked: Task, horizon: int, folds: int, run_seed: int
) -> Ref:
    """Fit every baseline of the model's objective on each fold, and predict the same samples."""
    tables = []
    for fold in range(folds):
        rows, targets = load_samples(samples.folder, fold)
        objective = find_objective(asked, horizon, targets.classes)
        tables.append(CHAIN.predict_baselines(rows, targets, objective, run_seed))
    with publish("baselines") as out:
        pd.concat(tables, ignore_index=True).to_parquet(out.folder / "predictions.parquet")
    return out.ref
