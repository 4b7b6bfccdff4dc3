"""Tickers that a run can use only in part: listed late, delisted early, or too short a history."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rnntrade.samples.files import load_samples
from tasks.artifacts import Ref
from tasks.data import DataWarning
from tasks.tables import Labels, read_bars, read_folds


def partly_used(
    prices: Mapping[str, Ref], labels: Labels, samples: Mapping[str, Ref]
) -> list[DataWarning]:
    """Name the tickers that not every fold trains on, judges or knows a regime of.

    samples  by model
    """
    learned = read_folds(labels)
    trains = {ticker: [False] * labels.folds for ticker in prices}
    judges = {ticker: [False] * labels.folds for ticker in prices}
    windows: dict[str, set[str]] = {ticker: set() for ticker in prices}
    for name, ref in samples.items():
        for number in range(labels.folds):
            table, each = load_samples(ref.folder, number)
            taught = np.isfinite(table.target[each.fold.training]).all(axis=1)
            for rows, used in ((each.fold.training[taught], trains), (each.fold.test, judges)):
                for ticker in np.unique(table.spans.ticker[rows]):
                    used[str(ticker)][number] = True
        for ticker in np.unique(table.spans.ticker):
            windows[str(ticker)].add(name)
    found = []
    for ticker, ref in prices.items():
        known = [np.isfinite(fold.thresholds[ticker].median) for fold in learned]
        lacking = {
            "trains no model": trains[ticker],
            "is not judged": judges[ticker],
            "has no regime": known,
        }
        parts = [
            f"{what} in {used.count(False)} of {labels.folds} folds"
            for what, used in lacking.items()
            if not all(used)
        ]
        if without := [name for name in samples if name not in windows[ticker]]:
            parts = [f"has too few sessions for one window of {', '.join(without)}", *parts]
        if parts:
            found.append(_partly(ticker, read_bars(ref), parts, bool(windows[ticker])))
    return found


def _partly(ticker: str, bars: pd.DataFrame, parts: list[str], used: bool) -> DataWarning:
    """The warning about one ticker that is used in part, or not at all."""
    span = f"{bars.index[0]:%Y-%m-%d} to {bars.index[-1]:%Y-%m-%d}" if len(bars) else "nowhere"
    what = "; it ".join(parts) if used else f"left out: it {parts[0]}"
    return DataWarning(
        message=f"{ticker}: bars from {span}; {'it ' if used else ''}{what}.  The other tickers "
        "go on.  Change data.start, data.end or split, or leave it out of data.tickers.",
        until=f"{bars.index[-1]:%Y-%m-%d}" if len(bars) else "",
    )
