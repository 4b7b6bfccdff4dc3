"""What a run recorded, computed once more from its prices.

Each stage is given what the run recorded of the stage before, so that a difference is told where it
arises.  Everything that is computed the same way must be equal to the last bit; what was learned in
single precision (loss, temperature) is asked to agree to a share that is told with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.audit.fits import audit_fit_record
from rnntrade.chain import CHAIN, chain_of
from rnntrade.config import Experiment, ModelConfig
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.trading.filters import stitch_regimes
from rnntrade.training.predict import predict
from rnntrade.types import (
    Backtest,
    Boundary,
    Fit,
    FoldTargets,
    Predictions,
    Prices,
    Rows,
    Samples,
    Thresholds,
    regime_names,
    turbulent_classes,
)

SPANS = ("ticker", "feature_start", "decision", "label_start", "label_end")
PARTS = ("training", "validation", "test")


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """What a run recorded of one model."""

    model: ModelConfig
    samples: Callable[[int], tuple[Samples, FoldTargets]]  # by fold, read when asked for
    fits: Sequence[Sequence[Fit]]  # by fold, then by member
    predictions: pd.DataFrame  # the network's alone, validation and test parts
    baselines: pd.DataFrame | None = None  # of the same samples; the newest fold's are compared
    probability: pd.DataFrame | None = None  # (T, K); of direction models
    target: pd.DataFrame | None = None  # (T, K) weights decided
    backtests: Mapping[str, Backtest] = field(default_factory=lambda: MappingProxyType({}))
    # "strategy", "other" (filled at the other moment), "benchmark"
    members: pd.DataFrame = field(default_factory=pd.DataFrame)  # test predictions of each member
    rules: Mapping[str, Backtest] = field(default_factory=lambda: MappingProxyType({}))
    cost_cases: pd.DataFrame = field(default_factory=pd.DataFrame)  # (T, cases) returns
    traded_members: pd.DataFrame = field(default_factory=pd.DataFrame)  # (T, members) returns


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a run recorded before and beside its models."""

    features: Mapping[str, pd.DataFrame]  # ticker -> (T_k, F)
    folds: Sequence[Boundary]
    regimes: Sequence[pd.DataFrame]  # (T, K), by fold
    thresholds: Sequence[Mapping[str, Thresholds]]  # by fold, then by ticker
    models: Mapping[str, ModelRecord]
    test_from: pd.Timestamp | None = None  # where an opened holdout begins


def audit_record(
    prices: Prices, experiment: Experiment, record: RunRecord, device: str = "cpu"
) -> Audited:
    """Compare all that a run recorded with what the library makes of its prices.

    device  that the run predicted on
    """
    names = tuple(map(str, next(iter(record.features.values())).columns))
    chain = chain_of(experiment.backtest.sessions_per_year)
    features = chain.compute_features(prices, names)
    parts = [
        compare("features", ticker, record.features[ticker], features[ticker])
        for ticker in prices.tickers
    ]
    folds = CHAIN.boundaries(prices.sessions, experiment.split, record.test_from)
    parts.append(
        compare("splits", "fold dates", pd.DataFrame(record.folds), pd.DataFrame(folds))
    )  # fmt: skip
    if tuple(record.folds) != folds:
        return merge(parts)
    for fold, told, learned in zip(folds, record.regimes, record.thresholds, strict=True):
        due = CHAIN.label(prices, experiment.labels, fold, prices.sessions)
        parts.append(compare("regimes", f"fold {fold.number}", told, due.regimes))
        parts.append(
            compare(
                "thresholds",
                f"fold {fold.number}",
                pd.DataFrame(list(learned.values()), list(learned)),
                pd.DataFrame(list(due.thresholds.values()), list(due.thresholds)),
                kind="thresholds of other sessions than the training part's",
            )
        )
    for each in record.models.values():
        parts += [
            _fold(prices, record, each, experiment, number, device) for number in range(len(folds))
        ]
        if each.baselines is not None:  # fitting them takes seconds: one fold stands for all
            parts.append(_baselines(each, each.baselines, len(folds) - 1, experiment.seed))
        parts.append(_stitched(each))
        if each.probability is not None and each.target is not None:
            parts.append(_trading(prices, experiment, record, each))
    return merge(parts)


def _fold(
    prices: Prices,
    record: RunRecord,
    each: ModelRecord,
    experiment: Experiment,
    number: int,
    device: str,
) -> Audited:
    """One model's samples, fits and predictions of one fold."""
    boundary, model = record.folds[number], each.model
    where = f"{model.name}, fold {number}"
    samples, targets = each.samples(number)
    names = regime_names(experiment.labels)
    labels = Labels(boundary, record.regimes[number], record.thresholds[number], {}, names)
    asked = CHAIN.make_targets(prices, labels, model)
    due, due_targets = CHAIN.sample(record.features, asked, labels, model)
    told_table, due_table = _sample_table(samples, targets), _sample_table(due, due_targets)
    parts = [
        compare("samples", where, told_table, due_table, "decision"),
        compare("samples", f"{where}, rows", _rows(samples), _rows(due)),
    ]
    parts.append(audit_spans(samples, targets, boundary, where))

    said: dict[int, NDArray[np.float64]] = {}

    def remembered(fit: Fit, known: Samples, rows: Rows, _: str) -> NDArray[np.float64]:
        answer = predict(fit, known, rows, device)
        said.setdefault(id(fit), answer)  # the validation part comes first
        return answer

    fits = each.fits[number]
    told = each.predictions[each.predictions["fold"] == number].reset_index(drop=True)
    expected = replace(CHAIN, predict=remembered).predict_fold(fits, samples, targets)
    parts.append(compare("predictions", where, told, expected.table, "decision"))
    if len(each.members):
        alone = each.members[each.members["fold"] == number].reset_index(drop=True)
        parts.append(
            compare("predictions", f"{where}, members", alone, expected.members, "decision")
        )
    for member, fit in enumerate(fits):
        who = where if len(fits) == 1 else f"{where}, member {member}"
        parts.append(audit_fit_record(fit, model, samples, targets, said[id(fit)], who))
    return merge(parts)


def _baselines(each: ModelRecord, said: pd.DataFrame, number: int, seed: int) -> Audited:
    """The baselines of one fold, fitted once more on the samples that the run recorded."""
    samples, targets = each.samples(number)
    told = said[said["fold"] == number].reset_index(drop=True)
    due = CHAIN.predict_baselines(samples, targets, objective_of(each.model, targets.classes), seed)
    return compare("baselines", f"{each.model.name}, fold {number}", told, due, "decision")


def audit_spans(samples: Samples, targets: FoldTargets, boundary: Boundary, where: str) -> Audited:
    """No label of a part is known later than the next part's first decision.

    Windows end at their decision, labels begin after it, and test decisions are of the test part.
    """
    spans, fold = samples.spans, targets.fold
    starts = {"validation": boundary.validation, "test": boundary.test}
    rules: list[tuple[Rows, NDArray[np.bool_], str]] = []
    for part, rows, later in (
        ("training", fold.training, ("validation", "test")),
        ("validation", fold.validation, ("test",)),
    ):
        for other in later:
            first = np.datetime64(starts[other])
            mine = spans[rows]
            rules.append((rows, mine.decision >= first, f"{part} decision in the {other} part"))
            late = ~(mine.label_end <= first)
            rules.append((rows, late, f"{part} label reaches into the {other} part"))
    test = spans[fold.test]
    outside = test.decision < np.datetime64(boundary.test)
    if boundary.end is not None:
        outside |= test.decision >= np.datetime64(boundary.end)
    rules.append((fold.test, outside, "test decision outside the test part"))
    everyone = np.arange(len(spans))
    order = (spans.feature_start > spans.decision) | (spans.label_start <= spans.decision)
    rules.append((everyone, order | (spans.label_end < spans.label_start), "span out of order"))
    findings = []
    for rows, wrong, kind in rules:
        if wrong.any():
            first_row = rows[wrong][np.argmin(spans.decision[rows[wrong]])]
            day, end = (
                np.datetime_as_string(each[first_row], unit="D")
                for each in (spans.decision, spans.label_end)
            )
            told = f"{int(wrong.sum())} samples, the first with a label until {end}"
            series = f"{where}, {spans.ticker[first_row]}"
            findings.append(Finding("record", "splits", series, str(day), kind, told))
    return Audited({"splits": sum(len(rows) for rows, _, _ in rules)}, tuple(findings))


def _stitched(each: ModelRecord) -> Audited:
    """Each decision of a ticker is judged once over all folds."""
    test = each.predictions[each.predictions["part"] == "test"]
    twice = test[test.duplicated(["ticker", "decision"])].sort_values("decision")
    findings: tuple[Finding, ...] = ()
    if len(twice):
        row = twice.iloc[0]
        findings = (
            Finding(
                "record",
                "predictions",
                f"{each.model.name}, {row['ticker']}",
                f"{row['decision']:%Y-%m-%d}",
                "more than one prediction for a decision",
                f"{len(twice)} rows are there again, in fold {row['fold']} for one",
            ),
        )
    return Audited({"predictions": len(test)}, findings)


def positions(
    probability: pd.DataFrame, experiment: Experiment, regimes: pd.DataFrame | None
) -> pd.DataFrame:
    """(T, K) target weights, as a run decides them.

    regimes  (T', K) as known at each close, for the regime filter; None without one
    """
    turbulent = turbulent_classes(experiment.labels)
    return CHAIN.allocate(CHAIN.position(probability, experiment.trading, regimes, turbulent))


def _trading(
    prices: Prices, experiment: Experiment, record: RunRecord, each: ModelRecord
) -> Audited:
    """Probability, target weights, and the money of each backtest."""
    assert each.probability is not None
    assert each.target is not None
    name, config = each.model.name, experiment.backtest
    filtered = experiment.trading.regime_filter != "off"
    tests = [fold.test for fold in record.folds]
    regimes = stitch_regimes(record.regimes, tests) if filtered else None
    due = CHAIN.trade(
        Predictions(each.predictions, each.members),
        prices,
        experiment.trading,
        config,
        experiment.report.cost_cases,
        regimes,
        turbulent_classes(experiment.labels),
    )
    parts = [
        compare("probability", name, each.probability, due.probability),
        compare("positions", name, each.target, due.target),
    ]
    books = {part: (done, getattr(due, part)) for part, done in each.backtests.items()}
    books |= {f"rule {rule}": (done, due.rules[rule]) for rule, done in each.rules.items()}
    for part, (done, right) in books.items():
        for what in ("equity", "returns", "turnover", "weights", "costs", "trades"):
            told, expected = (pd.DataFrame(getattr(book, what)) for book in (done, right))
            day = "entry_session" if what == "trades" else ""
            parts.append(compare(what, f"{name}, {part}", told, expected, day))
    if len(each.cost_cases):
        parts.append(compare("cost cases", name, each.cost_cases, due.cost_cases))
    if len(each.traded_members):
        parts.append(compare("members", name, each.traded_members, due.members))
    return merge(parts)


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
    wrong = {}
    if not told.index.equals(due.index):
        wrong["its index"] = told.index.to_numpy() != due.index.to_numpy()
    for column in told.columns:
        one, other = told[column].to_numpy(), due[column].to_numpy()
        wrong[str(column)] = ~((one == other) | (pd.isna(one) & pd.isna(other)))
    table = np.column_stack(list(wrong.values())) if len(told) else np.zeros((0, len(wrong)), bool)
    compared = Audited({stage: int(told.size)})
    if not table.any():
        return compared
    row = int(table.any(axis=1).argmax())
    column = list(wrong)[int(table[row].argmax())]
    days = due[session] if session else due.index
    when = days.iloc[row] if isinstance(days, pd.Series) else days[row]
    ticker = f" {due['ticker'].iloc[row]}" if "ticker" in due and column != "ticker" else ""
    by_name = {str(name): name for name in due.columns}
    told_cell, due_cell = (
        frame[by_name[column]].iloc[row] if column in by_name else frame.index[row]
        for frame in (told, due)
    )
    finding = Finding(
        check,
        stage,
        f"{series},{ticker} {column}",
        f"{when:%Y-%m-%d}" if isinstance(when, pd.Timestamp) else "",
        kind,
        f"recorded {told_cell!s}, expected {due_cell!s}; {int(table.sum())} of "
        f"{table.size} cells differ",
    )
    return replace(compared, findings=(finding,))


def _sample_table(samples: Samples, targets: FoldTargets) -> pd.DataFrame:
    """Everything that a fold says of each sample, one row a sample."""
    part = np.zeros(len(samples), np.int64)
    for code, name in enumerate(PARTS, start=1):
        part[getattr(targets.fold, name)] = code
    columns: dict[str, object] = {name: getattr(samples.spans, name) for name in SPANS}
    columns |= {"last": samples.last, "part": part, "current": targets.current}
    width = targets.target.shape[1]
    columns |= {f"target_{step + 1}": targets.target[:, step] for step in range(width)}
    return pd.DataFrame(columns)


def _rows(samples: Samples) -> pd.DataFrame:
    return pd.DataFrame(samples.rows, columns=list(samples.features))
