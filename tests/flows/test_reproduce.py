"""A recorded run made again: the same bytes, or the reason why not; and what has no influence."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect.logging import disable_run_logger

from flows.reproduce import ANSWER, child, reproduce
from flows.run import run
from rnntrade.config import Experiment, ModelConfig, find_experiment, override
from rnntrade.data import archive
from rnntrade.data.bars import digest
from rnntrade.errors import DataError, RnntradeError
from tasks import steps
from tasks.ledger.seal import seal
from tasks.refs import Ref, put
from tasks.reproduction import FILE, Provenance, read_provenance
from tasks.steps import compute_indicators, label_regimes, make_windows, train_model
from tasks.tracking.runs import RunIds, client, find_run
from tests.conftest import made_up_bars
from tests.homes import built, copy_home, lean

pytestmark = pytest.mark.slow

DEBUG = find_experiment("debug")
FOLDS = {"split.kind": "walk_forward", "split.train_sessions": 400, "split.test_sessions": 200}
LITTLE = {"audit.sessions": 1, "audit.replayed": 2, "compute.workers": 1}
SMALL = override(replace(DEBUG, models=DEBUG.models[1:3]), FOLDS | LITTLE | {"members": 2})
SEALED = override(replace(DEBUG, models=DEBUG.models[2:3]), {"split.sealed_sessions": 60})


@pytest.fixture(scope="module")
def first(tmp_path_factory, prefect_server) -> tuple[Path, str]:
    """Home and run id of a recorded run: two models, two folds, two members."""

    def make(home: Path) -> None:
        with lean():
            (home / "run").write_text(run(SMALL).mlflow_run)

    home = built(tmp_path_factory, "recorded", make)
    return home, (home / "run").read_text()


@pytest.fixture
def copied(first, tmp_path, monkeypatch) -> str:
    """Run id of the same in a home that may be spoilt."""
    home = copy_home(first[0], tmp_path / "home")
    monkeypatch.setenv("RNNTRADE_HOME", str(home))
    return first[1]


@pytest.fixture
def here(monkeypatch, database) -> Iterator[None]:
    """The second run in this process, and without an audit."""

    def run_child(folder: Path) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setenv("RNNTRADE_HOME", str(folder))
            shutil.copyfile(database, folder / "mlflow.db")
            child(folder)
        return json.loads((folder / ANSWER).read_text())

    monkeypatch.setattr("flows.reproduce._run_child", run_child)
    with lean():
        yield


def recorded(run_id: str) -> Provenance:
    return read_provenance(find_run(run_id))


def recorded_as(made_of: Provenance) -> str:
    """Id of a run that says it was made of this."""
    known = client()
    experiment = known.get_experiment_by_name("debug").experiment_id
    run_id = known.create_run(experiment).info.run_id
    known.log_text(run_id, made_of.model_dump_json(), FILE)
    known.set_terminated(run_id)
    return str(run_id)


def kept(home: Path) -> Path:
    (folder,) = (home / "artifacts" / "reproductions").iterdir()
    return folder


@pytest.mark.soak
def test_a_run_is_reproduced_to_the_last_byte_from_its_prices_alone(
    copied, home, monkeypatch, capfd
):
    run_id = copied
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    known = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiments = [each.experiment_id for each in known.search_experiments()]
    runs, versions = len(known.search_runs(experiments)), len(known.search_model_versions())
    trials = [path.read_bytes() for path in (home / "trials").glob("*.jsonl")]

    result = reproduce(run_id[:8], keep=True)
    assert (result.same, result.first_difference, result.explanation) == (True, "", [])
    assert (result.run_id, result.compared) == (run_id, 2 + 2 + 2 + 2 * (3 + 4) + 1)
    assert {row.step: row.now for row in result.rows} == recorded(run_id).digests
    assert len({row.now for row in result.rows if row.step.startswith("fit ")}) == 8

    again = kept(home)
    assert len(list((again / "artifacts" / "fits").iterdir())) == 8  # trained, not looked up
    assert "epoch 1 of" in capfd.readouterr().err
    assert len(known.search_runs(experiments)) == runs  # and nothing of it is told as a result
    assert len(known.search_model_versions()) == versions
    assert [path.read_bytes() for path in (home / "trials").glob("*.jsonl")] == trials
    shutil.rmtree(again)


def test_prices_come_back_from_their_vintage_and_what_was_edited_is_told(copied, here, home):
    made_of = recorded(copied)
    for ref in made_of.fetched.values():
        shutil.rmtree(ref.folder)
    edited = made_of.model_copy(
        update={
            "digests": made_of.digests | {"fit many_to_one_lstm, fold 1, member 0": "0" * 64},
            "sources": made_of.sources | {"fit": "an older loop"},
            "versions": made_of.versions | {"torch": "2.0.0"},
            "commit": "c0ffee",
        }
    )
    run_id = recorded_as(edited)
    result = reproduce(run_id)
    assert not result.same
    assert result.first_difference == "fit many_to_one_lstm, fold 1, member 0"
    different = [row for row in result.rows if not row.same]
    assert [(row.recorded, row.now) for row in different] == [
        ("0" * 64, made_of.digests["fit many_to_one_lstm, fold 1, member 0"])
    ]
    code, version = result.explanation
    assert code.startswith("Code: that of fit differs; recorded at commit c0ffee")
    assert code.endswith("git checkout c0ffee.")
    assert version.startswith("Version: torch 2.0.0 then")
    assert not list((home / "artifacts" / "reproductions").iterdir())


def test_an_opened_holdout_reproduces_though_it_was_opened_again_since(
    prefect_server, here, tracked
):
    home = tracked
    summary = run(SEALED, open_holdout=True)
    made_of = recorded(summary.mlflow_run)
    assert made_of.holdout == "opened"
    other = RunIds(experiment_id="0", parent="b" * 32, children={})
    changed = replace(SEALED, seed=1)
    assert seal.fn(other, changed, made_of.fetched, True, True).state == "spent"
    events = [path.read_bytes() for path in (home / "seals").glob("*.jsonl")]
    result = reproduce(summary.mlflow_run)
    assert (result.same, result.explanation) == (True, [])
    assert [path.read_bytes() for path in (home / "seals").glob("*.jsonl")] == events


def test_a_run_that_fails_now_says_why(copied, here):
    made_of = recorded(copied)
    impossible = made_of.experiment | {
        "split": made_of.experiment["split"] | {"train_sessions": 5000}
    }
    run_id = recorded_as(made_of.model_copy(update={"experiment": impossible}))
    with pytest.raises(RnntradeError, match=rf"run {run_id} cannot be made again: .*sessions"):
        reproduce(run_id)


def test_without_prices_and_vintage_the_ticker_and_its_digest_are_told(copied, home):
    gone = recorded(copied).fetched["BBB"]
    shutil.rmtree(gone.folder)
    shutil.rmtree(archive.folder(home / "data", "synthetic", "BBB") / "vintages")
    with pytest.raises(DataError, match=rf"^BBB: the prices {gone.digest[:16]} .* there are none"):
        reproduce(copied)


def test_a_later_vintage_that_holds_the_same_sessions_will_do_and_another_will_not(
    copied, home, tmp_path, monkeypatch
):
    from tasks import reproduction

    made_of = recorded(copied)
    gone = made_of.fetched["BBB"]
    bars = gone.load()
    current = archive.load(archive.current(home / "data", "synthetic", "BBB"))
    shutil.rmtree(gone.folder)
    place = archive.folder(home / "data", "synthetic", "BBB") / "vintages"
    shutil.rmtree(place)

    def stored(table: pd.DataFrame, when: str) -> None:
        about = {"vintage": digest(table), "fetched_at": when}
        archive.save(home / "data", table, current.provenance | about)

    later = bars.iloc[-3:].set_axis(pd.bdate_range("2022-01-03", periods=3, name="date"))
    revised = pd.concat([bars, later]).assign(volume=1.0)
    stored(revised, "2022-01-06T00:00:00+00:00")
    with pytest.raises(DataError, match="one vintage of synthetic BBB, and none gives these"):
        reproduction.copy_inputs(made_of, tmp_path / "second")
    stored(pd.concat([bars, later]), "2022-01-05T00:00:00+00:00")
    reproduction.copy_inputs(made_of, tmp_path / "second")
    monkeypatch.setenv("RNNTRADE_HOME", str(tmp_path / "second"))
    assert gone.is_intact()


def test_an_unknown_run_is_one_clear_error(copied):
    with pytest.raises(RnntradeError, match="no run 'ffffffff'"):
        reproduce("ffffffff")


# What has no influence.  Number of workers and kills of whole runs: also in test_run.py; kills of
# a worker and of the loop: in tests/training.


def windows(experiment: Experiment) -> dict[str, Ref]:
    """Samples as the steps before training make them, of two folds."""
    prices, features = {}, {}
    sessions = pd.bdate_range("2018-01-01", periods=500, name="date")
    for number, ticker in enumerate("AB"):
        prices[ticker] = put("prices", made_up_bars(sessions, number))
        features[ticker] = compute_indicators.fn(ticker, prices[ticker])
    split = replace(experiment.split, train_sessions=300, test_sessions=100)
    labels = label_regimes.fn(prices, experiment.labels, split)
    assert len(labels) == 2
    return {
        model.name: make_windows.fn(features, prices, labels, model) for model in experiment.models
    }


Which = tuple[ModelConfig, int, int]


def fitted(samples: dict[str, Ref], which: Which, workers: int = 1) -> Ref:
    model, fold, member = which
    asked = (fold, member, SMALL.training, 0, "cpu", workers)
    with disable_run_logger():
        return train_model.fn(samples[model.name], model, *asked)


def test_neither_order_nor_number_of_workers_nor_company_changes_a_fit(home):
    samples = windows(SMALL)
    jobs = list(product(SMALL.models, range(2), range(2)))
    forwards = [fitted(samples, job) for job in jobs]
    assert len(set(forwards)) == 8
    assert [fitted(samples, job) for job in jobs[::-1]][::-1] == forwards
    with ThreadPoolExecutor(8) as pool:
        side_by_side = list(pool.map(lambda job: fitted(samples, job, workers=2), jobs))
    assert side_by_side == forwards


FIT = """
import sys
from prefect.logging import disable_run_logger
from pydantic import TypeAdapter
from rnntrade.config import ModelConfig, TrainingConfig
from tasks.refs import Ref
from tasks.steps import train_model
samples = TypeAdapter(Ref).validate_json(sys.argv[1])
model = TypeAdapter(ModelConfig).validate_json(sys.argv[2])
with disable_run_logger():
    train_model.fn(samples, model, 1, 0, TrainingConfig(), 0, "cpu", 1)
"""
LONG = replace(SMALL.models[0], max_epochs=25)


class Listener:
    """A log that keeps what training says, a line an epoch."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def info(self, line: str, *values: object) -> None:
        self.lines.append(line % values)


def test_killed_in_the_middle_of_a_fit_it_ends_as_one_that_was_not(home, monkeypatch):
    epochs: list[str] = []
    monkeypatch.setattr(steps, "get_run_logger", lambda: Listener(epochs))
    samples = windows(replace(SMALL, models=(LONG,)))
    unbroken = fitted(samples, (LONG, 1, 0))
    whole = len(epochs)
    shutil.rmtree(unbroken.folder)
    checkpoints = home / "artifacts" / "checkpoints"
    arguments = (json.dumps(asdict(samples[LONG.name])), json.dumps(asdict(LONG)))
    process = subprocess.Popen([sys.executable, "-c", FIT, *arguments], env=os.environ)
    while process.poll() is None and not list(checkpoints.glob("*")):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(checkpoints.glob("*"))
    assert not unbroken.is_intact()
    epochs.clear()
    assert fitted(samples, (LONG, 1, 0)) == unbroken
    assert unbroken.is_intact()
    assert 0 < len(epochs) < whole  # it went on, and did not begin anew
