"""One part of a fold on a device, and a network's answers about it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rnntrade.config import ModelConfig
from rnntrade.errors import DataError
from rnntrade.samples.windows import standardise
from rnntrade.types import Rows, Samples, Scaler

CHUNK = 256  # windows a pass without gradients; larger ones leave the cache and are slower


@dataclass(frozen=True, eq=False)
class Part:
    """Windows of one part of a fold, on the device: gathered from the rows, a batch at a time."""

    rows: Tensor  # (R, F) float32, standardised; shared by the parts, 0 where no part looks
    last: Tensor  # (n,)
    target: Tensor  # (n, O) float32, standardised if a return
    lookback: int

    def __len__(self) -> int:
        return len(self.last)

    def windows(self, chosen: Tensor) -> Tensor:
        """Gather (B, L, F) windows."""
        offsets = torch.arange(1 - self.lookback, 1, device=self.rows.device)  # (L,)
        return self.rows[self.last[chosen][:, None] + offsets]


def answer(
    network: nn.Module, x: Tensor, target: Tensor | None = None, teacher_forcing: float = 0.0
) -> Tensor:
    """Return (B, O) of any network: what the loss compares, without what only some of them have."""
    teach = getattr(network, "teach", None)  # a hook of networks that can be fed the truth
    given = teach(x, target, teacher_forcing) if teach and target is not None else network(x)
    output: Tensor = given[0] if isinstance(given, tuple) else given
    return output


@torch.no_grad()
def answers(network: nn.Module, part: Part) -> Tensor:
    """Return (n, O) for every sample of a part."""
    everything = torch.arange(len(part), device=part.last.device)
    chunks = [answer(network, part.windows(chunk)) for chunk in everything.split(CHUNK)]
    return torch.cat(chunks)


def check_inputs(model: ModelConfig, samples: Samples) -> None:
    """Raise DataError when the samples are not what the model reads."""
    if samples.features != model.inputs or samples.lookback != model.lookback:
        raise DataError(
            f"{model.name} reads {model.lookback} sessions of {', '.join(model.inputs)}; the "
            f"samples hold {samples.lookback} of {', '.join(samples.features)}.  "
            "Make the samples from this model's own config."
        )


def known_rows(samples: Samples, rows: Rows, what: str) -> Rows:
    """Return the rows whose future is known; DataError when there are none."""
    known = rows[np.isfinite(samples.target[rows]).all(axis=1)]
    if len(known) == 0:
        raise DataError(
            f"{what} has no samples: fewer sessions than one window and its label need.  "
            "Use an earlier start, a shorter lookback or horizon, or other split fractions."
        )
    return known


def to_device(
    samples: Samples, parts: tuple[Rows, ...], scaler: Scaler, device: str
) -> tuple[Part, ...]:
    """Return the parts, standardised.  Rows that none of their windows hold stay behind, as 0."""
    seen = np.zeros(len(samples.rows), dtype=bool)  # (R,)
    for rows in parts:
        for back in range(samples.lookback):
            seen[samples.last[rows] - back] = True
    scaled = np.zeros(samples.rows.shape, dtype=np.float32)  # (R, F)
    scaled[seen] = standardise(samples.rows[seen], scaler)
    table = torch.from_numpy(scaled).to(device)
    target = (samples.target - scaler.target_mean) / scaler.target_deviation
    target = target.astype(np.float32)  # (N, O)
    return tuple(
        Part(
            rows=table,
            last=torch.from_numpy(samples.last[rows]).to(device),
            target=torch.from_numpy(target[rows]).to(device),
            lookback=samples.lookback,
        )
        for rows in parts
    )
