"""Labels, windows and folds as tasks."""

import json
from dataclasses import asdict

import pandas as pd

from rnntrade.chain import CHAIN
from rnntrade.chain import Labels as FoldLabels
from rnntrade.config import LabelConfig, ModelConfig, SplitConfig
from rnntrade.features.sets import check_names
from rnntrade.samples.files import save_samples
from rnntrade.samples.splits import require_samples
from rnntrade.types import regime_names
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import Labels, read_folds, read_prices


@cached_task("label_regimes", steps=("boundaries", "label"))
def label_regimes(
    prices: dict[str, Ref], labels: LabelConfig, split: SplitConfig, test_from: str = ""
) -> Labels:
    """Place the folds in time, and label every session by what each fold's own past taught.

    test_from  first session of the final holdout, when it is opened
    """
    bars = read_prices(prices)
    first = pd.Timestamp(test_from) if test_from else None
    boundaries = CHAIN.boundaries(bars.sessions, split, first)
    with publish("regimes") as out:
        folds = []
        for boundary in boundaries:
            learned = CHAIN.label(bars, labels, boundary, bars.sessions)
            learned.regimes.to_parquet(out.folder / f"regimes_{boundary.number}.parquet")
            folds.append(_about(learned))
        (out.folder / "folds.json").write_text(json.dumps(folds, indent=1) + "\n", encoding="utf-8")
    return Labels(ref=out.ref, folds=len(folds), classes=regime_names(labels))


def _about(labels: FoldLabels) -> dict[str, object]:
    """What a fold learned: its dates, thresholds, and enough to filter new closes."""
    days = {name: day and str(day) for name, day in asdict(labels.boundary).items()}
    return {
        **days,
        "number": labels.boundary.number,
        "thresholds": {ticker: asdict(each) for ticker, each in labels.thresholds.items()},
        "states": {ticker: each.as_json() for ticker, each in labels.states.items()},
    }


@cached_task("make_windows-{model.name}", steps=("make_targets", "sample"))
def make_windows(
    features: dict[str, Ref],
    prices: dict[str, Ref],
    labels: Labels,
    model: ModelConfig,
    judged: bool = True,
) -> Ref:
    """Write samples, and what each fold makes of them.

    judged  whether the test part needs a known label; it has none on the evening of a retraining
    """
    check_names(model.inputs)
    tables = {
        ticker: pd.read_parquet(ref.folder / "features.parquet", columns=list(model.inputs))
        for ticker, ref in features.items()
    }
    bars = read_prices(prices)
    folds = []
    for each in read_folds(labels):
        samples, made = CHAIN.sample(tables, CHAIN.make_targets(bars, each, model), each, model)
        require_samples(samples.target, made.fold, model.name, model.horizon, judged)
        folds.append(made)
    with publish("windows") as out:
        save_samples(out.folder, samples, folds)
    return out.ref
