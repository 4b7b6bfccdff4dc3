from dataclasses import replace

import numpy as np
import pytest

from rnntrade.codec import load, save
from rnntrade.errors import DataError, TrainingError
from rnntrade.training.loop import train
from rnntrade.training.predict import attention, predict
from rnntrade.types import Fit, Thresholds
from tests.training.made import FAST, TINY, assert_same_weights, made_samples

EVERY = pytest.mark.parametrize("model", TINY.values(), ids=lambda model: model.name)


def fitted(model) -> Fit:
    samples, fold = made_samples(model)
    return train(
        *(samples, fold, replace(model, max_epochs=2), FAST),
        seed=1,
        device="cpu",
        thresholds={"AAA": Thresholds(0.1, 0.2)},
    )


@EVERY
def test_a_fit_comes_back_as_it_was(model, tmp_path):
    fit = fitted(model)
    save(fit, tmp_path)
    back = load(Fit, tmp_path)
    assert_same_weights(back, fit)
    for name in ("model", "thresholds", "best", "fold", "seed", "trained_until"):
        assert getattr(back, name) == getattr(fit, name)
    np.testing.assert_equal([vars(e) for e in back.history], [vars(e) for e in fit.history])
    np.testing.assert_equal(vars(back.scaler), vars(fit.scaler))
    samples, fold = made_samples(model)
    np.testing.assert_array_equal(
        predict(back, samples, fold.test), predict(fit, samples, fold.test)
    )


@EVERY
def test_predictions_have_the_shape_and_units_of_the_task(model):
    samples, fold = made_samples(model)
    found = predict(fitted(model), samples, fold.test)
    outputs = {"regime": 4, "direction": 1, "forecast": 3}[model.task]
    assert found.shape == (len(fold.test), outputs)
    assert found.dtype == np.float64
    if model.task != "forecast":
        assert ((found > 0) & (found < 1)).all()
    if model.task == "regime":
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


@EVERY
def test_a_prediction_depends_on_its_own_window_alone(model):
    samples, fold = made_samples(model)
    fit, row = fitted(model), fold.test[5]
    expected = predict(fit, samples, fold.test)[5]
    outside = np.ones(len(samples.rows), bool)
    outside[samples.last[row] - model.lookback + 1 : samples.last[row] + 1] = False
    for garbage in (np.nan, 1000.0):
        other = replace(
            samples,
            rows=np.where(outside[:, None], garbage, samples.rows),
            target=samples.target * np.nan,
        )
        found = predict(fit, other, np.array([row]))
        np.testing.assert_array_equal(found[0], expected)  # to the bit, alone or among others


@EVERY
def test_a_prediction_is_the_same_bits_wherever_it_stands_among_many(model):
    samples, _ = made_samples(model, sessions=400)
    fit, everything = fitted(model), np.arange(700)
    found = predict(fit, samples, everything)
    order = np.random.default_rng(0).permutation(everything)
    np.testing.assert_array_equal(predict(fit, samples, order), found[order])


def test_predicting_nothing_gives_nothing():
    model = TINY["regime_lstm"]
    samples, fold = made_samples(model)
    assert predict(fitted(model), samples, fold.test[:0]).shape == (0, 4)


def test_attention_is_told_for_each_session_and_sums_to_one():
    model = TINY["attention_bilstm"]
    samples, fold = made_samples(model)
    weights = attention(fitted(model), samples, fold.test)
    assert weights.shape == (len(fold.test), model.lookback)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)


def test_other_models_have_no_attention():
    samples, fold = made_samples(TINY["regime_lstm"])
    assert attention(fitted(TINY["regime_lstm"]), samples, fold.test) is None


def test_a_window_with_a_hole_is_told_by_ticker_and_date():
    model = TINY["regime_lstm"]
    samples, fold = made_samples(model)
    rows = samples.rows.copy()
    rows[samples.last[fold.test[3]]] = np.nan
    day = str(samples.spans.decision[fold.test[3]])[:10]
    with pytest.raises(DataError, match=f"the first AAA on {day}"):
        predict(fitted(model), replace(samples, rows=rows), fold.test)


def test_weights_of_another_model_are_refused():
    fit = fitted(TINY["regime_lstm"])
    samples, fold = made_samples(fit.model)
    other = replace(fit, model=replace(fit.model, hidden_size=9))
    with pytest.raises(TrainingError, match="weights are of another model"):
        predict(other, samples, fold.test)
