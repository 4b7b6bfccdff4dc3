import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.evaluation.classification import class_table, confusion, scores
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
