"""Run a network through the library's own steps on the markets of the controls."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context

import pandas as pd
from torch import set_num_threads

from rnntrade.chain import CHAIN
from rnntrade.config import ModelConfig, SplitConfig, TrainingConfig, find_experiment
from rnntrade.controls.markets import CONTROLS, Control, best_of, make_market
from rnntrade.controls.rules import SEEDS, ControlResult, ControlsReport, judge, judge_fit
from rnntrade.objectives.lookup import objective_of
from rnntrade.samples.splits import require_samples
from rnntrade.training.devices import derive_seed
from rnntrade.training.parts import known_rows
from rnntrade.types import Fold, Samples

Features = Callable[[pd.DataFrame, tuple[str, ...]], pd.DataFrame]


DIRECTION = next(m for m in find_experiment("notebook").models if objective_of(m).traded)
VERSIONS: Mapping[str, tuple[ModelConfig, TrainingConfig]] = {  # the same for every control
    "full": (replace(DIRECTION, lookback=10), TrainingConfig()),
    "fast": (
        replace(DIRECTION, hidden_size=16, num_layers=1, dropout=0.0, lookback=5, max_epochs=40),
        TrainingConfig(learning_rate=1e-2, batch_size=128, patience=8, schedule_patience=4),
    ),
}
LONGEST_FIRST = ("P2", "P3", "P1", "N1", "N2", "N3", "N4")  # so that no core waits for a long fit


def run_control(
    name: str,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
    features: Features = CHAIN.features,
) -> ControlResult:
    """Make the market, train on it as a run does, and judge the fit on its test part.

    model     a direction model
    seed      of the market and, with the model's name, of the fit
    features  (T, 6) bars and names to (T, F): other than ours only to see a leak caught
    """
    samples, fold = prepare(name, model, seed, features)
    fit_seed = derive_seed(seed, model.name, fold.number, 0)
    fit = CHAIN.train(samples, fold, model, training, seed=fit_seed, device="cpu")
    judged = known_rows(samples, fold.test, f"{name}: test")
    up = CHAIN.answer([fit], samples, judged)[:, 0] > 0.5  # (n,)
    target = samples.target[judged, 0]
    right = int((up == (target > 0.5)).sum())
    best = best_of(name, target)
    return judge_fit(name, seed, right, len(judged), best, len(fit.history))


def prepare(
    name: str, model: ModelConfig, seed: int, features: Features = CHAIN.features
) -> tuple[Samples, Fold]:
    """Return the samples of a control's market, and its holdout."""
    control = CONTROLS[name]
    bars, directions = make_market(name, seed, sessions_of(control, model.lookback))
    samples = CHAIN.samples(
        {name: features(bars, model.inputs)},
        {name: directions.to_frame()},
        model.lookback,
        model.horizon,
    )
    sessions, test = pd.DatetimeIndex(bars.index), control.test + 1
    split = SplitConfig(
        kind="holdout",
        test_fraction=test / len(bars),
        validation_fraction=control.validation / (len(bars) - test),
    )
    (boundary,) = CHAIN.boundaries(sessions, split, None)
    fold = CHAIN.assign(samples.spans, boundary)
    require_samples(samples.target, fold, f"{model.name} on {name}", model.horizon)
    return samples, fold


def run_controls(
    version: str,
    workers: int,
    on_result: Callable[[ControlResult], None] = lambda result: None,
    names: Sequence[str] = LONGEST_FIRST,
    seeds: Sequence[int] = SEEDS,
) -> ControlsReport:
    """Run controls, a process for each of `workers` fits at a time, and judge them together.

    version    "full", the LSTM of the direction model; or "fast", a small one
    on_result  sees each result as it comes, in no certain order
    returns    the same for the same seeds, however many the workers
    """
    jobs = [(name, *VERSIONS[version], seed) for name in names for seed in seeds]
    results = []
    if workers == 1:
        for job in jobs:
            results.append(run_control(*job))
            on_result(results[-1])
        return judge(results, tuple(CONTROLS), version)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=set_num_threads, initargs=(1,)) as pool:
        asked = [pool.submit(run_control, *job) for job in jobs]
        try:
            for done in as_completed(asked):
                results.append(done.result())
                on_result(results[-1])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return judge(results, tuple(CONTROLS), version)


def sessions_of(control: Control, lookback: int) -> int:
    """Sessions that the parts need: windows before the first, and one whose future is unknown."""
    return lookback + control.training + control.validation + control.test + 1
