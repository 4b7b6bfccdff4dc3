"""The chain as a line of values, each made from those before it when it is asked for.

So a stage can be asked again with any of its inputs replaced, while all before them stay.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Probe
from rnntrade.audit.perturb import WAYS, replace_answers, replace_future, replace_rows
from rnntrade.chain import Chain
from rnntrade.config import Experiment, ModelConfig
from rnntrade.features.indicators import FEATURES
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective
from rnntrade.types import Boundary, FoldTargets, Prices, Samples, turbulent_classes

NEWEST = {"training": 160, "validation": 60, "test": 50}  # sessions of a part that fits see


@dataclass(frozen=True, eq=False)
class Line:
    """What a chain makes of prices for one fold and, from `features` on, one model."""

    chain: Chain
    experiment: Experiment
    sessions: pd.DatetimeIndex  # of the prices as they are; cut prices have fewer
    folds: tuple[Boundary, ...]  # of the run
    fold: Boundary
    values: dict[str, Any]  # by step: given ones, and those made so far
    model: ModelConfig | None = None
    features: tuple[str, ...] = field(default=tuple(FEATURES))  # without a model

    def __getitem__(self, step: str) -> Any:
        if step not in self.values:
            self.values[step] = STEPS[step](self)
        return self.values[step]

    def of(self, model: ModelConfig) -> "Line":
        """The same prices and labels, for a model."""
        shared = {step: self[step] for step in ("given", "prices", "labels")}
        return replace(self, model=model, values=shared)

    def other(self, probe: Probe, replaced: tuple[str, ...], kept: tuple[str, ...]) -> "Line":
        """The line with other futures.

        replaced  steps whose values are others after the probe; steps before them stay
        kept      later steps that stay too
        """
        later = {step: FUTURES[step](self, self[step], probe) for step in replaced}
        order = list(STEPS)
        first = min(order.index(step) for step in replaced)
        stays = {step: value for step, value in self.values.items() if order.index(step) < first}
        return replace(self, values={**stays, **{step: self[step] for step in kept}, **later})

    @property
    def network(self) -> ModelConfig:
        """The model; of a line that has one."""
        assert self.model is not None
        return self.model

    @property
    def asked(self) -> Objective:
        """What the model is asked."""
        return objective_of(self.network, self["labels"].classes)

    @property
    def name(self) -> str:
        """Fold and model."""
        model = f" {self.model.name}" if self.model else ""
        return f"fold {self.fold.number}{model}"

    def position(self, session: pd.Timestamp) -> int:
        """Row of a session."""
        return int(self.sessions.searchsorted(session))

    def probe(self, position: int, way: str, ticker: str = "", wait: int = 0) -> Probe:
        """The probe that replaces what comes after a position."""
        part = "test" if position >= self.position(self.fold.test) else "validation"
        return Probe(position, self.sessions[position], way, ticker, wait, f"the {part} part")

    def rng(self, probe: Probe) -> np.random.Generator:
        """Randomness of one replaced future, and of no other."""
        return np.random.default_rng([self.experiment.seed, probe.position, WAYS.index(probe.way)])


def _thin(line: Line) -> tuple[Samples, FoldTargets]:
    """Only the newest sessions of each part, where leaks sit, so that a fit takes a moment."""
    samples, parts = line["samples"]
    decision, horizon = samples.spans.decision, line.asked.horizon
    test, validation = line.position(line.fold.test), line.position(line.fold.validation)
    chosen = {}
    for part, end in (("training", validation), ("validation", test)):
        newest = line.sessions[max(end - NEWEST[part] - horizon, 0)]  # the newest labels are purged
        rows = getattr(parts.fold, part)
        chosen[part] = rows[decision[rows] >= newest.to_datetime64()]
    last = line.sessions[min(test + NEWEST["test"], len(line.sessions) - 1)].to_datetime64()
    chosen["test"] = parts.fold.test[decision[parts.fold.test] <= last]
    return samples, replace(parts, fold=replace(parts.fold, **chosen))


STEPS: Mapping[str, Callable[[Line], Any]] = {
    "given": lambda line: line["given"],  # where the line begins
    "prices": lambda line: line.chain.prices(line["given"]),
    "labels": lambda line: line.chain.label(
        line["prices"], line.experiment.labels, line.fold, line.sessions
    ),
    "features": lambda line: line.chain.compute_features(
        line["prices"], line.model.inputs if line.model else line.features
    ),
    "targets": lambda line: line.chain.make_targets(line["prices"], line["labels"], line.network),
    "samples": lambda line: line.chain.sample(
        line["features"], line["targets"], line["labels"], line.network
    ),
    "thin": _thin,
    "fit": lambda line: line.chain.fit(
        line["thin"][0], line["thin"][1], line.network, line.experiment
    ),
    "predictions": lambda line: line.chain.predict_fold([line["fit"]], *line["thin"]),
    "baselines": lambda line: line.chain.predict_baselines(
        line["thin"][0], line["thin"][1], line.asked, line.experiment.seed
    ),
    "rules": lambda line: line.chain.tuned(
        line["predictions"].table, line["prices"], line.experiment.trading
    ),
    "regimes": lambda line: line.chain.stitch([line["labels"]], line.experiment.trading),
    "books": lambda line: line.chain.trade(
        line["predictions"],
        line["prices"],
        line.experiment.trading,
        line.experiment.backtest,
        line.experiment.report.cost_cases,
        line["regimes"],
        turbulent_classes(line.experiment.labels),
    ),
    "weights": lambda line: line["books"].target,
}


def _prices(line: Line, prices: Prices, probe: Probe) -> Prices:
    own = _alone(prices, probe.ticker) if probe.ticker else prices
    return replace_future(own, probe.position, probe.way, line.rng(probe))


@lru_cache(maxsize=32)
def _alone(prices: Prices, ticker: str) -> Prices:
    return prices.of([ticker])


def _features(
    line: Line, features: Mapping[str, pd.DataFrame], probe: Probe
) -> dict[str, pd.DataFrame]:
    after = _decided(line, probe)
    return {t: replace_rows(table, after, probe.way) for t, table in features.items()}


def _targets(
    line: Line, targets: Mapping[str, pd.DataFrame], probe: Probe
) -> dict[str, pd.DataFrame]:
    """Labels that end after the probe are others: a horizon of their ticker's sessions later."""
    later = {}
    for ticker, features in line["features"].items():
        table = targets[ticker].reindex(features.index)
        ends = int(table.index.searchsorted(probe.session, side="right"))
        values = table.to_numpy(float, copy=True)
        first = max(ends - line.asked.horizon, 0)
        values[first:] = line.asked.other_target(values[first:])
        later[ticker] = pd.DataFrame(values, table.index, table.columns)
    return later


def _regimes(line: Line, regimes: pd.DataFrame, probe: Probe) -> pd.DataFrame:
    """Every class is the next one; cut, it is gone."""
    if probe.way == "cut":
        return regimes.loc[: probe.session]
    other, later = regimes.copy(), regimes.index > probe.session
    other.loc[later] = (other.loc[later] + 1.0) % 4.0
    return other


def _predictions(line: Line, predictions: Any, probe: Probe) -> Any:
    rng, after = line.rng(probe), _decided(line, probe)
    return replace(
        predictions,
        table=replace_answers(predictions.table, after, probe.session, probe.way, rng),
        members=replace_answers(predictions.members, after, probe.session, probe.way, rng),
    )


def _weights(line: Line, weights: pd.DataFrame, probe: Probe) -> pd.DataFrame:
    """From there on every decision is another, and none is missing."""
    other, later = weights.copy(), weights.index > _decided(line, probe)
    weight, standing = 1.0 / weights.shape[1], weights.ffill().fillna(0.0).loc[later]
    other.loc[later] = np.where(standing > 0.0, -0.5 * weight, weight)
    return other


def _decided(line: Line, probe: Probe) -> pd.Timestamp:
    """The last session whose decisions stay."""
    return line.sessions[probe.position - (probe.way != "cut") * probe.wait]


FUTURES: Mapping[str, Callable[[Line, Any, Probe], Any]] = {
    "given": _prices,
    "prices": _prices,
    "labels": lambda line, labels, probe: replace(
        labels, regimes=_regimes(line, labels.regimes, probe)
    ),
    "features": _features,
    "targets": _targets,
    "predictions": _predictions,
    "regimes": _regimes,
    "weights": _weights,
}  # what a value is instead, after a probe
