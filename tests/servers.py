"""Real servers for the tests that need them: PostgreSQL, and MLflow and Prefect on top of it."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.conftest import PATIENCE, free_port


def postgresql_programs() -> Path:
    """Folder of initdb and pg_ctl: Debian keeps them out of PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    on_path = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    for folder in (*reversed(newest), *on_path):
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "createdb")):
            return folder
    pytest.skip("PostgreSQL's initdb and pg_ctl are not here (Debian: apt-get install postgresql)")


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root; anybody else runs it as himself."""
    if os.getuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


@contextmanager
def postgresql(*databases: str) -> Iterator[str]:
    """A cluster of its own on loopback with these databases; gives the address without a scheme."""
    if not find_spec("psycopg2"):
        pytest.skip("psycopg2 is not installed (pip install 'rnntrade[servers]')")
    programs, user = postgresql_programs(), unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="rnntrade-postgresql-"))
    if user:
        shutil.chown(folder, user)
    port = free_port()

    def call(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        log = (folder / f"{program}.log").open("ab")
        subprocess.run(
            command, check=True, timeout=PATIENCE, user=user, cwd=folder, stdout=log, stderr=log
        )

    control = ("--pgdata", str(folder / "data"), "--wait")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
    try:
        plain = ("--username=rnntrade", "--auth=trust", "--encoding=UTF8", "--no-locale")
        call("initdb", "--pgdata", str(folder / "data"), *plain, "--no-sync")
        call("pg_ctl", *control, "--options", options, "start")
        try:
            for name in databases:
                call("createdb", f"--host={folder}", f"--port={port}", "--username=rnntrade", name)
            yield f"rnntrade@127.0.0.1:{port}"
        finally:
            call("pg_ctl", *control, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


@dataclass
class Server:
    """A server process that can be killed and started again at the same address."""

    command: list[str]  # a console script of this environment and its arguments, without the port
    environment: dict[str, str]
    health: str  # path that answers once it serves
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.process and self.process.poll() is None:
            return
        script = Path(sys.executable).with_name(self.command[0])
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(script), *self.command[1:], "--port", str(self.port)],
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its workers die with it
            )

    def await_answer(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urlopen(self.address + self.health, timeout=5):
                    return
            except (URLError, OSError):
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, f"{self.command} did not start in time"
                time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL, as a machine that is switched off."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def mlflow_server(folder: Path, database: str, *options: str) -> Server:
    """MLflow, its records in that database, its files in that folder."""
    store = ("--backend-store-uri", database, "--artifacts-destination", str(folder / "files"))
    return Server(
        command=["mlflow", "server", *store, "--host", "127.0.0.1", "--workers", "1", *options],
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        health="/health",
        log=folder / "mlflow.log",
    )


def prefect_server_on(folder: Path, database: str) -> Server:
    """Prefect's server on that database."""
    return Server(
        command=["prefect", "server", "start"],
        environment={
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_DATABASE_CONNECTION_URL": database,
        },
        health="/api/health",
        log=folder / "prefect.log",
    )
