"""What takes long to make, made once for all test processes; and flows without what takes long."""

import json
import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from rnntrade.audit.findings import Audited
from rnntrade.config import Experiment, find_experiment, override
from rnntrade.training.workers import Workers

AUDITS = ("causality.audit_causality", "oracles.audit_engine", "record.audit_record")
AUDITS += ("replay.audit_replay", "replay.audit_served")
DONE = "made"
TINY = Path(__file__).with_name("tiny.toml")  # an experiment, for commands


def built(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, made by the first process that asks; nobody may write into it."""
    base = factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    folder = shared / f"shared-{name}"
    with FileLock(f"{folder}.lock"):
        if not (folder / DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RNNTRADE_HOME", str(folder))
                patch.delenv("MLFLOW_TRACKING_URI", raising=False)
                make(folder)
            if (folder / "mlflow.db").exists():
                with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
                    connection.execute("pragma wal_checkpoint(truncate)")
            (folder / DONE).touch()
    return folder


def copy_home(source: Path, target: Path) -> Path:
    """The same home at another place, where tests may do with it as they like."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(DONE, "locks", "*.db-*"))
    return target


def make_database(folder: Path) -> None:
    from tasks.tracking.runs import client

    client()


def finished_experiment() -> Experiment:
    """What `finished` was asked; two members, so that an ensemble is served."""
    debug = find_experiment("debug")
    models = tuple(each for each in debug.models if each.name != "regime_lstm_h1")
    return override(replace(debug, models=models), {"members": "2"})


def retrain_debug(folder: Path) -> None:
    from flows.retrain import retrain

    with lean():
        done = retrain(finished_experiment())
    assert {each.promoted for each in done.judged} == {True}
    assert "MLFLOW_TRACKING_URI" not in os.environ  # or every later process would follow it
    (folder / "retrained.json").write_text(done.model_dump_json())


def finished_run(home: Path) -> str:
    """Id of the run behind the champions."""
    return str(json.loads((home / "retrained.json").read_text())["mlflow_run"])


@contextmanager
def lean() -> Iterator[None]:
    """Flows without the hunt for leaks, without pictures, and with one training process.

    For tests whose subject is none of these: an audit is two thirds of a small run.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in AUDITS:
            patch.setattr(f"rnntrade.audit.{name}", lambda *_, **__: Audited({"nothing": 1}))
        patch.setattr("rnntrade.report.page.pictures", lambda _: defaultdict(list))
        patch.setattr("tasks.steps.workers_of", _one_worker)
        yield


@cache
def _workers() -> Workers:
    return Workers(1)


def _one_worker(count: int) -> Workers:
    return _workers()
