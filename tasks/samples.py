"""Labels, windows and folds as tasks."""

import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd

from rnntrade.config import LabelConfig, SplitConfig, Task
from rnntrade.errors import DataError
from rnntrade.features.sets import check_names
from rnntrade.labels.regimes import Regimes, learn_regimes
from rnntrade.labels.targets import make_target
from rnntrade.samples.files import FoldTargets, load_samples, save_samples
from rnntrade.samples.splits import Boundary, assign, boundaries, require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.types import Prices, Thresholds, regime_names
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.data import DataWarning
from tasks.tables import Labels, as_boundary, read_bars, read_prices


@cached_task("label_regimes")
def label_regimes(
    prices: dict[str, Ref], labels: LabelConfig, split: SplitConfig, test_from: str = ""
) -> Labels:
    """Place the folds in time, and label every session by what each fold's own past taught.

    test_from  first session of the final holdout, when it is opened
    """
    bars = read_prices(prices)
    first = pd.Timestamp(test_from) if test_from else None
    folds = []
    with publish("regimes") as out:
        for boundary in boundaries(bars.sessions, split, first):
            learned = _learn(bars, labels, boundary)
            series = {ticker: each.classes for ticker, each in learned.items()}
            table = pd.DataFrame(series, index=bars.sessions)
            table.to_parquet(out.folder / f"regimes_{boundary.number}.parquet")
            days = {name: day and str(day) for name, day in asdict(boundary).items()}
            thresholds = {ticker: asdict(each.thresholds) for ticker, each in learned.items()}
            states = {
                ticker: each.states.as_json() for ticker, each in learned.items() if each.states
            }  # of the statistical kinds: enough to filter new closes
            about = {"number": boundary.number, "thresholds": thresholds, "states": states}
            folds.append({**days, **about})
        (out.folder / "folds.json").write_text(json.dumps(folds, indent=1) + "\n")
    return Labels(ref=out.ref, folds=len(folds), classes=regime_names(labels))


def _learn(bars: Prices, labels: LabelConfig, boundary: Boundary) -> dict[str, Regimes]:
    """Regimes by ticker as one fold defines them: it learns before its validation part.

    errors  DataError when no ticker has taught anything; a single one is left without regimes
    """
    last = bars.sessions[bars.sessions < boundary.validation][-1]
    span = (boundary.training, last)
    found = {t: learn_regimes(bars.bars(t)["close"], labels, span) for t in bars.tickers}
    if all(each.unlearned for each in found.values()):
        ticker, first = next(iter(found.items()))
        raise DataError(f"{ticker}, fold {boundary.number}: {first.unlearned}")
    return found


@cached_task("make_windows-{name}", not_in_key=("name",))
def make_windows(
    name: str,
    features: dict[str, Ref],
    prices: dict[str, Ref],
    labels: Labels,
    task: Task,
    inputs: tuple[str, ...],
    lookback: int,
    horizon: int,
    judged: bool = True,
) -> Ref:
    """Write samples, and what each fold makes of them.

    judged  whether the test part needs a known label; it has none on the evening of a retraining
    """
    check_names(inputs)
    tables = {
        ticker: pd.read_parquet(ref.folder / "features.parquet", columns=list(inputs))
        for ticker, ref in features.items()
    }
    closes = {ticker: read_bars(ref)["close"] for ticker, ref in prices.items()}
    folds = []
    for each in json.loads((labels.ref.folder / "folds.json").read_text()):
        regimes = pd.read_parquet(labels.ref.folder / f"regimes_{each['number']}.parquet")
        known = {t: regimes[t].reindex(close.index) for t, close in closes.items()}
        targets = {t: make_target(task, horizon, close, known[t]) for t, close in closes.items()}
        samples = make_samples(tables, targets, lookback, horizon)
        now = pd.concat([known[t] for t in tables]).to_numpy()[samples.last]
        thresholds = {t: Thresholds(**values) for t, values in each["thresholds"].items()}
        fold = assign(samples.spans, as_boundary(each))
        require_samples(samples.target, fold, name, horizon, judged)
        folds.append(
            FoldTargets(
                fold=fold,
                target=samples.target,
                current=now if task == "regime" else now * float("nan"),
                thresholds=thresholds if task == "regime" else {},
                classes=labels.classes,
            )
        )
    with publish("windows") as out:
        save_samples(out.folder, samples, folds)
    return out.ref


def partly_used(
    prices: Mapping[str, Ref], labels: Labels, samples: Mapping[str, Ref]
) -> list[DataWarning]:
    """Name the tickers that not every fold trains on, judges or knows a regime of.

    samples  by model
    """
    learned = json.loads((labels.ref.folder / "folds.json").read_text())
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
        known = [np.isfinite(fold["thresholds"][ticker]["median"]) for fold in learned]
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
