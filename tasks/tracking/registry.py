"""Registered models: one per task, a version per fit, found again by aliases."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock
from prefect import task
from prefect.cache_policies import NO_CACHE

from rnntrade.config import ModelConfig
from rnntrade.fingerprint import ROOT
from rnntrade.training.fits import load_fit
from tasks.artifacts import Ref, data_fingerprint
from tasks.home import artifacts_folder
from tasks.report import ModelLine
from tasks.summary import Summary
from tasks.tables import read_bars
from tasks.tracking.runs import RunIds, client, fluent_api

WARM_UP = 60  # sessions before every feature is known, and some to spare
REQUIREMENTS = ("torch", "pandas", "numpy", "safetensors", "pydantic", "mlflow", "pyarrow")


def registered_name(task: str) -> str:
    """Name under which models of a task are registered: rnntrade-direction, for one."""
    return f"rnntrade-{task}"


@task(task_run_name="register-{line.model.name}", cache_policy=NO_CACHE)
def register(ids: RunIds, line: ModelLine, prices: dict[str, Ref], summary: Summary) -> str:
    """Register the newest fold's desk as a version, unless this very desk is one already.

    The best version of the newest experiment and data carries the alias `challenger`.
    returns  number of the version
    """
    assert line.desk is not None
    known, model, desk = client(), line.model, line.desk
    name = registered_name(model.task)
    with FileLock(artifacts_folder() / "locks" / "registry.lock"):
        _make_registered_model(name, model.task)
        same = known.search_model_versions(f"name='{name}' and tags.desk='{desk.digest}'")
        if same:
            _choose_challenger(name, int(same[0].version))
            return str(same[0].version)
        example = max(prices.values(), key=lambda ref: len(read_bars(ref)))  # a whole window
        source = _log_model(ids.children[model.name], model, desk, example)
        figures = summary.figures[model.name]
        told = ("verdict", "best_baseline", "score", "baseline", "difference")
        created = known.create_model_version(
            name,
            source.model_uri,
            run_id=ids.children[model.name],
            model_id=source.model_id,
            tags={
                "desk": desk.digest,
                "model": model.name,
                "horizon": str(model.horizon),
                "trained_until": load_fit(desk.folder / "fits" / "000").trained_until,
                "experiment": summary.experiment,
                "source": summary.source,
                "data.fingerprint": data_fingerprint(prices),
                **{each: _short(figures[each]) for each in told},
            },
            description=str(figures["sentence"]),
        )
        _choose_challenger(name, int(created.version))
    return str(created.version)


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


def _short(figure: float | str | None) -> str:
    return f"{figure:.4f}" if isinstance(figure, float) else str(figure)


def _choose_challenger(name: str, newest: int) -> None:
    """Let `challenger` be the best version of the newest one's experiment on the newest's data.

    Best is what beats its best baseline by the most, or misses it by the least; scores on other
    data do not compare.  Made-up prices are the challenger only while nothing else is.
    """
    known = client()
    versions = {int(v.version): v for v in known.search_model_versions(f"name='{name}'")}
    holder = known.get_registered_model(name).aliases.get("challenger")
    if holder and versions[newest].tags["source"] == "synthetic":
        real = versions[int(holder)].tags["source"] != "synthetic"
        if real:
            return
    group = ("experiment", "data.fingerprint")
    rivals = [
        v
        for v in versions.values()
        if all(v.tags[tag] == versions[newest].tags[tag] for tag in group)
    ]
    best = max(rivals, key=lambda v: (float(v.tags["difference"]), int(v.version)))
    known.set_registered_model_alias(name, "challenger", best.version)


def _log_model(run_id: str, model: ModelConfig, desk: Ref, example: Ref) -> Any:
    """Log a desk as a model from code, with a signature and an input example."""
    import logging

    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    from rnntrade.objectives.lookup import objective_of

    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # "validating the example"
    enough = WARM_UP + model.lookback
    bars = pd.read_parquet(example.folder / "bars.parquet").tail(enough).reset_index()
    history = bars.assign(ticker="EXAMPLE")[["date", "ticker", "close"]]
    objective = objective_of(model, load_fit(desk.folder / "fits" / "000").classes)
    numbers = [*objective.names, *(["target"] if objective.traded else [])]
    words = ["ticker", "as_of", *(["regime"] if objective.needs_regimes else [])]
    signature = ModelSignature(
        Schema(
            [
                ColSpec(DataType.datetime, "date"),
                ColSpec(DataType.string, "ticker"),
                ColSpec(DataType.double, "close"),
            ]
        ),
        Schema(
            [
                *(ColSpec(DataType.string, word) for word in words),
                *(ColSpec(DataType.double, number) for number in numbers),
            ]
        ),
    )
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
