"""The newest fold of a model as a desk: everything that a registered version carries."""

import json
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.config import Experiment, ModelConfig
from rnntrade.production.desk import STATES, Desk, Learned, save_desk
from rnntrade.production.drift import Reference
from rnntrade.samples.files import load_samples
from rnntrade.types import Thresholds
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import Labels, as_boundary


@cached_task("make_desk-{model.name}")
def make_desk(
    experiment: Experiment,
    model: ModelConfig,
    fits: list[Ref],
    samples: Ref,
    predictions: Ref,
    labels: Labels,
) -> Ref:
    """Put the newest fold's fits beside all that turns them into decisions.

    experiment  its terms (`live.desk.terms`), so that nothing else makes another desk
    fits        members of the newest fold
    """
    from rnntrade.training.fits import load_fit

    newest = labels.folds - 1
    about: dict[str, Any] = json.loads(
        (labels.ref.folder / "folds.json").read_text(encoding="utf-8")
    )[newest]
    known, each = load_samples(samples.folder, newest)
    training = each.fold.training
    taught = training[np.isfinite(each.target[training]).all(axis=1)]
    table = pd.read_parquet(predictions.folder / "predictions.parquet")
    validation = table[(table["part"] == "validation") & (table["fold"] == newest)]
    desk = Desk(
        fits=tuple(load_fit(ref.folder) for ref in fits),
        experiment=experiment,
        fold=as_boundary(about),
        regimes={
            ticker: Learned(
                Thresholds(**about["thresholds"][ticker]),
                STATES[experiment.labels.kind].of(about["states"][ticker])
                if ticker in about["states"]
                else None,
            )
            for ticker in experiment.data.tickers
        },
        reference=Reference.of(
            known.rows[known.last[taught]],
            known.features,
            known.spans.decision[taught],
            experiment.production,
        ),
        validation=validation.drop(columns=["part", "fold"]).reset_index(drop=True),
    )
    with publish("desks") as out:
        save_desk(desk, out.folder)
    return out.ref
