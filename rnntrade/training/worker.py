"""A process that trains one job after another: `python -m rnntrade.training.worker`.

Reads a JSON job a line from standard input, and writes JSON lines: {"epoch": {...}} after each
epoch, then {"done": true}, or {"error": "...", "kind": "..."}.  It ends with its input, or as soon
as nobody reads its output: so it never outlives its parent by more than an epoch.

A job has samples (folder of the `Windows`), fold (its number), model and training (fields of their
configs), seed, device, checkpoint (file to go on from, or null; removed once the fit is written),
output (folder for the `Fit`) and source (digest of the code that it was made for; optional).
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rnntrade.codec import load, save
from rnntrade.config import ModelConfig, TrainingConfig
from rnntrade.errors import RnntradeError, TrainingError
from rnntrade.fingerprint import source_digest
from rnntrade.training.loop import train
from rnntrade.types import Windows

SOURCE = source_digest("rnntrade.training.worker")  # of what this process runs


def main() -> int:
    """Train until the input ends; return 0, or 1 when the reader went away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops us
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed goes to standard error

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    try:
        for line in sys.stdin:
            try:
                _train(json.loads(line), say)
                say({"done": True})
            except BrokenPipeError:
                raise
            except RnntradeError as error:
                say({"error": str(error), "kind": type(error).__name__})
            except Exception as error:  # a defect: this job fails, the worker goes on
                traceback.print_exc()
                say({"error": f"{type(error).__name__}: {error}", "kind": "defect"})
    except BrokenPipeError:
        os._exit(1)  # an ordinary exit would flush into the broken pipe, and complain
    return 0


def _train(job: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    if job.get("source", SOURCE) != SOURCE:
        raise TrainingError(
            f"{job['model']['name']}, fold {job['fold']}: the code was edited while this run was "
            "going on.  Start the run again: what is finished is kept."
        )
    samples, targets = load(Windows, Path(job["samples"])).fold(job["fold"])
    checkpoint = Path(job["checkpoint"]) if job["checkpoint"] else None
    fit = train(
        samples,
        targets.fold,
        ModelConfig(**job["model"]),
        TrainingConfig(**job["training"]),
        seed=job["seed"],
        device=job["device"],
        thresholds=targets.thresholds,
        classes=targets.classes,
        checkpoint=checkpoint,
        on_epoch=lambda epoch: say({"epoch": asdict(epoch)}),
    )
    save(fit, Path(job["output"]))
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
