"""A small run, made as the tasks make it, for audits to look at."""

from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pytest

from rnntrade.config import Experiment, find_experiment
from rnntrade.objectives.lookup import objective_of
from rnntrade.samples.files import load_samples
from rnntrade.training.fits import save_fit
from rnntrade.training.loop import train
from rnntrade.training.seeds import derive_seed
from rnntrade.types import Prices
from tasks.artifacts import Ref, publish
from tasks.audit import AuditedLine
from tasks.features import compute_indicators
from tasks.prediction import fit_baselines, predict
from tasks.samples import label_regimes, make_windows
from tasks.tables import Labels
from tasks.trading import backtest

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
    labels: Labels
    lines: dict[str, AuditedLine]


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
    prices = {}
    for ticker in bars.tickers:
        with publish("prices") as out:
            bars.bars(ticker).to_parquet(out.folder / "bars.parquet")
        prices[ticker] = out.ref
    features = {ticker: compute_indicators.fn(ticker, ref) for ticker, ref in prices.items()}
    labels = label_regimes.fn(prices, experiment.labels, experiment.split)
    lines = {}
    for model in experiment.models:
        samples = make_windows.fn(features, prices, labels, model)
        fits = []
        for fold in range(labels.folds):
            known, each = load_samples(samples.folder, fold)
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
                with publish("fits") as out:
                    save_fit(learned, out.folder)
                members.append(out.ref)
            fits.append(members)
        predictions = predict.fn(samples, fits, model, "cpu")
        rivals = (model.name, samples, model.task, model.horizon, labels.folds, experiment.seed)
        done = None
        if objective_of(model).traded:
            rules = (experiment.trading, experiment.backtest, experiment.report.cost_cases)
            done = backtest.fn(model.name, predictions, prices, *rules)
        lines[model.name] = AuditedLine(
            model=asdict(model),
            samples=samples,
            fits=fits,
            predictions=predictions,
            baselines=fit_baselines.fn(*rivals),
            backtest=done,
        )
    return MadeRun(experiment, prices, features, labels, lines)


def tampered(ref: Ref, file: str, change) -> Ref:
    """The same step with one table changed, published as if it were right."""
    with publish(ref.step) as out:
        for source in ref.folder.rglob("*"):
            if source.is_file():
                copy = out.folder / source.relative_to(ref.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(source.read_bytes())
        table = pd.read_parquet(out.folder / file)
        change(table)
        table.to_parquet(out.folder / file)
    return out.ref
