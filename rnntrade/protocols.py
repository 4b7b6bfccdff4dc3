"""What a part of the chain must offer to be used by name: the extension points.

N samples, O outputs of a network, C classes, h horizon, T sessions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from rnntrade.types import Array, Fold, Rows, Samples, Scaler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Basis:
    """What baselines may use: they are fitted on `training`, and predict `rows`."""

    samples: Samples
    fold: Fold
    rows: Rows  # (n,) whose targets are not read
    current: Array  # (N,) regime of each sample's decision, NaN where unknown
    last_return: Array | None = None  # (N,) of each decision; AR(1) is left out without it
    seed: int = 0  # of gradient boosting, below 2^32

    @property
    def training(self) -> Rows:
        """Of the fold, those whose future is known."""
        known = np.isfinite(self.samples.target[self.fold.training]).all(axis=1)
        return self.fold.training[known]

    @property
    def target(self) -> Array:
        """(n_training, O) what came."""
        return self.samples.target[self.training]


class Objective(Protocol):
    """What a model is asked: its target, its loss, its baselines, and how it is scored.

    rows  of a prediction table: one source, one part
    """

    traded: ClassVar[bool]  # whether the answer is the probability of a rise: strategies trade it
    needs_regimes: ClassVar[bool]  # whether the target is made of what a fold learned of regimes
    score: ClassVar[Literal["accuracy", "rmse"]]  # of the mean cost; decides tables and tests
    rivals: ClassVar[tuple[str, ...]]  # baselines that a classifier is tested against

    @property
    def horizon(self) -> int:
        """Sessions that the target reaches ahead."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that occur, in their order; empty for numbers, which are scaled."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a served model calls its numbers, in order."""

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """Columns of a prediction table that hold an answer; served models give the first ones."""

    def target(self, close: pd.Series, regime: pd.Series) -> pd.DataFrame:
        """(T, O) what the future brings, NaN where it is not known yet."""

    def other_target(self, target: Array) -> Array:
        """(n, O) targets, each another possible one: what the audit replaces the future with."""

    def loss(self, output: "Tensor", target: "Tensor", weights: "Tensor | None") -> "Tensor":
        """Mean loss of a network's raw output (B, O) that training minimises."""

    def weights(self, target: "Tensor") -> "Tensor | None":
        """Weights that balance the loss, where there is something to balance."""

    def accuracy(self, output: "Tensor", target: "Tensor") -> "Tensor":
        """Share of right answers in a batch; NaN where answers are not right or wrong."""

    def temperature(self, output: Array, target: Array) -> float:
        """What divides the raw output (N, O) so that its probabilities are calibrated; else 1."""

    def answer(self, output: "Tensor", scaler: Scaler, temperature: float) -> "Tensor":
        """The raw output in the question's own units: probabilities, or returns."""

    def output(self, answer: Array, scaler: Scaler, temperature: float) -> Array:
        """The raw output behind an answer: the inverse of `answer`, up to a constant a row."""

    def columns(self, truth: Array, answer: Array, current: Array) -> dict[str, Array]:
        """Columns of a prediction table: what came and what was predicted."""

    def named(self, answer: Array) -> dict[str, float | str]:
        """One answer as a served model gives it."""

    def baselines(self, basis: Basis) -> dict[str, Array]:
        """Simple predictions, in the shape of answers."""

    def truth(self, rows: pd.DataFrame) -> Array:
        """(N,) or (N, h) what came."""

    def predicted(self, rows: pd.DataFrame) -> Array:
        """(N, C) probabilities of the classes, or (N, h) returns."""

    def cost(self, rows: pd.DataFrame) -> Array:
        """(N,) what each prediction cost: 1 for a wrong class, or a squared error."""
