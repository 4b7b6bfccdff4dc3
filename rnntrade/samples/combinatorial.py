"""Combinatorial purged cross-validation: every choice of test groups, each judged by the rest.

Its folds train on sessions after those that they are judged on.  So it tells how far choosing among
configurations flatters, and never what a strategy would have earned.

Purge and embargo are read off the spans.  Sessions that a sample must not know (a test part; for
training, the validation part too) come in runs.  A sample learns only if, for every run,
- its label was known on the run's first session: label_end <= first (purge), or
- all that it reads is newer than the run's last label: feature_start > label_end (embargo).
A label is about all time after its decision, so the sessions that a halted ticker missed count, and
tickers are compared with each other, since they share their news.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.errors import ConfigError, DataError
from rnntrade.types import Bools, Dates, Fold, Rows, Samples, Spans

TRAINING, VALIDATION, TEST = 0, 1, 2


def choices(groups: int, test_groups: int) -> tuple[tuple[int, ...], ...]:
    """Return the test groups of each fold: all C(groups, test_groups) choices, in order.

    errors  ConfigError unless 1 <= test_groups < groups
    """
    if not 1 <= test_groups < groups:
        raise ConfigError(
            f"{test_groups} test groups of {groups} leave nothing to test or nothing to train on.  "
            "Use at least 1 test group and fewer than there are groups, such as 2 of 6."
        )
    return tuple(combinations(range(groups), test_groups))


def paths(groups: int, test_groups: int) -> Rows:
    """Which fold judges each group on each path.

    returns  (paths, groups) fold numbers.  Every pair of a fold and one of its test groups is used
             once, so there are C(groups, test_groups) × test_groups / groups paths
    source   López de Prado (2018), Advances in Financial Machine Learning, ch. 12
    """
    folds = choices(groups, test_groups)
    judged_by = [
        [number for number, chosen in enumerate(folds) if group in chosen]
        for group in range(groups)
    ]
    return np.array(judged_by, dtype=np.int64).T


def first_sessions(sessions: pd.DatetimeIndex, groups: int) -> Dates:
    """(groups,) first session of each group: consecutive sessions, equally many give or take one.

    errors  DataError when there are fewer sessions than groups
    """
    if len(sessions) < groups:
        raise DataError(
            f"{len(sessions)} sessions are too few for {groups} groups.  "
            "Use an earlier start or fewer groups."
        )
    days = sessions.to_numpy().astype("datetime64[ns]")
    return np.array([part[0] for part in np.array_split(days, groups)])


def group_of(days: Dates, first: Dates) -> Rows:
    """(n,) the group that each day falls into; `first` as `first_sessions` gives it."""
    return np.asarray(np.searchsorted(first, days, side="right") - 1, dtype=np.int64)


def combinatorial_folds(
    spans: Spans,
    sessions: pd.DatetimeIndex,
    groups: int,
    test_groups: int,
    validation_fraction: float,
) -> tuple[Fold, ...]:
    """The samples of each part of each fold, purged and embargoed by their spans.

    spans                of all samples, feature_start as `spans_read` gives it
    sessions             (T,) all sessions of the run, ascending; every decision is one of them
    validation_fraction  of the sessions outside the test groups: their end, which chooses the epoch
    returns              one fold a choice; test holds every decision of its groups, known future
                         or not; training and validation only known labels
    errors               ConfigError, DataError as above, and for sessions too few for three parts
    """
    first = first_sessions(sessions, groups)
    days = sessions.to_numpy().astype("datetime64[ns]")
    group = group_of(days, first)
    folds = []
    for number, chosen in enumerate(choices(groups, test_groups)):
        part = np.where(np.isin(group, chosen), TEST, TRAINING)  # (T,)
        region = np.flatnonzero(part == TRAINING)
        kept = len(region) - round(len(region) * validation_fraction)
        if not 0 < kept < len(region):
            raise DataError(
                f"{len(region)} sessions outside the test groups are too few for a training and a "
                "validation part.  Use an earlier start, fewer groups or fewer test groups."
            )
        part[region[kept:]] = VALIDATION
        folds.append(_fold(number, spans, days, part))
    return tuple(folds)


def spans_read(samples: Samples, features: Mapping[str, pd.DataFrame]) -> Spans:
    """Spans that start with the first session that an indicator in the window reads.

    An indicator's own memory is what it lacks at the start of a history: 50 closes for sma_50.  An
    exponential mean is known from the first close on; its fading memory is not counted.
    features  ticker -> (T_k, F), as `make_samples` was given them
    """
    dates = np.concatenate(
        [table.index.to_numpy().astype("datetime64[ns]") for table in features.values()]
    )
    memory = {ticker: _first_complete(table) for ticker, table in features.items()}
    back = np.array([memory[str(ticker)] for ticker in samples.spans.ticker], dtype=np.int64)
    return replace(samples.spans, feature_start=dates[samples.last - samples.lookback + 1 - back])


def _first_complete(table: pd.DataFrame) -> int:
    """Rows before the first on which every feature is known."""
    return int(np.argmax(np.isfinite(table.to_numpy(dtype=float)).all(axis=1)))


def _fold(number: int, spans: Spans, days: Dates, part: NDArray[np.int_]) -> Fold:
    at = part[np.searchsorted(days, spans.decision)]  # (N,)
    may_learn = ~np.isnat(spans.label_end) & _clear_of(spans, days, part == TEST)
    trains = (at == TRAINING) & may_learn & _clear_of(spans, days, part == VALIDATION)
    return Fold(
        number,
        np.flatnonzero(trains),
        np.flatnonzero((at == VALIDATION) & may_learn),
        np.flatnonzero(at == TEST),
    )


def _clear_of(spans: Spans, days: Dates, unseen: Bools) -> Bools:
    """(N,) whether a sample knows nothing of the labels of each run of unseen sessions.

    unseen  (T,) which of `days` they are
    """
    known_by = np.where(np.isnat(spans.label_end), spans.decision, spans.label_end)
    clear = np.ones(len(spans), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], unseen, [False]])))
    for begin, end in edges.reshape(-1, 2):
        first, last = days[begin], days[end - 1]
        inside = (spans.decision >= first) & (spans.decision <= last)
        until = known_by[inside].max(initial=first)
        clear &= (spans.label_end <= first) | (spans.feature_start > until)
    return clear
