"""Retraining as it is scheduled: when something is new, and the same however it is stopped."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rnntrade.config import DataConfig
from rnntrade.data.synthetic import generate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))
MOMENTS = 20  # of SIGKILL
SETTINGS = {
    "audit.sessions": "1",
    "audit.replayed": "2",
    "report.bootstrap_draws": "20",
    "report.cost_cases": "0.0",
    "production.bootstrap_draws": "200",
    "production.evaluation_sessions": "1000",
    "trading.dead_band": "0",
}
POOR = ("--set", "models.*.max_epochs=1", "--set", "training.learning_rate=0.00001")


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [RNNTRADE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RNNTRADE_HOME": str(home)},
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def asked(home: Path, *more: str) -> list[str]:
    """A market whose signs have an edge of 0.60, from files: no new session comes meanwhile."""
    settings = [f"{name}={value}" for name, value in SETTINGS.items()]
    sets = [word for each in settings for word in ("--set", each)]
    folder = str(home.with_name("prices"))
    where = ("--folder", folder, "--start", "2008-01-01")
    return ["retrain", "control", *where, *sets, *more, "--json"]


def retrain(home: Path, *more: str) -> dict[str, Any]:
    return finish(start(home, *asked(home, *more)))


def write_prices(folder: Path, until: str = "2020-12-31") -> None:
    folder.mkdir(exist_ok=True)
    config = DataConfig(source="synthetic", tickers=("AAA",), process="p1")
    bars = generate("AAA", date(2008, 1, 1), date(2021, 1, 1), config).loc["2008":until]
    bars.drop(columns="raw_close").to_csv(folder / "AAA.csv")


def ask(home: Path, question: str) -> list[tuple[Any, ...]]:
    """Read the database anew: a client of MLflow's would keep the file that was there before."""
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        return connection.execute(question).fetchall()


def registry(home: Path) -> dict[str, Any]:
    """Aliases, and versions by number: what they are, and what was decided about them."""
    aliases = ask(home, "select alias, version from registered_model_aliases")
    told = ("desk", "decision", "decision.reason", "decision.against")
    versions: dict[str, dict[str, str]] = {}
    for version, key, value in ask(home, "select version, key, value from model_version_tags"):
        if key in told:
            versions.setdefault(str(version), {})[key] = value
    return {"aliases": {a: str(number) for a, number in aliases}, "versions": versions}


def statuses(home: Path) -> list[str]:
    return [status for (status,) in ask(home, "select status from runs")]


def restore(snapshot: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(snapshot, home)


@pytest.fixture(scope="module")
def seated(tmp_path_factory, prefect_server) -> tuple[Path, Path]:
    """A home with a poor champion, and a copy of it to go back to."""
    home = tmp_path_factory.mktemp("retrain") / "home"
    write_prices(home.with_name("prices"))
    done = retrain(home, *POOR)
    assert [each["reasons"] for each in done["judged"]] == [
        ["first champion: there was none to beat"]
    ]
    snapshot = home.with_name("snapshot")
    with sqlite3.connect(home / "mlflow.db") as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    shutil.copytree(home, snapshot)
    return home, snapshot


@pytest.fixture(scope="module")
def unbroken(seated) -> tuple[dict[str, Any], dict[str, Any], float]:
    """A better challenger, never interrupted: what came of it, and how long it took."""
    home, snapshot = seated
    restore(snapshot, home)
    begun = time.monotonic()
    done = retrain(home)
    return done, registry(home), time.monotonic() - begun


def told(done: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same: not when, and in which run, it was done."""
    return {name: done[name] for name in ("status", "experiment", "until", "judged", "verdict")}


def test_a_better_challenger_becomes_champion_and_the_one_before_is_kept(unbroken):
    done, after, _ = unbroken
    (judged,) = done["judged"]
    assert judged["promoted"], judged
    assert (judged["champion"], judged["challenger"]) == (
        "rnntrade-direction/1",
        "rnntrade-direction/2",
    )
    assert judged["figures"]["lower_bound_a_year"] > judged["figures"]["margin_a_year"] == 0.01
    assert after["aliases"] == {"champion": "2", "challenger": "2", "previous": "1"}
    assert after["versions"]["2"]["decision"] == "promoted"
    assert after["versions"]["2"]["decision.against"] == "rnntrade-direction/1"


def test_when_nothing_is_new_nothing_is_done(seated, unbroken):
    home, snapshot = seated
    restore(snapshot, home)
    before = len(statuses(home))
    again = retrain(home, *POOR)
    assert again["status"] == "nothing new"
    assert len(statuses(home)) == before
    assert registry(home)["aliases"] == {"champion": "1", "challenger": "1"}


@pytest.mark.parametrize("seed", [0])
def test_killed_at_random_moments_and_started_again_it_ends_the_same(
    seated, unbroken, seed, capsys
):
    """SIGKILL somewhere between the first line of the log and the end, each time from the start."""
    home, snapshot = seated
    expected, registered, whole = unbroken
    moments, table = random.Random(seed), []
    for number in range(MOMENTS):
        restore(snapshot, home)
        process = start(home, *asked(home))
        assert process.stderr is not None
        process.stderr.readline()  # the flow begins
        begun = time.monotonic()
        time.sleep(moments.uniform(0.0, 0.6 * whole))
        reached = killed_after(process, home)
        left = time.monotonic() - begun
        done = retrain(home)
        table.append((number, left, reached, registry(home)["aliases"]))
        assert told({**done, "status": "retrained"}) == told(expected), reached
        after = registry(home)
        assert after["aliases"] == registered["aliases"], reached
        assert after["versions"] == registered["versions"], reached
        assert "RUNNING" not in statuses(home), reached
        assert not list((home / "artifacts").rglob(".*.tmp")), reached
        lines = (home / "retrainings" / "retrainings.jsonl").read_text().splitlines()
        assert len([json.loads(line) for line in lines]) == 2, reached
    lines = ["| moment | seconds after the first line | reached | champion afterwards |"]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {n + 1} | {s:.1f} | {reached} | {a['champion']} |" for n, s, reached, a in table]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert len({reached for _, _, reached, _ in table}) >= 3  # not always the same place


def killed_after(process: subprocess.Popen[str], home: Path) -> str:
    """Kill it, and say how far it had come."""
    finished = process.poll() is not None
    if not finished:
        process.kill()
    _, err = process.communicate()
    if finished:
        return "the end"
    steps = [line.split("  ") for line in err.splitlines() if "Finished in state" in line]
    return f"after {steps[-1][1]}" if steps else "before the first step"


def test_two_schedulers_at_once_retrain_once(seated, unbroken):
    home, snapshot = seated
    restore(snapshot, home)
    both = [start(home, *asked(home)) for _ in range(2)]
    done = [finish(process) for process in both]
    assert sorted(each["status"] for each in done) == ["nothing new", "retrained"]
    assert told({**done[0], "status": ""}) == told({**done[1], "status": ""})
    assert registry(home) == unbroken[1]


def test_rollback_takes_the_one_before_back_and_promote_names_one(seated, unbroken):
    home, snapshot = seated
    restore(snapshot, home)
    retrain(home)
    for arguments, champion, previous in (
        (("rollback", "direction"), "1", "2"),
        (("rollback", "direction"), "2", "1"),
        (("promote", "direction", "1", "--reason", "tried on paper"), "1", "2"),
    ):
        process = start(home, *arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert f"rnntrade-direction/{champion} is the champion" in out
        held = registry(home)["aliases"]
        assert (held["champion"], held["previous"]) == (champion, previous)
    known = registry(home)["versions"]
    assert known["1"]["decision.reason"] == "by hand: tried on paper"
    process = start(home, "promote", "direction", "9")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert err.strip().splitlines()[-1] == (
        "error: no version '9' of rnntrade-direction; there are: 2, 1."
    )
