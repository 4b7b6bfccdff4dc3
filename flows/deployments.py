"""The deployments of prefect.yaml for one experiment, and the server that they are sent to."""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentTriggerTypes
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Schedule
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker
from pydantic import TypeAdapter

from flows.schedule import FILE, after_close
from rnntrade.config import Experiment
from rnntrade.errors import RnntradeError

ROOT = FILE.parent
START = "Start one with `rnntrade ui`, then: export PREFECT_API_URL=http://127.0.0.1:4200/api"


def deployments_of(experiment: Experiment, pool: str | None = None) -> dict[str, Any]:
    """The content of prefect.yaml, with the experiment where a flow takes one, and its calendar.

    pool    instead of the one that stands there
    """
    content: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for each in content["deployments"]:
        if "experiment" in _flow(each).parameters.properties:
            asked = TypeAdapter(Experiment).dump_python(experiment, mode="json")
            each["parameters"] = {**each.get("parameters", {}), "experiment": asked}
        each["work_pool"] = {**each["work_pool"], **({"name": pool} if pool else {})}
        for schedule in each.get("schedules", []):
            schedule |= after_close(schedule.get("slug", ""), experiment.data.calendar)
    return content


def deploy(content: dict[str, Any], patience: float) -> str:
    """Send the deployments to the server, make their work pools; returns the server's address.

    patience    seconds that a server may take to answer
    Errors: RnntradeError when none answers, or when Prefect refuses.
    """
    address = await_server(patience)
    with get_client(sync_client=True) as server:
        for pool in pools(content):
            _make_pool(server, pool)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        prefect = str(Path(sys.executable).with_name("prefect"))
        done = subprocess.run(
            [prefect, "--no-prompt", "deploy", "--all", "--prefect-file", file.name],
            cwd=ROOT,  # and PWD with it, which the file refers to
            env={**os.environ, "PWD": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-5:])
        raise RnntradeError(f"prefect deploy failed: {said}")
    return address


def served(content: dict[str, Any]) -> list[RunnerDeployment]:
    """The same deployments, for this process to run: without a work pool."""
    triggers: TypeAdapter[DeploymentTriggerTypes] = TypeAdapter(DeploymentTriggerTypes)
    made = [
        _flow(each).to_deployment(
            each["name"],
            description=each["description"],
            tags=each["tags"],
            parameters=each.get("parameters"),
            concurrency_limit=(
                ConcurrencyLimitConfig(**each["concurrency_limit"])
                if "concurrency_limit" in each
                else None
            ),
            schedules=[Schedule(**schedule) for schedule in each.get("schedules", [])],
            triggers=[triggers.validate_python(one) for one in each.get("triggers", [])],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for each in content["deployments"]
    ]
    return cast(list[RunnerDeployment], made)  # coroutines only inside an event loop


def await_server(patience: float) -> str:
    """The address of the Prefect server, once it answers.

    Errors: RnntradeError when none is named, or none answers within `patience` seconds.
    """
    address = get_current_settings().api.url
    if not address:
        raise RnntradeError(f"no Prefect server is named: PREFECT_API_URL is not set.  {START}")
    deadline = time.monotonic() + patience
    with get_client(sync_client=True) as server:
        while error := server.api_healthcheck():
            if time.monotonic() > deadline:
                raise RnntradeError(
                    f"no Prefect server answers at {address} (PREFECT_API_URL): "
                    f"{str(error) or type(error).__name__}.  {START}"
                )
            time.sleep(0.5)
    return address


def pools(content: dict[str, Any]) -> list[str]:
    """The work pools that the deployments name."""
    return sorted({each["work_pool"]["name"] for each in content["deployments"]})


def full_name(deployment: dict[str, Any]) -> str:
    """As Prefect names it: flow/deployment."""
    return f"{_flow(deployment).name}/{deployment['name']}"


def _flow(deployment: dict[str, Any]) -> Flow[Any, Any]:
    return load_flow_from_entrypoint(deployment["entrypoint"])


def _make_pool(server: SyncPrefectClient, name: str) -> None:
    """A pool whose worker starts processes on its own machine; one that exists stays as it is."""
    try:
        server.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=name, type="process", base_job_template=template)
        with suppress(ObjectAlreadyExists):  # somebody else was faster
            server.create_work_pool(pool)
