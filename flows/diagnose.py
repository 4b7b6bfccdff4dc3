"""A diagnosis of selection: how far choosing among the models that trade would have flattered.

It trains on sessions after those that it judges, so it gives no verdict and registers nothing.
"""

from dataclasses import replace

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.data import fetch
from flows.run import start_training
from flows.runner import THREADS
from rnntrade.config import Experiment
from rnntrade.data.sessions import with_sessions_per_year
from rnntrade.errors import TrainingError
from rnntrade.samples.combinatorial import choices
from tasks.diagnosis import (
    NOTICE,
    Diagnosis,
    judge_paths,
    make_combinatorial_windows,
    trade_paths,
    traded_models,
)
from tasks.ledger.seal import seal
from tasks.ledger.trials import note_fits
from tasks.steps import compute_indicators, predict, prepare_device
from tasks.tracking.runs import RunIds, alive


@flow(flow_run_name="diagnose-{experiment.name}", task_runner=THREADS)
def diagnose(experiment: Experiment, groups: int = 6, test_groups: int = 2) -> Diagnosis:
    """Judge every choice of `test_groups` of the `groups` of sessions, trained on all the others.

    A model whose training fails is told as failed; the others go on.
    """
    experiment = with_sessions_per_year(experiment)
    models = traded_models(experiment)
    folds = len(choices(groups, test_groups))
    fits = folds * len(models) * experiment.members
    get_run_logger().info("%d fits for %d folds.  %s", fits, folds, NOTICE)
    device = prepare_device(experiment.compute.device)
    ids = RunIds(experiment_id="", parent=str(flow_run.id or ""), children={})  # none in MLflow
    with alive():
        fetched, _ = fetch(experiment.data)
        prices = seal(ids, experiment, fetched, opening=False, spent=False).prices
        year = experiment.backtest.sessions_per_year
        features = {ticker: compute_indicators(ticker, ref, year) for ticker, ref in prices.items()}
        fraction = experiment.split.validation_fraction
        samples = {
            model.name: make_combinatorial_windows(
                model, features, prices, groups, test_groups, fraction
            )
            for model in models
        }
        asked = replace(experiment, models=models)
        note_fits(ids, asked, prices, samples, folds)
        training = start_training(asked, samples, folds, device)
        traded, failures = {}, {}
        for model in models:
            try:
                found = [[each.result() for each in members] for members in training[model.name]]
            except TrainingError as error:
                failures[model.name] = str(error)
                continue
            said = predict(samples[model.name], found, model, device)
            traded[model.name] = trade_paths(
                model.name,
                said,
                prices,
                experiment.trading,
                experiment.backtest,
                groups,
                test_groups,
            )
        return judge_paths(experiment, groups, test_groups, fits, traded, failures)
