"""The steps of a run, in their order: each reads references, calls the library, and stores a value.

A result is reused while nothing behind it changes: see `tasks.caching`.  Data and the audit have
modules of their own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

import pandas as pd
from prefect import Task, get_run_logger
from prefect.concurrency.sync import concurrency

from rnntrade import config
from rnntrade.chain import CHAIN, Chain, chain_of
from rnntrade.config import (
    SESSIONS_PER_YEAR,
    BacktestConfig,
    Experiment,
    LabelConfig,
    ModelConfig,
    ReportConfig,
    SplitConfig,
    TradingConfig,
    TrainingConfig,
)
from rnntrade.evaluation.compare import Comparison, compare_all
from rnntrade.evaluation.models import ModelEvaluation, evaluate_model
from rnntrade.evaluation.strategies import StrategyEvaluation, evaluate_strategy
from rnntrade.evaluation.verdict import Trials
from rnntrade.features.indicators import FEATURES, ticker_features
from rnntrade.fingerprint import fingerprint, source_digest
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import find_objective
from rnntrade.production.desk import Desk, newest_desk
from rnntrade.training.devices import derive_seed
from rnntrade.training.workers import Workers
from rnntrade.types import Books, Epoch, Fit, Predictions, Windows
from tasks.caching import source_of, step
from tasks.home import artifacts_folder
from tasks.refs import ModelRefs, Ref, Tables, publish, put, read_prices

WORKER = "rnntrade.training.worker"
GPU_LIMIT = "rnntrade-gpu"  # Prefect's concurrency limit: fits at a time per machine's GPU


@step("compute_indicators-{ticker}", of=ticker_features)
def compute_indicators(
    ticker: str, prices: Ref[pd.DataFrame], sessions_per_year: int = SESSIONS_PER_YEAR
) -> Ref[pd.DataFrame]:
    """Every feature there is, on the sessions that the ticker traded.

    One ticker at a time, so that one ticker's news touches no other.
    """
    chain = chain_of(sessions_per_year)
    return put("indicators", chain.features(prices.load(), tuple(FEATURES)))


@step("label_regimes", of=Chain.label_folds)
def label_regimes(
    prices: Tables, labels: LabelConfig, split: SplitConfig, test_from: str = ""
) -> list[Ref[Labels]]:
    """Place the folds in time, and label every session by what each fold's own past taught.

    test_from  first session of the final holdout, when it is opened
    """
    first = pd.Timestamp(test_from) if test_from else None
    folds = CHAIN.label_folds(read_prices(prices), labels, split, first)
    return [put("regimes", fold) for fold in folds]


@step("make_windows-{model.name}", of=Chain.sample_folds)
def make_windows(
    features: Tables,
    prices: Tables,
    labels: list[Ref[Labels]],
    model: ModelConfig,
    judged: bool = True,
) -> Ref[Windows]:
    """The model's samples, and what each fold makes of them.

    judged  whether the test part needs a known label; it has none on a retraining's evening
    """
    tables = {ticker: ref.load() for ticker, ref in features.items()}
    folds = [ref.load() for ref in labels]
    return put("windows", CHAIN.sample_folds(tables, read_prices(prices), folds, model, judged))


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Wait for the GPU where there is one; a CPU's cores are counted by the workers."""
    if device == "cpu":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=1, strict=True):
        yield


def prepare_device(wanted: str) -> str:
    """Resolve `auto`, and make sure that the limit which `gpu_slot` waits for exists."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from rnntrade.training.devices import resolve_device

    device = resolve_device(wanted)
    if device != "cpu":
        with get_client(sync_client=True) as server:
            try:
                server.read_global_concurrency_limit_by_name(GPU_LIMIT)
            except ObjectNotFound:
                limit = GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=1)
                try:
                    server.create_global_concurrency_limit(limit)
                except ObjectAlreadyExists:  # another run was faster
                    return device
    return device


@cache
def workers_of(count: int) -> Workers:
    """The processes of this run: at most `count` of them."""
    return Workers(count)


@step("train_model-{model.name}-fold{fold}-member{member}", of=WORKER, not_in_key=("workers",))
def train_model(
    windows: Ref[Windows],
    model: ModelConfig,
    fold: int,
    member: int,
    training: TrainingConfig,
    run_seed: int,
    device: str,
    workers: int,
    retrained: int = 0,
) -> Ref[Fit]:
    """Fit one network on one fold, logging each epoch; an interrupted fit resumes.

    A single-threaded worker process per fit, as many as there are cores, or one at a time on a GPU.
    retrained  how often before: as a later fold, a later retraining has another seed
    """
    log = get_run_logger()
    job = {
        "fold": fold,
        "model": asdict(model),
        "training": asdict(training),
        "seed": derive_seed(run_seed, model.name, fold + retrained, member),
        "device": device,
        "source": source_digest(WORKER),  # the worker refuses to be another program than this
    }
    checkpoint = artifacts_folder() / "checkpoints" / fingerprint((windows.digest, job))

    def on_epoch(epoch: Epoch) -> None:
        score = epoch.validation_score
        log.info(
            "epoch %d of at most %d   loss %.4f   validation %.4f%s",
            epoch.number + 1,
            model.max_epochs,
            epoch.training_loss,
            epoch.validation_loss,
            f"  accuracy {score:.3f}" if score == score else "",
        )

    with publish("fits", Fit) as out, gpu_slot(device):
        places = {"samples": windows.folder, "checkpoint": checkpoint, "output": out.folder}
        job |= {name: str(place) for name, place in places.items()}
        workers_of(workers or os.cpu_count() or 1).train(job, on_epoch)
    return out.ref


@step("predict-{model.name}", of=Chain.predict_folds)
def predict(
    windows: Ref[Windows], fits: list[list[Ref[Fit]]], model: ModelConfig, device: str
) -> Ref[Predictions]:
    """Predict the validation and the test part of each fold; members of an ensemble are averaged.

    fits  by fold, then by member
    """
    import torch

    torch.set_num_threads(1)  # one order of additions, so one result
    loaded = [[ref.load() for ref in members] for members in fits]
    return put("predictions", CHAIN.predict_folds(loaded, windows.load(), device))


@step("fit_baselines-{name}", of=Chain.predict_baselines, not_in_key=("name",))
def fit_baselines(
    name: str, windows: Ref[Windows], asked: config.Task, horizon: int, run_seed: int
) -> Ref[pd.DataFrame]:
    """Fit every baseline of the model's objective on each fold, and predict the same samples."""
    stored, tables = windows.load(), []
    for number in range(len(stored.folds)):
        samples, targets = stored.fold(number)
        objective = find_objective(asked, horizon, targets.classes)
        tables.append(CHAIN.predict_baselines(samples, targets, objective, run_seed))
    return put("baselines", pd.concat(tables, ignore_index=True))


@step("backtest-{name}", of=(Chain.stitch, Chain.trade), not_in_key=("name",))
def backtest(
    name: str,
    predictions: Ref[Predictions],
    prices: Tables,
    trading: TradingConfig,
    config: BacktestConfig,
    cost_cases: tuple[float, ...],
    labels: list[Ref[Labels]] | None = None,
    turbulent: tuple[int, ...] = (),
) -> Ref[Books]:
    """Trade the test part's probabilities: both executions, and beside them rules and holding.

    Folds are stitched by decision session; each member of an ensemble is traded alone too.
    labels     whose regimes a filter looks at; None without one
    turbulent  classes in which positions are reduced
    """
    regimes = CHAIN.stitch([ref.load() for ref in labels], trading) if labels else None
    bars, table = read_prices(prices), predictions.load()
    books = CHAIN.trade(table, bars, trading, config, cost_cases, regimes, turbulent)
    return put("backtests", books)


@step("evaluate-{model.name}", of=evaluate_model)
def evaluate(
    predictions: Ref[Predictions],
    baselines: Ref[pd.DataFrame],
    model: ModelConfig,
    config: ReportConfig,
    trials: Trials,
    classes: tuple[str, ...],
) -> Ref[ModelEvaluation]:
    """Judge a network against the best of its baselines, on the same samples."""
    own = predictions.load()
    table = pd.concat([own.table, baselines.load()], ignore_index=True)
    return put("evaluations", evaluate_model(table, model, config, trials, own.members, classes))


@step("evaluate_strategy-{name}", of=evaluate_strategy)
def evaluate_trading(
    name: str, books: Ref[Books], trades: BacktestConfig, config: ReportConfig, trials: Trials
) -> Ref[StrategyEvaluation]:
    """Judge a strategy against buy and hold over the same sessions."""
    run = books.load()
    return put("strategies", evaluate_strategy(name, run, trades, config, trials))


@step("compare", of=compare_all)
def compare(models: dict[str, ModelRefs], config: ReportConfig) -> dict[str, Ref[Comparison]]:
    """Ask of each question whether the best answer beats the benchmark by more than luck.

    returns  by question
    """
    tables = {name: refs.load_predictions() for name, refs in models.items()}
    books = {name: refs.books.load() for name, refs in models.items() if refs.books}
    asked = {name: refs.model for name, refs in models.items()}
    found = compare_all(tables, asked, books, config)
    return {each.question: put("comparisons", each) for each in found}


@step("make_desk-{model.name}", of=newest_desk)
def make_desk(
    experiment: Experiment,
    model: ModelConfig,
    fits: list[Ref[Fit]],
    windows: Ref[Windows],
    predictions: Ref[Predictions],
    labels: Ref[Labels],
) -> Ref[Desk]:
    """Put the newest fold's fits beside all that turns them into decisions.

    fits, labels  of the newest fold
    """
    members = [ref.load() for ref in fits]
    desk = newest_desk(experiment, members, windows.load(), predictions.load(), labels.load())
    return put("desks", desk)


SOURCES: dict[str, Task[..., Any]] = {  # what `rnntrade reproduce` names, step by step
    "features": compute_indicators,
    "regimes": label_regimes,
    "windows": make_windows,
    "fit": train_model,
    "baselines": fit_baselines,
    "predictions": predict,
    "backtest": backtest,
}


def sources() -> dict[str, str]:
    """Digest of the code behind each step."""
    return {name: source_of(task) for name, task in SOURCES.items()}
