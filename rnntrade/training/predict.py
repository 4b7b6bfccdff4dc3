"""What a fit says about samples, in the task's own units.

Chunks always have the same length, filled up with copies: torch's last bits depend on the length
of a batch (sigmoid's and softmax's too), and a sample's prediction must not depend on who is asked
beside it.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rnntrade.errors import DataError, TrainingError
from rnntrade.models.build import build
from rnntrade.objectives.lookup import objective_of
from rnntrade.training.devices import one_thread, resolve_device
from rnntrade.training.parts import CHUNK, answer, check_inputs, to_device
from rnntrade.types import Array, Fit, Fold, Rows, Samples


def predict(fit: Fit, samples: Samples, rows: Rows, device: str = "cpu") -> Array:
    """Return what the fit expects of the chosen samples.

    rows     (n,) positions of samples; their targets are not read
    returns  (n, C) probabilities or returns, see `protocols.Objective.answer`
    errors   DataError when a window holds a missing value, or not the features the fit reads
    """
    objective = objective_of(fit.model, fit.classes)

    def ask(network: nn.Module, x: Tensor) -> Tensor:
        return objective.answer(answer(network, x), fit.scaler, fit.temperature)

    return _run(fit, samples, rows, device, ask)


def attention(fit: Fit, samples: Samples, rows: Rows, device: str = "cpu") -> Array | None:
    """Return how much each session of a window counted, (n, L), oldest first; rows sum to 1.

    None for an architecture without attention.
    """
    if not hasattr(build(fit.model), "attend"):
        return None

    def ask(network: nn.Module, x: Tensor) -> Tensor:
        return torch.as_tensor(network.attend(x))  # type: ignore[operator] # it is there

    return _run(fit, samples, rows, device, ask)


def newest_attention(fit: Fit, samples: Samples, fold: Fold) -> pd.DataFrame | None:
    """(K, L) attention in the newest test window of each ticker; None for other architectures."""
    test = fold.test[::-1]
    tickers, newest = np.unique(samples.spans.ticker[test], return_index=True)
    weights = attention(fit, samples, test[newest])
    if weights is None:
        return None
    return pd.DataFrame(weights, index=tickers, columns=[str(i) for i in range(weights.shape[1])])


def restore(fit: Fit) -> nn.Module:
    """Return the trained network, ready to evaluate; TrainingError when its weights do not fit."""
    network = build(fit.model)
    try:
        network.load_state_dict({name: torch.tensor(w) for name, w in fit.weights.items()})
    except RuntimeError as error:
        raise TrainingError(
            f"{fit.model.name}, fold {fit.fold}: the weights are of another model: {error}"
        ) from error
    return network.eval()


@torch.no_grad()
def _run(
    fit: Fit, samples: Samples, rows: Rows, device: str, ask: Callable[[nn.Module, Tensor], Tensor]
) -> Array:
    """Return (n, …) float64 answers to `ask`, every chosen sample in its place."""
    check_inputs(fit.model, samples)
    device = resolve_device(device)
    torch.backends.cudnn.allow_tf32 = False  # the served model, on a CPU, does not round so
    with one_thread():
        network = restore(fit).to(device)
        (part,) = to_device(samples, (rows,), fit.scaler, device)
        padding = -len(rows) % CHUNK
        everything = torch.arange(len(rows) + padding, device=device) % max(len(rows), 1)
        chunks = everything.split(CHUNK) if len(rows) else [everything]
        answers = [ask(network, part.windows(chunk)).cpu().double() for chunk in chunks]
    output = torch.cat(answers)[: len(rows)].numpy()
    broken = ~np.isfinite(output).all(axis=1)  # (n,)
    if broken.any():
        spans = samples.spans[rows[broken][:1]]
        day = np.datetime_as_string(spans.decision[0], unit="D")
        raise DataError(
            f"{fit.model.name}, fold {fit.fold}: no finite prediction for {int(broken.sum())} of "
            f"{len(rows)} samples, the first {spans.ticker[0]} on {day}.  Check its last "
            f"{samples.lookback} sessions."
        )
    return np.asarray(output)
