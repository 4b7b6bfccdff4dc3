import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from rnntrade.errors import DataError, TrainingError
from rnntrade.training.fits import load_fit, save_fit
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
    save_fit(fit, tmp_path)
    back = load_fit(tmp_path)
    assert_same_weights(back, fit)
    for name in ("model", "thresholds", "best", "fold", "seed", "trained_until"):
        assert getattr(back, name) == getattr(fit, name)
    np.testing.assert_equal([vars(e) for e in back.history], [vars(e) for e in fit.history])
    np.testing.assert_equal(vars(back.scaler), vars(fit.scaler))
    samples, fold = made_samples(model)
    np.testing.assert_array_equal(
        predict(back, samples, fold.test), predict(fit, samples, fold.test)
    )


def test_the_same_fit_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        save_fit(fitted(TINY["seq2seq_lstm"]), tmp_path / folder)
    for name in ("weights.safetensors", "fit.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("name", ["weights.safetensors", "fit.json"])
@pytest.mark.parametrize(
    "content", [pickle.dumps(Bomb()), b"", b"[]"], ids=["pickle", "empty", "[]"]
)
def test_anything_else_in_place_of_a_fit_is_refused(name, content, tmp_path):
    save_fit(fitted(TINY["regime_lstm"]), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=f"{name} is not the file of a fit"):
        load_fit(tmp_path)


def test_a_missing_or_incomplete_fit_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="is not the file of a fit"):
        load_fit(tmp_path)
    save_fit(fitted(TINY["regime_lstm"]), tmp_path)
    about = json.loads((tmp_path / "fit.json").read_text())
    del about["scaler"]
    (tmp_path / "fit.json").write_text(json.dumps(about))
    with pytest.raises(TrainingError, match="scaler"):
        load_fit(tmp_path)


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


def test_a_model_without_attention_says_so():
    samples, fold = made_samples(TINY["regime_lstm"])
    with pytest.raises(TrainingError, match="has no attention"):
        attention(fitted(TINY["regime_lstm"]), samples, fold.test)


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
