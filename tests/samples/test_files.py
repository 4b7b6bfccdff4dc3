import numpy as np
import pandas as pd

from rnntrade.samples.files import FoldTargets, load_samples, save_samples
from rnntrade.samples.windows import make_samples
from rnntrade.types import Fold, Thresholds


def test_samples_come_back_as_they_were_saved(tmp_path):
    days = pd.bdate_range("2020-01-01", periods=30)
    features = {t: pd.DataFrame({"a": np.arange(30.0), "b": 1.5}, index=days) for t in ("X", "^Y")}
    targets = {
        t: pd.concat([f["a"].shift(-1), f["a"].shift(-2)], axis=1) for t, f in features.items()
    }
    samples = make_samples(features, targets, lookback=4, horizon=2)
    rows = np.arange(len(samples))
    folds = [
        FoldTargets(
            Fold(k, rows[: 10 + k], rows[12:15], rows[20:]),
            samples.target + k,
            rows * 1.0,
            {"X": Thresholds(0.1, 0.2)},
        )
        for k in range(2)
    ]
    save_samples(tmp_path, samples, folds)
    for k in range(2):
        loaded, each = load_samples(tmp_path, k)
        np.testing.assert_array_equal(loaded.rows, samples.rows)
        np.testing.assert_array_equal(loaded.target, samples.target + k)
        np.testing.assert_array_equal(loaded.last, samples.last)
        assert (loaded.features, loaded.lookback) == (samples.features, samples.lookback)
        for name in ("ticker", "feature_start", "decision", "label_start", "label_end"):
            np.testing.assert_array_equal(getattr(loaded.spans, name), getattr(samples.spans, name))
        for part in ("training", "validation", "test"):
            np.testing.assert_array_equal(getattr(each.fold, part), getattr(folds[k].fold, part))
        np.testing.assert_array_equal(each.current, folds[k].current)
        assert each.thresholds == {"X": Thresholds(0.1, 0.2)}
