"""One experiment, from prices to a recorded run, registered models and a report."""

from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from rnntrade.config import DataConfig, Experiment
from rnntrade.errors import TrainingError
from rnntrade.types import turbulent_classes
from tasks.artifacts import Ref
from tasks.comparison import compare
from tasks.data import download_prices
from tasks.evaluation import evaluate, evaluate_trading
from tasks.features import compute_indicators
from tasks.prediction import fit_baselines, predict
from tasks.provenance import provenance
from tasks.recording import record
from tasks.registry import register
from tasks.report import ModelLine, describe, report
from tasks.samples import label_regimes, make_windows
from tasks.seal import seal
from tasks.summary import Summary, summarise
from tasks.tracking import tracked_run
from tasks.trading import backtest
from tasks.training import prepare_device, train_model
from tasks.trials import note_fits, note_strategies

RUNNER: Any = ThreadPoolTaskRunner(max_workers=16)  # threads mostly wait for workers


@flow(flow_run_name="run-{experiment.name}", task_runner=RUNNER)
def run(
    experiment: Experiment,
    open_holdout: bool = False,
    spent: bool = False,
    given: dict[str, Ref] | None = None,
) -> Summary:
    """Download, label, train, predict, trade, audit, judge, report, record, register.

    A model whose training fails is told as failed; the others go on.
    open_holdout  judge on the sealed sessions, which is done once
    spent         ... although they were opened or seen before
    given         prices of an earlier run, instead of a download
    """
    device = prepare_device(experiment.compute.device)
    with tracked_run(experiment) as ids:
        fetched, warnings = (given, []) if given else fetch(experiment.data)
        holdout = seal(ids, experiment, fetched, open_holdout, spent)
        prices = holdout.prices
        features = {ticker: compute_indicators(ticker, ref) for ticker, ref in prices.items()}
        labels = label_regimes(prices, experiment.labels, experiment.split, holdout.test_from)
        samples = {}
        for model in experiment.models:
            shape = (model.task, model.inputs, model.lookback, model.horizon)
            samples[model.name] = make_windows(model.name, features, prices, labels, *shape)

        tried = note_fits(ids, experiment, prices, samples, labels.folds)
        fixed = (experiment.training, experiment.seed, device, experiment.compute.workers)
        training = {
            model.name: [
                [
                    train_model.submit(samples[model.name], model, fold, member, *fixed)
                    for member in range(experiment.members)
                ]
                for fold in range(labels.folds)
            ]
            for model in experiment.models
        }
        rivals = {
            model.name: fit_baselines(
                model.name, samples[model.name], model.task, labels.folds, experiment.seed
            )
            for model in experiment.models
        }  # while the networks train

        lines: dict[str, ModelLine] = {}
        failures: dict[str, str] = {}
        for model in experiment.models:
            try:
                fits = [[each.result() for each in members] for members in training[model.name]]
            except TrainingError as error:
                failures[model.name] = str(error)
                continue
            predictions = predict(samples[model.name], fits, model, device)
            trades = (
                *(experiment.trading, experiment.backtest, experiment.report.cost_cases),
                labels if experiment.trading.regime_filter != "off" else None,
                tuple(sorted(turbulent_classes(experiment.labels))),
            )
            lines[model.name] = ModelLine(
                model=model,
                samples=samples[model.name],
                fits=fits,
                predictions=predictions,
                baselines=rivals[model.name],
                backtest=backtest(model.name, predictions, prices, *trades)
                if model.task == "direction"
                else None,
            )

        earned = {name: line.backtest for name, line in lines.items() if line.backtest}
        tried = note_strategies(ids, experiment, prices, earned)
        for name, line in lines.items():
            judged = (line.predictions, line.baselines, line.model, experiment.report, tried)
            line.evaluation = evaluate(*judged)
            if line.backtest:
                money = (line.backtest, experiment.backtest, experiment.report, tried)
                line.strategy = evaluate_trading(name, *money)

        together = compare(
            {name: line.model for name, line in lines.items()},
            {name: (line.predictions, line.baselines) for name, line in lines.items()},
            earned,
            experiment.report,
        )

        about = describe(experiment, prices, device, holdout.note)
        page = report(experiment, prices, warnings, features, labels, lines, about)
        summary = summarise(experiment, ids, lines, failures, page, together)
        made_of = provenance(experiment, fetched, holdout, features, labels.ref, lines, device)
        others = [*features.values(), labels.ref, together]
        record(ids, experiment, prices, lines, summary, page, made_of, others)
        for line in lines.values():
            register(ids, line, prices, summary)
    return summary


def fetch(config: DataConfig) -> tuple[dict[str, Ref], list[str]]:
    """Every ticker's prices, and what was noticed about them."""
    asked = [download_prices.submit(config, each) for each in config.tickers]
    downloads = [each.result() for each in asked]
    warnings = [warning for each in downloads for warning in each.warnings]
    return {each.ticker: each.prices for each in downloads}, warnings
