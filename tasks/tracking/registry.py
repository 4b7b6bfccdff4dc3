"""Registered models: one per task, a version per fit, found again by aliases."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from rnntrade.fingerprint import ROOT
from rnntrade.production.desk import Desk
from rnntrade.types import Fit
from tasks.home import artifacts_folder
from tasks.plain import task
from tasks.refs import ModelRefs, Ref, Tables, data_fingerprint
from tasks.summary import Summary
from tasks.tracking.champions import PREFIX, Version, find_version, holder, versions
from tasks.tracking.runs import RunIds, client, fluent_api

WARM_UP = 60  # sessions before every feature is known, and some to spare
OF_A_VERSION = ("verdict", "best_baseline", "score", "baseline", "difference")  # in its tags
REQUIREMENTS = ("torch", "pandas", "numpy", "safetensors", "pydantic", "mlflow", "pyarrow")


@task("register-{refs.model.name}")
def register(ids: RunIds, refs: ModelRefs, prices: Tables, summary: Summary) -> str:
    """Register the newest fold's desk as a version, unless this very desk is one already.

    The best version of the newest experiment and data carries the alias `challenger`.
    returns  number of the version
    """
    assert refs.desk is not None
    model, desk = refs.model, refs.desk
    name = f"{PREFIX}{model.task}"
    with FileLock(artifacts_folder() / "locks" / "registry.lock"):
        _make_registered_model(name, model.task)
        for same in versions(model.task):
            if same.tags.get("desk") == desk.digest:
                _choose_challenger(same)
                return same.number
        fit = desk.load().fits[0]
        example = max((ref.load() for ref in prices.values()), key=len)  # a whole window
        source = _log_model(ids.children[model.name], fit, desk, example)
        figures = summary.figures[model.name]
        kept = [(name, figures[name]) for name in OF_A_VERSION]
        created = client().create_model_version(
            name,
            source.model_uri,
            run_id=ids.children[model.name],
            model_id=source.model_id,
            tags={
                "desk": desk.digest,
                "model": model.name,
                "horizon": str(model.horizon),
                "trained_until": fit.trained_until,
                "experiment": summary.experiment,
                "source": summary.source,
                "data.fingerprint": data_fingerprint(prices),
                **{figure: f"{x:.4f}" if isinstance(x, float) else str(x) for figure, x in kept},
            },
            description=str(figures["sentence"]),
        )
        number = str(created.version)
        _choose_challenger(find_version(model.task, number))
    return number


def _make_registered_model(name: str, task: str) -> None:
    """Make it at first use; another home, on the same server, may do so at the same moment."""
    from mlflow.exceptions import MlflowException

    known = client()
    if known.search_registered_models(f"name='{name}'"):
        return
    about = f"Every {task} model of every experiment: bars go in."
    try:
        known.create_registered_model(name, description=about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _choose_challenger(newest: Version) -> None:
    """Let `challenger` be the best version of the newest one's experiment on the newest's data.

    Best is what beats its best baseline by the most, or misses it by the least; scores on other
    data do not compare.  Made-up prices are the challenger only while nothing else is.
    """
    current = holder(newest.task, "challenger")
    if current and current.tags["source"] != "synthetic" == newest.tags["source"]:
        return
    rivals = [
        version
        for version in versions(newest.task)
        if all(version.tags[t] == newest.tags[t] for t in ("experiment", "data.fingerprint"))
    ]
    best = max(rivals, key=lambda version: (float(version.tags["difference"]), int(version.number)))
    client().set_registered_model_alias(f"{PREFIX}{best.task}", "challenger", best.number)


def _log_model(run_id: str, fit: Fit, desk: Ref[Desk], example: pd.DataFrame) -> Any:
    import logging

    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    from rnntrade.objectives.lookup import objective_of

    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # "validating the example"
    bars = example.tail(WARM_UP + fit.model.lookback).reset_index()
    history = bars.assign(ticker="EXAMPLE")[["date", "ticker", "close"]]
    objective = objective_of(fit.model, fit.classes)
    inputs = {"date": "datetime", "ticker": "string", "close": "double"}
    outputs = dict.fromkeys(["ticker", "as_of"], "string")
    outputs |= {"regime": "string"} if objective.needs_regimes else {}
    outputs |= dict.fromkeys(objective.names, "double")
    outputs |= {"target": "double"} if objective.traded else {}
    schemas = (
        Schema([ColSpec(DataType[kind], name) for name, kind in columns.items()])
        for columns in (inputs, outputs)
    )
    signature = ModelSignature(next(schemas), next(schemas))
    with fluent_api(), mlflow.start_run(run_id=run_id):
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"desk": str(desk.folder)},
            code_paths=[str(ROOT / "rnntrade")],
            signature=signature,
            input_example=history,
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
