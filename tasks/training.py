"""Training as a task: a single-threaded worker process per fit, as many as there are cores."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache

from prefect import get_run_logger
from prefect.concurrency.sync import concurrency

from rnntrade.config import ModelConfig, TrainingConfig
from rnntrade.fingerprint import fingerprint, source_digest
from rnntrade.training.seeds import derive_seed
from rnntrade.training.workers import Workers
from rnntrade.types import Epoch
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.home import artifacts_folder

WORKER = "rnntrade.training.worker"
GPU_LIMIT = "rnntrade-gpu"  # Prefect's concurrency limit: fits at a time per machine's GPU


@cached_task(
    "train_model-{model.name}-fold{fold}-member{member}",
    not_in_key=("workers",),
    runs=(WORKER,),
)
def train_model(
    samples: Ref,
    model: ModelConfig,
    fold: int,
    member: int,
    training: TrainingConfig,
    run_seed: int,
    device: str,
    workers: int,
    retrained: int = 0,
) -> Ref:
    """Fit one network on one fold, a line an epoch; an interrupted fit goes on where it was.

    retrained  how often before: as a later fold, a later retraining has another seed
    """
    log = get_run_logger()
    seed = derive_seed(run_seed, model.name, fold + retrained, member)
    job = {
        "samples": str(samples.folder),
        "fold": fold,
        "model": asdict(model),
        "training": asdict(training),
        "seed": seed,
        "device": device,
    }
    job["source"] = source_digest(WORKER)  # the worker refuses to be another program than this
    what = fingerprint((samples.digest, {name: job[name] for name in job if name != "samples"}))

    def on_epoch(epoch: Epoch) -> None:
        score = (
            f"  accuracy {epoch.validation_score:.3f}"
            if epoch.validation_score == epoch.validation_score
            else ""
        )
        log.info(
            "epoch %d of at most %d   loss %.4f   validation %.4f%s",
            epoch.number + 1,
            model.max_epochs,
            epoch.training_loss,
            epoch.validation_loss,
            score,
        )

    with publish("fits") as out, gpu_slot(device):
        places = {
            "checkpoint": str(artifacts_folder() / "checkpoints" / what),
            "output": str(out.folder),
        }
        _workers(workers or os.cpu_count() or 1).train(job | places, on_epoch)
    return out.ref


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Wait for the GPU where there is one; a CPU's cores are counted by the workers."""
    if device == "cpu":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=1, strict=True):
        yield


def prepare_device(wanted: str) -> str:
    """Resolve `auto`, and make sure that the limit which `gpu_slot` waits for exists."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from rnntrade.training.devices import resolve_device

    device = resolve_device(wanted)
    if device != "cpu":
        with get_client(sync_client=True) as server:
            try:
                server.read_global_concurrency_limit_by_name(GPU_LIMIT)
            except ObjectNotFound:
                limit = GlobalConcurrencyLimitCreate(name=GPU_LIMIT, limit=1)
                try:
                    server.create_global_concurrency_limit(limit)
                except ObjectAlreadyExists:  # another run was faster
                    return device
    return device


@cache
def _workers(count: int) -> Workers:
    return Workers(count)
