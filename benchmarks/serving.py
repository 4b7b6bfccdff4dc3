"""How many signals a second `rnntrade serve` gives, and how long one takes, over real HTTP.

    python benchmarks/serving.py [--seconds 20]

For each case a new home folder gets champions of the default experiment's sizes (five networks,
three seeds each; trained for one epoch, which changes no time here) on made-up prices.  Clients
ask without a pause, each time with the history up to another of the last sessions, so that nothing
can be remembered.  CPU is what the server used for an answer (on Linux): on a busy machine the
other columns are larger.  Every answer must be what `rnntrade signal --as-of` says, to the last
digit: the exit code is 1 otherwise.  Preparing a case takes some minutes.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe_machine

RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))
CASES = {"AAA,BBB,CCC": "2017-10-02", "AAA,BBB": "2018-12-10"}  # tickers: first day
CLIENTS = (1, 2, 4, 8)
SESSIONS = 4  # the last ones, asked in turn
SMALLER = (
    *("models.*.max_epochs=1", "audit.sessions=1", "audit.replayed=1"),
    *("report.bootstrap_draws=100", "production.bootstrap_draws=100"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of asking, a row")
    parser.add_argument("--homes", type=Path, help="kept there, and used again")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = []
        for tickers, first in CASES.items():
            home = (chosen.homes or Path(temporary)) / tickers.replace(",", "-")
            rows += measure(prepared(home, tickers, first), chosen.seconds)
    print(describe_machine(), end="\n\n")
    heads = ("tickers x sessions", "clients", "answers", "a second", "p50 ms", "p99 ms", "CPU ms")
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print("\nEvery answer was that of `rnntrade signal`, to the last digit.")


def prepared(home: Path, tickers: str, first: str) -> dict[str, str]:
    """Return the environment of a home with champions."""
    environment = {
        **os.environ,
        "RNNTRADE_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    if not (home / "mlflow.db").exists():
        home.mkdir(parents=True, exist_ok=True)
        sets = [word for change in SMALLER for word in ("--set", change)]
        command = ["retrain", "walk_forward", "--source", "synthetic", "--tickers", tickers]
        done(environment, *command, "--start", first, *sets)
    return environment


def measure(environment: dict[str, str], seconds: float) -> list[tuple[str, ...]]:
    """Return the rows of one case; exit when an answer differs."""
    files = sorted(Path(environment["RNNTRADE_HOME"]).glob("data/*/*/bars.parquet"))
    closes = {f.parent.name.partition("=")[2]: pd.read_parquet(f)["close"] for f in files}
    days = [f"{day:%Y-%m-%d}" for day in closes["AAA"].index[-SESSIONS:]]
    bodies = [body(closes, day) for day in days]
    expected = [
        json.loads(done(environment, "signal", "--as-of", day, "--json"))["signal"] for day in days
    ]
    case = f"{len(closes)} x {len(closes['AAA']):,}"
    with serving(environment) as (port, process):
        ask(port, bodies, expected, 1, 2.0)  # the first answers take longer
        rows: list[tuple[str, ...]] = []
        for clients in CLIENTS:
            before = cpu_seconds(process)
            times, speed = ask(port, bodies, expected, clients, seconds)
            cpu = 1000.0 * (cpu_seconds(process) - before) / len(times)
            p50, p99 = 1000.0 * np.quantile(times, [0.5, 0.99])
            figures = (f"{speed:.1f}", f"{p50:.0f}", f"{p99:.0f}", f"{cpu:.0f}")
            rows.append((case, str(clients), str(len(times)), *figures))
        return rows


def body(closes: dict[str, pd.Series], last: str) -> bytes:
    """Return a request with the bars up to a session."""
    bars = [
        {"date": f"{day:%Y-%m-%d}", "ticker": ticker, "close": close}
        for ticker, series in closes.items()
        for day, close in series.loc[:last].items()
    ]
    return json.dumps({"bars": bars, "as_of": last}).encode()


def ask(
    port: int, bodies: list[bytes], expected: list[object], clients: int, seconds: float
) -> tuple[list[float], float]:
    """Ask from several connections at once, and look at every answer.

    returns  seconds of each answer, and answers a second
    """
    times: list[float] = []
    wrong: list[str] = []
    until = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        turn = number
        while time.monotonic() < until and not wrong:
            turn = (turn + 1) % len(bodies)
            began = time.perf_counter()
            kind = {"Content-Type": "application/json"}
            connection.request("POST", "/signal", bodies[turn], kind)
            answered = connection.getresponse()
            got = answered.read()
            times.append(time.perf_counter() - began)
            if answered.status != 200 or json.loads(got) != expected[turn]:
                wrong.append(got.decode()[:500])

    began = time.monotonic()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong or not times:
        sys.exit(f"BROKEN: an answer is not that of rnntrade signal: {wrong}")
    return times, len(times) / (time.monotonic() - began)


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used; NaN where the system does not tell."""
    told = Path(f"/proc/{process}/stat")
    if not told.exists():
        return float("nan")
    fields = told.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run the server, and give its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen([RNNTRADE, "serve", "--port", str(port)], env=environment)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
                break
            except ConnectionError:
                assert server.poll() is None, "the server has not started"
                time.sleep(0.2)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)


def done(environment: dict[str, str], *arguments: str) -> str:
    """Run a command to its end, and return what it printed."""
    run = subprocess.run([RNNTRADE, *arguments], env=environment, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"BROKEN: rnntrade {' '.join(arguments)} ended with {run.returncode}")
    return run.stdout


if __name__ == "__main__":
    main()
