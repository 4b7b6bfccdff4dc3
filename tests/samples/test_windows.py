import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.errors import DataError
from rnntrade.samples.windows import gather, make_samples, windows

NAN = float("nan")
DAYS = pd.bdate_range("2024-01-01", periods=6)


def table(values: list[float], days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    return pd.DataFrame({"a": values, "b": [10 * v for v in values]}, index=days[: len(values)])


def test_windows_and_their_times_by_hand():
    features = {"X": table([1.0, 2, 3, 4, 5]), "Y": table([6.0, 7, 8, 9], DAYS[2:])}
    targets = {name: 100 * frame[["a"]].shift(-1) for name, frame in features.items()}
    samples = make_samples(features, targets, lookback=3, horizon=1)

    assert list(samples.spans.ticker) == ["X", "X", "X", "Y", "Y"]
    assert list(pd.to_datetime(samples.spans.decision)) == [*DAYS[[2, 3, 4]], *DAYS[[4, 5]]]
    assert list(pd.to_datetime(samples.spans.feature_start)) == [*DAYS[[0, 1, 2]], *DAYS[[2, 3]]]
    expected = [*DAYS[[3, 4]], pd.NaT, DAYS[5], pd.NaT]
    assert list(pd.to_datetime(samples.spans.label_end)) == expected
    assert list(pd.to_datetime(samples.spans.label_start)) == expected
    np.testing.assert_array_equal(samples.target[:, 0], [400, 500, NAN, 900, NAN])
    x = gather(samples.rows, samples.last, 3)
    assert x.shape == (5, 3, 2)
    np.testing.assert_array_equal(x[0], [[1, 10], [2, 20], [3, 30]])
    np.testing.assert_array_equal(x[3], [[6, 60], [7, 70], [8, 80]])
    assert samples.features == ("a", "b")


def test_a_window_with_a_missing_feature_is_no_sample():
    features = {"X": table([1.0, NAN, 3, 4, 5])}
    samples = make_samples(features, {"X": features["X"][["a"]]}, lookback=2, horizon=1)
    assert list(pd.to_datetime(samples.spans.decision)) == list(DAYS[[3, 4]])


def test_too_few_sessions_are_told_with_their_number():
    features = {"X": table([1.0, 2, 3])}
    with pytest.raises(DataError, match=r"fewer sessions than one window needs: 5 .*X 3"):
        make_samples(features, {"X": features["X"][["a"]]}, lookback=5, horizon=1)


def test_windows_are_views():
    rows = np.arange(20.0).reshape(10, 2)
    view = windows(rows, 4)
    assert np.shares_memory(view, rows)
    np.testing.assert_array_equal(view, gather(rows, np.arange(3, 10), 4))


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    lookback=st.integers(1, 8),
    horizon=st.integers(1, 6),
    holes=st.sets(st.integers(0, 60)),
)
def test_every_sample_knows_its_times(lengths, lookback, horizon, holes):
    days = pd.bdate_range("2020-01-01", periods=40)
    features, at = {}, 0
    for k, n in enumerate(lengths):
        values = np.array([NAN if at + i in holes else float(at + i) for i in range(n)])
        features[f"T{k}"] = pd.DataFrame({"a": values}, index=days[k : k + n])
        at += n
    targets = {t: f.shift(-horizon) for t, f in features.items()}
    try:
        s = make_samples(features, targets, lookback, horizon)
    except DataError:
        return
    x = gather(s.rows, s.last, lookback)
    for i in range(len(s)):
        own = features[s.spans.ticker[i]]
        end = own.index.get_loc(s.spans.decision[i])
        np.testing.assert_array_equal(x[i, :, 0], own["a"].iloc[end - lookback + 1 : end + 1])
        assert s.spans.feature_start[i] == own.index[end - lookback + 1]
        if end + horizon < len(own):
            assert s.spans.label_start[i] == own.index[end + 1]
            assert s.spans.label_end[i] == own.index[end + horizon]
        else:
            assert np.isnat(s.spans.label_end[i])
            assert np.isnan(s.target[i]).all()
