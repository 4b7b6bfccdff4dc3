"""The market regime `horizon` sessions ahead."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from rnntrade.labels.targets import future_regime
from rnntrade.models.baselines import regime_baselines
from rnntrade.models.calibration import fit_temperature
from rnntrade.protocols import Basis
from rnntrade.types import REGIMES, Array, Scaler, used_classes

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = len(REGIMES)  # of a network, even where a statistical kind has fewer classes
SMALLEST = 1e-30  # probability whose logarithm is taken


@dataclass(frozen=True)
class Regime:
    """Cross-entropy over regimes; the answer is a probability for each."""

    horizon: int
    regimes: tuple[str, ...] = REGIMES
    traded: ClassVar[bool] = False
    needs_regimes: ClassVar[bool] = True
    score: ClassVar[Literal["accuracy", "rmse"]] = "accuracy"
    rivals: ClassVar[tuple[str, ...]] = ("persistence", "markov_chain")

    @property
    def classes(self) -> tuple[str, ...]:
        return used_classes(self.regimes)

    @property
    def names(self) -> tuple[str, ...]:
        """One number a class that occurs."""
        return tuple(f"p_{name.lower().replace(' ', '_')}" for name in self.classes)

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """p_0 .. p_3, those that occur first."""
        return tuple(f"p_{number}" for number in range(OUTPUTS))

    def target(self, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
        """(T, 1) class `horizon` sessions ahead."""
        return future_regime(regime, self.horizon).to_frame()

    def other_target(self, target: Array) -> Array:
        return (target + 1.0) % OUTPUTS

    def loss(self, output: "Tensor", target: "Tensor", weights: "Tensor | None") -> "Tensor":
        from torch.nn import functional

        return functional.cross_entropy(output, target[:, 0].long(), weights)

    def weights(self, target: "Tensor") -> "Tensor":
        """(4,) n / (classes seen × count of the class); 1 for one never seen."""
        import torch

        counts = torch.bincount(target[:, 0].long(), minlength=OUTPUTS).float()
        seen = counts > 0
        return torch.where(seen, counts.sum() / (seen.sum() * counts.clamp(min=1)), 1.0)

    def accuracy(self, output: "Tensor", target: "Tensor") -> "Tensor":
        return (output.argmax(dim=1) == target[:, 0].long()).float().mean()

    def temperature(self, output: Array, target: Array) -> float:
        return fit_temperature(output, target[:, 0])

    def answer(self, output: "Tensor", scaler: Scaler, temperature: float) -> "Tensor":
        import torch

        return torch.softmax(output.double() / temperature, dim=1)

    def output(self, answer: Array, scaler: Scaler, temperature: float) -> Array:
        return np.log(np.maximum(answer, SMALLEST)) * temperature

    def columns(self, truth: Array, answer: Array, current: Array) -> dict[str, Array]:
        """`truth`, `current` (the regime at the decision), and p_0 .. p_3."""
        return {
            "truth": truth[:, 0],
            "current": current,
            **dict(zip(self.answer_columns, answer.T, strict=True)),
        }

    def named(self, answer: Array) -> dict[str, float | str]:
        """Probabilities of the classes that occur, and the likeliest one."""
        own = dict(zip(self.names, map(float, answer), strict=False))
        return {**own, "regime": self.regimes[int(answer[: len(self.classes)].argmax())]}

    def baselines(self, basis: Basis) -> dict[str, Array]:
        """Majority, persistence, Markov chain, logistic regressions, gradient boosting."""
        return regime_baselines(basis)

    def truth(self, rows: pd.DataFrame) -> Array:
        return rows["truth"].to_numpy(float)

    def predicted(self, rows: pd.DataFrame) -> Array:
        return rows[list(self.answer_columns)].to_numpy(float)

    def cost(self, rows: pd.DataFrame) -> Array:
        return np.asarray(self.predicted(rows).argmax(axis=1) != self.truth(rows), dtype=float)
