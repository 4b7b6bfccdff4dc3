"""Prices with the holes that real data has, a home for files, and one Prefect server a process.

Without holes causality tests miss fills.  The environment is set before Prefect is imported.  With
several test processes each has a server of its own; what takes long to make is made once for all of
them (`tests/homes.py`).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

# Below the ports that systems give to outgoing connections, and elsewhere in each process: a port
# that was free a moment ago is not taken by somebody else before its server listens.
_PORTS = iter(range(20_000 + os.getpid() * 211 % 12_000, 65_000))


def free_port() -> int:
    """A port that nobody listens on and that this process has not given away before."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


PATIENCE = 900  # seconds to wait for anything; only what hangs takes as long
WORKPLACE = Path(tempfile.mkdtemp(prefix="rnntrade-tests-"))
PORT = free_port()
os.environ |= {
    "PREFECT_HOME": str(WORKPLACE / "prefect"),
    "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RNNTRADE_HOME": str(WORKPLACE / "home"),
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",  # or it waits for a server that has gone
    "OMP_NUM_THREADS": "1",
}
os.environ.pop("MLFLOW_TRACKING_URI", None)

import numpy as np  # noqa: E402  # after the environment is set
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from rnntrade.types import Prices  # noqa: E402

LONGEST_FIRST = ("run", "deploy", "servers", "retrain", "signal", "policy", "disk", "reproduce")
LONG = ("flows", "tasks", "audit", "controls")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest, so that no worker is left with one at the end."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        if name in LONGEST_FIRST:
            return LONGEST_FIRST.index(name)
        return len(LONGEST_FIRST) + (item.path.parent.name not in LONG)

    items.sort(key=place)


settings.register_profile("busy", deadline=None)  # no test depends on an idle machine
settings.load_profile("busy")


def made_up_bars(sessions: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    """A random walk with whole bars; nothing in it can be forecast."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(5, len(sessions)) * 0.01))
    opened = close * np.exp(rng.normal(0.0, 0.004, len(sessions)))
    spread = np.abs(rng.normal(0.0, 0.004, len(sessions)))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread),
            "low": np.minimum(opened, close) * (1 - spread),
            "close": close,
            "volume": rng.integers(10**5, 10**6, len(sessions)).astype(float),
            "raw_close": close * 2.0,
        },
        index=sessions.rename("date"),
    )


@pytest.fixture(scope="session")
def prices() -> Prices:
    """Three tickers: one whole, one listed late, one halted for a week and split later."""
    sessions = pd.bdate_range("2018-01-01", periods=700, name="date")
    whole, late, halted = (made_up_bars(sessions, seed) for seed in range(3))
    halted = halted.drop(halted.index[300:305])
    halted.loc[halted.index[:400], "raw_close"] *= 4.0
    return Prices.join({"WHOLE": whole, "LATE": late.iloc[150:], "HALTED": halted})


IDLE = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP")
IDLE += ("REPOSSESSOR", "TRIGGERS", "CLEANUP_RECONCILER", "DB_VACUUM", "EVENT_LOGGER")


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real server with a database of its own, for flows here and in subprocesses.

    It schedules nothing: servers that do are made where that is tested.
    """
    log = (WORKPLACE / "server.log").open("w")
    create = ("--factory", "prefect.server.api.server:create_app", "--lifespan", "on")
    command = [sys.executable, "-m", "uvicorn", *create, "--log-level", "error"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(PORT)],
        env=os.environ
        | {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE}
        | {"PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "true", "PREFECT_UI_ENABLED": "false"},
        stdout=log,
        stderr=log,
    )
    address = os.environ["PREFECT_API_URL"]
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(f"{address}/health", timeout=2):
                break
        except (URLError, OSError):
            assert server.poll() is None, (WORKPLACE / "server.log").read_text()
            assert time.monotonic() < deadline, "the Prefect server did not start in time"
            time.sleep(0.2)
    yield address
    server.kill()
    server.wait()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own: data, artifacts, mlflow.db."""
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's empty database, which takes seconds to make."""
    from tests.homes import built, make_database

    return built(tmp_path_factory, "database", make_database) / "mlflow.db"


@pytest.fixture
def tracked(home: Path, database: Path) -> Path:
    """`home`, its database already there."""
    home.mkdir()
    shutil.copyfile(database, home / "mlflow.db")
    return home


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A home with champions of all three tasks, as retraining `debug` leaves it: copy it."""
    from tests.homes import built, retrain_debug

    return built(tmp_path_factory, "finished", retrain_debug)


@pytest.fixture(scope="module")
def champions(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of `finished`, the home of a module's tests."""
    from tests.homes import copy_home

    with pytest.MonkeyPatch.context() as patch:
        home = copy_home(finished, tmp_path_factory.mktemp("champions") / "home")
        patch.setenv("RNNTRADE_HOME", str(home))
        yield home
