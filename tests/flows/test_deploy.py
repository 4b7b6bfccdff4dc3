"""The ten commands of docs/operations.md, typed by a script; then the schedule does the rest.

All but the counting of them is soak: minutes of servers, workers and real retrainings.

A server, a worker and a home of their own.  Only a run that a real scheduler started shows that the
versions of Prefect, FastAPI and SQLAlchemy fit each other.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from rnntrade.config import Experiment, find_experiment
from rnntrade.data.sessions import action_times
from tests.conftest import PATIENCE, free_port
from tests.homes import TINY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Series.values returning"),  # exchange_calendars' own
]

ROOT = Path(__file__).parents[2]
FLOWS = ["monitor/after-close", "retrain/after-close", "run/on-demand", "signal/after-close"]
DONE = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Installation(NamedTuple):
    """What the ten commands left running."""

    address: str
    output: str  # of the ten commands
    environment: dict[str, str]

    def ask(self, path: str, body: Any = None, method: str = "") -> Any:
        request = Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        while True:
            try:
                with urlopen(request, timeout=PATIENCE) as answer:
                    return json.loads(answer.read() or b"null")
            except HTTPError as error:
                if error.code != 503:  # a busy SQLite: Prefect's own client asks again, too
                    raise
                time.sleep(1)

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask(f"/deployments/name/{name}")

    def planned(self, name: str) -> list[dict[str, Any]]:
        """The runs that the scheduler has written down for later."""
        asked = {
            "deployment_id": {"any_": [self.deployment(name)["id"]]},
            "state": {"type": {"any_": ["SCHEDULED"]}},
        }
        return self.ask("/flow_runs/filter", {"flow_runs": asked})

    def pause(self, name: str) -> None:
        """Stop its schedules: tests run at the close, too, and count what they started."""
        deployment = self.deployment(name)
        for each in deployment["schedules"]:
            path = f"/deployments/{deployment['id']}/schedules/{each['id']}"
            self.ask(path, {"active": False}, "PATCH")

    def schedule(self, name: str, rule: str, parameters: dict[str, Any] | None = None) -> None:
        asked = {"schedule": {"rrule": rule, "timezone": "UTC"}, "parameters": parameters or {}}
        self.ask(f"/deployments/{self.deployment(name)['id']}/schedules", [asked])

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Its runs, the ones planned for later days left out."""
        soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        asked = {
            "flow_runs": {
                "deployment_id": {"any_": [self.deployment(name)["id"]]},
                "expected_start_time": {"before_": soon},
            },
            "sort": "EXPECTED_START_TIME_ASC",
        }
        return self.ask("/flow_runs/filter", asked)

    def wait(
        self, name: str, ready: Callable[[list[dict[str, Any]]], bool]
    ) -> list[dict[str, Any]]:
        """Its runs, when they are as asked."""
        deadline = time.monotonic() + PATIENCE
        while not ready(runs := self.runs(name)):
            assert time.monotonic() < deadline, [(r["name"], r["state"]) for r in runs]
            time.sleep(0.5)
        return runs


def ten_commands() -> list[str]:
    text = (ROOT / "docs/operations.md").read_text()
    block = re.findall(r"## Ten commands.*?```bash\n(.*?)```", text, re.DOTALL)[0]
    return block.splitlines()


def checkout(folder: Path) -> Path:
    """The checkout, linked, beside an environment that `make setup` finds ready."""
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "prefect.yaml"):
        (folder / name).symlink_to(ROOT / name)
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.prefix) / "bin")
    (environment / "ready").touch()
    return folder


def stop(script: subprocess.Popen[bytes]) -> None:
    """End the script's process group; a worker that was started with & listens the second time."""
    for number, seconds in ((signal.SIGTERM, 1), (signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        with suppress(ProcessLookupError):
            os.killpg(script.pid, number)
            for _ in range(2 * seconds):
                os.killpg(script.pid, 0)
                time.sleep(0.5)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    place = tmp_path_factory.mktemp("operations")
    port = free_port()
    environment = {
        **os.environ,
        "PREFECT_HOME": str(place / "prefect"),
        "RNNTRADE_HOME": str(place / "home"),
        "RNNTRADE_EXPERIMENT": str(TINY),
        "PREFECT_SERVER_API_PORT": str(port),
        "MLFLOW_PORT": str(free_port()),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",  # it plans every minute otherwise
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # it asks for work every 15 seconds otherwise
        "PYTHONPATH": str(ROOT),
    }
    del environment["PREFECT_API_URL"], environment["PREFECT_LOGGING_TO_API_ENABLED"]
    output = place / "output"
    with output.open("wb") as file:
        script = subprocess.Popen(
            ["bash", "-e", "-c", "\n".join(ten_commands())],
            cwd=checkout(place / "rnntrade"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        code = script.wait(PATIENCE)
        assert code == 0, output.read_text()
        address = f"http://127.0.0.1:{port}/api"
        environment["PREFECT_API_URL"] = address
        yield Installation(address, output.read_text(), environment)
    finally:
        stop(script)


def test_there_are_ten_commands_each_with_its_reason():
    numbers = [re.search(r"# (\d+) +\S", line) for line in ten_commands()]
    assert [int(found[1]) for found in numbers if found] == list(range(1, 11))
    assert len(numbers) == 10


@pytest.mark.soak
def test_the_ten_commands_lead_to_a_first_retraining(installation: Installation):
    found = installation.ask("/deployments/filter", {})
    flows = {each["id"]: each["name"] for each in installation.ask("/flows/filter", {})}
    assert sorted(f"{flows[each['flow_id']]}/{each['name']}" for each in found) == FLOWS
    for name in ("retrain/after-close", "signal/after-close"):
        [first] = [run for run in installation.runs(name) if not run["auto_scheduled"]]
        assert first["state"]["type"] == "COMPLETED", (first["state"], installation.output)
    assert (Path(installation.environment["RNNTRADE_HOME"]) / "mlflow.db").is_file()
    _, _, followed = installation.output.partition("Registered versions")  # command 10
    assert "champion" in followed


@pytest.mark.soak
def test_the_scheduler_has_planned_the_next_sessions(installation: Installation):
    name = "retrain/after-close"
    [schedule] = installation.deployment(name)["schedules"]
    assert (schedule["slug"], schedule["active"]) == ("close-plus-45", True)
    deadline = time.monotonic() + PATIENCE
    while len(planned := installation.planned(name)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    zone = ZoneInfo("America/New_York")
    now = datetime.now(UTC)
    expected = {
        time for time in (t.replace(tzinfo=zone) for t in action_times("XNYS", 45)) if time > now
    }
    times = {datetime.fromisoformat(run["expected_start_time"]) for run in planned}
    assert {time for time in times if time > now} <= expected
    assert all(run["auto_scheduled"] for run in planned)
    for each in FLOWS:
        installation.pause(each)


@pytest.mark.soak
def test_a_scheduled_retraining_runs_and_one_beside_it_is_cancelled(installation: Installation):
    name = "retrain/after-close"
    before = {run["id"] for run in installation.runs(name)}
    start = datetime.now(UTC) + timedelta(seconds=8)
    rule = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL=2;COUNT=2"
    installation.schedule(name, rule)

    def over(runs: list[dict[str, Any]]) -> bool:
        new = [run for run in runs if run["id"] not in before]
        return len(new) == 2 and {run["state"]["type"] for run in new} <= DONE

    new = [run for run in installation.wait(name, over) if run["id"] not in before]
    assert [run["auto_scheduled"] for run in new] == [True, True]
    assert sorted(run["state"]["type"] for run in new) == ["CANCELLED", "COMPLETED"], [
        run["state"] for run in new
    ]
    [cancelled] = [run for run in new if run["state"]["type"] == "CANCELLED"]
    assert "concurrency limit" in cancelled["state"]["message"]


@pytest.mark.soak
def test_a_scheduled_run_trains_and_registers(installation: Installation):
    """From prices to the registry, with one network: the schedule brings its own parameters."""
    name = "run/on-demand"
    start = datetime.now(UTC) + timedelta(seconds=8)
    rule = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;COUNT=1"
    asked = TypeAdapter(Experiment).dump_python(find_experiment(str(TINY)), mode="json")
    installation.schedule(name, rule, {"experiment": asked})
    [run] = installation.wait(
        name, lambda runs: len(runs) == 1 and runs[0]["state"]["type"] in DONE
    )
    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert run["name"] == "run-tiny"
    tasks = installation.ask(
        "/task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200}
    )
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}
    assert len([task for task in tasks if task["name"].startswith("register-")]) == 1


@pytest.mark.soak
def test_drift_of_the_champion_starts_a_retraining(installation: Installation):
    name = "retrain/after-close"
    before = {run["id"] for run in installation.runs(name)}
    emit = (
        "from prefect.events import emit_event\n"
        "for about in ('rnntrade.dataset.sample', 'rnntrade.champion.direction'):\n"
        "    emit_event('rnntrade.drift', resource={'prefect.resource.id': about})\n"
    )
    subprocess.run(
        [sys.executable, "-c", emit], env=installation.environment, check=True, timeout=PATIENCE
    )

    def over(runs: list[dict[str, Any]]) -> bool:
        new = [run for run in runs if run["id"] not in before]
        return bool(new) and {run["state"]["type"] for run in new} <= DONE

    [new] = [run for run in installation.wait(name, over) if run["id"] not in before]
    assert new["created_by"]["type"] == "AUTOMATION"
    assert new["created_by"]["display_value"] == "rnntrade retrains on drift or expiry"
    assert new["parameters"]["experiment"]["name"] == "tiny"
    assert new["state"]["type"] == "COMPLETED", new["state"]


@pytest.mark.soak
def test_the_same_flows_are_served_by_one_process(installation: Installation):
    """Without a worker: its pool is paused here."""
    name = "signal/after-close"
    installation.ask("/work_pools/rnntrade-local", {"is_paused": True}, "PATCH")
    command = [str(Path(sys.executable).with_name("rnntrade")), "serve-flows"]
    updated = installation.deployment(name)["updated"]
    serving = subprocess.Popen(command, env=installation.environment)
    try:
        deadline = time.monotonic() + PATIENCE
        while installation.deployment(name)["updated"] == updated:
            assert serving.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
        installation.pause(name)  # served means scheduled again
        path = f"/deployments/{installation.deployment(name)['id']}/create_flow_run"
        asked = installation.ask(path, {"state": {"type": "SCHEDULED"}})["id"]

        def over(runs: list[dict[str, Any]]) -> bool:
            return any(run["id"] == asked and run["state"]["type"] in DONE for run in runs)

        [new] = [run for run in installation.wait(name, over) if run["id"] == asked]
        assert new["state"]["type"] == "COMPLETED", new["state"]
    finally:
        serving.send_signal(signal.SIGINT)
        try:
            serving.wait(PATIENCE)
        finally:
            serving.kill()
    assert installation.deployment(name)["paused"]  # nobody would run what is due
