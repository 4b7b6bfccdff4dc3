import numpy as np
import pandas as pd

from rnntrade.samples.windows import fit_scaler, make_samples, standardise


def test_the_scaler_sees_the_training_windows_and_nothing_else():
    days = pd.bdate_range("2020-01-01", periods=10)
    a = np.arange(10.0)
    features = {"X": pd.DataFrame({"a": a, "still": 7.0}, index=days)}
    samples = make_samples(features, {"X": features["X"][["a"]] * 2}, lookback=3, horizon=1)
    training = np.array([1, 2])  # windows of rows 1-3 and 2-4
    scaler = fit_scaler(samples, training, scale_target=True)
    np.testing.assert_allclose(scaler.mean, [np.mean([1, 2, 3, 4]), 7.0])
    np.testing.assert_allclose(scaler.deviation, [np.std([1, 2, 3, 4]), 1.0])
    assert scaler.target_mean == np.mean([6, 8])
    assert scaler.target_deviation == np.std([6, 8])

    samples.rows[5:] = np.nan
    samples.target[3:] = np.nan
    again = fit_scaler(samples, training, scale_target=True)
    np.testing.assert_array_equal(again.mean, scaler.mean)
    assert again.target_deviation == scaler.target_deviation


def test_standardised_training_rows_have_mean_zero_and_deviation_one():
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=200)
    features = {"X": pd.DataFrame(rng.normal(5, 3, (200, 2)), index=days, columns=["a", "b"])}
    samples = make_samples(features, {"X": features["X"][["a"]]}, lookback=5, horizon=1)
    scaler = fit_scaler(samples, np.arange(len(samples)), scale_target=False)
    z = standardise(samples.rows, scaler)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-6)
    assert (scaler.target_mean, scaler.target_deviation) == (0.0, 1.0)
