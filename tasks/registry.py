"""Registered models: one per task, a version per fit, found again by aliases."""

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from prefect import task
from prefect.cache_policies import NO_CACHE

from rnntrade.fingerprint import ROOT, fingerprint
from tasks.artifacts import Ref
from tasks.home import artifacts_folder
from tasks.report import ModelLine, data_fingerprint
from tasks.summary import Summary
from tasks.tracking import RunIds, client, fluent_api

REQUIREMENTS = ("torch", "pandas", "numpy", "safetensors", "pydantic", "mlflow", "pyarrow")


def registered_name(task: str) -> str:
    """Name under which models of a task are registered: rnntrade-direction, for one."""
    return f"rnntrade-{task}"


@task(task_run_name="register-{line.model.name}", cache_policy=NO_CACHE)
def register(ids: RunIds, line: ModelLine, prices: dict[str, Ref], summary: Summary) -> str:
    """Register the newest fold's fits as a version, unless these very fits are one already.

    The newest version of a task carries the alias `challenger`.
    """
    known = client()
    model, fits = line.model, line.fits[-1]
    name = registered_name(model.task)
    fit = fingerprint([ref.digest for ref in fits])
    with FileLock(artifacts_folder() / "locks" / "registry.lock"):
        if not known.search_registered_models(f"name='{name}'"):
            known.create_registered_model(
                name, description=f"Every {model.task} model of every experiment: bars go in."
            )
        same = known.search_model_versions(f"name='{name}' and tags.fit='{fit}'")
        if same:
            _point_at_newest(name)
            return str(same[0].version)
        example = next(iter(prices.values()))
        source = _log_model(ids.children[model.name], fits, example)
        figures = summary.figures[model.name]
        told = ("verdict", "best_baseline", "score", "baseline", "difference")
        created = known.create_model_version(
            name,
            source.model_uri,
            run_id=ids.children[model.name],
            model_id=source.model_id,
            tags={
                "fit": fit,
                "model": model.name,
                "experiment": summary.experiment,
                "data.fingerprint": data_fingerprint(prices),
                **{each: _short(figures[each]) for each in told},
            },
            description=str(figures["sentence"]),
        )
        _point_at_newest(name)
    return str(created.version)


def _short(figure: float | str | None) -> str:
    return f"{figure:.4f}" if isinstance(figure, float) else str(figure)


def _point_at_newest(name: str) -> None:
    """Let `challenger` be the newest version, also after a run that was killed before it could."""
    known = client()
    newest = max(int(each.version) for each in known.search_model_versions(f"name='{name}'"))
    known.set_registered_model_alias(name, "challenger", str(newest))


def _log_model(run_id: str, fits: Sequence[Ref], example: Ref) -> Any:
    """Log the fits as a model from code, with a signature and an input example."""
    import logging

    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # "validating the example"
    bars = pd.read_parquet(example.folder / "bars.parquet").tail(120).reset_index()
    history = bars.assign(ticker="EXAMPLE")[["date", "ticker", "close"]]
    signature = ModelSignature(
        Schema(
            [
                ColSpec(DataType.datetime, "date"),
                ColSpec(DataType.string, "ticker"),
                ColSpec(DataType.double, "close"),
            ]
        )
    )
    with TemporaryDirectory() as folder, fluent_api(), mlflow.start_run(run_id=run_id):
        for member, ref in enumerate(fits):
            shutil.copytree(ref.folder, Path(folder) / "fits" / f"{member:03d}")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={"fits": f"{folder}/fits"},
            code_paths=[str(ROOT / "rnntrade")],
            signature=signature,
            input_example=history,
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
