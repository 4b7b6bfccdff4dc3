import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.evaluation.predictions import conformal_half_width, interval_scores, step_scores


def test_steps_by_hand():
    truth = np.array([[0.01, 0.02], [-0.01, 0.02]])
    forecast = np.array([[0.02, 0.0], [0.01, 0.0]])
    table = step_scores(truth, forecast)
    assert list(table.index) == [1, 2]
    assert table.loc[1].tolist() == pytest.approx(
        [np.sqrt((0.01**2 + 0.02**2) / 2), 0.015, 1 - 2.5, 0.5]
    )
    assert table.loc[2, ["rmse", "mae", "r2_zero"]].tolist() == pytest.approx([0.02, 0.02, 0.0])
    assert np.isnan(table.loc[2, "sign_accuracy"])  # always 0 has no sign


def test_truth_that_never_moves_leaves_r2_undefined():
    assert np.isnan(step_scores(np.zeros((3, 1)), np.ones((3, 1))).loc[1, "r2_zero"])


@pytest.mark.parametrize(
    ("n", "coverage", "rank"),
    [(9, 0.9, 9), (19, 0.9, 18), (99, 0.9, 90), (100, 0.9, 91), (19, 0.95, 19)],
)
def test_half_width_is_the_finite_sample_quantile(n, coverage, rank):
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    residuals = (residuals * np.resize([1, -1], n)).reshape(-1, 1)
    assert conformal_half_width(residuals, coverage)[0] == rank


def test_too_few_residuals_promise_nothing():
    assert np.isinf(conformal_half_width(np.ones((8, 2)), 0.9)).all()


@given(seed=st.integers(0, 1000))
def test_one_more_exchangeable_residual_is_covered_as_promised(seed):
    """Each of n + 1 values left out in turn: at least 90 % lie inside the others' interval."""
    values = np.random.default_rng(seed).standard_t(3, size=(50, 1))
    inside = [
        abs(values[i, 0]) <= conformal_half_width(np.delete(values, i, axis=0), 0.9)[0]
        for i in range(50)
    ]
    assert np.mean(inside) >= 0.9


def test_coverage_and_width_by_hand():
    truth = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, -3.0], [0.5, 0.0]])
    table = interval_scores(truth, np.zeros((4, 2)), np.array([1.0, 2.0]))
    assert table["coverage"].tolist() == [0.75, 0.75]  # touching is inside
    assert table["mean_width"].tolist() == [2.0, 4.0]
