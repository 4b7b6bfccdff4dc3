"""Retraining as it is scheduled: when something is new, and the same however it is stopped."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.retrain import retrain
from rnntrade.config import DataConfig, Experiment, find_experiment, override
from rnntrade.data.synthetic import generate
from tests.conftest import PATIENCE
from tests.homes import built, copy_home, lean
from tests.lean import COMMAND, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SETTINGS = {
    "audit.sessions": "1",
    "audit.replayed": "2",
    "report.bootstrap_draws": "20",
    "report.cost_cases": "0.0",
    "production.bootstrap_draws": "200",
    "production.evaluation_sessions": "1000",
    "trading.dead_band": "0",
}
POOR = {"models.*.max_epochs": "1", "training.learning_rate": "0.00001"}


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RNNTRADE_HOME": str(home), "PYTHONPATH": ROOT},
    )


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return json.loads(out)


def command(prices: Path, changes: dict[str, str] | None = None) -> list[str]:
    """What `experiment` says, for a process of its own."""
    asked = SETTINGS | (changes or {})
    sets = [word for name, value in asked.items() for word in ("--set", f"{name}={value}")]
    where = ("--folder", str(prices), "--start", "2008-01-01")
    return ["retrain", "control", *where, *sets, "--json"]


def experiment(prices: Path, changes: dict[str, str] | None = None) -> Experiment:
    """A market whose signs have an edge of 0.60, from files: no new session comes meanwhile."""
    where = {"data.source": "files", "data.folder": str(prices), "data.start": "2008-01-01"}
    return override(find_experiment("control"), where | SETTINGS | (changes or {}))


def retrained(home: Path, prices: Path, changes: dict[str, str] | None = None) -> dict[str, Any]:
    """The same in this process."""
    with pytest.MonkeyPatch.context() as patch, lean():
        patch.setenv("RNNTRADE_HOME", str(home))
        return retrain(experiment(prices, changes)).model_dump()


def write_prices(folder: Path, until: str = "2020-12-31") -> None:
    folder.mkdir(exist_ok=True)
    config = DataConfig(source="synthetic", tickers=("AAA",), process="p1")
    bars = generate("AAA", date(2008, 1, 1), date(2021, 1, 1), config).loc["2008":until]
    bars.drop(columns="raw_close").to_csv(folder / "AAA.csv")


def ask(home: Path, question: str) -> list[tuple[Any, ...]]:
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


@pytest.fixture(scope="module")
def seated(tmp_path_factory, prefect_server) -> Path:
    """A home with a poor champion, its vendor's prices in it; nobody writes there."""

    def make(home: Path) -> None:
        write_prices(home / "prices")
        done = retrained(home, home / "prices", POOR)
        assert [each["reasons"] for each in done["judged"]] == [
            ["first champion: there was none to beat"]
        ]

    return built(tmp_path_factory, "poor-champion", make)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, seated) -> Path:
    """The same home after a better challenger that was never interrupted."""

    def make(home: Path) -> None:
        copy_home(seated, home)
        begun = time.monotonic()
        done = retrained(home, seated / "prices")
        done["seconds"] = time.monotonic() - begun
        (home / "retrained.json").write_text(json.dumps(done))

    return built(tmp_path_factory, "better-challenger", make)


@pytest.fixture
def home(seated, tmp_path) -> Path:
    """A home with a poor champion, to be used."""
    return copy_home(seated, tmp_path / "home")


def outcome(unbroken: Path) -> dict[str, Any]:
    return json.loads((unbroken / "retrained.json").read_text())


def told(done: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same: not when, and in which run, it was done."""
    return {name: done[name] for name in ("experiment", "until", "judged", "verdict")}


def test_a_better_challenger_becomes_champion_and_the_one_before_is_kept(unbroken):
    (judged,) = outcome(unbroken)["judged"]
    assert judged["promoted"], judged
    assert (judged["champion"], judged["challenger"]) == (
        "rnntrade-direction/1",
        "rnntrade-direction/2",
    )
    assert judged["figures"]["lower_bound_a_year"] > judged["figures"]["margin_a_year"] == 0.01
    after = registry(unbroken)
    assert after["aliases"] == {"champion": "2", "challenger": "2", "previous": "1"}
    assert after["versions"]["2"]["decision"] == "promoted"
    assert after["versions"]["2"]["decision.against"] == "rnntrade-direction/1"


def test_when_nothing_is_new_nothing_is_done(seated, home):
    before = len(statuses(home))
    again = retrained(home, seated / "prices", POOR)
    assert again["status"] == "nothing new"
    assert len(statuses(home)) == before
    assert registry(home)["aliases"] == {"champion": "1", "challenger": "1"}


def assert_the_same(home: Path, seated: Path, unbroken: Path, reached: str) -> None:
    """Started again it ends as if it had never been stopped."""
    done = retrained(home, seated / "prices")
    assert told(done) == told(outcome(unbroken)), reached
    after, registered = registry(home), registry(unbroken)
    assert after["aliases"] == registered["aliases"], reached
    assert after["versions"] == registered["versions"], reached
    assert "RUNNING" not in statuses(home), reached
    assert not list((home / "artifacts").rglob(".*.tmp")), reached
    lines = (home / "retrainings" / "retrainings.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 2, reached


@pytest.mark.parametrize("sign", [pytest.param("epoch 3 of", marks=pytest.mark.soak), "register-"])
def test_killed_and_started_again_it_ends_the_same(seated, unbroken, home, sign):
    """SIGKILL in the middle of training, and of what is written down about it."""
    process = start(home, *command(seated / "prices"))
    assert process.stderr is not None
    assert any(sign in line for line in process.stderr)
    process.kill()
    process.communicate()
    assert_the_same(home, seated, unbroken, sign)


@pytest.mark.soak
def test_killed_at_twenty_random_moments_it_ends_the_same(seated, unbroken, tmp_path, capsys):
    """SIGKILL somewhere between the first line of the log and the end, each time from the start."""
    begun = time.monotonic()
    finish(start(copy_home(seated, tmp_path / "whole"), *command(seated / "prices")))
    whole = time.monotonic() - begun
    moments, table = random.Random(0), []
    for number in range(20):
        home = copy_home(seated, tmp_path / f"home{number}")
        process = start(home, *command(seated / "prices"))
        assert process.stderr is not None
        process.stderr.readline()  # the flow begins
        begun = time.monotonic()
        time.sleep(moments.uniform(0.0, 0.6 * whole))
        reached = killed_after(process)
        left = time.monotonic() - begun
        assert_the_same(home, seated, unbroken, reached)
        table.append((number, left, reached, registry(home)["aliases"]))
    lines = ["| moment | seconds after the first line | reached | champion afterwards |"]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {n + 1} | {s:.1f} | {reached} | {a['champion']} |" for n, s, reached, a in table]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert len({reached for _, _, reached, _ in table}) >= 3  # not always the same place


def killed_after(process: subprocess.Popen[str]) -> str:
    """Kill it, and say how far it had come."""
    finished = process.poll() is not None
    if not finished:
        process.kill()
    _, err = process.communicate()
    if finished:
        return "the end"
    steps = [line.split("  ") for line in err.splitlines() if "Finished in state" in line]
    return f"after {steps[-1][1]}" if steps else "before the first step"


def test_two_schedulers_at_once_retrain_once(seated, unbroken, home):
    process = start(home, *command(seated / "prices"))
    assert process.stderr is not None
    process.stderr.readline()  # it begins
    mine = retrained(home, seated / "prices")
    theirs = finish(process)
    assert sorted(each["status"] for each in (mine, theirs)) == ["nothing new", "retrained"]
    assert told(mine) == told(theirs)
    assert registry(home) == registry(unbroken)


def test_rollback_takes_the_one_before_back_and_promote_names_one(unbroken, tmp_path, monkeypatch):
    home = copy_home(unbroken, tmp_path / "home")
    monkeypatch.setenv("RNNTRADE_HOME", str(home))
    for arguments, champion, previous in (
        (["rollback", "direction"], "1", "2"),
        (["rollback", "direction"], "2", "1"),
        (["promote", "direction", "1", "--reason", "tried on paper"], "1", "2"),
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert f"rnntrade-direction/{champion} is the champion" in done.stdout
        held = registry(home)["aliases"]
        assert (held["champion"], held["previous"]) == (champion, previous)
    known = registry(home)["versions"]
    assert known["1"]["decision.reason"] == "by hand: tried on paper"
    done = CliRunner().invoke(app, ["promote", "direction", "9"])
    assert done.exit_code == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert "'9'" in line
    assert "2, 1" in line
