"""Where a training stands after an epoch: one file, whole or absent, safetensors with JSON.

A checkpoint is trusted only if it is of exactly this training (`identity`) and undamaged (a digest
of everything in it); otherwise it is ignored, and told so.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rnntrade.storage import atomic_file
from rnntrade.types import Epoch

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Progress:
    """Everything that one epoch hands to the next."""

    network: nn.Module
    optimizer: torch.optim.Adam
    schedule: torch.optim.lr_scheduler.ReduceLROnPlateau
    amp: torch.amp.GradScaler
    shuffle: torch.Generator
    best_weights: dict[str, Tensor]
    history: list[Epoch]


def save_checkpoint(path: Path, identity: str, progress: Progress, device: str) -> None:
    """Put the checkpoint in place of the one before it."""
    adam = progress.optimizer.state_dict()["state"]
    parts: dict[str, Mapping[str, Tensor]] = {
        "model": progress.network.state_dict(),
        "best": progress.best_weights,
        "adam": {f"{i}.{key}": value for i, each in adam.items() for key, value in each.items()},
        "random": {name: module.get_rng_state() for name, module in _generators(device).items()},
        "shuffle": {"": progress.shuffle.get_state()},
    }
    tensors = {f"{part}.{k}": v.contiguous() for part in parts for k, v in parts[part].items()}
    state = json.dumps(
        {
            "identity": identity,
            "learning_rate": progress.optimizer.param_groups[0]["lr"],
            "schedule": progress.schedule.state_dict(),
            "amp": progress.amp.state_dict(),
            "history": [asdict(epoch) for epoch in progress.history],
        }
    )
    metadata = {"state": state, "digest": _digest(state, tensors)}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata)


def resume(path: Path, identity: str, progress: Progress, device: str) -> None:
    """Bring `progress` to where a checkpoint stood; leave it as it is if none can be trusted."""
    if not path.exists():
        return
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        text = metadata.get("state", "")
        if metadata.get("digest") != _digest(text, tensors):
            raise ValueError("its digest differs")
    except (SafetensorError, OSError, ValueError) as error:
        log.warning("%s is damaged (%s): training starts over", path, error)
        return
    state: dict[str, Any] = json.loads(text)
    if state["identity"] != identity:
        log.warning("%s is of another model, data or seed: training starts over", path)
        return
    progress.network.load_state_dict(_under("model.", tensors))
    best = _under("best.", tensors)
    progress.best_weights.update({name: value.to(device) for name, value in best.items()})
    adam = progress.optimizer.state_dict()
    for name, value in _under("adam.", tensors).items():
        position, key = name.split(".")
        adam["state"].setdefault(int(position), {})[key] = value
    adam["param_groups"][0]["lr"] = state["learning_rate"]
    progress.optimizer.load_state_dict(adam)
    progress.schedule.load_state_dict(state["schedule"])
    progress.amp.load_state_dict(state["amp"])
    progress.history.extend(Epoch(**epoch) for epoch in state["history"])
    progress.shuffle.set_state(tensors["shuffle."])
    for name, module in _generators(device).items():
        module.set_rng_state(tensors[f"random.{name}"])


def identify(about: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of what a training depends on: its numbers, its data, torch itself."""
    return _digest(json.dumps({**about, "torch": torch.__version__}, sort_keys=True), tensors)


def _generators(device: str) -> dict[str, Any]:
    """Modules of the global generators that dropout and teacher forcing draw from."""
    modules = {"cpu": torch, "cuda": torch.cuda, "mps": torch.mps}
    return {name: modules[name] for name in {"cpu", device}}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        values = tensors[name].cpu().contiguous().numpy()
        digest.update(f"{name}{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
