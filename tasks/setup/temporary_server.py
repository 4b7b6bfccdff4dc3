"""A Prefect server of the command's own, where no other is named; it ends with the command.

Prefect would start one itself, but then goes on waiting for a server that has died, and starts one
that cannot start again and again.
"""

import atexit
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from rnntrade.errors import ServerError

log = logging.getLogger("prefect.rnntrade")

TEMPORARY = "RNNTRADE_TEMPORARY_SERVER"  # where it answers
LONGEST = 180.0  # seconds that its start may take on a busy machine
PROGRAM = "import gc; gc.set_threshold(200_000, 50, 50); from uvicorn.main import main; main()"


def start_server() -> None:
    """Start it, unless one is named, and let Prefect's client use it; ServerError if it dies."""
    import prefect
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url:
        return
    environment = {
        **os.environ,
        **settings.to_environment_variables(exclude_unset=True),
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "true",
    }
    for name in ("API_AUTH_STRING", "API_BASE_PATH"):  # meant for a server that others reach
        environment.pop(f"PREFECT_SERVER_{name}", None)
    folder, port = str(Path(prefect.__file__).parents[1]), _free_port()
    command = [sys.executable, "-c", PROGRAM, "--app-dir", folder, "--factory"]
    command += ["prefect.server.api.server:create_app", "--log-level", "error", "--lifespan", "on"]
    words = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 # the child's
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        stdout=words,
        stderr=words,
    )
    log.info("starting a temporary Prefect server")
    atexit.register(_end, server)
    _await(server, f"http://127.0.0.1:{port}/api", words)
    os.environ["PREFECT_API_URL"] = os.environ[TEMPORARY] = f"http://127.0.0.1:{port}/api"
    refresh_global_settings_context()


def _await(server: subprocess.Popen[bytes], address: str, words: IO[str]) -> None:
    """Wait until the server answers; ServerError with its last words when it dies."""
    deadline = time.monotonic() + LONGEST
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{address}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    words.seek(0)
    lines = [line.strip() for line in words if line.strip()]
    fate = "did not answer in time" if server.poll() is None else "ended at its start"
    raise ServerError(
        f"the temporary Prefect server {fate} ({lines[-1][:300] if lines else 'no message'}).  Set "
        "PREFECT_HOME to an empty folder, or PREFECT_API_URL to a server that runs."
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
