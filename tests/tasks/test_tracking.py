"""Runs that end whatever happens, and a database that many may open first."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from rnntrade.config import find_experiment
from rnntrade.errors import RnntradeError, ServerError
from tasks.cleaning import remove, unused
from tasks.home import tracking_uri
from tasks.refs import Ref, publish, write_manifest
from tasks.tracking import runs as tracking
from tasks.tracking.runs import client, nobody_runs, sweep_orphans, tracked_run
from tests.conftest import PATIENCE

DEBUG = find_experiment("debug")
OPEN = "from tasks.tracking.runs import client; client().search_experiments(); print('ok')"


def python(code: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "RNNTRADE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def statuses() -> list[str]:
    known = MlflowClient(tracking_uri())
    ids = [each.experiment_id for each in known.search_experiments()]
    return [run.info.status for run in known.search_runs(ids)]


def test_two_processes_at_once_make_one_database(tmp_path):
    started = [python(OPEN, tmp_path) for _ in range(2)]
    answers = [process.communicate(timeout=PATIENCE) for process in started]
    assert [out for out, _ in answers] == ["ok\n"] * 2, answers


def test_killed_while_the_database_is_made_the_next_one_makes_it(tmp_path):
    process = python(OPEN, tmp_path)
    while not list(tmp_path.glob(".mlflow.db.*.tmp")) and process.poll() is None:
        time.sleep(0.005)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    out, err = python(OPEN, tmp_path).communicate(timeout=PATIENCE)
    assert out == "ok\n", err
    assert not list(tmp_path.glob(".mlflow.db.*"))


def test_runs_are_closed_whatever_ends_them(tracked):
    with tracked_run(DEBUG):
        assert statuses() == ["RUNNING"] * 6
        assert sweep_orphans() == 0  # they live
    with pytest.raises(ValueError, match="broken"), tracked_run(DEBUG):
        raise ValueError("broken")
    with pytest.raises(KeyboardInterrupt), tracked_run(DEBUG):
        raise KeyboardInterrupt
    assert statuses().count("FINISHED") == 6
    assert statuses().count("FAILED") == 6
    assert statuses().count("KILLED") == 6


def test_a_run_that_cannot_be_opened_leaves_nothing_open(tracked, monkeypatch):
    known = client()
    create, calls = known.create_run, []

    def fail_at_third(*arguments, **named):
        calls.append(named)
        if len(calls) == 3:
            raise OSError("the disk is gone")
        return create(*arguments, **named)

    monkeypatch.setattr(known, "create_run", fail_at_third)
    with pytest.raises(OSError, match="the disk"), tracked_run(DEBUG):
        pass
    assert statuses() == ["FAILED"] * 2


def test_another_homes_runs_are_left_alone(tracked, tmp_path, monkeypatch):
    home = shutil.move(tracked / "mlflow.db", tmp_path / "shared.db").with_name("home")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    with tracked_run(DEBUG):
        monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "other"))
        assert sweep_orphans() == 0
        with tracked_run(DEBUG):
            assert statuses() == ["RUNNING"] * 12
        monkeypatch.setenv("RNNTRADE_HOME", str(home))


def made(text: str) -> Ref:
    with publish("step") as out:
        (out.folder / "x").write_text(text)
    return out.ref


def test_cleaning_keeps_what_a_recorded_run_refers_to(tracked):
    with tracked_run(DEBUG) as ids:
        kept, lost = made("kept"), made("lost")
        write_manifest(ids.parent, [kept])
        with pytest.raises(RnntradeError, match="a run is going on"), nobody_runs():
            pass
    with nobody_runs():
        assert [path for path, _ in unused()] == [lost.folder]
        remove(unused())
    assert kept.is_intact()
    assert not lost.folder.exists()
    client().delete_run(ids.parent)
    assert [path for path, _ in unused()] == [kept.folder]


def test_cleaning_without_the_tracking_server_removes_nothing(tracked, monkeypatch):
    with tracked_run(DEBUG) as ids:
        write_manifest(ids.parent, [made("kept")])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking._connect.cache_clear()
    with pytest.raises(RnntradeError, match="does not answer"):
        unused()


def test_a_silent_server_is_told_in_one_sentence_without_its_password(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(ServerError, match=r"does not answer .*refused") as told, tracked_run(DEBUG):
        pass
    assert "http://me:***@127.0.0.1:9" in str(told.value)
    assert "secret" not in str(told.value)


def test_what_mlflow_itself_answers_is_not_called_silence(tracked):
    with pytest.raises(MlflowException, match="not found"):
        client().get_run("0" * 32)


def test_a_run_that_lost_its_server_is_closed_by_the_next(tracked):
    with pytest.raises(ServerError), tracked_run(DEBUG):
        raise ServerError("gone")
    assert statuses() == ["RUNNING"] * 6
    with tracked_run(DEBUG):
        assert sorted(statuses()) == ["KILLED"] * 6 + ["RUNNING"] * 6
