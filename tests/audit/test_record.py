"""A record that its own inputs do not give is found, and told where it begins."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rnntrade.audit.causality import audit_spans
from rnntrade.audit.record import RunRecord, audit_record, compare
from rnntrade.samples.splits import boundaries
from rnntrade.types import Fold

REGIME, DIRECTION, FORECAST = "regime_lstm", "many_to_one_lstm", "seq2seq_lstm"


def only(record: RunRecord, name: str, **changes) -> RunRecord:
    """The record of one model, with something else in it."""
    return replace(record, models={name: replace(record.models[name], **changes)})


def found(record: RunRecord) -> list[tuple[str, str]]:
    return [(each.stage, each.kind) for each in audit_record(record).findings]


def test_a_recorded_run_is_what_its_prices_give(run):
    audited = audit_record(run[2])
    assert [each.sentence() for each in audited.findings] == []
    assert audited.comparisons["predictions"] > 1000
    assert audited.comparisons["equity"] > 300


def with_fit(record: RunRecord, name: str, **changes) -> RunRecord:
    """The newest fold's second member is another one."""
    (*older, newest) = record.models[name].fits
    broken = [newest[0], replace(newest[1], **changes)]
    return only(record, name, fits=[*older, broken])


def test_a_scaler_of_the_whole_sample_is_told(run):
    record = run[2]
    samples, _ = record.models[FORECAST].windows.fold(1)
    scaler = record.models[FORECAST].fits[1][1].scaler
    rows = samples.rows[np.isfinite(samples.rows).all(axis=1)]
    whole = replace(scaler, mean=rows.mean(axis=0), deviation=rows.std(axis=0))
    stages = found(with_fit(record, FORECAST, scaler=whole))
    assert ("scaler", "scaler of other sessions than the training part's") in stages
    assert "features" not in {stage for stage, _ in stages}


def test_another_temperature_is_told(run):
    record = run[2]
    for name in (REGIME, DIRECTION):
        right = record.models[name].fits[1][1].temperature
        stages = found(with_fit(record, name, temperature=right * 1.2))
        assert ("calibration", "calibrated on other samples than the validation part") in stages


def test_an_epoch_chosen_by_another_loss_is_told(run):
    record = run[2]
    for name in (REGIME, DIRECTION, FORECAST):
        fit = record.models[name].fits[1][1]
        other = [replace(e, validation_loss=e.validation_loss * 0.99) for e in fit.history]
        kinds = found(with_fit(record, name, history=tuple(other)))
        assert kinds == [("fit", "epoch chosen on other samples than the validation part")]
    backwards = replace(fit.history[fit.best], validation_loss=9.0)
    history = tuple(backwards if e.number == fit.best else e for e in fit.history)
    kinds = found(with_fit(record, FORECAST, history=history))
    assert ("fit", "epoch not chosen by the validation loss") in kinds


def test_thresholds_of_the_whole_sample_are_told(run):
    record = run[2]
    wide = [
        {ticker: replace(each, upper=each.upper * 1.01) for ticker, each in fold.thresholds.items()}
        for fold in record.labels
    ]
    labels = [replace(fold, thresholds=t) for fold, t in zip(record.labels, wide, strict=True)]
    stages = found(replace(record, labels=labels, models={}))
    assert stages == [("thresholds", "thresholds of other sessions than the training part's")] * 2
    fit = record.models[REGIME].fits[1][1]
    kinds = found(with_fit(record, REGIME, thresholds=wide[1]))
    assert fit.thresholds != wide[1]
    assert kinds == [("thresholds", "thresholds of other sessions than the training part's")]


def test_targets_a_session_late_are_told(run):
    record = run[2]

    windows = record.models[DIRECTION].windows
    late = tuple(replace(fold, target=np.roll(fold.target, 1, axis=0)) for fold in windows.folds)
    stages = found(only(record, DIRECTION, windows=replace(windows, folds=late)))
    assert stages[0] == ("samples", "recorded value is not what its inputs give")


def test_a_decision_judged_twice_is_told(run):
    record = run[2]
    predictions = record.models[REGIME].predictions
    table = predictions.table
    again = pd.concat([table, table[table["part"] == "test"].tail(1)], ignore_index=True)
    stages = found(only(record, REGIME, predictions=replace(predictions, table=again)))
    assert ("predictions", "more than one prediction for a decision") in stages


def test_other_fold_dates_are_told(run):
    record = run[2]
    moved = [
        replace(own, boundary=replace(own.boundary, test=own.boundary.test + pd.Timedelta(days=1)))
        for own in record.labels
    ]
    (one,) = found(replace(record, labels=moved))
    assert one[0] == "splits"


def test_spans_that_reach_into_the_next_part_are_told(run):
    bars, experiment, record = run
    samples, targets = record.models[REGIME].windows.fold(0)  # horizon 20
    boundary = boundaries(bars.sessions, experiment.split)[0]
    assert audit_spans(samples.spans, targets.fold, boundary, "fold 0").clean
    decision = samples.spans.decision
    in_training = decision < np.datetime64(boundary.validation)
    in_validation = ~in_training & (decision < np.datetime64(boundary.test))
    unpurged = Fold(
        0, np.flatnonzero(in_training), np.flatnonzero(in_validation), targets.fold.test
    )
    findings = audit_spans(samples.spans, unpurged, boundary, "").findings
    assert {(each.kind, each.stage) for each in findings} == {
        ("label of a training sample overlaps the validation part", "split"),
        ("label of a validation sample overlaps the test part", "split"),
    }
    early = Fold(0, targets.fold.training, targets.fold.validation, np.arange(len(samples)))
    (finding,) = audit_spans(samples.spans, early, boundary, "").findings
    assert finding.kind == "test decision outside the test part"


def test_a_comparison_names_the_oldest_cell_that_differs():
    days = pd.bdate_range("2024-01-01", periods=3)
    due = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, 3.0]}, days)
    assert compare("x", "y", due.copy(), due).clean
    told = due.assign(b=[1.0, 2.5, 3.0], a=[1.0, np.nan, 4.0])
    (one,) = compare("x", "y", told, due).findings
    assert (one.series, one.session) == ("y, b", "2024-01-02")
    assert one.detail == "recorded 2.5, expected 2.0; 2 of 6 cells differ"
    (one,) = compare("x", "y", due.iloc[:2], due).findings
    assert one.kind == "other rows"
    (one,) = compare("x", "y", due.fillna(0.0), due).findings
    assert one.session == "2024-01-02"
