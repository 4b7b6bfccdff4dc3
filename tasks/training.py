"""Where networks train: single-threaded worker processes, or one at a time on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prefect.concurrency.sync import concurrency

from rnntrade.training.workers import Workers

WORKER = "rnntrade.training.worker"
GPU_LIMIT = "rnntrade-gpu"  # Prefect's concurrency limit: fits at a time per machine's GPU


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
def workers_of(count: int) -> Workers:
    """The processes of this run: at most `count` of them."""
    return Workers(count)
