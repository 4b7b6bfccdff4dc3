"""The parent's side of `worker`: processes that train side by side.  Never imports torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import BoundedSemaphore, Lock
from types import TracebackType
from typing import Any, NoReturn, Self

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

    `train` may be called from many threads; those beyond `count` wait.  Use as a context manager,
    or call `close`; workers also end by themselves when their parent does.
    """

    def __init__(self, count: int) -> None:
        self._places = BoundedSemaphore(count)
        self._lock = Lock()
        self._idle: list[Process] = []
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
                _do(worker, job, on_epoch)
            except _Answered as answered:
                self._give_back(worker)
                raise answered.error from None
            except BaseException:
                _end(worker)
                raise
            self._give_back(worker)

    def close(self) -> None:
        """End the idle workers now, and the busy ones after their job."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            _end(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> Process:
        with self._lock:
            while self._idle:
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

    def _give_back(self, worker: Process) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        _end(worker)


class _Answered(Exception):
    """A job that failed in a worker that lives on."""

    def __init__(self, error: RnntradeError) -> None:
        super().__init__(str(error))
        self.error = error


def _do(worker: Process, job: Mapping[str, Any], on_epoch: Callable[[Epoch], None]) -> None:
    """Send a job, and listen until it is done."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(dict(job)) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        _died(worker, job)
    for line in worker.stdout:
        if not line.endswith("\n"):  # cut off in the middle
            break
        message = json.loads(line)
        if "epoch" in message:
            on_epoch(Epoch(**message["epoch"]))
        elif "error" in message:
            raise _Answered(_error(message, job))
        else:
            return
    _died(worker, job)


def _error(message: Mapping[str, str], job: Mapping[str, Any]) -> RnntradeError:
    if message["kind"] in KINDS:
        return KINDS[message["kind"]](message["error"])
    return TrainingError(
        f"{_name(job)}: {message['error']}.  This is a defect of rnntrade: its traceback is above."
    )


def _died(worker: Process, job: Mapping[str, Any]) -> NoReturn:
    code = worker.wait()
    cause = f"ended with code {code}: its last words are above"
    if code < 0:
        cause = f"was killed by signal {-code} ({signal.Signals(-code).name})"
    if code == -signal.SIGKILL:
        cause += ": out of memory?  Try fewer workers (compute.workers)"
    raise TrainingError(
        f"{_name(job)}: the training process {cause}.  Run again: it resumes after its last epoch."
    )


def _name(job: Mapping[str, Any]) -> str:
    return f"{job['model']['name']}, fold {job['fold']}"


def _end(worker: Process) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
