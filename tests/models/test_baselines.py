from dataclasses import replace

import numpy as np
import pytest

from rnntrade.models.baselines import autoregression, baselines, transition_matrix
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Basis
from rnntrade.types import Fold
from tests.configs import DIRECTION, FORECAST
from tests.training.made import TINY, made_samples

REGIME = TINY["regime_lstm"]
UNKNOWN = np.empty(0)


def with_targets(model, target):
    """As many samples as targets; the last two are for test, the two before for validation."""
    samples, _ = made_samples(model)
    count = len(target)
    cut = replace(
        samples,
        spans=samples.spans[:count],
        last=samples.last[:count],
        target=np.array(target, float).reshape(count, -1),
    )
    rows = np.arange(count)
    return cut, Fold(0, rows[:-4], rows[-4:-2], rows[-2:])


def test_transition_matrix_by_hand():
    current = np.array([0, 0, 0, 1, np.nan, 1])
    future = np.array([0, 0, 1, 1, 0, np.nan])
    expected = [[3 / 5, 2 / 5], [1 / 3, 2 / 3]]  # counts 2 1 / 0 1, and one more in each cell
    np.testing.assert_allclose(transition_matrix(current, future, 2), expected)


def test_autoregression_finds_the_coefficient_that_made_the_series():
    random = np.random.default_rng(0)
    returns = np.zeros(5000)
    for t in range(1, len(returns)):
        returns[t] = 0.001 - 0.3 * returns[t - 1] + random.normal() * 0.01
    constant, coefficient = autoregression(returns[:-1], returns[1:])
    assert coefficient == pytest.approx(-0.3, abs=0.03)
    assert constant == pytest.approx(0.001, abs=0.0005)


def test_autoregression_of_a_constant_is_its_mean():
    assert autoregression(np.ones(4), np.array([1.0, 2, 3, 4])) == (2.5, 0.0)


def test_regime_baselines_by_hand():
    target = [0, 0, 1, 3, 3, 3, 3, 3]  # training: 0 0 1 3
    samples, fold = with_targets(REGIME, target)
    current = np.array([0, 1, 1, 3, 0, np.nan, 3, 2.0])
    found = baselines(
        objective_of(REGIME), Basis(samples, fold, np.array([4, 5, 6, 7]), current=current)
    )
    majority = [0.5, 0.25, 0, 0.25]
    np.testing.assert_allclose(found["majority"], [majority] * 4)
    np.testing.assert_array_equal(
        found["persistence"], [[1, 0, 0, 0], majority, [0, 0, 0, 1], [0, 0, 1, 0]]
    )
    np.testing.assert_allclose(
        found["markov_chain"],
        [[2 / 5, 1 / 5, 1 / 5, 1 / 5], majority, [1 / 5, 1 / 5, 1 / 5, 2 / 5], [1 / 4] * 4],
    )


@pytest.mark.parametrize("name", ["logistic_last", "logistic_window", "gradient_boosting"])
def test_fitted_classifiers_find_what_is_there_and_never_a_class_they_have_not_seen(name):
    samples, fold = made_samples(REGIME, sessions=300)
    merged = np.where(samples.target == 2.0, 1.0, samples.target)  # class 2 never happens
    samples = replace(samples, target=merged)
    rows = fold.test[np.isfinite(merged[fold.test, 0])]
    found = baselines(objective_of(REGIME), Basis(samples, fold, rows, current=merged[:, 0]))[name]
    assert found.shape == (len(rows), 4)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[:, 2] == 0).all()
    assert (found.argmax(axis=1) == merged[rows, 0]).mean() > 0.75


def test_a_single_class_in_training_is_predicted_for_certain():
    samples, fold = with_targets(DIRECTION_TINY, [1, 1, 1, 1, 0, 0, 0, 0])
    found = baselines(objective_of(DIRECTION), Basis(samples, fold, fold.test, current=UNKNOWN))
    for name in ("majority", "logistic_last", "logistic_window", "gradient_boosting"):
        np.testing.assert_array_equal(found[name], [[1.0], [1.0]], err_msg=name)


DIRECTION_TINY = replace(DIRECTION, lookback=6)


def test_direction_baselines_by_hand():
    samples, fold = with_targets(DIRECTION_TINY, [1, 1, 0, 1, 0, 0, 0, 0])
    found = baselines(objective_of(DIRECTION), Basis(samples, fold, fold.test, current=UNKNOWN))
    np.testing.assert_array_equal(found["majority"], [[0.75], [0.75]])
    np.testing.assert_array_equal(found["buy_and_hold"], [[1.0], [1.0]])
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(found, (2, 1))


def test_forecast_baselines_by_hand():
    model = replace(FORECAST, lookback=6, horizon=2)
    # Training: tomorrow = 1 + 2 × today, exactly.
    today = np.array([0.0, 1, 2, 3, 9, 9, 1, 5])
    target = np.column_stack([1 + 2 * today, [4.0, 4, 4, 8, 0, 0, 0, 0]])
    samples, fold = with_targets(model, target)
    found = baselines(
        objective_of(FORECAST), Basis(samples, fold, fold.test, last_return=today, current=UNKNOWN)
    )
    np.testing.assert_array_equal(found["zero"], np.zeros((2, 2)))
    np.testing.assert_allclose(found["mean"], [[4, 5], [4, 5]])
    np.testing.assert_allclose(found["ar1"], [[3, 7], [11, 23]])  # iterated: 1 + 2 × 3 = 7
    assert found["ridge_window"].shape == (2, 2)


def test_autoregression_is_left_out_where_the_last_return_is_not_given():
    samples, fold = made_samples(TINY["seq2seq_lstm"])
    assert set(
        baselines(objective_of(FORECAST), Basis(samples, fold, fold.test, current=UNKNOWN))
    ) == {
        "zero",
        "mean",
        "ridge_window",
    }


def test_ridge_finds_what_is_there():
    model = replace(FORECAST, lookback=6, horizon=2)
    samples, fold = made_samples(model, sessions=400)
    rows = fold.test[np.isfinite(samples.target[fold.test, 0])]
    basis = Basis(samples, fold, rows, last_return=np.zeros(len(samples)), current=UNKNOWN)
    found = baselines(objective_of(FORECAST), basis)
    residual = found["ridge_window"] - samples.target[rows]
    assert residual.var() < 0.2 * samples.target[rows].var()


@pytest.mark.parametrize("model", TINY.values(), ids=lambda model: model.name)
def test_fits_and_calibrates_on_known_targets_before_the_test_part_alone(model):
    samples, fold = made_samples(model)
    target = samples.target.copy()
    target[fold.training[:5]] = np.nan  # unknown ones are left out
    samples = replace(samples, target=target)
    garbage = target.copy()
    before = np.concatenate([fold.training, fold.validation])
    garbage[np.setdiff1d(np.arange(len(samples)), before)] = 0.0
    rows = np.concatenate([fold.validation, fold.test])
    known = np.zeros(len(samples))
    one, other = (
        baselines(objective_of(model), Basis(each, fold, rows, current=known, last_return=known))
        for each in (samples, replace(samples, target=garbage))
    )
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
