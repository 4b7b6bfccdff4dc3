"""MLflow's runs: one per pipeline run, one child per model; none outlives its process.

Everything goes through MlflowClient and explicit run ids: the fluent API's active run is per
thread, so a submitted task would log into a phantom of its own.
"""

import logging
import os
import re
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from getpass import getuser
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from urllib.request import url2pathname
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.errors import RnntradeError, ServerError
from rnntrade.fingerprint import ROOT
from rnntrade.storage import atomic_file, explained, remove_leftovers
from tasks.home import DATABASES, artifacts_folder, database_file, home, tracking_uri
from tasks.plain import in_flow
from tasks.tracking.silence import Answering, answered, without_password

log = logging.getLogger("prefect.rnntrade")

SHORTEST = 6  # characters that tell a run from the others
BATCHES = {"metrics": 1000, "params": 100, "tags": 100}  # that MLflow takes at a time
IDS_IN_A_TAG = 250  # of 17 characters; a tag holds 5,000 on every database
PLACES = (  # of files, in MLflow's tables
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
FOLDER = "/mlartifacts/"


class RunIds(BaseModel):
    """The runs in MLflow that stand for this run of the pipeline."""

    experiment_id: str
    parent: str
    children: dict[str, str]  # by model name


def client() -> Any:
    """A client of the tracking server or database that the environment names."""
    return _connect(tracking_uri())


@contextmanager
def fluent_api() -> Iterator[None]:
    """Let the few functions that need MLflow's fluent API use the same server.

    It keeps its choice in the environment, where every later subprocess would find it: taken back.
    """
    from mlflow import set_tracking_uri

    client()  # its database is there, and its records lead to this home
    chosen = os.environ.get("MLFLOW_TRACKING_URI")
    set_tracking_uri(tracking_uri())
    try:
        with answered(tracking_uri()):
            yield
    finally:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if chosen is not None:
            os.environ["MLFLOW_TRACKING_URI"] = chosen


@cache
def _connect(uri: str) -> Any:
    """Connect; the database is made first if need be, by one process, and appears whole."""
    from mlflow import MlflowClient

    if not uri.startswith("sqlite:///"):
        with answered(uri):
            return Answering(uri, MlflowClient(uri))
    database = database_file(uri) or Path()
    with explained(database):
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"), answered(uri):
            if not database.exists():
                _make_database(database)
            connected = MlflowClient(uri)  # migrates an old database, which two must not do at once
            with sqlite3.connect(database) as connection:
                connection.execute("pragma journal_mode=wal")  # writers wait half as long
            _follow_home(database)
            return Answering(uri, connected)


def _make_database(database: Path) -> None:
    """Make the tables under another name: a process killed halfway leaves no half database."""
    from mlflow import MlflowClient

    for half in database.parent.glob(f".{database.name}.*.tmp*"):
        half.unlink()
    with atomic_file(database) as temporary:
        MlflowClient(f"sqlite:///{temporary}").search_experiments(max_results=1)


def _follow_home(database: Path) -> None:
    """Let an SQLite database's records lead to this home, where they led to one that it was.

    MLflow stores absolute places of files, so a home that was moved or copied has old ones.
    database  this home's own, or another: there only records of a home that is gone are rewritten
    """
    here, own = home().as_uri(), database.resolve() == home() / "mlflow.db"
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        found = connection.execute(
            "select distinct artifact_location from experiments where artifact_location like ?",
            (f"file:///%{FOLDER}%",),
        )
        for old in {location.rpartition(FOLDER)[0] for (location,) in found} - {here}:
            place = Path(url2pathname(old.removeprefix("file://")))
            if not own and place.exists():
                continue
            for table, column in PLACES:
                connection.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where substr({column}, 1, ?) = ?",
                    (here, len(old) + 1, len(old + FOLDER), old + FOLDER),
                )
            connection.execute(
                "update tags set value = ? where key = 'rnntrade.home' and value like ?",
                (_home_tag(), f"%:{place}"),
            )


@contextmanager
def tracked_run(experiment: Experiment) -> Iterator[RunIds]:
    """Open a run and a child per model; whatever ends the block, none of them stays RUNNING.

    What is not there any more to close its runs (SIGKILL), or has no server to tell, is found by
    the next run, by a lock file that dies with its process, and marked KILLED.
    """
    with _closed_at_the_end() as owner:
        where = _experiment_id(experiment.name, experiment.description)
        tags = {**_own_tags(owner), "mlflow.source.name": f"rnntrade run {experiment.name}"}
        name = f"{experiment.name} {datetime.now():%Y-%m-%d %H:%M:%S}"
        parent = client().create_run(where, tags=tags, run_name=name).info.run_id
        children = {}
        for model in experiment.models:
            own = {**tags, "mlflow.parentRunId": parent, "task": model.task}
            own["architecture"] = model.architecture
            run = client().create_run(where, tags=own, run_name=model.name)
            children[model.name] = run.info.run_id
        yield RunIds(experiment_id=where, parent=parent, children=children)


@contextmanager
def noted_run(experiment: str, about: str, name: str, tags: dict[str, str]) -> Iterator[str]:
    """Open one run, of no model, and give its id; it ends as those of `tracked_run` do.

    experiment, about  its MLflow experiment, made at first use, and what that is for
    name, tags         of the run
    """
    with _closed_at_the_end() as owner:
        own = {**_own_tags(owner), **tags}
        run = client().create_run(_experiment_id(experiment, about), tags=own, run_name=name)
        yield str(run.info.run_id)


def noted_runs(experiment: str, tags: dict[str, str]) -> list[Any]:
    """Finished runs of an experiment that carry all of these tags, newest first."""
    existing = client().get_experiment_by_name(experiment)
    if not existing:
        return []
    wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    condition = " and ".join(["attributes.status = 'FINISHED'", *wanted])
    return list(client().search_runs([existing.experiment_id], condition))


@contextmanager
def _closed_at_the_end() -> Iterator[str]:
    """Close every run that its owner, the name given, has opened in the block."""
    with alive() as owner:
        sweep_orphans()
        status, reason = "FINISHED", ""
        try:
            yield owner
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            reason = str(error) or type(error).__name__
            if isinstance(error, ServerError):  # it closes no run either: the next run marks them
                status = ""
            raise
        finally:
            for run in _running(f"tags.`rnntrade.owner` = '{owner}'") if status else []:
                if reason:
                    client().set_tag(run.info.run_id, "error", reason[:5000])
                client().set_terminated(run.info.run_id, status)


@contextmanager
def alive() -> Iterator[str]:
    """Hold a lock that dies with this process, and give its name; tidy up if nobody else holds one.

    Whoever writes artifacts holds one: a temporary folder is a leftover only when nobody does.
    """
    owner = uuid4().hex
    with _starting() as someone_runs:
        if not someone_runs:
            remove_leftovers(artifacts_folder())
        lock = FileLock(_lock_of(owner))
        lock.acquire()
    try:
        yield owner
    finally:
        lock.release()
        _lock_of(owner).unlink(missing_ok=True)


@contextmanager
def nobody_runs() -> Iterator[None]:
    """Keep every run from starting; RnntradeError if one is going on."""
    with _starting() as someone_runs:
        if someone_runs:
            raise RnntradeError(
                "a run is going on, and what it makes is not recorded yet.  Wait for its end."
            )
        yield


@contextmanager
def _starting() -> Iterator[bool]:
    """Let one process at a time look whether a run is going on in this home; say so."""
    guard = _lock_of("").with_name("start.guard")
    with explained(guard.parent):
        guard.parent.mkdir(parents=True, exist_ok=True)
        guard.touch()
    with FileLock(guard):
        yield not all(_is_free(lock) for lock in guard.parent.glob("*.lock"))


def _lock_of(owner: str) -> Path:
    return artifacts_folder() / "locks" / f"{owner}.lock"


def _is_free(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False


def sweep_orphans() -> int:
    """Mark this home's runs whose process is gone as KILLED; return how many."""
    swept = 0
    for run in _running(f"tags.`rnntrade.home` = '{_home_tag()}'"):
        lock = _lock_of(run.data.tags["rnntrade.owner"])
        if _is_free(lock):
            client().set_terminated(run.info.run_id, "KILLED")
            lock.unlink(missing_ok=True)
            swept += 1
    return swept


def _running(condition: str) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client().search_experiments()]
    condition = f"attributes.status = 'RUNNING' and {condition}"
    return list(client().search_runs(experiments, condition, max_results=1000))


def is_recorded(run_id: str) -> bool:
    """Whether MLflow knows the run, and nobody has deleted it; an error if it does not answer."""
    from mlflow.exceptions import MlflowException

    with answered(tracking_uri(), always=True):
        try:
            return bool(client().get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise


def find_run(name: str) -> Any:
    """Return MLflow's info (run_id, status) of the pipeline run of that id.

    name    id of the run, or of one of its models, of which SHORTEST characters are enough; deleted
            runs are found too
    errors  RnntradeError when MLflow knows no such run, several, or does not answer
    """
    from mlflow.entities import ViewType

    wanted = name.strip().lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},32}}", wanted):
        raise RnntradeError(
            f"{name!r} is no run id.  Give the id that MLflow's pages or `rnntrade run --json` "
            f"(mlflow_run) show, or its first {SHORTEST} characters or more."
        )
    with answered(tracking_uri(), always=True):
        experiments = [e.experiment_id for e in client().search_experiments(ViewType.ALL)]
        beginning = f"attributes.run_id LIKE '{wanted}%'"
        matches = client().search_runs(experiments, beginning, ViewType.ALL, max_results=10)
        if not matches:
            raise RnntradeError(
                f"no run {name!r} in {without_password(tracking_uri())}.  Look its id up "
                "(rnntrade ui), or name the server that recorded it in MLFLOW_TRACKING_URI."
            )
        if len(matches) > 1:
            ids = ", ".join(run.info.run_id for run in matches)
            raise RnntradeError(f"{name!r} begins the ids of several runs: {ids}.  Give one whole.")
        parent = matches[0].data.tags.get("mlflow.parentRunId")
        return client().get_run(parent).info if parent else matches[0].info


def read_text_artifact(run_id: str, path: str) -> str:
    """Return a text that a run has kept; FileNotFoundError when it kept none of that name."""
    with answered(tracking_uri(), always=True), TemporaryDirectory() as folder:
        if path not in {artifact.path for artifact in client().list_artifacts(run_id)}:
            raise FileNotFoundError(path)
        return Path(client().download_artifacts(run_id, path, folder)).read_text(encoding="utf-8")


def write(
    run_id: str,
    *,
    params: Mapping[str, str] = MappingProxyType({}),
    figures: Mapping[str, float] = MappingProxyType({}),
    curves: Mapping[str, list[float]] = MappingProxyType({}),
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write into a run in batches: one metric at a time takes thirty times as long."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(datetime.now().timestamp() * 1000)
    metrics = [
        Metric(name, value, now, step)
        for name, values in [*((name, [x]) for name, x in figures.items()), *curves.items()]
        for step, value in enumerate(values)
        if value == value
    ]
    entries = {
        "metrics": metrics,
        "params": [Param(name, value[:6000]) for name, value in params.items()],
        "tags": [RunTag(name, value[:8000]) for name, value in tags.items()],
    }
    for kind, size in BATCHES.items():
        for start in range(0, len(entries[kind]), size):
            client().log_batch(run_id, **{kind: entries[kind][start : start + size]})


def tag_trials(run_id: str, markets: Sequence[str], attempt: str, fits: list[str]) -> None:
    """Write the ids of a run's fits into its tags, before the first of them begins."""
    tags = {"data.markets": f"|{'|'.join(markets)}|", "fits": str(len(fits))}
    tags["trials.attempt"] = attempt
    for start in range(0, len(fits), IDS_IN_A_TAG):
        tags[f"trials.{start // IDS_IN_A_TAG}"] = " ".join(fits[start : start + IDS_IN_A_TAG])
    write(run_id, tags=tags)


def recorded_trials(markets: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the ids of all fits, and of all attempts, that runs on any of these have as tags.

    Failed, killed and deleted runs count; those that `mlflow gc` removed are in the file only.
    """
    from mlflow.entities import ViewType

    fits: set[str] = set()
    attempts: set[str] = set()
    experiments = [e.experiment_id for e in client().search_experiments(ViewType.ALL)]
    for market in markets:
        condition = f"tags.`data.markets` LIKE '%|{market.replace(chr(39), '')}|%'"
        page: Any = None
        while page is None or page.token:
            token = page.token if page else None
            page = client().search_runs(experiments, condition, ViewType.ALL, 1000, None, token)
            for run in page:
                tags = dict(run.data.tags)
                attempts |= {tags.pop("trials.attempt", "")} - {""}
                for name in tags:
                    fits |= set(tags[name].split()) if name.startswith("trials.") else set()
    return fits, attempts


def _home_tag() -> str:
    """Machine and folder: only there can a lock file tell whether a run's process lives."""
    return f"{socket.gethostname()}:{home()}"


def _own_tags(owner: str) -> dict[str, str]:
    try:
        user = getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        user = str(os.getuid())
    flow_run_id = ""
    if in_flow():
        from prefect.runtime import flow_run

        flow_run_id = str(flow_run.id or "")
    return {
        "rnntrade.owner": owner,
        "rnntrade.home": _home_tag(),
        "prefect.flow_run_id": flow_run_id,
        "mlflow.source.type": "LOCAL",
        "mlflow.user": user,
        **git_tags(),
    }


def _experiment_id(name: str, about: str) -> str:
    from mlflow.exceptions import MlflowException

    known, found = client(), client().get_experiment_by_name(name)
    if not found:
        local = tracking_uri().startswith(DATABASES)  # a server keeps the files itself
        location = (home() / "mlartifacts" / name).as_uri() if local else None
        tags = {"mlflow.note.content": about}
        try:
            return str(known.create_experiment(name, location, tags))
        except MlflowException:  # another process was faster
            found = known.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        log.warning("the experiment %r was deleted in MLflow: restored, with its runs", name)
        known.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def commit(edited: str, none: str = "") -> str:
    """Commit of the checkout, followed by `edited` if it was since; `none` outside a checkout."""
    tags = git_tags()
    mark = edited if tags.get("git.edited") == "true" else ""
    return tags.get("mlflow.source.git.commit", none) + mark


@cache
def git_tags() -> dict[str, str]:
    """Commit of the checkout, and whether it was edited since; nothing outside a checkout."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return {}
    digest, edited, _ = found.partition("-dirty")
    return {"mlflow.source.git.commit": digest, "git.edited": str(bool(edited)).lower()}
