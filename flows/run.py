"""One experiment, from prices to a recorded run, registered models and a report."""

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from rnntrade.config import Experiment, ModelConfig
from rnntrade.errors import TrainingError
from tasks.artifacts import Ref
from tasks.data import download_prices
from tasks.evaluation import evaluate, evaluate_trading
from tasks.features import compute_indicators
from tasks.prediction import fit_baselines, predict
from tasks.recording import record
from tasks.registry import register
from tasks.report import ModelLine, describe, report
from tasks.samples import label_regimes, make_windows
from tasks.summary import Summary, summarise
from tasks.tracking import tracked_run
from tasks.trading import backtest
from tasks.training import prepare_device, train_model

RUNNER: Any = ThreadPoolTaskRunner(max_workers=16)  # threads mostly wait for workers


@flow(flow_run_name="run-{experiment.name}", task_runner=RUNNER)
def run(experiment: Experiment) -> Summary:
    """Download, label, train, predict, trade, judge, report, record, register; say what was found.

    A model whose training fails is told as failed; the others go on.
    """
    device = prepare_device(experiment.compute.device)
    with tracked_run(experiment) as ids:
        asked = [download_prices.submit(experiment.data, each) for each in experiment.data.tickers]
        downloads = [each.result() for each in asked]
        prices = {each.ticker: each.prices for each in downloads}
        features = {ticker: compute_indicators(ticker, ref) for ticker, ref in prices.items()}
        labels = label_regimes(prices, experiment.labels, experiment.split)

        samples, training, rivals = {}, {}, {}
        for model in experiment.models:
            shape = (model.task, model.inputs, model.lookback, model.horizon)
            samples[model.name] = make_windows(model.name, features, prices, labels, *shape)
            fixed = (experiment.training, experiment.seed, device, experiment.compute.workers)
            training[model.name] = [
                [
                    train_model.submit(samples[model.name], model, fold, member, *fixed)
                    for member in range(experiment.members)
                ]
                for fold in range(labels.folds)
            ]
        for model in experiment.models:  # while the networks train
            rivals[model.name] = fit_baselines(
                model.name, samples[model.name], model.task, labels.folds, experiment.seed
            )

        lines: dict[str, ModelLine] = {}
        failures: dict[str, str] = {}
        for model in experiment.models:
            try:
                fits = [[each.result() for each in members] for members in training[model.name]]
            except TrainingError as error:
                failures[model.name] = str(error)
                continue
            predictions = predict(samples[model.name], fits, model, device)
            lines[model.name] = ModelLine(
                model=model,
                samples=samples[model.name],
                fits=fits,
                predictions=predictions,
                baselines=rivals[model.name],
                evaluation=evaluate(predictions, rivals[model.name], model, experiment.report),
                **trade(experiment, model, predictions, prices),
            )

        warnings = [warning for each in downloads for warning in each.warnings]
        about = describe(experiment, prices, device)
        page = report(experiment, prices, warnings, features, labels, lines, about)
        summary = summarise(experiment, ids, lines, failures, page)
        record(ids, experiment, prices, lines, summary, page, [*features.values(), labels.ref])
        for line in lines.values():
            register(ids, line, prices, summary)
    return summary


def trade(
    experiment: Experiment, model: ModelConfig, predictions: Ref, prices: dict[str, Ref]
) -> dict[str, Ref]:
    """Backtest and judge what a model's probabilities of a rise would have earned."""
    if model.task != "direction":
        return {}
    done = backtest(model.name, predictions, prices, experiment.trading, experiment.backtest)
    judged = evaluate_trading(model.name, done, experiment.backtest, experiment.report)
    return {"backtest": done, "strategy": judged}
