"""The next `horizon` returns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from rnntrade.labels.targets import multi_step
from rnntrade.models.baselines import return_baselines
from rnntrade.protocols import Basis
from rnntrade.types import Array, Scaler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Returns:
    """Squared error; the answer is in return units."""

    horizon: int
    regimes: tuple[str, ...] = ()  # not asked about
    traded: ClassVar[bool] = False
    needs_regimes: ClassVar[bool] = False
    score: ClassVar[Literal["accuracy", "rmse"]] = "rmse"
    classes: tuple[str, ...] = ()
    rivals: ClassVar[tuple[str, ...]] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"r_{step}" for step in range(1, self.horizon + 1))

    @property
    def answer_columns(self) -> tuple[str, ...]:
        return self.names

    def target(self, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
        """(T, h) returns of sessions t+1 .. t+h."""
        return multi_step(close, self.horizon)

    def other_target(self, target: Array) -> Array:
        """Other returns, larger and of the other sign."""
        return 0.01 - 2.0 * target

    def loss(self, output: "Tensor", target: "Tensor", weights: "Tensor | None") -> "Tensor":
        from torch.nn import functional

        return functional.mse_loss(output, target)

    def weights(self, target: "Tensor") -> None:
        """None: there are no classes."""

    def accuracy(self, output: "Tensor", target: "Tensor") -> "Tensor":
        """NaN: a return is never just right."""
        return output.new_tensor(float("nan"))

    def temperature(self, output: Array, target: Array) -> float:
        """1: no probabilities are predicted."""
        return 1.0

    def answer(self, output: "Tensor", scaler: Scaler, temperature: float) -> "Tensor":
        return output.double() * scaler.target_deviation + scaler.target_mean

    def output(self, answer: Array, scaler: Scaler, temperature: float) -> Array:
        return (answer - scaler.target_mean) / scaler.target_deviation

    def columns(self, truth: Array, answer: Array, current: Array) -> dict[str, Array]:
        steps = range(truth.shape[1])
        came = {f"truth_{step + 1}": truth[:, step] for step in steps}
        return {**came, **{f"r_{step + 1}": answer[:, step] for step in steps}}

    def named(self, answer: Array) -> dict[str, float | str]:
        return dict(zip(self.names, map(float, answer), strict=False))

    def baselines(self, basis: Basis) -> dict[str, Array]:
        """Zero, training mean, ridge regression on the window, AR(1)."""
        return return_baselines(basis)

    def truth(self, rows: pd.DataFrame) -> Array:
        return self._steps(rows, "truth")

    def predicted(self, rows: pd.DataFrame) -> Array:
        return self._steps(rows, "r")

    def _steps(self, rows: pd.DataFrame, prefix: str) -> Array:
        return rows[[f"{prefix}_{step}" for step in range(1, self.horizon + 1)]].to_numpy(float)

    def cost(self, rows: pd.DataFrame) -> Array:
        """(N,) mean squared error over the steps."""
        return np.asarray(((self.predicted(rows) - self.truth(rows)) ** 2).mean(axis=1))
