"""The last days again: what was recorded, and what would have been served."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.replay import audit_replay, audit_served
from rnntrade.chain import CHAIN, predict_latest
from rnntrade.types import STATES, turbulent_classes

REGIME, DIRECTION, FORECAST = "regime_lstm", "many_to_one_lstm", "seq2seq_lstm"


def replayed(run, **changes):
    record = run[2]
    model = record.models[DIRECTION]
    model = replace(model, books=replace(model.books, **changes))
    return audit_replay(replace(record, models={DIRECTION: model}))


def test_the_last_days_come_out_to_the_last_bit(run):
    audited = replayed(run)
    assert [each.sentence() for each in audited.findings] == []
    sessions = run[1].audit.replayed
    assert audited.comparisons == {"probability": 2 * sessions, "positions": 2 * sessions}


def test_days_of_two_folds_are_each_decided_by_their_own_fits(run):
    _, experiment, record = run
    everything = replace(experiment, audit=replace(experiment.audit, replayed=260))
    audited = audit_replay(replace(record, experiment=everything))
    assert audited.clean
    assert audited.comparisons["positions"] == 2 * 260


def test_without_a_direction_model_nothing_is_replayed(run):
    record = run[2]
    models = {REGIME: record.models[REGIME]}
    assert audit_replay(replace(record, models=models)).comparisons == {}


def test_a_position_recorded_a_day_off_is_told(run):
    target = run[2].models[DIRECTION].books.target
    (one,) = replayed(run, target=target.shift(1)).findings
    assert (one.check, one.stage) == ("replay", "positions")
    assert one.session == f"{target.index[-run[1].audit.replayed]:%Y-%m-%d}"


def test_a_probability_off_by_its_last_bit_is_told(run):
    probability = run[2].models[DIRECTION].books.probability.copy()
    probability.iloc[-3, 1] = np.nextafter(probability.iloc[-3, 1], 1.0)
    first = replayed(run, probability=probability).findings[0]
    assert (first.stage, first.series) == ("probability", f"{DIRECTION}, HALTED")


@pytest.mark.parametrize("mode", ["half", "flat"])
def test_a_regime_filter_is_replayed_too(run, mode):
    _, experiment, record = run
    trading = replace(experiment.trading, regime_filter=mode)
    filtered = replace(experiment, trading=trading)
    model = record.models[DIRECTION]
    regimes, turbulent = CHAIN.stitch(record.labels, trading), turbulent_classes(filtered.labels)
    position = CHAIN.position(model.books.probability, trading, regimes, turbulent)
    target = CHAIN.allocate(position)
    assert not target.equals(model.books.target)
    books = replace(model.books, target=target)
    one = replace(record, models={DIRECTION: replace(model, books=books)})
    assert audit_replay(replace(one, experiment=filtered)).clean
    (finding,) = audit_replay(one).findings
    assert finding.stage == "positions"


def served(run, name, serve=predict_latest, sessions=(-1, -40)):
    bars, _, record = run
    model = record.models[name]
    days = [bars.sessions[each] for each in sessions]
    return audit_served(bars, model.fits[-1], model.predictions.table, days, serve)


@pytest.mark.parametrize("name", [REGIME, DIRECTION, FORECAST])
def test_the_served_model_answers_as_the_record(run, name):
    audited = served(run, name)
    assert [each.sentence() for each in audited.findings] == []
    outputs = {REGIME: 4, DIRECTION: 1, FORECAST: 5}[name]
    assert audited.comparisons == {"served model": 2 * 2 * (outputs + 1)}


def test_a_served_model_of_three_states_answers_as_the_record(run):
    bars, _, record = run
    model = record.models[REGIME]
    fits = [replace(fit, classes=STATES[3]) for fit in model.fits[-1]]
    audited = audit_served(bars, fits, model.predictions.table, [bars.sessions[-1]])
    assert [each.sentence() for each in audited.findings] == []
    assert audited.comparisons == {"served model": 2 * (3 + 1)}


def drops_the_newest_session(fits, bars):
    return predict_latest(fits, bars[bars["date"] < bars["date"].max()])


def reads_one_bar_too_few(fits, bars):
    newest = bars["date"].max()
    said = predict_latest(fits, bars[bars["date"] < newest])
    return said.assign(as_of=f"{newest:%Y-%m-%d}")


def uses_another_scaler(fits, bars):
    wrong = [replace(f, scaler=replace(f.scaler, mean=f.scaler.mean + 1e-3)) for f in fits]
    return predict_latest(wrong, bars)


def averages_fewer_members(fits, bars):
    return predict_latest(fits[:1], bars)


def forgets_the_temperature(fits, bars):
    return predict_latest([replace(fit, temperature=fit.temperature * 1.1) for fit in fits], bars)


def sees_a_short_history(fits, bars):
    return predict_latest(fits, bars.groupby("ticker").tail(10))


def fills_the_newest_bar_from_before(fits, bars):
    newest = bars["date"] == bars["date"].max()
    return predict_latest(fits, bars.assign(close=bars["close"].mask(newest).ffill()))


OTHER = "served model computes otherwise: another scaler, weights or inputs"


@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (drops_the_newest_session, "served model drops the newest session"),
        (reads_one_bar_too_few, "served model drops the newest session"),
        (uses_another_scaler, OTHER),
        (forgets_the_temperature, OTHER),
        (fills_the_newest_bar_from_before, OTHER),
        (averages_fewer_members, "1 of 2 members averaged"),
        (sees_a_short_history, "served model refuses the bars of its day"),
    ],
)
def test_a_served_model_that_answers_otherwise_is_named(run, serve, kind):
    found = served(run, DIRECTION, serve).findings
    assert {each.kind for each in found} == {kind}
    assert {each.check for each in found} == {"served model"}
    assert isinstance(pd.Timestamp(found[0].session), pd.Timestamp)
