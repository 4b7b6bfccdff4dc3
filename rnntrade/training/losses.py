"""What is minimised, and the score shown beside it, by task.

output  (B, O) of the network: logits, or standardised returns
target  (B, O) class, 0 or 1, or standardised returns, as float32
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from rnntrade.config import Task
from rnntrade.types import REGIMES

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(task: Task, class_weights: Tensor | None = None) -> Loss:
    """Return the mean loss over a batch: cross-entropy, its binary form, or squared error."""

    def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(output, target[:, 0].long(), class_weights)

    losses: Mapping[Task, Loss] = {
        "regime": cross_entropy,
        "direction": functional.binary_cross_entropy_with_logits,
        "return": functional.mse_loss,
        "forecast": functional.mse_loss,
    }
    return losses[task]


def inverse_frequencies(target: Tensor) -> Tensor:
    """Return a weight for each regime, n / (classes seen × its count); 1 for one never seen."""
    counts = torch.bincount(target[:, 0].long(), minlength=len(REGIMES)).float()  # (4,)
    seen = counts > 0
    return torch.where(seen, counts.sum() / (seen.sum() * counts.clamp(min=1)), 1.0)


def accuracy(task: Task, output: Tensor, target: Tensor) -> Tensor:
    """Return the share of right answers in a batch; NaN where answers are returns."""
    if task == "regime":
        return (output.argmax(dim=1) == target[:, 0].long()).float().mean()
    if task == "direction":
        return ((output > 0) == (target > 0.5)).float().mean()
    return output.new_tensor(torch.nan)
