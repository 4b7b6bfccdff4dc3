import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
import pytest

from rnntrade.codec import load, save
from rnntrade.errors import DataError, TrainingError
from rnntrade.training import workers
from rnntrade.training.loop import train
from rnntrade.training.workers import Workers
from rnntrade.types import Fit, FoldTargets, Thresholds, Windows
from tests.training.made import FAST, TINY, assert_same_weights, made_samples

MODEL = replace(TINY["regime_lstm"], max_epochs=3)
THRESHOLDS = {"AAA": Thresholds(0.1, 0.2)}


@pytest.fixture
def job(tmp_path):
    samples, fold = made_samples(MODEL)
    unknown = np.full(len(samples), np.nan)
    fold = replace(fold, number=0)
    empty = replace(fold, number=1, training=fold.training[:0])
    folds = [FoldTargets(each, samples.target, unknown, THRESHOLDS) for each in (fold, empty)]
    save(Windows(samples, tuple(folds)), tmp_path / "samples")
    return {
        "samples": str(tmp_path / "samples"),
        "fold": 0,
        "model": asdict(MODEL),
        "training": asdict(FAST),
        "seed": 1,
        "device": "cpu",
        "checkpoint": str(tmp_path / "checkpoint"),
        "output": str(tmp_path / "fit"),
    }


@pytest.fixture(scope="module")
def expected():
    samples, fold = made_samples(MODEL)
    fold = replace(fold, number=0)
    return train(samples, fold, MODEL, FAST, seed=1, device="cpu", thresholds=THRESHOLDS)


@pytest.fixture
def started(monkeypatch):
    """Every process that the workers start, each told to compute on one thread."""
    processes = []
    real = subprocess.Popen

    def start(*arguments, **options):
        assert options["env"]["OMP_NUM_THREADS"] == options["env"]["MKL_NUM_THREADS"] == "1"
        processes.append(real(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    return processes


def test_a_worker_trains_what_the_loop_trains_and_serves_again(job, expected, started, tmp_path):
    epochs = []
    with closing(Workers(1)) as pool:
        pool.train(job, epochs.append)
        fit = load(Fit, tmp_path / "fit")
        assert_same_weights(fit, expected)
        assert (fit.thresholds, fit.fold) == (THRESHOLDS, 0)
        assert tuple(epochs) == expected.history
        assert not (tmp_path / "checkpoint").exists()

        with pytest.raises(DataError, match="regime_lstm, fold 1: training has no samples"):
            pool.train({**job, "fold": 1})
        with pytest.raises(TrainingError, match=r"regime_lstm, fold 9: IndexError"):
            pool.train({**job, "fold": 9})
        pool.train({**job, "output": str(tmp_path / "again"), "checkpoint": None})
        assert_same_weights(load(Fit, tmp_path / "again"), expected)
    assert len(started) == 1
    assert started[0].poll() is not None  # gone with the block


def test_a_killed_worker_is_told_and_the_next_one_resumes(job, expected, started, tmp_path):
    def kill(epoch):
        started[-1].send_signal(signal.SIGKILL)
        started[-1].wait()

    with closing(Workers(1)) as pool:
        with pytest.raises(TrainingError, match=r"regime_lstm, fold 0.*signal 9.*out of memory"):
            pool.train(job, kill)
        epochs = []
        pool.train(job, epochs.append)
    assert len(started) == 2
    assert len(epochs) < MODEL.max_epochs
    assert_same_weights(load(Fit, tmp_path / "fit"), expected)


def test_a_listener_that_fails_ends_its_worker(job, started):
    def fail(epoch):
        raise KeyboardInterrupt

    with closing(Workers(1)) as pool:
        with pytest.raises(KeyboardInterrupt):
            pool.train(job, fail)
        assert started[0].poll() is not None


def test_jobs_from_many_threads_share_the_workers(job, expected, started, tmp_path):
    jobs = [{**job, "output": str(tmp_path / f"{i}"), "checkpoint": None} for i in range(4)]
    with closing(Workers(2)) as pool, ThreadPoolExecutor(4) as threads:
        list(threads.map(pool.train, jobs))
    assert len(started) == 2
    for i in range(4):
        assert_same_weights(load(Fit, tmp_path / f"{i}"), expected)


def test_a_worker_speaks_clean_json_and_ends_with_its_input(job):
    script = (
        "import os, rnntrade.training.worker as worker\n"
        "real = worker.load\n"
        "def noisy(*arguments):\n"
        "    print('noise'); os.system('echo noise')\n"
        "    return real(*arguments)\n"
        "worker.load = noisy\n"
        "raise SystemExit(worker.main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [list(message) for message in messages] == [["epoch"]] * 3 + [["done"]]
    assert "noise" in ended.stderr


def test_a_worker_nobody_listens_to_stops_training(job, tmp_path):
    endless = {**job, "model": {**job["model"], "max_epochs": 10**6}}
    endless["training"] = {**job["training"], "patience": 10**6}
    worker = subprocess.Popen(
        workers.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    worker.stdin.write((json.dumps(endless) + "\n").encode())
    worker.stdin.flush()
    assert worker.stdout.readline()  # it trains
    worker.stdout.close()
    assert worker.wait(timeout=20) == 1
    assert worker.stderr.read() == b""
    worker.stdin.close()
    worker.stderr.close()


def test_the_parents_side_never_loads_torch():
    script = "import sys, rnntrade.training.workers; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
