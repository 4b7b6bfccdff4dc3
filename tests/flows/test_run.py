"""The whole line, as a user runs it: the command in a process of its own, on made-up prices."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from typer.testing import CliRunner

from flows.cli import app
from flows.run import run as run_here
from rnntrade.config import find_experiment, override
from tests.conftest import PATIENCE
from tests.homes import TINY, lean
from tests.lean import COMMAND, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))
COSTLY = ("compute_indicators", "label_regimes", "make_windows", "train_model", "predict")
COSTLY += ("fit_baselines", "backtest", "audit", "evaluate", "compare", "report")


def start(
    home: Path, *arguments: str, command: tuple[str, ...] = (RNNTRADE,)
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RNNTRADE_HOME": str(home), "PYTHONPATH": ROOT},
    )


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return json.loads(out), err


def run(home: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    return finish(start(home, "run", "debug", "--json", *arguments))


def states(log: str) -> dict[str, str]:
    """Task run -> Cached or Completed, from the lines that a user sees."""
    return dict(re.findall(r"  (\S+)  Finished in state (\w+)", log))


def mlflow(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def all_runs(client: MlflowClient) -> list[Any]:
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


@pytest.fixture(scope="module")
def first(tmp_path_factory, prefect_server) -> tuple[Path, dict[str, Any], str]:
    home = tmp_path_factory.mktemp("first")
    return (home, *run(home))


def test_a_run_leaves_figures_a_report_and_registered_models(first):
    home, summary, _ = first
    client = mlflow(home)
    runs = {each.info.run_name: each for each in all_runs(client)}
    assert {each.info.status for each in runs.values()} == {"FINISHED"}
    models = [row["model"] for row in summary["models"]]
    assert len(models) == 5
    for name in models:
        child = runs[name]
        assert child.data.tags["mlflow.parentRunId"] == summary["mlflow_run"]
        assert child.data.params["model.hidden_size"] == "4"
        assert child.data.metrics["score"] == summary["figures"][name]["score"]
        assert child.data.tags["verdict"] == summary["figures"][name]["verdict"]
        assert len(client.get_metric_history(child.info.run_id, "training_loss")) == 2
        assert {each.dataset.name for each in child.inputs.dataset_inputs} == {
            "synthetic AAA",
            "synthetic BBB",
        }
        kept = {file.path for file in client.list_artifacts(child.info.run_id)}
        assert {"predictions", "baselines", "evaluations"} <= kept
        assert child.data.tags["audit"] == "clean"
    parent = client.get_run(summary["mlflow_run"])
    assert parent.data.tags["leaky"] == "false"
    assert parent.data.tags["outcome"] == summary["outcome"] == "no evidence"
    assert {"report.html", "figures"} <= {
        file.path for file in client.list_artifacts(parent.info.run_id)
    }
    assert "No evidence" in parent.data.tags["mlflow.note.content"]
    notes = client.get_experiment_by_name("debug").tags["mlflow.note.content"]
    assert all(f"| {name} | [{runs[name].info.run_id[:8]}]" in notes for name in models)
    assert Path(summary["report"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    registered = {each.name: each for each in client.search_registered_models()}
    assert set(registered) == {"rnntrade-regime", "rnntrade-direction", "rnntrade-forecast"}
    assert len(client.search_model_versions()) == 5
    for each in registered.values():
        versions = client.search_model_versions(f"name='{each.name}'")
        best = max(versions, key=lambda v: float(v.tags["difference"]))
        assert each.aliases == {"challenger": best.version}


def test_again_everything_is_cached_and_the_same_to_the_last_digit(first):
    home, summary, log = first
    assert set(states(log).values()) == {"Completed"}
    again, log = run(home)
    costly = {name: state for name, state in states(log).items() if name.startswith(COSTLY)}
    assert len(costly) == 2 + 1 + 5 * 5 + 2 * 2 + 3
    assert {name for name, state in costly.items() if state != "Cached"} == set()
    assert again["figures"] == summary["figures"]
    assert len(mlflow(home).search_model_versions()) == 5


def start_tiny(home: Path) -> subprocess.Popen[str]:
    return start(home, "run", str(TINY), "--json", command=COMMAND)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, prefect_server) -> dict[str, Any]:
    """What came of a run of one small network that nobody disturbed."""
    return finish(start_tiny(tmp_path_factory.mktemp("tiny")))[0]


def disturb(home: Path, signs: tuple[str, ...]) -> int:
    """SIGKILL a moment after each sign in the log; each start goes on from what was left."""
    moments, killed = random.Random(0), 0
    for sign in signs:
        process = start_tiny(home)
        assert process.stderr is not None
        seen = any(sign in line for line in process.stderr)
        time.sleep(moments.random() * 0.3)
        if seen and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    return killed


def assert_undisturbed(home: Path, expected: dict[str, Any], killed: int) -> None:
    after, _ = finish(start_tiny(home))
    assert after["figures"] == expected["figures"]
    client = mlflow(home)
    found = [each.info.status for each in all_runs(client)]
    assert "RUNNING" not in found
    assert found.count("KILLED") >= killed
    assert found.count("FINISHED") >= 2
    assert len(client.search_model_versions()) == 1
    assert not list((home / "artifacts").rglob(".*.tmp"))
    assert not list((home / "artifacts" / "checkpoints").glob("*"))


def test_killed_and_started_again_it_ends_the_same(tiny, tmp_path):
    killed = disturb(tmp_path, ("  evaluate-",))
    assert killed == 1
    assert_undisturbed(tmp_path, tiny, killed)


@pytest.mark.soak
def test_killed_at_every_kind_of_step_and_started_again_it_ends_the_same(tiny, tmp_path):
    signs = ("fetched", "make_windows", "epoch 1", "predict-", "report", "record", "register-")
    killed = disturb(tmp_path, signs)
    assert killed >= len(signs) - 2  # after the last two a fast machine has already ended
    assert_undisturbed(tmp_path, tiny, killed)


@pytest.mark.soak
def test_two_equal_runs_at_once_on_a_new_database_both_complete(tiny, tmp_path):
    """The hardest pair: the same fits, the same checkpoints, the same versions."""
    both = [start_tiny(tmp_path) for _ in range(2)]
    summaries = [finish(process)[0] for process in both]
    client = mlflow(tmp_path)
    assert len({each["mlflow_run"] for each in summaries}) == 2
    assert [each["figures"] for each in summaries] == [tiny["figures"]] * 2
    assert {each.info.status for each in all_runs(client)} == {"FINISHED"}
    assert len(client.search_model_versions()) == 1
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def happened(summary: Any) -> dict[str, str]:
    """Task run -> Cached or Completed, of a run in this process."""
    asked = FlowRunFilter(id=FlowRunFilterId(any_=[summary.prefect_run]))
    with get_client(sync_client=True) as server:
        found = server.read_task_runs(flow_run_filter=asked)
    return {each.name: each.state.name for each in found}


def test_one_tickers_news_recomputes_what_depends_on_it_and_no_more(tracked, tmp_path, prices):
    folder = tmp_path / "prices"
    folder.mkdir()
    for ticker in ("WHOLE", "HALTED"):
        prices.bars(ticker).drop(columns="raw_close").to_csv(folder / f"{ticker}.csv")
    debug = find_experiment("debug")
    asked = override(
        replace(debug, models=tuple(m for m in debug.models if m.name == "many_to_one_lstm")),
        {
            "data.source": "files",
            "data.folder": str(folder),
            "data.tickers": "WHOLE,HALTED",
            "data.start": "2018-01-01",
        },
    )
    with lean():
        run_here(asked)
        table = pd.read_csv(folder / "HALTED.csv", index_col="date")
        table.iloc[-1, table.columns.get_loc("volume")] *= 2
        table.to_csv(folder / "HALTED.csv")
        states = happened(run_here(asked))
    assert states["compute_indicators-WHOLE"] == "Cached"
    assert states["compute_indicators-HALTED"] == "Completed"
    # a volume changes no indicator and no label, so nothing is trained again ...
    assert states["train_model-many_to_one_lstm-fold0-member0"] == "Cached"
    # ... but what trades on these bars is
    assert states["backtest-many_to_one_lstm"] == "Completed"


def test_a_model_that_cannot_be_trained_is_told_and_the_others_go_on(tracked):
    huge = "models.seq2seq_lstm.hidden_size=2000000"  # weights of some hundred terabytes
    with lean():
        done = CliRunner().invoke(app, ["run", "debug", "--json", "--set", huge])
    assert done.exit_code == 1, done.output
    summary = json.loads(done.stdout)
    assert list(summary["failures"]) == ["seq2seq_lstm"]
    assert "seq2seq_lstm" in summary["failures"]["seq2seq_lstm"]
    assert len(summary["models"]) == 4
    runs = {each.info.run_name: each for each in all_runs(mlflow(tracked))}
    assert runs["seq2seq_lstm"].info.status == "FAILED"
    assert runs["seq2seq_lstm"].data.tags["error"]
    assert runs["regime_lstm"].info.status == "FINISHED"
