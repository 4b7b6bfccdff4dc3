"""Predictions of the networks and of the baselines, in one kind of table."""

import numpy as np
import pandas as pd

from rnntrade.config import ModelConfig, Task
from rnntrade.samples.files import load_samples
from rnntrade.samples.predictions import prediction_table
from rnntrade.training.seeds import derive_seed
from rnntrade.types import Samples
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task


@cached_task("predict-{model.name}")
def predict(samples: Ref, fits: list[list[Ref]], model: ModelConfig, device: str) -> Ref:
    """Predict the validation and the test part of each fold; members of an ensemble are averaged.

    fits  by fold, then by member
    """
    import torch

    from rnntrade.training.fits import load_fit
    from rnntrade.training.predict import attention
    from rnntrade.training.predict import predict as predict_rows

    torch.set_num_threads(1)  # one order of additions, so one result
    tables, alone = [], []
    for fold, members in enumerate(fits):
        known, each = load_samples(samples.folder, fold)
        loaded = [load_fit(ref.folder) for ref in members]
        for part in ("validation", "test"):
            rows = getattr(each.fold, part)
            said = [predict_rows(fit, known, rows, device) for fit in loaded]
            outputs = np.mean(said, axis=0)
            tables.append(
                prediction_table(model.name, part, model.task, known, each, rows, outputs)
            )
            if part == "test" and len(said) > 1:
                alone += [
                    prediction_table(model.name, part, model.task, known, each, rows, one).assign(
                        member=m
                    )
                    for m, one in enumerate(said)
                ]
    with publish("predictions") as out:
        pd.concat(tables, ignore_index=True).to_parquet(out.folder / "predictions.parquet")
        if alone:
            members_alone = pd.concat(alone, ignore_index=True)
            members_alone.to_parquet(out.folder / "members.parquet")
        if model.architecture == "attention_bilstm":
            _, newest = np.unique(known.spans.ticker[each.fold.test][::-1], return_index=True)
            rows = each.fold.test[::-1][newest]
            weights = attention(loaded[0], known, rows)
            table = pd.DataFrame(weights, index=known.spans.ticker[rows])
            table.columns = table.columns.astype(str)
            table.to_parquet(out.folder / "attention.parquet")
    return out.ref


@cached_task("fit_baselines-{name}", not_in_key=("name",))
def fit_baselines(name: str, samples: Ref, asked: Task, folds: int, run_seed: int) -> Ref:
    """Fit every baseline of the model's task on each fold, and predict the same samples."""
    from rnntrade.models.baselines import baselines

    tables = []
    for fold in range(folds):
        known, each = load_samples(samples.folder, fold)
        for part in ("validation", "test"):
            rows = getattr(each.fold, part)
            for source, outputs in baselines(
                asked,
                known,
                each.fold,
                rows,
                current=each.current,
                last_return=_last_return(known),
                seed=derive_seed(run_seed, "baselines", fold, 0),
            ).items():
                tables.append(prediction_table(source, part, asked, known, each, rows, outputs))
    with publish("baselines") as out:
        pd.concat(tables, ignore_index=True).to_parquet(out.folder / "predictions.parquet")
    return out.ref


def _last_return(samples: Samples) -> np.ndarray | None:
    """(N,) return of the decision session, where the model reads returns."""
    if "returns" not in samples.features:
        return None
    return np.asarray(samples.rows[samples.last, samples.features.index("returns")])
