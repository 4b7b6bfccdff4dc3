"""Retraining as a habit: one at a time, only when something is new, and written down at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from filelock import FileLock, Timeout
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from rnntrade.config import OPEN_END, Experiment
from rnntrade.errors import ConfigError
from rnntrade.fingerprint import fingerprint, source_digest
from rnntrade.storage import explained
from tasks import clock
from tasks.home import artifacts_folder, home
from tasks.ledger import Ledger
from tasks.ledger.trials import last_session
from tasks.production.promotion import Judged
from tasks.refs import Tables, data_fingerprint
from tasks.steps import sources

RETRAININGS = Ledger("retrainings")


class Retraining(BaseModel):
    """What a retraining led to."""

    status: str  # "retrained", or "nothing new"
    experiment: str
    until: str  # newest session of the prices
    judged: list[Judged]
    mlflow_run: str
    report: str = ""  # path of the page
    verdict: str = ""
    warnings: list[str] = []  # about the prices
    at: str = ""  # when it was done, UTC
    missing: dict[str, str] = {}  # by ticker, why its newest prices could not be had

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return self.model_dump()


def newest_split(experiment: Experiment) -> Experiment:
    """The experiment with the newest sessions as its test part, and prices without an end.

    errors  ConfigError when a holdout is sealed: retraining would look into it
    """
    if experiment.split.sealed_sessions:
        raise ConfigError(
            "a retraining is judged on the newest sessions, which split.sealed_sessions keeps from "
            "every run.  Retrain an experiment without a sealed holdout."
        )
    wanted = experiment.production.evaluation_sessions
    return replace(
        experiment,
        name=f"{experiment.name}_latest",
        data=replace(experiment.data, end=OPEN_END),
        split=replace(experiment.split, kind="latest", test_sessions=wanted),
    )


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other retraining goes on in this home."""
    guard = artifacts_folder() / "locks" / "retrain.guard"
    with explained(guard):
        guard.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(guard)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            get_run_logger().info("another retraining is going on: waiting for its end")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def done_before(experiment: Experiment, prices: Tables) -> Retraining | None:
    """Return the finished retraining of the same experiment, prices and code, if there is one."""
    wanted = _key(experiment, prices)
    for line in reversed(RETRAININGS.read(dict)):
        if line["key"] == wanted:
            done = Retraining.model_validate(line["done"])
            return done.model_copy(update={"report": str(home() / done.report)})
    return None


@task(task_run_name="finish_retraining", cache_policy=NO_CACHE)
def finish(experiment: Experiment, prices: Tables, done: Retraining) -> Retraining:
    """Show what was decided on Prefect's pages, then write the retraining down as done."""
    done = done.model_copy(update={"until": last_session(prices), "at": clock.stamp()})
    create_markdown_artifact(
        key="promotion", markdown=markdown(done), description="Challenger against champion"
    )
    page = os.path.relpath(done.report, home())  # so that the home can be moved
    kept = done.model_copy(update={"report": page}).as_json()
    with RETRAININGS.locked():
        RETRAININGS.add([{"key": _key(experiment, prices), "done": kept}])
    return done


def markdown(done: Retraining) -> str:
    """The decision with its figures, as Markdown."""
    parts = [f"# Retraining of {done.experiment}, sessions to {done.until}", f"**{done.verdict}**"]
    parts += [f"**warning** {warning}" for warning in done.warnings]
    for judged in done.judged:
        outcome = "promoted" if judged.promoted else "not promoted"
        challenger, champion = judged.challenger or "no challenger", judged.champion or "nobody"
        parts += [f"## {judged.task}: {challenger} against {champion}"]
        parts += [f"**{outcome}**: " + "; ".join(judged.reasons)]
        rows = [
            f"| {name.replace('_', ' ')} | {'-' if value is None else f'{value:.5g}'} |"
            for name, value in judged.figures.items()
        ]
        if rows:
            parts += ["\n".join(["| figure | value |", "| --- | --- |", *rows])]
    return "\n\n".join([*parts, f"Report: `{done.report}`"])


def _key(experiment: Experiment, prices: Tables) -> str:
    code = (sources(), source_digest("tasks.production.promotion"))
    return fingerprint((asdict(experiment), data_fingerprint(prices), code))
