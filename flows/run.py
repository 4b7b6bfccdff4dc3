"""One experiment, from prices to a recorded run, registered models and a report."""

from typing import Any, NamedTuple

from prefect import flow, get_run_logger

from flows.data import fetch
from flows.runner import THREADS
from rnntrade.config import Experiment
from rnntrade.data.sessions import with_sessions_per_year
from rnntrade.errors import TrainingError
from rnntrade.objectives.lookup import objective_of
from rnntrade.production.desk import terms
from rnntrade.types import turbulent_classes
from tasks.artifacts import Ref
from tasks.audit import audit, to_audit
from tasks.audited import require_clean
from tasks.comparison import compare
from tasks.data import DataWarning, shown_warnings
from tasks.evaluation import evaluate, evaluate_trading
from tasks.features import compute_indicators
from tasks.ledger.seal import seal
from tasks.ledger.trials import note_fits, note_strategies
from tasks.partial import partly_used
from tasks.prediction import fit_baselines, predict
from tasks.production.desk import make_desk
from tasks.report import ModelLine, describe, report
from tasks.samples import label_regimes, make_windows
from tasks.summary import Summary, summarise
from tasks.tables import Labels
from tasks.tracking.provenance import provenance
from tasks.tracking.recording import record, record_audit
from tasks.tracking.registry import register
from tasks.tracking.runs import tracked_run
from tasks.trading import backtest
from tasks.training import prepare_device, train_model


@flow(flow_run_name="run-{experiment.name}", task_runner=THREADS)
def run(
    experiment: Experiment,
    open_holdout: bool = False,
    spent: bool = False,
    given: dict[str, Ref] | None = None,
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
        found = [*found, *partly_used(prices, made.labels, made.samples)]
        warnings = shown_warnings(found, holdout.sealed_from)
        for warning in warnings:
            get_run_logger().warning("%s", warning)

        tried = note_fits(ids, experiment, prices, made.samples, made.labels.folds)
        training = start_training(experiment, made.samples, made.labels.folds, device)
        rivals = {
            model.name: fit_baselines(
                model.name,
                made.samples[model.name],
                model.task,
                model.horizon,
                made.labels.folds,
                experiment.seed,
            )
            for model in experiment.models
        }  # while the networks train
        lines, failures = finish_training(experiment, prices, made, training, device)
        for name, line in lines.items():
            line.baselines = rivals[name]

        checked = (prices, made.features, made.labels, to_audit(lines))
        audited = audit(experiment, *checked, device, holdout.test_from)
        record_audit(ids, audited)
        leaky = experiment.labels.thresholds == "full_sample"  # asked for: tagged and stamped
        require_clean(audited, tolerated="thresholds" if leaky else "")

        earned = {name: line.backtest for name, line in lines.items() if line.backtest}
        tried = note_strategies(ids, experiment, prices, earned)
        for name, line in lines.items():
            judged = (line.predictions, rivals[name], line.model, experiment.report)
            line.evaluation = evaluate(*judged, tried, made.labels.classes)
            if line.backtest:
                money = (line.backtest, experiment.backtest, experiment.report, tried)
                line.strategy = evaluate_trading(name, *money)
        together = compare(
            {name: line.model for name, line in lines.items()},
            {name: (line.predictions, rivals[name]) for name, line in lines.items()},
            *(earned, experiment.report),
        )

        about = describe(experiment, prices, device, holdout.note)
        shown = (made.features, made.labels, lines, about, audited, together)
        page = report(experiment, prices, warnings, *shown)
        summary = summarise(experiment, ids, lines, failures, page, together, audited, warnings)
        steps = (made.features, made.labels.ref, lines, device)
        made_of = provenance(experiment, fetched, holdout, *steps)
        others = [*made.features.values(), made.labels.ref, together, audited]
        for line in lines.values():
            kept = (terms(experiment, line.model), line.model, line.fits[-1])
            line.desk = make_desk(*kept, line.samples, line.predictions, made.labels)
        record(ids, experiment, prices, lines, summary, page, made_of, others)
        versions = {name: register(ids, each, prices, summary) for name, each in lines.items()}
    return summary.model_copy(update={"versions": versions})


class Made(NamedTuple):
    """What is ready before anything trains."""

    features: dict[str, Ref]  # by ticker
    labels: Labels
    samples: dict[str, Ref]  # by model


def prepare(
    experiment: Experiment, prices: dict[str, Ref], test_from: str = "", judged: bool = True
) -> Made:
    """Features, regimes with the folds' dates, and every model's windows.

    judged  whether each test part must have a known label
    """
    year = experiment.backtest.sessions_per_year
    features = {ticker: compute_indicators(ticker, ref, year) for ticker, ref in prices.items()}
    labels = label_regimes(prices, experiment.labels, experiment.split, test_from)
    samples = {
        model.name: make_windows(features, prices, labels, model, judged)
        for model in experiment.models
    }
    return Made(features, labels, samples)


def start_training(
    experiment: Experiment, samples: dict[str, Ref], folds: int, device: str, retrained: int = 0
) -> dict[str, list[list[Any]]]:
    """Futures of all fits: by model, fold and member; `retrained` as for `train_model`."""
    fixed = (experiment.training, experiment.seed, device, experiment.compute.workers, retrained)
    return {
        model.name: [
            [
                train_model.submit(samples[model.name], model, fold, member, *fixed)
                for member in range(experiment.members)
            ]
            for fold in range(folds)
        ]
        for model in experiment.models
    }


def finish_training(
    experiment: Experiment,
    prices: dict[str, Ref],
    made: Made,
    training: dict[str, list[list[Any]]],
    device: str,
) -> tuple[dict[str, ModelLine], dict[str, str]]:
    """Predict and trade with every model that was trained; the others, and why they were not."""
    trades = (experiment.trading, experiment.backtest, experiment.report.cost_cases)
    filtered = made.labels if experiment.trading.regime_filter != "off" else None
    turbulent = tuple(sorted(turbulent_classes(experiment.labels)))
    lines: dict[str, ModelLine] = {}
    failures: dict[str, str] = {}
    for model in experiment.models:
        samples = made.samples[model.name]
        try:
            fits = [[each.result() for each in members] for members in training[model.name]]
        except TrainingError as error:
            failures[model.name] = str(error)
            continue
        said = predict(samples, fits, model, device)
        line = ModelLine(model=model, samples=samples, fits=fits, predictions=said)
        if objective_of(model).traded:
            line.backtest = backtest(model.name, said, prices, *trades, filtered, turbulent)
        lines[model.name] = line
    return lines, failures
