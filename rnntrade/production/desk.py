"""A desk: all that a registered version needs to decide.

`rnntrade.codec` stores it as a folder of safetensors, Parquet and JSON.  The same desk gives the
same bytes; nothing there can run code on loading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rnntrade.config import OPEN_END, Experiment, ModelConfig
from rnntrade.labels.regimes import Labels, StateModel
from rnntrade.production.drift import Reference
from rnntrade.types import Boundary, Fit, Predictions, Thresholds, Windows


@dataclass(frozen=True, eq=False)
class Learned:
    """What a fold's training part taught about one ticker's regimes."""

    thresholds: Thresholds
    states: StateModel | None  # of the statistical kinds


@dataclass(frozen=True, eq=False)
class Desk:
    """One model that can decide, with its rules."""

    fits: tuple[Fit, ...]  # members, their predictions averaged
    experiment: Experiment  # only this model in it, prices open-ended
    fold: Boundary  # its test part begins with the first decision that it has not learned from
    regimes: Mapping[str, Learned]  # by ticker
    reference: Reference  # every input in the training part
    validation: pd.DataFrame  # rows of the validation part, as a prediction table

    @property
    def model(self) -> ModelConfig:
        """The network's own config."""
        return self.fits[0].model

    @property
    def tickers(self) -> tuple[str, ...]:
        """(K,) that it decides on."""
        return self.experiment.data.tickers


def narrowed(desk: Desk, tickers: Sequence[str]) -> Desk:
    """The same desk, deciding on these of its tickers alone: each gets its share of all equity."""
    data = replace(desk.experiment.data, tickers=tuple(tickers))
    return replace(desk, experiment=replace(desk.experiment, data=data))


def newest_desk(
    experiment: Experiment,
    fits: Sequence[Fit],
    windows: Windows,
    predictions: Predictions,
    labels: Labels,
) -> Desk:
    """Put the newest fold's fits beside all that turns them into decisions.

    fits         members of the newest fold, all of one model
    predictions  of all folds
    labels       of the newest fold
    """
    number, model = labels.boundary.number, fits[0].model
    samples, targets = windows.fold(number)
    training = targets.fold.training
    taught = training[np.isfinite(targets.target[training]).all(axis=1)]
    days, table = samples.spans.decision[taught], predictions.table
    validation = table[(table["part"] == "validation") & (table["fold"] == number)]
    return Desk(
        fits=tuple(fits),
        experiment=Experiment(  # as far as it decides what the model predicts and does
            name=experiment.name,
            description=experiment.description,
            data=replace(experiment.data, end=OPEN_END),
            labels=experiment.labels,
            models=(model,),
            members=experiment.members,
            trading=experiment.trading,
            backtest=experiment.backtest,
            production=experiment.production,
        ),
        fold=replace(labels.boundary, end=None),  # when the next one began is not its concern
        regimes={
            ticker: Learned(labels.thresholds[ticker], labels.states.get(ticker))
            for ticker in experiment.data.tickers
        },
        reference=Reference.of(
            samples.rows[samples.last[taught]], samples.features, days, experiment.production
        ),
        validation=validation.drop(columns=["part", "fold"]).reset_index(drop=True),
    )
