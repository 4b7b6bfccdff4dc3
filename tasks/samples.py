"""Labels, windows and folds as tasks."""

import json
from dataclasses import asdict

import pandas as pd

from rnntrade.config import LabelConfig, SplitConfig, Task
from rnntrade.errors import DataError
from rnntrade.features.sets import check_names
from rnntrade.labels.regimes import Regimes, learn_regimes
from rnntrade.labels.targets import make_target
from rnntrade.samples.files import FoldTargets, save_samples
from rnntrade.samples.splits import Boundary, assign, boundaries, require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.types import Prices, Thresholds, regime_names
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
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
            learned = {
                ticker: _label_ticker(ticker, bars, labels, boundary) for ticker in bars.tickers
            }
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
        (out.folder / "folds.json").write_text(json.dumps(folds, indent=1) + "\n", encoding="utf-8")
    return Labels(ref=out.ref, folds=len(folds), classes=regime_names(labels))


def _label_ticker(ticker: str, bars: Prices, labels: LabelConfig, boundary: Boundary) -> Regimes:
    """Regimes of one ticker as one fold defines them: it learns before its validation part."""
    before = bars.sessions[bars.sessions < boundary.validation]
    close = bars.bars(ticker)["close"]
    try:
        return learn_regimes(close, labels, (boundary.training, before[-1]))
    except DataError as error:
        raise DataError(f"{ticker}, fold {boundary.number}: {error}") from error


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
    for each in json.loads((labels.ref.folder / "folds.json").read_text(encoding="utf-8")):
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
