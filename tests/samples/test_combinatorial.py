from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.errors import ConfigError, DataError
from rnntrade.samples.combinatorial import (
    choices,
    combinatorial_folds,
    first_sessions,
    group_of,
    paths,
    spans_read,
)
from rnntrade.samples.splits import assign
from rnntrade.samples.windows import make_samples
from rnntrade.types import Boundary, Fold, Spans
from tests.samples.test_spans import (
    RANDOM,
    Market,
    intervals,
    known_ends,
    markets,
    new_york,
)

sizes = st.integers(3, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1)))


def one_ticker(sessions: int, lookback: int, horizon: int) -> tuple[pd.DatetimeIndex, Spans]:
    days = new_york()[:sessions]
    return days, Market({"A": days}).samples(lookback, horizon).spans


def test_a_fold_by_hand():
    """Six groups of 20 sessions; groups 1 and 3 judge fold 6; windows of 5, labels 3 ahead."""
    days, spans = one_ticker(120, lookback=5, horizon=3)
    folds = combinatorial_folds(spans, days, 6, 2, validation_fraction=0.25)
    assert choices(6, 2)[6] == (1, 3)
    fold = folds[6]

    def sessions(rows: np.ndarray) -> list[int]:
        return list(days.get_indexer(pd.DatetimeIndex(spans.decision[rows])))

    assert sessions(fold.test) == [*range(20, 40), *range(60, 80)]
    # The rest is 0-19, 40-59, 80-99, 100-119, and its last quarter validates: 100-119.
    # Labels of the tests end on 42 and 82; a window of 5 that starts after is decided at 47 and 87.
    assert sessions(fold.training) == [
        *range(4, 18),  # 4 is the first whole window; the label of 17 ends on 20
        *range(47, 58),
        *range(87, 98),
    ]
    assert sessions(fold.validation) == list(range(100, 117))  # no test after it; 117.. unknown


def test_validation_after_a_test_part_is_embargoed_too():
    days, spans = one_ticker(120, lookback=5, horizon=3)
    folds = combinatorial_folds(spans, days, 6, 2, validation_fraction=0.25)
    fold = folds[choices(6, 2).index((0, 4))]
    # 20-79 and 100-119 remain, 100-119 validate; the labels of 80-99 end on 102
    assert spans.decision[fold.validation].min() == days[107]
    assert spans.decision[fold.training].max() == days[77]


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 2), (5, 1), (4, 3), (10, 4)])
def test_every_judged_group_of_every_fold_is_on_one_path(groups, test_groups):
    table = paths(groups, test_groups)
    folds = choices(groups, test_groups)
    assert len(folds) == comb(groups, test_groups)
    assert table.shape == (len(folds) * test_groups // groups, groups)
    used = {(int(fold), group) for path in table for group, fold in enumerate(path)}
    assert used == {(n, group) for n, chosen in enumerate(folds) for group in chosen}
    assert len(used) == table.size


def test_the_paths_of_the_books_example():
    """Six groups, two of them judged: fifteen folds, five paths (section 12.4 of the book)."""
    table = paths(6, 2) + 1
    assert table[0].tolist() == [1, 1, 2, 3, 4, 5]
    assert table[4].tolist() == [5, 9, 12, 14, 15, 15]


def legal(fold_parts: np.ndarray, spans: Spans, days: np.ndarray, part: int, hidden: list[int]):
    """(n,) what may learn, from all pairs: a whole span and each label that must stay unknown."""
    at = fold_parts[np.searchsorted(days, spans.decision)]
    known = ~np.isnat(spans.label_end)
    times = intervals(replace(spans, label_end=known_ends(spans)))
    own = np.flatnonzero((at == part) & known)
    unseen = np.flatnonzero(np.isin(at, hidden))
    after, until = times.after[unseen], times.until[unseen]
    runs = np.flatnonzero(
        np.isin(fold_parts, hidden) & (np.append(-1, fold_parts[:-1]) != fold_parts)
    )  # whose first session is a decision, whether or not a ticker has a window there
    after = np.append(after, days[runs].astype(np.int64))
    until = np.append(until, days[runs].astype(np.int64))
    touches = (times.start[own, None] <= until) & (times.until[own, None] > after)
    return own[~touches.any(axis=1)]


@settings(max_examples=150, **RANDOM)
@given(
    market=markets(),
    size=sizes,
    lookback=st.integers(1, 15),
    horizon=st.integers(1, 12),
    validation=st.floats(0.1, 0.5),
)
def test_no_learned_span_meets_a_label_it_must_not_and_nothing_is_wasted(
    market, size, lookback, horizon, validation
):
    days = market.sessions.to_numpy()
    try:
        spans = market.samples(lookback, horizon).spans
        folds = combinatorial_folds(spans, market.sessions, *size, validation)
    except DataError:
        return
    group = group_of(days, first_sessions(market.sessions, size[0]))
    judged = np.zeros(len(spans), int)
    for fold, chosen in zip(folds, combinations(range(size[0]), size[1]), strict=True):
        # parts by hand: 0 training, 1 validation, 2 test
        parts = np.where(np.isin(group, chosen), 2, 0)
        rest = np.flatnonzero(parts == 0)
        parts[rest[len(rest) - round(len(rest) * validation) :]] = 1
        np.testing.assert_array_equal(
            fold.test, np.flatnonzero(parts[np.searchsorted(days, spans.decision)] == 2)
        )
        np.testing.assert_array_equal(fold.validation, legal(parts, spans, days, 1, [2]))
        np.testing.assert_array_equal(fold.training, legal(parts, spans, days, 0, [1, 2]))
        judged[fold.test] += 1
    # every decision, the newest too, is judged as often as there are paths
    assert (judged == paths(*size).shape[0]).all()


@settings(max_examples=60, **RANDOM)
@given(markets(), sizes, st.integers(1, 10), st.integers(1, 10))
def test_with_the_test_groups_at_the_end_it_is_a_holdout(market, size, lookback, horizon):
    days = market.sessions
    try:
        spans = market.samples(lookback, horizon).spans
        fold = combinatorial_folds(spans, days, *size, 0.3)[-1]
    except DataError:
        return
    test = int(days.searchsorted(first_sessions(days, size[0])[size[0] - size[1]]))
    validation = test - round(test * 0.3)
    expected = assign(spans, Boundary(fold.number, days[0], days[validation], days[test], None))
    for part in ("training", "validation", "test"):
        np.testing.assert_array_equal(getattr(fold, part), getattr(expected, part))


@settings(max_examples=40, **RANDOM)
@given(markets(), sizes, st.integers(1, 12), st.integers(1, 10))
def test_an_independent_library_purges_and_embargoes_the_same(market, size, lookback, horizon):
    reference = pytest.importorskip("purgedcv", reason="a reference for tests only")
    try:
        spans = market.samples(lookback, horizon).spans
        folds = combinatorial_folds(spans, market.sessions, *size, 0.3)
    except DataError:
        return
    days, count = market.sessions.to_numpy(), len(spans)
    first = first_sessions(market.sessions, size[0])
    group = group_of(spans.decision, first)
    # It knows half-open intervals: what is read starts with the window, what is judged with the
    # decision; a moment past its last session a label is over.
    start = np.concatenate([spans.feature_start, spans.decision])
    end = np.concatenate([known_ends(spans), known_ends(spans) + np.timedelta64(1, "ns")])
    for fold, chosen in zip(folds, choices(*size), strict=True):
        test = np.flatnonzero(np.isin(group, chosen))
        np.testing.assert_array_equal(fold.test, test)
        starts = [first[g] for g in chosen if g - 1 not in chosen]
        if not np.isin(starts, spans.decision[test]).all():
            continue  # it knows samples only, not the session on which a group begins
        rest = days[~np.isin(group_of(days, first), chosen)]
        begin = rest[len(rest) - round(len(rest) * 0.3)]
        validates = (spans.decision >= begin) & ~np.isnat(spans.label_end)
        validation = np.setdiff1d(np.flatnonzero(validates), test)
        kept = reference.purge(validation, test + count, start, end)
        np.testing.assert_array_equal(fold.validation, kept)


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 2), (5, 3), (4, 1)])
def test_an_independent_library_stitches_the_same_paths(groups, test_groups):
    reference = pytest.importorskip("purgedcv", reason="a reference for tests only")
    count = 5 * groups
    tests = [
        np.concatenate([np.arange(5 * g, 5 * g + 5) for g in chosen])
        for chosen in choices(groups, test_groups)
    ]
    numbers = [np.full(len(rows), float(n)) for n, rows in enumerate(tests)]
    theirs = reference.reconstruct_paths(numbers, tests, groups, test_groups, count)
    np.testing.assert_array_equal(theirs, np.repeat(paths(groups, test_groups), 5, axis=1))


def test_an_indicators_memory_counts_as_read():
    days = new_york()[:60]
    own = {"A": days, "B": days[20:]}
    tables = {
        name: pd.DataFrame({"now": 1.0, "mean_8": np.ones(len(index))}, index=index)
        for name, index in own.items()
    }
    for table in tables.values():
        table.iloc[:7, 1] = np.nan
    samples = make_samples(tables, {t: x[["now"]] for t, x in tables.items()}, 3, 1)
    reads = spans_read(samples, tables)
    np.testing.assert_array_equal(samples.spans.feature_start[:1], days[[7]])
    for name, index in own.items():
        mine = samples.spans.ticker == name
        np.testing.assert_array_equal(reads.feature_start[mine], index[: mine.sum()])
    np.testing.assert_array_equal(reads.decision, samples.spans.decision)


def test_a_longer_memory_only_lengthens_the_embargo():
    days, spans = one_ticker(120, lookback=5, horizon=3)
    at = days.get_indexer(pd.DatetimeIndex(spans.feature_start))
    longer = replace(spans, feature_start=days.to_numpy()[np.maximum(at - 4, 0)])
    short, long = (combinatorial_folds(each, days, 6, 2, 0.25)[6] for each in (spans, longer))
    lost = np.setdiff1d(short.training, long.training)
    assert list(days.get_indexer(pd.DatetimeIndex(spans.decision[lost]))) == [
        *range(47, 51),
        *range(87, 91),
    ]


def test_impossible_choices_are_told():
    days, spans = one_ticker(60, 3, 1)
    for groups, test_groups in ((6, 0), (6, 6), (1, 1)):
        with pytest.raises(ConfigError, match=f"{test_groups} test groups of {groups}"):
            combinatorial_folds(spans, days, groups, test_groups, 0.2)
    with pytest.raises(DataError, match="3 sessions are too few for 4 groups"):
        combinatorial_folds(spans, days[:3], 4, 1, 0.2)
    with pytest.raises(DataError, match="4 sessions outside the test groups are too few"):
        combinatorial_folds(spans[:2], days[:6], 3, 1, 0.1)


def test_folds_are_the_pipelines_own():
    days, spans = one_ticker(120, 5, 3)
    folds = combinatorial_folds(spans, days, 4, 2, 0.2)
    assert [fold.number for fold in folds] == list(range(6))
    assert all(isinstance(fold, Fold) for fold in folds)
