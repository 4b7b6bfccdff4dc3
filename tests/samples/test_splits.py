from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntrade.config import SplitConfig
from rnntrade.errors import DataError
from rnntrade.samples.splits import assign, boundaries, require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.types import Fold

HOLDOUT = SplitConfig(kind="holdout", test_fraction=0.2, validation_fraction=0.25)


def samples_of(lengths, lookback, horizon, missing=frozenset()):
    """Tickers that start at different times, and miss sessions."""
    days = pd.bdate_range("2015-01-01", periods=max(lengths))
    features = {}
    for k, n in enumerate(lengths):
        own = days[len(days) - n :]
        own = own[[(i * 7 + k) % 97 not in missing for i in range(len(own))]]
        features[f"T{k}"] = pd.DataFrame({"a": np.arange(len(own), dtype=float)}, index=own)
    targets = {t: f.shift(-horizon) for t, f in features.items()}
    return days, make_samples(features, targets, lookback, horizon)


def test_holdout_by_hand():
    days, samples = samples_of([100], lookback=5, horizon=3)
    (boundary,) = boundaries(days, HOLDOUT)
    fold = assign(samples.spans, boundary)
    decisions = [samples.spans.decision[part] for part in (fold.training, fold.validation)]
    # 80 before the test part, the last 20 of them validate; 3 decisions purged before each part,
    # but the one whose label ends on the next part's first decision is known there
    assert [len(part) for part in decisions] == [60 - 4 - 2, 20 - 2]
    assert decisions[0].max() == days[57]
    assert decisions[1].min() == days[60]
    assert decisions[1].max() == days[77]
    test = samples.spans.decision[fold.test]
    assert test.min() == days[80]
    assert test.max() == days[99]  # the newest session is used, though its future is not known


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_walk_forward_by_hand(window):
    days, samples = samples_of([100], lookback=5, horizon=1)
    config = SplitConfig(
        kind="walk_forward",
        window=window,
        train_sessions=40,
        test_sessions=25,
        validation_fraction=0.25,
    )
    folds = [assign(samples.spans, b) for b in boundaries(days, config)]
    tests = [samples.spans.decision[fold.test] for fold in folds]
    assert [len(test) for test in tests] == [25, 25, 10]
    np.testing.assert_array_equal(np.concatenate(tests), days[40:])
    starts = [samples.spans.feature_start[fold.training].min() for fold in folds]
    assert starts == ([days[0]] * 3 if window == "expanding" else [days[0], days[25], days[50]])


@given(
    lengths=st.lists(st.integers(60, 200), min_size=1, max_size=3),
    lookback=st.integers(1, 20),
    horizon=st.integers(1, 20),
    kind=st.sampled_from(["holdout", "walk_forward"]),
    window=st.sampled_from(["expanding", "rolling"]),
    validation=st.floats(0.1, 0.5),
    missing=st.sets(st.integers(0, 96), max_size=10),
)
def test_no_training_span_touches_a_later_label(
    lengths, lookback, horizon, kind, window, validation, missing
):
    days, samples = samples_of(lengths, lookback, horizon, missing)
    config = SplitConfig(
        kind=kind,
        window=window,
        train_sessions=50,
        test_sessions=20,
        validation_fraction=validation,
    )
    spans = samples.spans
    for boundary in boundaries(days, config):
        fold = assign(spans, boundary)
        later = [fold.validation, fold.test]
        for number, part in enumerate((fold.training, fold.validation)):
            if len(part) == 0:
                continue
            for rest in later[number:]:
                known = rest[~np.isnat(spans.label_start[rest])]
                if len(known):
                    assert spans.label_end[part].max() < spans.label_start[known].min()
                if len(rest):
                    assert spans.label_end[part].max() <= boundary.test
                    assert spans.decision[part].max() < spans.decision[rest].min()
        for one, other in combinations((fold.training, fold.validation, fold.test), 2):
            assert not set(one) & set(other)


def test_every_decision_after_the_first_test_session_is_judged_once():
    days, samples = samples_of([150, 90], lookback=3, horizon=2)
    config = SplitConfig(kind="walk_forward", train_sessions=60, test_sessions=17)
    tests = np.concatenate([assign(samples.spans, b).test for b in boundaries(days, config)])
    assert len(set(tests)) == len(tests)
    assert set(tests) == set(np.flatnonzero(samples.spans.decision >= days[60]))


def test_a_last_test_part_of_less_than_a_quarter_joins_the_one_before():
    config = SplitConfig(kind="walk_forward", train_sessions=40, test_sessions=20)
    lengths = {}
    for count in (84, 85, 44):
        days, samples = samples_of([count], lookback=5, horizon=1)
        folds = [assign(samples.spans, b) for b in boundaries(days, config)]
        lengths[count] = [len(fold.test) for fold in folds]
        assert samples.spans.decision[folds[-1].test].max() == days[-1]
    assert lengths == {84: [20, 24], 85: [20, 20, 5], 44: [4]}  # an only part has none before it


@pytest.mark.parametrize("part", ["training", "validation", "test"])
@pytest.mark.parametrize("unknown", [False, True], ids=["no samples", "no known label"])
def test_a_fold_without_a_known_label_in_some_part_is_told_with_its_cure(part, unknown):
    target = np.arange(20.0).reshape(10, 2)
    fold = Fold(3, np.arange(4), np.arange(4, 7), np.arange(7, 10))
    require_samples(target, fold, "seq2seq_lstm", 5)
    rows = getattr(fold, part)
    target[rows[1:]] = np.nan
    require_samples(target, fold, "seq2seq_lstm", 5)  # one known is enough
    if unknown:
        target[rows[0], 1] = np.nan  # half a label is none
    else:
        fold = replace(fold, **{part: rows[:0]})
    told = rf"seq2seq_lstm, fold 3: no {part} sample.*horizon is 5,.* {len(fold.test)} test samples"
    with pytest.raises(DataError, match=told):
        require_samples(target, fold, "seq2seq_lstm", 5)


def test_too_few_sessions_are_told():
    days = pd.bdate_range("2020-01-01", periods=50)
    with pytest.raises(DataError, match="50 sessions are too few for a walk-forward split"):
        boundaries(days, SplitConfig(kind="walk_forward", train_sessions=50))
    with pytest.raises(DataError, match="too few for a holdout split"):
        boundaries(days[:2], HOLDOUT)
