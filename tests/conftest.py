"""Prices with the holes that real data has, a home for files, and one Prefect server for all.

Without holes causality tests miss fills.  The environment is set before Prefect is imported.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real server with a database of its own, for flows here and in subprocesses."""
    log = (WORKPLACE / "server.log").open("w")
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    address = os.environ["PREFECT_API_URL"]
    deadline = time.monotonic() + 180
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
