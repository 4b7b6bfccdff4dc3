"""What MLflow is told: one run per pipeline run, one child per model, finished figures only.

Everything goes through MlflowClient and explicit run ids: the fluent API's active run is per
thread, so a submitted task would log into a phantom of its own.
"""

import json
import os
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.fingerprint import ROOT
from tasks.artifacts import Ref, write_manifest
from tasks.home import artifacts_folder, home

BATCH = 1000  # metrics that one request may carry


class RunIds(BaseModel):
    """The runs in MLflow that stand for this run of the pipeline."""

    experiment_id: str
    parent: str
    children: dict[str, str]  # by model name


class ModelRecord(BaseModel):
    """What is written down about one model."""

    params: dict[str, str]
    metrics: dict[str, float]
    curves: dict[str, list[float]]  # by epoch
    tags: dict[str, str]
    artifacts: list[Ref]


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db in the home folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


@cache
def client(uri: str = "") -> Any:
    """Connect, making the database first if need be: three processes at once must not do that."""
    from mlflow import MlflowClient, set_tracking_uri

    uri = uri or tracking_uri()
    set_tracking_uri(uri)
    connected = MlflowClient(uri)
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///"))
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            connected.search_experiments(max_results=1)
            with sqlite3.connect(database) as connection:
                connection.execute("pragma journal_mode=wal")  # writers wait half as long
    return connected


@contextmanager
def tracked_run(experiment: Experiment) -> Iterator[RunIds]:
    """Open a run and a child per model; whatever ends the block, none of them stays RUNNING.

    What is not there any more to close its runs (SIGKILL) is found by the next run, by a lock file
    that dies with its process, and marked KILLED.
    """
    owner = uuid4().hex
    locks = artifacts_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"{owner}.lock"):
        sweep_orphans()
        ids = _open_runs(experiment, owner)
        try:
            yield ids
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            _close_runs(ids, status, str(error) or type(error).__name__)
            raise
    (locks / f"{owner}.lock").unlink(missing_ok=True)


def sweep_orphans() -> int:
    """Mark the runs of this machine whose process is gone as KILLED; return how many."""
    known, swept = client(), 0
    experiments = [each.experiment_id for each in known.search_experiments()]
    here = f"attributes.status = 'RUNNING' and tags.`rnntrade.host` = '{socket.gethostname()}'"
    for run in known.search_runs(experiments, here, max_results=1000):
        lock = artifacts_folder() / "locks" / f"{run.data.tags['rnntrade.owner']}.lock"
        try:
            with FileLock(lock, timeout=0):
                known.set_terminated(run.info.run_id, "KILLED")
                swept += 1
        except Timeout:  # its process lives
            continue
    return swept


@task(cache_policy=NO_CACHE)
def record(
    ids: RunIds,
    experiment: Experiment,
    data: Mapping[str, Ref],
    models: Mapping[str, ModelRecord],
    failures: Mapping[str, str],
    summary: Mapping[str, Any],
    report: Ref,
) -> None:
    """Write everything down and close the runs; a failed model's run says why it failed."""
    known = client()
    for name, run_id in ids.children.items():
        if name in failures:
            known.set_tag(run_id, "error", failures[name])
            known.set_terminated(run_id, "FAILED")
            continue
        _write(known, run_id, models[name])
        _log_data(known, run_id, experiment, data)
        known.set_terminated(run_id)
    _write(
        known,
        ids.parent,
        ModelRecord(
            params=_flat(asdict(experiment)),
            metrics={
                f"{name}.{metric}": value
                for name, each in models.items()
                for metric, value in each.metrics.items()
                if metric in {"score", "baseline", "difference", "strategy.sharpe_ratio"}
            },
            curves={},
            tags={
                "verdict": str(summary["verdict"]),
                "mlflow.note.content": str(summary["markdown"]),
                "leaky": str(experiment.labels.thresholds == "full_sample").lower(),
            },
            artifacts=[report],
        ),
    )
    _log_data(known, ids.parent, experiment, data)
    write_manifest(
        ids.parent,
        [*data.values(), report, *(ref for each in models.values() for ref in each.artifacts)],
    )
    known.set_terminated(ids.parent)


def _open_runs(experiment: Experiment, owner: str) -> RunIds:
    known = client()
    experiment_id = _experiment_id(experiment)
    tags = {
        "rnntrade.owner": owner,
        "rnntrade.host": socket.gethostname(),
        "prefect.flow_run_id": str(flow_run.id or ""),
        **_commit(),
    }
    name = f"{experiment.name} {datetime.now():%Y-%m-%d %H:%M:%S}"
    parent = known.create_run(experiment_id, tags=tags, run_name=name).info.run_id
    children = {}
    for model in experiment.models:
        own = {"mlflow.parentRunId": parent, "task": model.task, "architecture": model.architecture}
        run = known.create_run(experiment_id, tags={**tags, **own}, run_name=model.name)
        children[model.name] = run.info.run_id
    return RunIds(experiment_id=experiment_id, parent=parent, children=children)


def _close_runs(ids: RunIds, status: str, reason: str) -> None:
    known = client()
    for run_id in (*ids.children.values(), ids.parent):
        if known.get_run(run_id).info.status == "RUNNING":
            known.set_tag(run_id, "error", reason[:5000])
            known.set_terminated(run_id, status)


def _experiment_id(experiment: Experiment) -> str:
    """The MLflow experiment of that name, made at first use."""
    from mlflow.exceptions import MlflowException

    known = client()
    found = known.get_experiment_by_name(experiment.name)
    if not found:
        local = tracking_uri().startswith("sqlite:")
        location = (home() / "mlartifacts" / experiment.name).as_uri() if local else None
        tags = {"mlflow.note.content": experiment.description}
        try:
            return str(known.create_experiment(experiment.name, location, tags))
        except MlflowException:  # another process was faster
            found = known.get_experiment_by_name(experiment.name)
    return str(found.experiment_id)


def _write(known: Any, run_id: str, record: ModelRecord) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(datetime.now().timestamp() * 1000)
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    metrics += [
        Metric(name, value, now, epoch)
        for name, values in record.curves.items()
        for epoch, value in enumerate(values)
    ]
    finite = [metric for metric in metrics if metric.value == metric.value]
    for start in range(0, len(finite), BATCH):
        known.log_batch(run_id, metrics=finite[start : start + BATCH])
    params = [Param(name, value[:6000]) for name, value in record.params.items()]
    for start in range(0, len(params), 100):
        known.log_batch(run_id, params=params[start : start + 100])
    known.log_batch(run_id, tags=[RunTag(name, value) for name, value in record.tags.items()])
    for ref in record.artifacts:
        known.log_artifacts(run_id, str(ref.folder), None if ref.step == "report" else ref.step)


def _log_data(known: Any, run_id: str, experiment: Experiment, data: Mapping[str, Ref]) -> None:
    """Name the prices by digest: logging the frame itself would profile it for seconds."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    source = CodeDatasetSource(tags={"source": experiment.data.source})
    known.log_inputs(
        run_id,
        [
            DatasetInput(
                MetaDataset(
                    source, name=f"{experiment.data.source} {ticker}", digest=ref.digest[:16]
                )._to_mlflow_entity(),
                [InputTag("mlflow.data.context", "training")],
            )
            for ticker, ref in data.items()
        ],
    )


@cache
def _commit() -> dict[str, str]:
    """Commit of the checkout, and whether it was edited since; nothing outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        edits = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {
        "mlflow.source.git.commit": commit.stdout.strip(),
        "git.edited": str(bool(edits.stdout.strip())).lower(),
    }


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"training": {"patience": 3}} -> {"training.patience": "3"}; models by their names."""
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        elif name == "models":
            leaves |= _flat({model["name"]: model for model in value}, f"{prefix}models.")
        else:
            leaves[prefix + name] = (
                json.dumps(value, default=str) if isinstance(value, tuple) else str(value)
            )
    return leaves
