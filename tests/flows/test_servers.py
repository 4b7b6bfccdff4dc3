"""Runs against real servers, MLflow and Prefect on PostgreSQL, and what happens without them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from rnntrade.config import find_experiment
from rnntrade.fingerprint import ROOT
from tasks.tracking import runs as tracking
from tests.conftest import PATIENCE
from tests.homes import TINY
from tests.lean import COMMAND
from tests.servers import Server, mlflow_server, postgresql, prefect_server_on

pytestmark = [pytest.mark.slow, pytest.mark.soak]

BIN = Path(sys.executable).parent
RUNS = 2  # in MLflow for each of ours: the run itself, and its one model


@dataclass
class Installation:
    """A home whose runs go to servers on PostgreSQL."""

    folder: Path
    database: str  # user, host and port
    mlflow: Server
    prefect: Server

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "RNNTRADE_HOME": str(self.home),
            "PREFECT_HOME": str(self.folder / "client"),
            "PREFECT_API_URL": f"{self.prefect.address}/api",
            "MLFLOW_TRACKING_URI": self.mlflow.address,
            "PYTHONPATH": str(ROOT),
            **more,
        }

    def start(self) -> None:
        for server in (self.mlflow, self.prefect):
            server.start()
        for server in (self.mlflow, self.prefect):
            server.await_answer()

    def known(self) -> MlflowClient:
        return MlflowClient(self.mlflow.address)

    def ask_prefect(self, path: str, **question: Any) -> Any:
        """What Prefect's own interface answers."""
        body = json.dumps(question).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.prefect.address}/api{path}", body, headers)) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("servers")
    with postgresql("mlflow", "prefect", "direct") as address:
        # the wider list of host names is what compose.yaml asks for
        names = "mlflow:*,localhost:*,127.0.0.1:*"
        made = Installation(
            folder,
            address,
            mlflow_server(folder, f"postgresql://{address}/mlflow", "--allowed-hosts", names),
            prefect_server_on(folder, f"postgresql+asyncpg://{address}/prefect"),
        )
        try:
            made.start()
            yield made
        finally:
            made.mlflow.kill()
            made.prefect.kill()


@pytest.fixture
def servers(installation) -> Installation:
    """Both serve, whatever the test before has done to them."""
    installation.start()
    return installation


def run(
    environment: dict[str, str],
    when: dict[str, Any] | None = None,
) -> tuple[int, str, list[str]]:
    """Run one small network; call each of `when` once, at the first line with its sign.

    Returns the exit code, standard output, and the lines of standard error.
    """
    process = subprocess.Popen(
        [*COMMAND, "run", str(TINY), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    waiting, lines = dict(when or {}), []
    assert process.stdout is not None
    assert process.stderr is not None
    overdue = threading.Timer(PATIENCE, process.kill)
    overdue.start()
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        for sign in [sign for sign in waiting if sign in line]:
            waiting.pop(sign)()
    out = process.stdout.read()
    code = process.wait()
    overdue.cancel()
    assert not waiting, (waiting, lines)
    return code, out, lines


def away(server: Server, seconds: float) -> threading.Timer:
    """Kill a server now, and start it again later."""
    server.kill()
    back = threading.Timer(seconds, server.start)
    back.start()
    return back


def all_runs(known: MlflowClient) -> list[Any]:
    return list(known.search_runs([each.experiment_id for each in known.search_experiments()]))


def versions(known: MlflowClient) -> list[tuple[str, str]]:
    return sorted((each.name, each.version) for each in known.search_model_versions())


def task_runs(installation: Installation, flow_run: str) -> dict[str, str]:
    """Name -> state of every task run of a flow run."""
    asked: dict[str, Any] = {"flow_runs": {"id": {"any_": [flow_run]}}, "limit": 200}
    found = installation.ask_prefect("/task_runs/filter", **asked)
    return {each["name"]: each["state"]["name"] for each in found}


@pytest.fixture(scope="module")
def first(installation) -> dict[str, Any]:
    installation.start()
    code, out, lines = run(installation.environment())
    assert code == 0, "\n".join(lines)
    return dict(json.loads(out))


def test_a_run_is_kept_by_both_servers(servers, first):
    known = servers.known()
    runs = {each.info.run_name: each for each in all_runs(known)}
    assert Counter(each.info.status for each in runs.values()) == {"FINISHED": RUNS}
    for row in first["models"]:
        child = runs[row["model"]]
        assert child.data.tags["mlflow.parentRunId"] == first["mlflow_run"]
        assert child.data.metrics["score"] == first["figures"][row["model"]]["score"]
        assert child.info.artifact_uri.startswith("mlflow-artifacts:/")
        kept = {file.path for file in known.list_artifacts(child.info.run_id)}
        assert {"predictions", "baselines", "evaluations"} <= kept
    pages = {file.path for file in known.list_artifacts(first["mlflow_run"])}
    assert {"report.html", "trades", "provenance.json"} <= pages
    assert list((servers.folder / "files").rglob("report.html"))
    assert not (servers.home / "mlartifacts").exists()
    assert not (servers.home / "mlflow.db").exists()

    (registered,) = known.search_registered_models()
    ((name, number),) = versions(known)
    assert registered.name == name == "rnntrade-direction"
    assert registered.aliases == {"challenger": number}

    flow_run = runs[f"{first['models'][0]['model']}"].data.tags["prefect.flow_run_id"]
    found = servers.ask_prefect("/flow_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
    assert [each["state"]["name"] for each in found] == ["Completed"]
    states = task_runs(servers, flow_run)
    assert set(states.values()) == {"Completed"}
    assert {"record", "audit", "report", "train_model-many_to_one_lstm-fold0-member0"} <= set(
        states
    )


@pytest.mark.parametrize("seconds", [2, 20])
def test_servers_gone_for_a_while_cost_time_and_nothing_else(servers, first, seconds):
    """Both are killed at once and started again; a run that is going on asks until they answer."""
    known = servers.known()
    before, closed, started = versions(known), len(all_runs(known)), []
    sign = "Finished in state Cached"
    code, out, lines = run(
        servers.environment(),
        {sign: lambda: started.extend(away(s, seconds) for s in (servers.prefect, servers.mlflow))},
    )
    log = "\n".join(lines)
    for back in started:
        back.join()
    assert code == 0, log
    assert "Retrying (Retry(" in log  # MLflow was asked while it was away
    assert "Traceback" not in log
    again = json.loads(out)
    assert again["figures"] == first["figures"]
    states = dict(re.findall(r"  (\S+)  Finished in state (\w+)", log))
    assert {states[name] for name in ("audit", "report", "compare")} == {"Cached"}
    assert {state for name, state in states.items() if "train_model" in name} == {"Cached"}

    ended = Counter(run.info.status for run in all_runs(known))
    assert ended == {"FINISHED": closed + RUNS}
    assert versions(known) == before
    flow_runs = [
        known.get_run(each["mlflow_run"]).data.tags["prefect.flow_run_id"]
        for each in (first, again)
    ]
    servers.prefect.await_answer()
    found = servers.ask_prefect("/flow_runs/filter", flow_runs={"id": {"any_": flow_runs[1:]}})
    assert [each["state"]["name"] for each in found] == ["Completed"]
    deadline = time.monotonic() + PATIENCE  # what was sent late is also written late
    while True:
        one, other = (task_runs(servers, flow_run) for flow_run in flow_runs)
        if set(one) == set(other) and set(other.values()) == {"Cached", "Completed"}:
            break
        assert time.monotonic() < deadline, (set(one) ^ set(other), other)
        time.sleep(1)


LOAD = """
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/rnntrade-direction@challenger")
dates = pd.bdate_range("2024-01-01", periods=120)
bars = pd.DataFrame({"date": dates, "ticker": "ANY", "close": [100.0 + i % 7 for i in range(120)]})
print(model.predict(bars).to_json(orient="records"))
"""


def test_a_registered_model_is_served_from_the_server_alone(servers, first, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", LOAD],
        env=servers.environment(RNNTRADE_HOME=str(tmp_path), PYTHONPATH=""),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert answer.returncode == 0, answer.stderr
    (row,) = json.loads(answer.stdout.splitlines()[-1])
    assert row["ticker"] == "ANY"
    assert pd.Timestamp(row["as_of"]) == pd.bdate_range("2024-01-01", periods=120)[-1]


def test_mlflow_is_reached_by_the_names_it_was_given_and_by_no_other(servers):
    """As compose.yaml starts it: by default a request to http://mlflow:5000 would be refused."""
    address = f"{servers.mlflow.address}/api/2.0/mlflow/experiments/search"

    def status(host: str) -> str:
        body = b'{"max_results": 1}'
        headers = {"Host": host, "Content-Type": "application/json"}
        try:
            with urlopen(Request(address, body, headers)) as answer:
                return str(answer.status)
        except OSError as error:
            return str(error)

    assert status("mlflow:5000") == "200"
    assert status("evil.example:5000") == "HTTP Error 403: Forbidden"


def test_runs_are_found_by_the_beginning_of_their_id(servers, first, monkeypatch):
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    found = tracking.find_run(first["mlflow_run"][:10])
    assert (found.run_id, found.status) == (first["mlflow_run"], "FINISHED")
    kept = json.loads(tracking.read_text_artifact(found.run_id, "provenance.json"))
    assert kept["experiment"]["name"] == "tiny"


def test_mlflow_writes_to_postgresql_without_a_server_too(servers, first):
    uri = f"postgresql://{servers.database}/direct"
    code, out, lines = run(servers.environment(MLFLOW_TRACKING_URI=uri))
    assert code == 0, "\n".join(lines)
    known = MlflowClient(uri)
    assert json.loads(out)["figures"] == first["figures"]
    assert Counter(each.info.status for each in all_runs(known)) == {"FINISHED": RUNS}
    assert len(versions(known)) == 1
    experiment = known.get_experiment_by_name("tiny")
    assert experiment.artifact_location == (servers.home / "mlartifacts" / "tiny").as_uri()


def test_the_scheduler_on_postgresql_starts_what_is_due(servers, tmp_path):
    """A deployment every ten seconds, a worker, and runs that really happen."""
    prices = replace(find_experiment("debug").data, tickers=("AAA",))
    deployment = {
        "name": "often",
        "entrypoint": "flows.scheduled.refresh_data",
        "parameters": {"config": json.loads(json.dumps(asdict(prices), default=str))},
        "schedules": [{"interval": 10, "slug": "often"}],
        "work_pool": {"name": "tested", "job_variables": {"env": {"PYTHONPATH": str(ROOT)}}},
    }
    (tmp_path / "prefect.yaml").write_text(
        yaml.safe_dump({"name": "tested", "deployments": [deployment]})
    )
    environment = servers.environment(
        RNNTRADE_HOME=str(tmp_path / "home"), PREFECT_WORKER_QUERY_SECONDS="2"
    )
    prefect = str(BIN / "prefect")
    for words in (["work-pool", "create", "tested", "--type", "process"], ["deploy", "--all"]):
        done = subprocess.run(
            [prefect, "--no-prompt", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [prefect, "worker", "start", "--pool", "tested"],
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        completed: list[Any] = []
        while not completed:
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(1)
            completed = servers.ask_prefect(
                "/flow_runs/filter",
                deployments={"name": {"any_": ["often"]}},
                flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
            )
        assert all(each["auto_scheduled"] for each in completed)
        assert list((tmp_path / "home" / "data").rglob("ticker=AAA/bars.parquet"))
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "PREFECT_CLIENT_MAX_RETRIES": "1",
    "PREFECT_LOGGING_TO_API_ENABLED": "true",  # as by default: what it still has to say is dropped
}


def test_an_mlflow_that_never_comes_back_ends_in_one_sentence(servers, first, monkeypatch):
    sign = "Finished in state Cached"
    code, out, lines = run(servers.environment(**IMPATIENT), {sign: servers.mlflow.kill})
    assert (code, out) == (1, "")
    assert "Traceback" not in "\n".join(lines)
    (told,) = [line for line in lines if line.startswith("error: ")]
    assert told.startswith(f"error: MLflow at {servers.mlflow.address} does not answer")
    assert re.search("refused|reset|disconnected", told)  # as the kill falls

    servers.start()
    known = servers.known()
    assert Counter(each.info.status for each in all_runs(known))["RUNNING"] == RUNS
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    assert tracking.sweep_orphans() == RUNS  # as the next run does
    assert Counter(each.info.status for each in all_runs(known))["KILLED"] == RUNS


def test_a_prefect_server_that_never_comes_back_ends_in_one_sentence(servers, first):
    sign = "Finished in state Cached"
    code, out, lines = run(servers.environment(**IMPATIENT), {sign: servers.prefect.kill})
    assert (code, out) == (1, "")
    assert "Traceback" not in "\n".join(lines)
    (told,) = [line for line in lines if line.startswith("error: ")]
    assert told.startswith(f"error: the Prefect server at {servers.prefect.address}/api does not")
    assert re.search("refused|reset|disconnected", told)  # as the kill falls
