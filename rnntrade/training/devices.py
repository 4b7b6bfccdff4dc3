"""Where tensors live, and what makes a computation repeatable there."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob

from rnntrade.errors import ConfigError

DRIVERS = ("/dev/nvidia*", "/dev/nvhost*", "/dev/dxg", "/dev/kfd")  # of GPUs, on Linux


def resolve_device(device: str) -> str:
    """Return the device to use: "auto" is CUDA, then MPS, then CPU.

    raises: ConfigError when a device is asked for by name and absent
    """
    hopeless = sys.platform == "linux" and not any(map(glob, DRIVERS))
    if device == "cpu" or (device == "auto" and hopeless):
        return "cpu"
    import torch  # takes seconds, and nobody else in a run that is all cached needs it

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, here in present.items() if here)
    if not present.get(device, False):
        here = ", ".join(name for name, is_here in present.items() if is_here)
        raise ConfigError(
            f"compute.device is {device!r}, and torch finds none here (it finds: {here}).  "
            "Use --set compute.device=auto, or install a torch build for that device."
        )
    return device


def derive_seed(run_seed: int, model_name: str, fold: int, member: int) -> int:
    """Return the seed of one fit, in [0, 2^32), whatever the order, the workers or the machine."""
    name = f"{run_seed}/{model_name}/{fold}/{member}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: fastest for small LSTMs, and the bits do not depend on the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def reproducible(seed: int, device: str) -> Iterator[None]:
    """Seed torch, on one thread, and choose repeatable kernels; give the caller's state back after.

    On a CPU at one thread every kernel used here is repeatable.
    """
    import torch

    cuda = device == "cuda"
    before = torch.are_deterministic_algorithms_enabled()
    with one_thread(), torch.random.fork_rng(devices=[torch.cuda.current_device()] if cuda else []):
        torch.manual_seed(seed)
        if cuda:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or LSTMs vary by run
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
