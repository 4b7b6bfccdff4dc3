"""Random markets, random folds: nothing overlaps that must not, and nothing is wasted.

The reference knows only a table of sessions per ticker, builds each sample's times by walking
through it, and compares every pair of samples as intervals of time.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rnntrade.config import SplitConfig
from rnntrade.data.sessions import expected_sessions
from rnntrade.errors import DataError
from rnntrade.samples.splits import assign, boundaries
from rnntrade.samples.windows import make_samples
from rnntrade.types import Samples, Spans

NEVER = np.iinfo(np.int64).max  # when a label that is not known yet will be
RANDOM = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@dataclass(frozen=True, eq=False)
class Market:
    """Sessions of each ticker: late listings, halts, missing days, days without any trading."""

    tickers: dict[str, pd.DatetimeIndex]

    @property
    def sessions(self) -> pd.DatetimeIndex:
        whole = pd.DatetimeIndex([])
        for own in self.tickers.values():
            whole = whole.union(own)
        return whole.as_unit("ns")

    def samples(self, lookback: int, horizon: int) -> Samples:
        """Features and targets are ordinals that tell ticker and session apart."""
        features = {
            name: pd.DataFrame({"a": 1e6 * k + np.arange(len(own), dtype=float)}, index=own)
            for k, (name, own) in enumerate(self.tickers.items())
        }
        targets = {name: table.shift(-horizon) for name, table in features.items()}
        return make_samples(features, targets, lookback, horizon)


@cache
def new_york() -> pd.DatetimeIndex:
    return expected_sessions("XNYS", date(2001, 6, 1), date(2021, 6, 1))


@st.composite
def markets(draw, least=70, most=160) -> Market:
    """Real sessions of New York, 2001's closure and all, with holes of our own."""
    count = draw(st.integers(least, most))
    start = draw(st.integers(0, len(new_york()) - count))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    calendar = new_york()[start : start + count]
    calendar = calendar[noise.random(count) >= draw(st.sampled_from([0.0, 0.05]))]
    tickers = {}
    for k in range(draw(st.integers(1, 3))):
        trades = noise.random(len(calendar)) >= draw(st.sampled_from([0.0, 0.0, 0.03, 0.2]))
        if k > 0:
            trades[: draw(st.integers(0, len(calendar) // 2))] = False  # listed late
        halt, length = draw(st.integers(0, len(calendar))), draw(st.sampled_from([0, 0, 5, 25]))
        trades[halt : halt + length] = False
        tickers[f"T{k}"] = calendar[trades]
    return Market(tickers)


@st.composite
def split_configs(draw) -> SplitConfig:
    return SplitConfig(
        kind=draw(st.sampled_from(["walk_forward", "walk_forward", "walk_forward", "holdout"])),
        window=draw(st.sampled_from(["expanding", "rolling"])),
        train_sessions=draw(st.integers(20, 50)),
        test_sessions=draw(st.integers(1, 12)),
        test_fraction=draw(st.floats(0.05, 0.5)),
        validation_fraction=draw(st.floats(0.08, 0.6)),
    )


def times_by_hand(market: Market, lookback: int, horizon: int) -> list[tuple[object, ...]]:
    """(ticker, feature_start, decision, label_start, label_end) of every sample, by walking."""
    found: list[tuple[object, ...]] = []
    for name, own in market.tickers.items():
        for at in range(lookback - 1, len(own)):
            known = at + horizon < len(own)
            label = (own[at + 1], own[at + horizon]) if known else (pd.NaT, pd.NaT)
            found.append((name, own[at - lookback + 1], own[at], *label))
    return found


def check_times(samples: Samples, market: Market, lookback: int, horizon: int) -> None:
    """Every sample has its own ticker's times, and its target is of that ticker, that far ahead."""
    spans = samples.spans
    table = pd.DataFrame({name: getattr(spans, name) for name in Spans.__dataclass_fields__})
    hand = pd.DataFrame(times_by_hand(market, lookback, horizon), columns=list(table.columns))
    assert len(table) == len(hand)
    for column in table.columns[1:]:
        np.testing.assert_array_equal(
            table[column].to_numpy(), hand[column].to_numpy().astype("datetime64[ns]")
        )
    assert list(table["ticker"]) == list(hand["ticker"])
    position = samples.rows[samples.last, 0]
    known = ~np.isnat(spans.label_end)
    np.testing.assert_array_equal(samples.target[known, 0], position[known] + horizon)
    assert np.isnan(samples.target[~known]).all()


@dataclass(frozen=True, eq=False)
class Intervals:
    """Times as integers: what a label is about lies after `after`, and until `until`."""

    start: np.ndarray  # of the window
    after: np.ndarray
    until: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Intervals":
        return Intervals(self.start[rows], self.after[rows], self.until[rows])


def intervals(spans: Spans) -> Intervals:
    until = spans.label_end.astype(np.int64)
    until[np.isnat(spans.label_end)] = NEVER
    return Intervals(spans.feature_start.astype(np.int64), spans.decision.astype(np.int64), until)


def overlap(one: Intervals, other: Intervals) -> np.ndarray:
    """(n, m) whether two labels share a moment."""
    return (one.after[:, None] < other.until) & (other.after < one.until[:, None])


def may_learn(times: Intervals, candidates: np.ndarray, session: int, later: np.ndarray):
    """(n,) which candidates' labels touch no label of the later samples.

    Nor that of a decision made on the first session of their part, should no ticker have a window
    there: the boundary is the same for every model.
    """
    own = times[np.flatnonzero(candidates)]
    rest = times[np.flatnonzero(later)]
    rest = Intervals(
        np.append(rest.start, session), np.append(rest.after, session), np.append(rest.until, NEVER)
    )
    return np.flatnonzero(candidates)[~overlap(own, rest).any(axis=1)]


def check_folds(samples: Samples, sessions: pd.DatetimeIndex, config: SplitConfig, assign=assign):
    """Compare every fold with all pairs of intervals; return how many folds there were."""
    spans, times = samples.spans, intervals(samples.spans)
    known = ~np.isnat(spans.label_end)
    tests = []
    places = boundaries(sessions, config)
    for boundary in places:
        fold = assign(spans, boundary)
        first, validation, test = (
            day.value for day in (boundary.training, boundary.validation, boundary.test)
        )
        # Nothing overlaps that must not.
        later = np.concatenate([fold.validation, fold.test])
        assert not overlap(times[fold.training], times[later]).any()
        assert not overlap(times[fold.validation], times[fold.test]).any()
        assert (times.start[fold.training] >= first).all()
        # Nothing is wasted.
        before = (times.start >= first) & (times.after < validation) & known
        legal = may_learn(times, before, validation, times.after >= validation)
        np.testing.assert_array_equal(fold.training, legal)
        between = (times.after >= validation) & (times.after < test) & known
        legal = may_learn(times, between, test, times.after >= test)
        np.testing.assert_array_equal(fold.validation, legal)
        # Nothing trains on later data, so there is nothing that an embargo would hold back.
        learned = np.concatenate([fold.training, fold.validation])
        if len(learned):
            assert times.until[learned].max() <= test
        tests.append(fold.test)
    judged = np.concatenate(tests)
    np.testing.assert_array_equal(
        np.sort(judged), np.flatnonzero(times.after >= places[0].test.value)
    )
    assert len(np.unique(judged)) == len(judged)
    spells = [times.after[part] for part in tests if len(part)]
    for one, other in pairwise(spells):
        assert one.max() < other.min()
    newest = np.flatnonzero(spans.decision == sessions[-1].to_datetime64())
    assert set(newest) <= set(tests[-1])
    assert not known[newest].any()
    return len(places)


@pytest.mark.parametrize("examples", [160, pytest.param(800, marks=pytest.mark.soak)])
def test_random_folds_overlap_nowhere_and_waste_nothing(examples):
    folds = newest = 0

    @settings(max_examples=examples, **RANDOM)  # which are drawn depends on what else is imported
    @given(markets(), split_configs(), st.integers(1, 25), st.integers(1, 22))
    def check(market, config, lookback, horizon):
        nonlocal folds, newest
        try:
            samples = market.samples(lookback, horizon)
            places = len(boundaries(market.sessions, config))
        except DataError:  # too short for one window, or for the parts asked for
            return
        check_times(samples, market, lookback, horizon)
        assert check_folds(samples, market.sessions, config) == places
        folds += places
        newest += int((samples.spans.decision == market.sessions[-1].to_datetime64()).any())

    check()
    assert folds >= 12 * examples
    assert newest >= examples // 2  # the newest session was there to be judged


@settings(max_examples=60, **RANDOM)
@given(
    market=markets(),
    config=split_configs(),
    lookbacks=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    horizon=st.integers(1, 15),
)
def test_the_horizon_alone_changes_the_purge(market, config, lookbacks, horizon):
    """Neither the lookback nor the other tickers do; a session more ahead purges one more."""
    try:
        places = boundaries(market.sessions, config)
    except DataError:
        assume(False)
    alone = {name: Market({name: own}) for name, own in market.tickers.items()}
    for ahead in (horizon, horizon + 1):
        for lookback in lookbacks:
            together = spans_of(market, lookback, ahead)
            apart = {name: spans_of(each, lookback, ahead) for name, each in alone.items()}
            for boundary in (places[0], places[-1]):
                trained = assign(together, boundary).training
                for name, own in market.tickers.items():
                    found = together.decision[trained][together.ticker[trained] == name]
                    by_itself = apart[name].decision[assign(apart[name], boundary).training]
                    np.testing.assert_array_equal(found, by_itself)
                    # the newest label that was known ends on the last session that the ticker
                    # traded by the next part's first; its decision is `ahead` of its own before
                    known = own.searchsorted(boundary.validation, side="right") - ahead
                    expected = [
                        own[at]
                        for at in range(lookback - 1, max(known, 0))
                        if own[at - lookback + 1] >= boundary.training
                    ]
                    assert list(pd.DatetimeIndex(found)) == expected


def spans_of(market: Market, lookback: int, horizon: int) -> Spans:
    """Spans; none where no ticker has a whole window."""
    try:
        return market.samples(lookback, horizon).spans
    except DataError:
        none = np.empty(0, "datetime64[ns]")
        return Spans(np.empty(0, str), none, none, none, none)


@settings(max_examples=25, **RANDOM)
@given(markets(least=100), split_configs(), st.integers(1, 10), st.integers(1, 10))
def test_an_independent_library_purges_the_same(market, config, lookback, horizon):
    reference = pytest.importorskip("purgedcv", reason="a reference for tests only")
    try:
        spans = market.samples(lookback, horizon).spans
        places = boundaries(market.sessions, config)
    except DataError:
        assume(False)
    known = ~np.isnat(spans.label_end)
    for boundary in places:
        fold = assign(spans, boundary)
        for part, begin, end in (
            ("training", boundary.training, boundary.validation),
            ("validation", boundary.validation, boundary.test),
        ):
            begin, end = begin.to_datetime64(), end.to_datetime64()
            later = np.flatnonzero((spans.decision >= end) & known)
            if not (spans.decision[later] == end).any():
                continue  # it knows samples only, not the session on which the part begins
            before = known & (spans.decision < end)
            if part == "training":
                before &= spans.feature_start >= begin
            else:
                before &= spans.decision >= begin
            kept = reference.purge(np.flatnonzero(before), later, spans.decision, known_ends(spans))
            np.testing.assert_array_equal(getattr(fold, part), kept)


def known_ends(spans: Spans) -> np.ndarray:
    """Ends of labels; a date where there is none, since the library takes no missing ones."""
    return np.where(np.isnat(spans.label_end), spans.decision, spans.label_end)


@pytest.mark.parametrize("moved", ["label_end", "feature_start"])
def test_the_reference_itself_catches_a_purge_that_is_a_session_short(moved):
    """Spans that lie by one session must not pass the comparison."""
    market = Market({"A": new_york()[:120], "B": new_york()[30:120]})
    samples = market.samples(10, 5)
    days = market.sessions.to_numpy()
    config = SplitConfig(kind="walk_forward", window="rolling", train_sessions=60, test_sessions=15)
    check_folds(samples, market.sessions, config)

    def lying(spans: Spans, boundary):
        given = getattr(spans, moved)
        times = given.copy()
        known = ~np.isnat(given)
        step = 1 if moved == "feature_start" else -1
        times[known] = days[np.searchsorted(days, given[known]) + step]
        return assign(replace(spans, **{moved: times}), boundary)

    with pytest.raises(AssertionError):
        check_folds(samples, market.sessions, config, lying)
