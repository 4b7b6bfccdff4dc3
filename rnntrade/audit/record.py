"""What a run recorded, computed once more from its prices.

Each stage is given what the run recorded of the stage before, so that a difference is found where
it arises.  Everything that is computed the same way must be equal to the last bit; what was learned
in single precision (loss, temperature) must agree to a share that is named with it.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain as chained
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.chain import Chain, chain_of
from rnntrade.config import Experiment, ModelConfig
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective
from rnntrade.samples.windows import fit_scaler
from rnntrade.training.devices import one_thread
from rnntrade.training.predict import predict
from rnntrade.types import (
    Backtest,
    Books,
    Fit,
    FoldTargets,
    Predictions,
    Prices,
    Rows,
    Samples,
    Windows,
    turbulent_classes,
)

PARTS = ("training", "validation", "test")
BOOKS = ("equity", "returns", "turnover", "weights", "costs", "trades")
LOSS_TOLERANCE = 1e-3  # of the loss: it was added up in single precision
TEMPERATURE_TOLERANCE = 0.02  # the loss is flat around its best temperature
TRAINED = "of other sessions than the training part's"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """What a run recorded of one model."""

    model: ModelConfig
    windows: Windows
    fits: Sequence[Sequence[Fit]]  # by fold, then by member
    predictions: Predictions  # the network's alone, validation and test parts
    baselines: pd.DataFrame | None = None  # of the same samples; the newest fold's are compared
    books: Books | None = None  # of a traded model


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run was given, and what it recorded before and beside its models."""

    prices: Prices
    experiment: Experiment
    features: Mapping[str, pd.DataFrame]  # ticker -> (T_k, F)
    labels: Sequence[Labels]  # by fold
    models: Mapping[str, ModelRecord]
    test_from: pd.Timestamp | None = None  # where an opened holdout begins
    device: str = "cpu"  # that the run predicted on

    @property
    def chain(self) -> Chain:
        """The library's own steps, by the run's calendar."""
        return chain_of(self.experiment.backtest.sessions_per_year)


def audit_record(record: RunRecord) -> Audited:
    """Compare all that a run recorded with what the library makes of its prices."""
    prices, experiment, chain = record.prices, record.experiment, record.chain
    names = tuple(map(str, next(iter(record.features.values())).columns))
    features = chain.compute_features(prices, names)
    parts = [
        compare("features", ticker, record.features[ticker], features[ticker])
        for ticker in prices.tickers
    ]
    folds = chain.boundaries(prices.sessions, experiment.split, record.test_from)
    dates = pd.DataFrame([labels.boundary for labels in record.labels])
    parts.append(compare("splits", "fold dates", dates, pd.DataFrame(folds)))
    if parts[-1].findings:
        return merge(parts)
    for labels in record.labels:
        due = chain.label(prices, experiment.labels, labels.boundary, prices.sessions)
        name = f"fold {labels.boundary.number}"
        recorded, learned = (
            pd.DataFrame(map(asdict, both.thresholds.values())) for both in (labels, due)
        )
        parts.append(compare("regimes", name, labels.regimes, due.regimes))
        parts.append(compare("thresholds", name, recorded, learned, kind=f"thresholds {TRAINED}"))
    again: dict[tuple[object, ...], pd.DataFrame] = {}  # models of the same samples share baselines
    pairs = [(own, labels) for own in record.models.values() for labels in record.labels]
    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:  # torch lets go of the GIL
        parts += chained.from_iterable(pool.map(lambda fold: [*_fold(record, *fold)], pairs))
    for own in record.models.values():
        if own.baselines is not None:  # fitting them takes seconds: one fold stands for all
            model, number = own.model, len(record.labels) - 1
            samples, targets = own.windows.fold(number)
            asked = (model.task, model.horizon, model.inputs, model.lookback)
            if asked not in again:
                objective = objective_of(model, targets.classes)
                again[asked] = chain.predict_baselines(samples, targets, objective, experiment.seed)
            recorded = _of_fold(own.baselines, number)
            name = f"{model.name}, fold {number}"
            parts.append(compare("baselines", name, recorded, again[asked], "decision"))
        parts.append(_stitched(own))
        if own.books is not None:
            parts += _traded(record, own, own.books)
    return merge(parts)


def _fold(record: RunRecord, own: ModelRecord, labels: Labels) -> Iterator[Audited]:
    """One model's samples, fits and predictions of one fold."""
    chain, model, number = record.chain, own.model, labels.boundary.number
    name, (samples, targets) = f"{model.name}, fold {number}", own.windows.fold(number)
    target = chain.make_targets(record.prices, labels, model)
    due = chain.sample(record.features, target, labels, model)
    tables = _sample_table(samples, targets), _sample_table(*due)
    yield compare("samples", name, *tables, "decision")
    own_rows, due_rows = (
        pd.DataFrame(both.rows, columns=list(both.features)) for both in (samples, due[0])
    )
    yield compare("samples", f"{name}, rows", own_rows, due_rows)

    validation: dict[int, Array] = {}

    def remembered(fit: Fit, known: Samples, rows: Rows, _: str) -> Array:
        answer = predict(fit, known, rows, record.device)
        validation.setdefault(id(fit), answer)  # the validation part comes first
        return answer

    fits = own.fits[number]
    expected = replace(chain, predict=remembered).predict_fold(fits, samples, targets)
    recorded = _of_fold(own.predictions.table, number)
    yield compare("predictions", name, recorded, expected.table, "decision")
    if len(own.predictions.members):
        alone = _of_fold(own.predictions.members, number)
        yield compare("predictions", f"{name}, members", alone, expected.members, "decision")
    for member, fit in enumerate(fits):
        who = name if len(fits) == 1 else f"{name}, member {member}"
        yield _fit(fit, model, samples, targets, validation[id(fit)], who)


def _fit(
    fit: Fit, model: ModelConfig, samples: Samples, targets: FoldTargets, answer: Array, who: str
) -> Audited:
    """Scaler, thresholds, epoch and temperature are those of the fold's own parts.

    answer  (n, C) of the fit about the fold's validation part
    """
    objective, rows = objective_of(model, targets.classes), targets.fold.training
    trained = rows[np.isfinite(targets.target[rows]).all(axis=1)]
    due = fit_scaler(samples, trained, scale_target=not objective.classes)
    truth = targets.target[targets.fold.validation]
    losses = [epoch.validation_loss for epoch in fit.history]
    output = objective.output(answer, fit.scaler, fit.temperature)
    scaled, taught = (
        (target - fit.scaler.target_mean) / fit.scaler.target_deviation
        for target in (truth, targets.target[trained])
    )
    loss = _loss(objective, output, scaled, taught, model.class_weights)
    until = str(samples.spans.decision[trained].max().astype("datetime64[D]"))
    own, learned = (repr(sorted(both.thresholds.items())) for both in (fit, targets))  # NaN too
    warmth = objective.temperature(output, truth)
    other = "on other samples than the validation part"
    lowest = int(np.argmin(losses))
    by_loss, loose = "epoch not chosen by the validation loss", TEMPERATURE_TOLERANCE
    checks: list[tuple[str, str, str, Any, Any, float]] = [
        *(
            ("scaler", n, f"scaler {TRAINED}", getattr(fit.scaler, n), getattr(due, n), 0.0)
            for n in ("mean", "deviation", "target_mean", "target_deviation")
        ),
        ("fit", "model", "fit of another model", repr(fit.model), repr(model), 0.0),
        ("fit", "fold", "fit of another fold", fit.fold, targets.fold.number, 0.0),
        ("thresholds", "thresholds", f"thresholds {TRAINED}", own, learned, 0.0),
        ("fit", "trained_until", "trained on other sessions", fit.trained_until, until, 0.0),
        ("fit", "best epoch", by_loss, fit.best, lowest, 0.0),
        ("fit", "validation loss", f"epoch chosen {other}", losses[fit.best], loss, LOSS_TOLERANCE),
        ("calibration", "temperature", f"calibrated {other}", fit.temperature, warmth, loose),
    ]
    findings = tuple(
        Finding("record", stage, f"{who} {what}", "", kind, f"{what} is {told}, expected {right}")
        for stage, what, kind, told, right, tolerance in checks
        if not _agree(told, right, tolerance)
    )
    return Audited(Counter(stage for stage, *_ in checks), findings)


def _agree(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two words, or two numbers or arrays of them, are the same, or almost."""
    if isinstance(one, str):
        return bool(one == other)
    first, second = np.atleast_1d(one, other)
    return first.shape == second.shape and np.allclose(
        first, second, rtol=tolerance, atol=1e-3 * tolerance, equal_nan=True
    )


def _loss(objective: Objective, output: Array, truth: Array, trained: Array, weigh: bool) -> float:
    """The validation loss that training should have seen at its best epoch.

    output, truth  (n, O) as the network gives and sees them; rows without a truth are left out
    trained        (m, O) the training part's, which the weights balance
    """
    import torch

    known = np.isfinite(truth).all(axis=1)
    guess, true = (torch.from_numpy(np.ascontiguousarray(each[known])) for each in (output, truth))
    weights = objective.weights(torch.from_numpy(trained)) if weigh else None
    weights = None if weights is None else weights.double()
    return float(objective.loss(guess, true, weights))


def _stitched(own: ModelRecord) -> Audited:
    """Each decision of a ticker is judged once over all folds."""
    table = own.predictions.table
    test = table[table["part"] == "test"]
    twice = test[test.duplicated(["ticker", "decision"])].sort_values("decision")
    findings = []
    if len(twice):
        first, kind = twice.iloc[0], "more than one prediction for a decision"
        series, day = f"{own.model.name}, {first['ticker']}", f"{first['decision']:%Y-%m-%d}"
        detail = f"{len(twice)} rows are there again, in fold {first['fold']} for one"
        findings.append(Finding("record", "predictions", series, day, kind, detail))
    return Audited({"predictions": len(test)}, tuple(findings))


def _traded(record: RunRecord, own: ModelRecord, recorded: Books) -> Iterator[Audited]:
    """Probability, target weights, the money of each book, and what stands beside it."""
    experiment = record.experiment
    due = record.chain.trade(
        own.predictions,
        record.prices,
        experiment.trading,
        experiment.backtest,
        experiment.report.cost_cases,
        record.chain.stitch(record.labels, experiment.trading),
        turbulent_classes(experiment.labels),
    )
    stages = {"target": "positions", "cost_cases": "cost cases"}
    for part in fields(Books):
        both = getattr(recorded, part.name), getattr(due, part.name)
        if part.name == "rules":
            for rule in due.rules:
                rules = recorded.rules[rule], due.rules[rule]
                yield from _book(f"{own.model.name}, rule {rule}", *rules)
        elif isinstance(both[1], Backtest):
            yield from _book(f"{own.model.name}, {part.name}", *both)
        else:
            yield compare(stages.get(part.name, part.name), own.model.name, *both)


def _book(name: str, recorded: Backtest, due: Backtest) -> Iterator[Audited]:
    for what in BOOKS:
        told, expected = (pd.DataFrame(getattr(book, what)) for book in (recorded, due))
        day = "entry_session" if what == "trades" else ""
        yield compare(what, name, told, expected, day)


def compare(
    stage: str,
    series: str,
    told: pd.DataFrame,
    due: pd.DataFrame,
    session: str = "",
    kind: str = "recorded value is not what its inputs give",
    check: str = "record",
) -> Audited:
    """Compare two tables cell by cell; missing equals missing.

    session  column that dates a row; else the index does, if it holds dates
    returns  the first cell that differs in each table, oldest row first, as one finding
    """
    if list(told.columns) != list(due.columns) or len(told) != len(due):
        detail = f"{told.shape} rows and columns, expected {due.shape}"
        return Audited({stage: 1}, (Finding(check, stage, series, "", "other rows", detail),))
    cells = {str(column): (told[column], due[column]) for column in told}
    if not told.index.equals(due.index):
        cells = {"its index": (told.index.to_series(), due.index.to_series()), **cells}
    wrong = np.zeros((len(told), len(cells)), dtype=bool)
    for place, (own, other) in enumerate(cells.values()):
        one, right = own.to_numpy(), other.to_numpy()
        wrong[:, place] = ~((one == right) | (pd.isna(one) & pd.isna(right)))
    if not wrong.any():
        return Audited({stage: told.size})
    row = int(wrong.any(axis=1).argmax())
    column, (own, other) = list(cells.items())[int(wrong[row].argmax())]
    when = (due[session] if session else due.index.to_series()).iloc[row]
    ticker = f" {due['ticker'].iloc[row]}" if "ticker" in due and column != "ticker" else ""
    finding = Finding(
        check,
        stage,
        f"{series},{ticker} {column}",
        f"{when:%Y-%m-%d}" if isinstance(when, pd.Timestamp) else "",
        kind,
        f"recorded {own.iloc[row]!s}, expected {other.iloc[row]!s}; {int(wrong.sum())} of "
        f"{wrong.size} cells differ",
    )
    return Audited({stage: told.size}, (finding,))


def _sample_table(samples: Samples, targets: FoldTargets) -> pd.DataFrame:
    """Everything that a fold says of each sample, one row a sample."""
    part = np.zeros(len(samples), np.int64)
    for code, name in enumerate(PARTS, start=1):
        part[getattr(targets.fold, name)] = code
    columns = {"last": samples.last, "part": part, "current": targets.current}
    columns |= {f"target_{step}": column for step, column in enumerate(targets.target.T, start=1)}
    return pd.DataFrame({**vars(samples.spans), **columns})


def _of_fold(table: pd.DataFrame, number: int) -> pd.DataFrame:
    return table[table["fold"] == number].reset_index(drop=True)
