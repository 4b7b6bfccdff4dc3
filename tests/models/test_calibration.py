"""Temperature: found where it is known, and neutral where nothing is."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from rnntrade.models.calibration import HIGHEST, fit_temperature, temper


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_the_classes_were_drawn_at(true_temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 2.0, (40_000, 4))
    chances = softmax(logits / true_temperature, axis=1)
    target = (rng.random((40_000, 1)) > chances.cumsum(axis=1)).sum(axis=1).astype(float)
    assert fit_temperature(logits, target) == pytest.approx(true_temperature, rel=0.05)


def test_finds_it_for_log_odds():
    rng = np.random.default_rng(1)
    odds = rng.normal(0.0, 2.0, (40_000, 1))
    target = (rng.random(40_000) < expit(odds[:, 0] / 2.0)).astype(float)
    assert fit_temperature(odds, target) == pytest.approx(2.0, rel=0.05)


def test_noise_is_made_as_unsure_as_allowed_and_unknown_targets_change_nothing():
    rng = np.random.default_rng(2)
    logits, target = rng.normal(0, 5, (1000, 2)), rng.integers(0, 2, 1000).astype(float)
    assert fit_temperature(logits, target) == pytest.approx(HIGHEST, rel=1e-4)
    assert fit_temperature(logits, np.full(1000, np.nan)) == 1.0


def test_tempered_probabilities_keep_their_order_their_sum_and_what_is_impossible():
    probabilities = np.array([[0.7, 0.2, 0.1, 0.0]])
    calm = temper(probabilities, 2.0)
    assert calm.sum() == pytest.approx(1.0)
    assert calm[0, 3] == 0.0
    assert (np.diff(calm[0]) < 0).all()
    assert calm[0, 0] < 0.7
    np.testing.assert_allclose(temper(probabilities, 1.0), probabilities)
