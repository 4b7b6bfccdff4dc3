"""The direction of the next session's return."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from rnntrade.labels.targets import direction
from rnntrade.models.baselines import direction_baselines
from rnntrade.models.calibration import fit_temperature
from rnntrade.protocols import Basis
from rnntrade.types import Array, Scaler

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-30  # probability whose logarithm is taken


@dataclass(frozen=True)
class Direction:
    """Binary cross-entropy; the answer is the probability of a rise."""

    horizon: int = 1
    regimes: tuple[str, ...] = ()  # not asked about
    traded: ClassVar[bool] = True
    needs_regimes: ClassVar[bool] = False
    score: ClassVar[Literal["accuracy", "rmse"]] = "accuracy"
    classes: tuple[str, ...] = ("Down", "Up")
    rivals: ClassVar[tuple[str, ...]] = ("majority", "logistic_last")
    names: tuple[str, ...] = ("p_up",)
    answer_columns: tuple[str, ...] = ("p_up",)

    def target(self, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
        """(T, 1) 1 where the next return is positive, else 0."""
        return direction(close).to_frame()

    def other_target(self, target: Array) -> Array:
        return 1.0 - target

    def loss(self, output: "Tensor", target: "Tensor", weights: "Tensor | None") -> "Tensor":
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(output, target)

    def weights(self, target: "Tensor") -> None:
        """None: rises and falls are about as many."""

    def accuracy(self, output: "Tensor", target: "Tensor") -> "Tensor":
        return ((output > 0) == (target > 0.5)).float().mean()

    def temperature(self, output: Array, target: Array) -> float:
        return fit_temperature(output, target[:, 0])

    def answer(self, output: "Tensor", scaler: Scaler, temperature: float) -> "Tensor":
        import torch

        return torch.sigmoid(output.double() / temperature)

    def output(self, answer: Array, scaler: Scaler, temperature: float) -> Array:
        up, down = (np.maximum(each, SMALLEST) for each in (answer, 1.0 - answer))
        return np.asarray((np.log(up) - np.log(down)) * temperature)

    def columns(self, truth: Array, answer: Array, current: Array) -> dict[str, Array]:
        return {"truth": truth[:, 0], "p_up": answer[:, 0]}

    def named(self, answer: Array) -> dict[str, float | str]:
        return {"p_up": float(answer[0])}

    def baselines(self, basis: Basis) -> dict[str, Array]:
        """Majority, buy and hold, logistic regressions, gradient boosting."""
        return direction_baselines(basis)

    def truth(self, rows: pd.DataFrame) -> Array:
        return rows["truth"].to_numpy(float)

    def predicted(self, rows: pd.DataFrame) -> Array:
        """(N, 2) probabilities of a fall and of a rise."""
        up = rows["p_up"].to_numpy(float)
        return np.column_stack([1.0 - up, up])

    def cost(self, rows: pd.DataFrame) -> Array:
        return np.asarray(self.predicted(rows).argmax(axis=1) != self.truth(rows), dtype=float)
