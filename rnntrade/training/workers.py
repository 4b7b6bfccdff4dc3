"""The parent's side of `worker`: processes that train side by side.  Never imports torch."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Any, NoReturn

from rnntrade.errors import ConfigError, DataError, RnntradeError, TrainingError
from rnntrade.types import Epoch

COMMAND = (sys.executable, "-m", "rnntrade.training.worker")
SINGLE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
KINDS: Mapping[str, type[RnntradeError]] = {
    kind.__name__: kind for kind in (RnntradeError, ConfigError, DataError, TrainingError)
}

Process = subprocess.Popen[str]


class Workers:
    """At most `count` training processes, started when needed, kept for the next job.

    `train` may be called from many threads; those beyond `count` wait.  Workers end by themselves
    when their parent does.
    """

    def __init__(self, count: int) -> None:
        self._places = BoundedSemaphore(count)
        self._idle: deque[Process] = deque()
        self._closed = False

    def train(
        self, job: Mapping[str, Any], on_epoch: Callable[[Epoch], None] = lambda epoch: None
    ) -> None:
        """Have one job done (its fields: see `worker`); the fit is then in job["output"].

        errors  the worker's own DataError, ConfigError or TrainingError; TrainingError naming model
                and fold when it fails otherwise or dies
        """
        with self._places:
            worker = self._take()
            try:
                error = _do(worker, job, on_epoch)
            except BaseException:
                _end(worker)
                raise
            self._idle.append(worker)
            if self._closed:
                self.close()
        if error is not None:
            raise error

    def close(self) -> None:
        """End the idle workers now, and the busy ones after their job."""
        self._closed = True
        with suppress(IndexError):  # another thread may end them too
            while True:
                _end(self._idle.pop())

    def _take(self) -> Process:
        with suppress(IndexError):
            while True:
                worker = self._idle.pop()
                if worker.poll() is None:
                    return worker
                _end(worker)
        return subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **SINGLE},
        )


def _do(
    worker: Process, job: Mapping[str, Any], on_epoch: Callable[[Epoch], None]
) -> RnntradeError | None:
    """Send a job, and listen until it is done; return the error of a worker that lives on."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    name = f"{job['model']['name']}, fold {job['fold']}"
    try:
        worker.stdin.write(json.dumps(dict(job)) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        _died(worker, name)
    for line in worker.stdout:
        if not line.endswith("\n"):  # cut off in the middle
            break
        message = json.loads(line)
        if "epoch" in message:
            on_epoch(Epoch(**message["epoch"]))
        elif "done" in message:
            return None
        elif message["kind"] in KINDS:
            return KINDS[message["kind"]](message["error"])
        else:
            defect = "This is a defect of rnntrade: its traceback is above."
            return TrainingError(f"{name}: {message['error']}.  {defect}")
    _died(worker, name)


def _died(worker: Process, name: str) -> NoReturn:
    code = worker.wait()
    cause = f"ended with code {code}: its last words are above"
    if code < 0:
        cause = f"was killed by signal {-code} ({signal.Signals(-code).name})"
    if code == -signal.SIGKILL:
        cause += ": out of memory?  Try fewer workers (compute.workers)"
    raise TrainingError(
        f"{name}: the training process {cause}.  Run again: it resumes after its last epoch."
    )


def _end(worker: Process) -> None:
    with suppress(BrokenPipeError), worker:  # which waits for its end, and closes its pipes
        worker.kill()
