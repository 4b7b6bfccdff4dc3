"""One experiment, from prices to a recorded run, registered models and a report."""

from dataclasses import replace
from typing import Any, NamedTuple

from prefect import flow, get_run_logger

from flows.data import fetch
from flows.runner import THREADS
from rnntrade.config import Experiment
from rnntrade.data.sessions import with_sessions_per_year
from rnntrade.errors import TrainingError
from rnntrade.evaluation.verdict import Trials
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.desk import Desk
from rnntrade.types import Windows, regime_names, turbulent_classes
from tasks.audit import audit, require_clean
from tasks.data import DataWarning, partly_used, shown_warnings
from tasks.ledger.seal import seal
from tasks.ledger.trials import note_fits, note_strategies
from tasks.refs import ModelRefs, Ref, Tables
from tasks.report import describe, report
from tasks.reproduction import provenance
from tasks.steps import (
    backtest,
    compare,
    compute_indicators,
    evaluate,
    evaluate_trading,
    fit_baselines,
    label_regimes,
    make_desk,
    make_windows,
    predict,
    prepare_device,
    train_model,
)
from tasks.summary import Summary, summarise
from tasks.tracking.recording import record, record_audit
from tasks.tracking.registry import register
from tasks.tracking.runs import tracked_run


@flow(flow_run_name="run-{experiment.name}", task_runner=THREADS)
def run(
    experiment: Experiment,
    open_holdout: bool = False,
    spent: bool = False,
    given: Tables | None = None,
    noticed: list[DataWarning] | None = None,
) -> Summary:
    """Download, label, train, predict, trade, audit, judge, report, record, register.

    A model whose training fails is told as failed; the others go on.  A leak fails the run.
    open_holdout  judge on the sealed sessions, which is done once
    spent         ... although they were opened or seen before
    given         prices of an earlier run or download, instead of one
    noticed       about these prices
    """
    experiment = with_sessions_per_year(experiment)
    device = prepare_device(experiment.compute.device)
    with tracked_run(experiment) as ids:
        fetched, found = (given, noticed or []) if given else fetch(experiment.data)
        holdout = seal(ids, experiment, fetched, open_holdout, spent)
        prices = holdout.prices
        made = prepare(experiment, prices, holdout.test_from)
        found = [*found, *partly_used(prices, made.labels, made.windows)]
        warnings = shown_warnings(found, holdout.sealed_from)
        for warning in warnings:
            get_run_logger().warning("%s", warning)

        tried = note_fits(ids, experiment, prices, made.windows, len(made.labels))
        training = start_training(experiment, made.windows, len(made.labels), device)
        baselines = {
            model.name: fit_baselines(
                model.name, made.windows[model.name], model.task, model.horizon, experiment.seed
            )
            for model in experiment.models
        }  # while the networks train
        models, failures = finish_training(experiment, prices, made, training, device)
        models = {n: replace(refs, baselines=baselines[n]) for n, refs in models.items()}

        audited = audit(
            experiment, prices, made.features, made.labels, models, device, holdout.test_from
        )
        record_audit(ids, audited)
        leaky = experiment.labels.thresholds == "full_sample"  # asked for: tagged and stamped
        require_clean(audited, tolerated="thresholds" if leaky else "")

        books = {name: refs.books for name, refs in models.items() if refs.books}
        tried = note_strategies(ids, experiment, prices, books)
        compared = compare(models, experiment.report)
        models = {name: judge(experiment, refs, tried) for name, refs in models.items()}

        about = describe(experiment, prices, device, holdout.note)
        page = report(
            experiment,
            prices,
            warnings,
            made.features,
            made.labels,
            models,
            about,
            audited,
            compared,
        )
        summary = summarise(experiment, ids, models, failures, page, compared, audited, warnings)
        made_of = provenance(
            experiment, fetched, holdout, made.features, made.labels, models, device
        )
        models = {
            name: replace(refs, desk=newest_desk(experiment, refs, made.labels))
            for name, refs in models.items()
        }
        others: list[Ref[Any]] = [
            *made.features.values(),
            *made.labels,
            *compared.values(),
            audited,
        ]
        record(ids, experiment, prices, models, summary, page, made_of, others)
        versions = {name: register(ids, refs, prices, summary) for name, refs in models.items()}
    return summary.model_copy(update={"versions": versions})


def judge(experiment: Experiment, refs: ModelRefs, tried: Trials) -> ModelRefs:
    """The model with its evaluation, and that of its trading."""
    assert refs.baselines is not None
    classes = regime_names(experiment.labels)
    config, rules = experiment.report, experiment.backtest
    name, books = refs.model.name, refs.books
    return replace(
        refs,
        evaluation=evaluate(refs.predictions, refs.baselines, refs.model, config, tried, classes),
        strategy=evaluate_trading(name, books, rules, config, tried) if books else None,
    )


def newest_desk(experiment: Experiment, refs: ModelRefs, labels: list[Ref[Labels]]) -> Ref[Desk]:
    """What is registered of a model."""
    return make_desk(
        experiment, refs.model, refs.fits[-1], refs.windows, refs.predictions, labels[-1]
    )


class Made(NamedTuple):
    """What is ready before anything trains."""

    features: Tables
    labels: list[Ref[Labels]]  # by fold
    windows: dict[str, Ref[Windows]]  # by model


def prepare(
    experiment: Experiment, prices: Tables, test_from: str = "", judged: bool = True
) -> Made:
    """Features, regimes with the folds' dates, and every model's windows.

    judged  whether each test part must have a known label
    """
    year = experiment.backtest.sessions_per_year
    features = {ticker: compute_indicators(ticker, ref, year) for ticker, ref in prices.items()}
    labels = label_regimes(prices, experiment.labels, experiment.split, test_from)
    windows = {
        model.name: make_windows(features, prices, labels, model, judged)
        for model in experiment.models
    }
    return Made(features, labels, windows)


def start_training(
    experiment: Experiment,
    windows: dict[str, Ref[Windows]],
    folds: int,
    device: str,
    retrained: int = 0,
) -> dict[str, list[list[Any]]]:
    """Futures of all fits: by model, fold and member; `retrained` as for `train_model`."""
    return {
        model.name: [
            [
                train_model.submit(
                    windows[model.name],
                    model,
                    fold,
                    member,
                    experiment.training,
                    experiment.seed,
                    device,
                    experiment.compute.workers,
                    retrained,
                )
                for member in range(experiment.members)
            ]
            for fold in range(folds)
        ]
        for model in experiment.models
    }


def finish_training(
    experiment: Experiment,
    prices: Tables,
    made: Made,
    training: dict[str, list[list[Any]]],
    device: str,
) -> tuple[dict[str, ModelRefs], dict[str, str]]:
    """Predict and trade with every model that was trained; the others, and why they were not."""
    filtered = made.labels if experiment.trading.regime_filter != "off" else None
    turbulent = tuple(sorted(turbulent_classes(experiment.labels)))
    models: dict[str, ModelRefs] = {}
    failures: dict[str, str] = {}
    for model in experiment.models:
        windows, books = made.windows[model.name], None
        try:
            fits = [[each.result() for each in members] for members in training[model.name]]
        except TrainingError as error:
            failures[model.name] = str(error)
            continue
        predictions = predict(windows, fits, model, device)
        if objective_of(model).traded:
            books = backtest(
                model.name,
                predictions,
                prices,
                experiment.trading,
                experiment.backtest,
                experiment.report.cost_cases,
                filtered,
                turbulent,
            )
        models[model.name] = ModelRefs(model, windows, fits, predictions, books=books)
    return models, failures
