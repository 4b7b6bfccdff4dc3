"""A small run, made as the tasks make it, for audits to look at."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from rnntrade.config import Experiment, find_experiment
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.training.devices import derive_seed
from rnntrade.training.loop import train
from rnntrade.types import Prices
from tasks.refs import ModelRefs, Ref, put
from tasks.steps import (
    backtest,
    compute_indicators,
    fit_baselines,
    label_regimes,
    make_windows,
    predict,
)

MODELS = ("regime_lstm", "many_to_one_lstm", "seq2seq_lstm")


def small_experiment() -> Experiment:
    """Two folds of three tiny models, two members each."""
    debug = find_experiment("debug")
    split = replace(debug.split, kind="walk_forward", train_sessions=300, test_sessions=200)
    models = tuple(each for each in debug.models if each.name in MODELS)
    shown = replace(debug.audit, replayed=20, sessions=2)
    trading = replace(debug.trading, sizing="confidence", dead_band=0.0)  # a new size every day
    audit = {"audit": shown, "trading": trading}
    return replace(debug, split=split, models=models, members=2, **audit)


@dataclass(frozen=True)
class MadeRun:
    """What the steps of a run left."""

    experiment: Experiment
    prices: dict[str, Ref]
    features: dict[str, Ref]
    labels: list[Ref[Labels]]
    models: dict[str, ModelRefs]


@cache
def shared_run(bars: Prices) -> tuple[Path, MadeRun]:
    """One run for all tests, made once, and the home that it lives in."""
    home = Path(mkdtemp(prefix="rnntrade-audited-"))
    two = bars.of(["WHOLE", "HALTED"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNTRADE_HOME", str(home))
        return home, make_run(small_experiment(), two)


def make_run(experiment: Experiment, bars: Prices) -> MadeRun:
    """Every step of a run that the audit looks at, without a flow around it."""
    prices = {ticker: put("prices", bars.bars(ticker)) for ticker in bars.tickers}
    features = {ticker: compute_indicators.fn(ticker, ref) for ticker, ref in prices.items()}
    labels = label_regimes.fn(prices, experiment.labels, experiment.split)
    models = {}
    for model in experiment.models:
        windows = make_windows.fn(features, prices, labels, model)
        fits = []
        for fold in range(len(labels)):
            known, each = windows.load().fold(fold)
            members = []
            for member in range(experiment.members):
                seed = derive_seed(experiment.seed, model.name, fold, member)
                learned = train(
                    known,
                    each.fold,
                    model,
                    experiment.training,
                    seed=seed,
                    device="cpu",
                    thresholds=each.thresholds,
                )
                members.append(put("fits", learned))
            fits.append(members)
        predictions = predict.fn(windows, fits, model, "cpu")
        rivals = (model.name, windows, model.task, model.horizon, experiment.seed)
        done = None
        if objective_of(model).traded:
            rules = (experiment.trading, experiment.backtest, experiment.report.cost_cases)
            done = backtest.fn(model.name, predictions, prices, *rules)
        models[model.name] = ModelRefs(
            model, windows, fits, predictions, fit_baselines.fn(*rivals), done
        )
    return MadeRun(experiment, prices, features, labels, models)


def tampered(ref: Ref, change) -> Ref:
    """The same value with something changed, published as if it were right."""
    value = ref.load()
    change(value)
    return put(ref.step, value)
