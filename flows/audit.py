"""The audit alone: the experiment's own steps on its own prices, with networks that train fast."""

from dataclasses import replace
from typing import Any

from prefect import flow

from flows.data import fetch
from flows.run import finish_training, prepare, start_training
from flows.runner import THREADS
from rnntrade.config import Experiment
from rnntrade.data.sessions import with_sessions_per_year
from rnntrade.errors import TrainingError
from tasks.audit import audit
from tasks.ledger.seal import seal
from tasks.steps import prepare_device
from tasks.tracking.runs import RunIds, alive

NOBODY = RunIds(experiment_id="", parent="", children={})  # it leaves no run in MLflow


@flow(flow_run_name="audit-{experiment.name}", task_runner=THREADS)
def audit_experiment(experiment: Experiment) -> dict[str, Any]:
    """Hunt leaks in every step of the experiment; nothing is judged, recorded or registered.

    A leak is in the steps, not in the size of a network: 4 units and 2 epochs show it too.
    returns  clean, compared, comparisons by stage, findings, checks
    """
    small = tuple(
        replace(model, hidden_size=4, num_layers=1, dropout=0.0, max_epochs=2)
        for model in experiment.models
    )
    asked = with_sessions_per_year(replace(experiment, models=small, members=1))
    device = prepare_device(asked.compute.device)
    with alive():
        fetched, _ = fetch(asked.data)
        prices = seal(NOBODY, asked, fetched, opening=False, spent=False).prices
        made = prepare(asked, prices)
        training = start_training(asked, made.windows, len(made.labels), device)
        models, failures = finish_training(asked, prices, made, training, device)
        for name, reason in failures.items():
            raise TrainingError(f"{name} could not be trained, so not be audited: {reason}")
        audited = audit(asked, prices, made.features, made.labels, models, device)
        return audited.load().as_json()
