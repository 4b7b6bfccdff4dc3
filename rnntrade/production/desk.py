"""A desk: all that a registered version needs to decide, as a folder of safetensors and JSON.

    fits/000/, fits/001/ …   the members of the newest fold (`training.fits`)
    desk.json                the experiment, the fold's dates, what it learned of regimes, and how
                             every input was distributed in the training part
    validation.parquet       what was said of the validation part, and what came true

The same desk gives the same bytes; nothing here can run code on loading.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from rnntrade.config import OPEN_END, Experiment, ModelConfig
from rnntrade.errors import DataError
from rnntrade.labels.hmm import HiddenMarkov
from rnntrade.labels.jump import JumpStates
from rnntrade.labels.regimes import StateModel
from rnntrade.production.drift import Reference
from rnntrade.samples.splits import Boundary
from rnntrade.storage import write_json
from rnntrade.training.fits import load_fit, save_fit
from rnntrade.types import Fit, Thresholds

ABOUT, VALIDATION, FITS = "desk.json", "validation.parquet", "fits"
STATES: Mapping[str, Any] = {"hmm": HiddenMarkov, "jump": JumpStates}


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


def terms(experiment: Experiment, model: ModelConfig) -> Experiment:
    """The experiment as far as it decides what a model says and does: one model, no last day."""
    return Experiment(
        name=experiment.name,
        description=experiment.description,
        data=replace(experiment.data, end=OPEN_END),
        labels=experiment.labels,
        models=(model,),
        members=experiment.members,
        trading=experiment.trading,
        backtest=experiment.backtest,
        production=experiment.production,
    )


def narrowed(desk: Desk, tickers: Sequence[str]) -> Desk:
    """The same desk, deciding on these of its tickers alone: each gets its share of all equity."""
    data = replace(desk.experiment.data, tickers=tuple(tickers))
    return replace(desk, experiment=replace(desk.experiment, data=data))


def save_desk(desk: Desk, folder: Path) -> None:
    """Write a desk into `folder`, which is made where it is missing."""
    for member, fit in enumerate(desk.fits):
        save_fit(fit, folder / FITS / f"{member:03d}")
    days = {name: day if name == "number" else _day(day) for name, day in asdict(desk.fold).items()}
    about = {
        "experiment": json.loads(json.dumps(asdict(desk.experiment), default=str)),
        "fold": {**days, "end": None},  # when the next one began is not its concern
        "regimes": {
            ticker: {
                "thresholds": asdict(each.thresholds),
                "states": each.states.as_json() if each.states else None,
            }
            for ticker, each in desk.regimes.items()
        },
        "reference": desk.reference.to_json(),
    }
    write_json(folder / ABOUT, about)
    desk.validation.to_parquet(folder / VALIDATION)


def load_desk(folder: Path) -> Desk:
    """Read a desk back; DataError or TrainingError, naming the file, when it is something else."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        experiment = TypeAdapter(Experiment).validate_python(about["experiment"])
        days = {
            name: pd.Timestamp(about["fold"][name]) for name in ("training", "validation", "test")
        }
        fold = Boundary(int(about["fold"]["number"]), **days, end=None)
        regimes = {
            ticker: _learned(each, experiment.labels.kind)
            for ticker, each in about["regimes"].items()
        }
        reference = Reference.from_json(about["reference"])
        path = folder / VALIDATION
        validation = pd.read_parquet(path)
    except (OSError, ValueError, LookupError, TypeError, ValidationError) as error:
        reason = str(error).strip().partition("\n")[0][:160]
        raise DataError(
            f"{path} is not the file of a registered model ({type(error).__name__}: {reason}).  "
            "Register the model again: run its experiment."
        ) from error
    members = sorted((folder / FITS).glob("*"))
    if not members:
        raise DataError(f"{folder / FITS} holds no fit.  Register the model again.")
    return Desk(
        tuple(load_fit(each) for each in members), experiment, fold, regimes, reference, validation
    )


def _learned(each: Mapping[str, Any], kind: str) -> Learned:
    states = STATES[kind].of(each["states"]) if each["states"] else None
    return Learned(Thresholds(**each["thresholds"]), states)


def _day(day: pd.Timestamp | None) -> str | None:
    return None if day is None else f"{day:%Y-%m-%d}"
