import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.evaluation.classification import (
    class_table,
    confusion,
    reliability,
    scores,
    transition_recall,
)
from rnntrade.types import REGIMES


def certain(classes, number):
    return np.eye(number)[classes]


def test_two_classes_by_hand():
    truth = np.array([1.0, 1.0, 0.0, 0.0])
    up = np.array([0.8, 0.4, 0.3, 0.6])  # right, wrong, right, wrong
    found = scores(truth, np.column_stack([1 - up, up]))
    assert found == pytest.approx(
        {
            "accuracy": 0.5,
            "balanced_accuracy": 0.5,
            "macro_f1": 0.5,
            "cohen_kappa": 0.0,
            "matthews": 0.0,
            "log_loss": -np.log([0.8, 0.4, 0.7, 0.4]).mean(),
            "brier": (0.04 + 0.36 + 0.09 + 0.36) / 4,
            "ece": (0.3 + 0.6 + 0.2 + 0.6) / 4,  # each is alone in its bin
            "auc": 0.75,  # of 4 pairs only (0.4, 0.6) is the wrong way round
        }
    )


def test_the_set_of_classes_is_fixed_even_where_one_never_comes():
    truth = np.array([1.0, 1.0, 2.0, 1.0])
    found = scores(truth, certain([1, 1, 2, 2], 4))
    # F1: class 1 = 2*1*(2/3)/(5/3) = 0.8, class 2 = 2*0.5*1/1.5 = 2/3, classes 0 and 3 = 0
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 4)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1.0) / 2)  # those that occur
    table = class_table(truth, certain([1, 1, 2, 2], 4), REGIMES)
    assert list(table["support"]) == [0, 3, 1, 0]
    assert list(table.loc["Bear"]) == [0.0, 0.0, 0.0, 0]


def test_confusion_has_truth_in_rows():
    counts = confusion(np.array([0.0, 0.0, 3.0]), certain([1, 0, 3], 4), REGIMES)
    assert counts.loc["Bear", "Consolidation"] == 1
    assert counts.to_numpy().sum() == 3
    assert list(counts.index) == list(counts.columns) == list(REGIMES)


def test_certainty_that_failed_costs_much_but_not_infinity():
    found = scores(np.array([0.0]), certain([1], 4))
    assert found["log_loss"] == pytest.approx(-math.log(1e-15))
    assert found["brier"] == 2.0


def test_one_class_alone_leaves_agreement_undefined_and_no_warning(recwarn):
    found = scores(np.ones(5), np.tile([0.2, 0.8], (5, 1)))
    assert math.isnan(found["cohen_kappa"])
    assert math.isnan(found["auc"])
    assert found["accuracy"] == 1.0
    assert not list(recwarn)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.sampled_from([2, 4]))
def test_scores_follow_from_the_confusion_matrix(seed, classes):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 40).astype(float)
    p = rng.dirichlet(np.ones(classes), 40)
    found, m = scores(truth, p), confusion(truth, p, [str(k) for k in range(classes)]).to_numpy()
    true, predicted, total = m.sum(1), m.sum(0), m.sum()
    assert found["accuracy"] == pytest.approx(np.trace(m) / total)
    f1 = 2 * np.diag(m) / np.maximum(true + predicted, 1)
    assert found["macro_f1"] == pytest.approx(f1.mean())
    chance = (true * predicted).sum() / total**2
    assert found["cohen_kappa"] == pytest.approx((np.trace(m) / total - chance) / (1 - chance))
    spread = math.sqrt((total**2 - (true**2).sum()) * (total**2 - (predicted**2).sum()))
    top = np.trace(m) * total - (true * predicted).sum()
    assert found["matthews"] == pytest.approx(top / spread if spread else 0.0)


# Calibration ------------------------------------------------------------------------------------


def test_reliability_of_directions_is_that_of_up():
    up = np.array([0.05, 0.1, 0.62, 0.68, 0.7, 0.95])
    truth = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    table = reliability(truth, np.column_stack([1 - up, up]))
    assert list(table.columns) == ["low", "high", "confidence", "accuracy", "count"]
    assert list(table.index) == [0, 6, 9]  # the others are empty; 0.1 and 0.7 end their bins
    assert table["low"].tolist() == pytest.approx([0.0, 0.6, 0.9])
    assert table["high"].tolist() == pytest.approx([0.1, 0.7, 1.0])
    assert table["confidence"].tolist() == pytest.approx([0.075, 2.0 / 3.0, 0.95])
    assert table["accuracy"].tolist() == pytest.approx([0.5, 2.0 / 3.0, 1.0])
    assert table["count"].tolist() == [2, 3, 1]
    ece = scores(truth, np.column_stack([1 - up, up]))["ece"]
    assert ece == pytest.approx((2 * 0.425 + 0.0 + 0.05) / 6)


def test_reliability_of_regimes_is_that_of_the_predicted_one():
    p = np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.1, 0.45, 0.35], [0.0, 0.0, 0.0, 1.0]])
    table = reliability(np.array([0.0, 3.0, 3.0]), p, bins=2)
    assert table["count"].tolist() == [2, 1]
    assert table["confidence"].tolist() == pytest.approx([0.475, 1.0])
    assert table["accuracy"].tolist() == [0.5, 1.0]


def test_true_probabilities_have_a_small_calibration_error_and_sharpened_ones_a_large_one():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 20_000)
    truth = (rng.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1).astype(float)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert scores(truth, p)["ece"] < 0.02
    assert scores(truth, sharp)["ece"] > 0.1
    up = p[:, :1] + p[:, 1:2]
    binary = np.column_stack([1 - up, up])
    assert scores((truth < 2).astype(float), binary)["ece"] < 0.02


# Changes of regime ------------------------------------------------------------------------------


def test_changes_of_regime_by_hand():
    current = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 2.0, np.nan, 1.0])
    truth = np.array([0.0, 1.0, 1.0, 2.0, 1.0, 2.0, 1.0, np.nan])
    predicted = np.array([0.0, 1.0, 2.0, 1.0, 3.0, 2.0, 1.0, 2.0])
    # known: 6; changed: samples 1, 2, 3, of which 1 was named right
    assert transition_recall(truth, predicted, current) == pytest.approx(1 / 3)


def test_persistence_never_sees_a_change_and_foresight_sees_all():
    current, truth = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    assert transition_recall(truth, current, current) == 0.0
    assert transition_recall(truth, truth, current) == 1.0
    assert math.isnan(transition_recall(current, truth, current))
