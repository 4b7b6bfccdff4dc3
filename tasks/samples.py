"""Labels, windows and folds as tasks."""

import json
from dataclasses import asdict

import pandas as pd

from rnntrade.config import LabelConfig, SplitConfig, Task
from rnntrade.features.sets import check_names
from rnntrade.labels.regimes import label_regimes as label_ticker
from rnntrade.labels.targets import direction, future_regime, multi_step, next_return
from rnntrade.samples.files import FoldTargets, save_samples
from rnntrade.samples.splits import Boundary, assign, boundaries, require_samples
from rnntrade.samples.windows import make_samples
from rnntrade.types import Thresholds
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import Labels, read_bars, read_prices


@cached_task("label_regimes")
def label_regimes(
    prices: dict[str, Ref], labels: LabelConfig, split: SplitConfig, test_from: str = ""
) -> Labels:
    """Place the folds in time, and label every session with each fold's own thresholds.

    test_from  first session of the final holdout, when it is opened
    """
    bars = read_prices(prices)
    first = pd.Timestamp(test_from) if test_from else None
    folds = []
    with publish("regimes") as out:
        for boundary in boundaries(bars.sessions, split, first):
            before = bars.sessions[bars.sessions < boundary.validation]
            series, thresholds = {}, {}
            for ticker in bars.tickers:
                close = bars.bars(ticker)["close"]
                span = (boundary.training, before[-1])
                series[ticker], learned = label_ticker(close, labels, span)
                thresholds[ticker] = asdict(learned)
            table = pd.DataFrame(series, index=bars.sessions)
            table.to_parquet(out.folder / f"regimes_{boundary.number}.parquet")
            days = {name: day and str(day) for name, day in asdict(boundary).items()}
            folds.append({**days, "number": boundary.number, "thresholds": thresholds})
        (out.folder / "folds.json").write_text(json.dumps(folds, indent=1) + "\n")
    return Labels(ref=out.ref, folds=len(folds))


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
) -> Ref:
    """Write samples, and what each fold makes of them."""
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
        targets = {t: _target(task, horizon, close, known[t]) for t, close in closes.items()}
        samples = make_samples(tables, targets, lookback, horizon)
        now = pd.concat([known[t] for t in tables]).to_numpy()[samples.last]
        thresholds = {t: Thresholds(**values) for t, values in each["thresholds"].items()}
        fold = assign(samples.spans, _boundary(each))
        require_samples(samples.target, fold, name, horizon)
        folds.append(
            FoldTargets(
                fold=fold,
                target=samples.target,
                current=now if task == "regime" else now * float("nan"),
                thresholds=thresholds if task == "regime" else {},
            )
        )
    with publish("windows") as out:
        save_samples(out.folder, samples, folds)
    return out.ref


def _target(task: Task, horizon: int, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
    """What a model of that task is asked, (T, O)."""
    match task:
        case "regime":
            return future_regime(regime, horizon).to_frame()
        case "direction":
            return direction(close).to_frame()
        case "return":
            return next_return(close).to_frame()
        case "forecast":
            return multi_step(close, horizon)


def _boundary(each: dict[str, str]) -> Boundary:
    days = {name: pd.Timestamp(each[name]) for name in ("training", "validation", "test")}
    end = each["end"]
    return Boundary(int(each["number"]), **days, end=pd.Timestamp(end) if end else None)
