"""Folds: which decisions train, which choose the epoch, which judge.

A boundary is a set of dates, the same for every model of a run; which samples then belong to a
part follows from their spans.  A sample trains only if its label was known at the first decision
of the next part; so the purge is never a number that someone types.  Every training sample is
older than every test sample: there is nothing for an embargo to hold back.

Walk-forward's last test part is as long as the sessions last.  Less than a quarter of a part would
cost a training to judge a handful of decisions: they join the part before.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import SplitConfig
from rnntrade.errors import DataError
from rnntrade.types import Boundary, Fold, Spans


def boundaries(
    sessions: pd.DatetimeIndex, config: SplitConfig, test_from: pd.Timestamp | None = None
) -> tuple[Boundary, ...]:
    """Where the parts of each fold begin.

    test_from  of the final holdout, when it is opened: one fold, whose test part begins there
    returns    in order of time: one boundary, or for walk-forward one a test part
    errors     DataError when there are too few sessions
    source     López de Prado (2018), Advances in Financial Machine Learning, ch. 7
    """
    if test_from is not None:
        tests = [int(sessions.searchsorted(test_from))]
    elif config.kind == "holdout":
        tests = [len(sessions) - round(len(sessions) * config.test_fraction)]
    elif config.kind == "latest":
        tests = [len(sessions) - config.test_sessions]
    else:
        tests = list(range(config.train_sessions, len(sessions), config.test_sessions))
        if len(tests) > 1 and 4 * (len(sessions) - tests[-1]) < config.test_sessions:
            tests.pop()
    folds = []
    for number, test in enumerate(tests):
        rolling = config.kind != "holdout" and config.window == "rolling"
        first = test - config.train_sessions if rolling else 0
        validation = test - round((test - first) * config.validation_fraction)
        if not 0 <= first < validation < test < len(sessions):
            raise _too_few(len(sessions), config)
        end = tests[number + 1] if number + 1 < len(tests) else None
        last = None if end is None else sessions[end]
        folds.append(Boundary(number, sessions[first], sessions[validation], sessions[test], last))
    if not folds:
        raise _too_few(len(sessions), config)
    return tuple(folds)


def assign(spans: Spans, boundary: Boundary) -> Fold:
    """The samples of each part, purged by their spans.

    returns  training and validation hold only labels that end no later than the first decision of
             the next part; test holds every decision of its time, known future or not
    """
    decision, label_end = spans.decision, spans.label_end
    first, validation, test = (
        np.datetime64(day) for day in (boundary.training, boundary.validation, boundary.test)
    )
    inside = decision >= test
    if boundary.end is not None:
        inside &= decision < np.datetime64(boundary.end)
    # Comparisons with NaT are false: a label not known yet never trains.
    trains = (spans.feature_start >= first) & (decision < validation) & (label_end <= validation)
    validates = (decision >= validation) & (decision < test) & (label_end <= test)
    return Fold(
        boundary.number, np.flatnonzero(trains), np.flatnonzero(validates), np.flatnonzero(inside)
    )


def require_samples(
    target: NDArray[np.floating], fold: Fold, name: str, horizon: int, judged: bool = True
) -> None:
    """Raise DataError unless every part of the fold has a sample with a known target.

    target  (N, O) of all samples; NaN where the future is not known yet
    judged  whether the test part needs one too
    """
    known = np.isfinite(target).all(axis=1)  # (N,)
    parts = {"training": fold.training, "validation": fold.validation}
    parts |= {"test": fold.test} if judged else {}
    for part, rows in parts.items():
        if not known[rows].any():
            raise DataError(
                f"{name}, fold {fold.number}: no {part} sample has a known label.  Its horizon is "
                f"{horizon}, and the fold has {len(fold.training)} training, "
                f"{len(fold.validation)} validation and {len(fold.test)} test samples of all "
                "tickers together.  Use an earlier start or a later end, longer parts (split), or "
                "a shorter lookback or horizon."
            )


def _too_few(sessions: int, config: SplitConfig) -> DataError:
    wanted = (
        f"more than {config.train_sessions} (split.train_sessions)"
        if config.kind == "walk_forward"
        else "enough for a training, a validation and a test part"
    )
    return DataError(
        f"{sessions} sessions are too few for a {config.kind.replace('_', '-')} split, which needs "
        f"{wanted}.  Use an earlier start or smaller parts."
    )
