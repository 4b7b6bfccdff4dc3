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
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

RNNTRADE = str(Path(sys.executable).with_name("rnntrade"))
COSTLY = ("compute_indicators", "label_regimes", "make_windows", "train_model", "predict")
COSTLY += ("fit_baselines", "backtest", "audit", "evaluate", "compare", "report")


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [RNNTRADE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RNNTRADE_HOME": str(home)},
    )


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    out, err = process.communicate(timeout=300)
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


def test_the_same_seed_elsewhere_gives_the_same_figures_and_bytes(first, tmp_path):
    home, summary, _ = first
    other, _ = run(tmp_path, "--set", "compute.workers=1")
    assert other["figures"] == summary["figures"]

    def fits(home: Path) -> set[str]:
        return {path.name for path in (home / "artifacts" / "fits").iterdir()}

    assert fits(tmp_path) == fits(home)
    changed, _ = run(tmp_path, "--set", "seed=1")
    assert changed["figures"] != summary["figures"]


SIGNS = ("fetched", "make_windows", "epoch 1", "predict-", "report", "record", "register-")


def test_killed_at_every_kind_of_step_and_started_again_it_ends_the_same(first, tmp_path):
    """SIGKILL a moment after each sign in the log; each start goes on from what was left."""
    _, summary, _ = first
    moments = random.Random(0)
    killed = []
    for sign in SIGNS:
        process = start(tmp_path, "run", "debug", "--json")
        assert process.stderr is not None
        seen = any(sign in line for line in process.stderr)
        time.sleep(moments.random() * 0.3)
        if seen and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed.append(sign)
        process.communicate()
    assert len(killed) >= len(SIGNS) - 1  # after the last sign it may be too late

    after, _ = run(tmp_path)
    assert after["figures"] == summary["figures"]
    client = mlflow(tmp_path)
    found = [each.info.status for each in all_runs(client)]
    assert "RUNNING" not in found
    assert found.count("KILLED") >= len(killed)
    assert found.count("FINISHED") >= 6
    versions = client.search_model_versions()
    assert len(versions) == len({each.tags["desk"] for each in versions}) == 5
    assert not list((tmp_path / "artifacts").rglob(".*.tmp"))
    assert not list((tmp_path / "artifacts" / "checkpoints").glob("*"))


def test_two_equal_runs_at_once_on_a_new_database_both_complete(first, tmp_path):
    """The hardest pair: the same fits, the same checkpoints, the same versions."""
    both = [start(tmp_path, "run", "debug", "--json") for _ in range(2)]
    summaries = [finish(process)[0] for process in both]
    client = mlflow(tmp_path)
    assert len({each["mlflow_run"] for each in summaries}) == 2
    assert [each["figures"] for each in summaries] == [first[1]["figures"]] * 2
    assert {each.info.status for each in all_runs(client)} == {"FINISHED"}
    assert len(client.search_model_versions()) == 5
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_one_tickers_news_recomputes_what_depends_on_it_and_no_more(tmp_path, prices):
    folder = tmp_path / "prices"
    folder.mkdir()
    sessions = pd.bdate_range("2018-01-01", periods=700)
    for ticker in ("WHOLE", "HALTED"):
        prices.bars(ticker).drop(columns="raw_close").to_csv(folder / f"{ticker}.csv")
    asked = ("--folder", str(folder), "--tickers", "WHOLE,HALTED", "--start", "2018-01-01")
    run(tmp_path, *asked)
    table = pd.read_csv(folder / "HALTED.csv", index_col="date")
    table.iloc[-1, table.columns.get_loc("volume")] *= 2
    table.to_csv(folder / "HALTED.csv")
    _, log = run(tmp_path, *asked)
    happened = states(log)
    assert happened["compute_indicators-WHOLE"] == "Cached"
    assert happened["compute_indicators-HALTED"] == "Completed"
    # a volume changes no indicator and no label, so nothing is trained again ...
    assert happened["train_model-regime_lstm-fold0-member0"] == "Cached"
    # ... but what trades on these bars is
    assert happened["backtest-attention_bilstm"] == "Completed"
    assert len(sessions) == 700


def test_a_model_that_cannot_be_trained_is_told_and_the_others_go_on(tmp_path):
    huge = "models.seq2seq_lstm.hidden_size=2000000"  # weights of some hundred terabytes
    process = start(tmp_path, "run", "debug", "--json", "--set", huge)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    summary = json.loads(out)
    assert list(summary["failures"]) == ["seq2seq_lstm"]
    assert "seq2seq_lstm" in summary["failures"]["seq2seq_lstm"]
    assert len(summary["models"]) == 4
    runs = {each.info.run_name: each for each in all_runs(mlflow(tmp_path))}
    assert runs["seq2seq_lstm"].info.status == "FAILED"
    assert runs["seq2seq_lstm"].data.tags["error"]
    assert runs["regime_lstm"].info.status == "FINISHED"
