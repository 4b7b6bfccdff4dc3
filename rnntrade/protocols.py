"""What a part of the chain must offer to be used by name: the extension points.

N samples, O outputs of a network, C classes, h horizon, T sessions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.types import Fold, Rows, Samples, Scaler

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoreTables:
    """How well predictions met what came, in tables; None where a kind has no such table."""

    scores: pd.DataFrame  # (sources, scores), the network first
    classes: pd.DataFrame | None = None  # precision, recall, f1, support by class
    confusion: pd.DataFrame | None = None  # counts, true in rows
    reliability: pd.DataFrame | None = None  # by bin: low, high, confidence, accuracy, count
    steps: pd.DataFrame | None = None  # by source and step: rmse, mae, r2_zero, sign_accuracy
    coverage: pd.DataFrame | None = None  # by step: coverage and mean width of 90 % intervals


class Objective(Protocol):
    """What a model is asked: its target, its loss, its baselines, and how it is judged.

    rows   of a prediction table: one source, one part
    tests  of a network against a rival: (rival, name, statistic, one-sided p-value, detail)
    """

    @property
    def horizon(self) -> int:
        """Sessions that the target reaches ahead."""

    @property
    def traded(self) -> bool:
        """Whether the answer is the probability of a rise, which strategies trade."""

    @property
    def needs_regimes(self) -> bool:
        """Whether the target is made of a fold's regimes, so that what the fold learned matters."""

    @property
    def scales_target(self) -> bool:
        """Whether targets are standardised for training."""

    @property
    def score(self) -> Literal["accuracy", "rmse"]:
        """Name of the score that the mean cost is reported as."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a served model calls its numbers, in order."""

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

    def baselines(
        self,
        samples: Samples,
        fold: Fold,
        training: Rows,
        rows: Rows,
        *,
        current: Array | None,
        last_return: Array | None,
        seed: int,
    ) -> dict[str, Array]:
        """Simple predictions for `rows`, fitted on `training`, in the shape of answers."""

    def truth(self, rows: pd.DataFrame) -> Array:
        """(N,) or (N, h) what came."""

    def predicted(self, rows: pd.DataFrame) -> Array:
        """(N, C) probabilities of the classes, or (N, h) returns."""

    def cost(self, rows: pd.DataFrame) -> Array:
        """(N,) what each prediction cost: 1 for a wrong class, or a squared error."""

    def tables(
        self, test: Mapping[str, pd.DataFrame], validation: pd.DataFrame | None, name: str
    ) -> ScoreTables:
        """Scores of every source's rows, and of the network `name` the rest."""

    def tests(
        self, test: Mapping[str, pd.DataFrame], name: str
    ) -> Sequence[tuple[str, str, float, float, str]]:
        """Significance tests of the network against its rivals."""

    def power(self, smallest: float, sessions: int, confidence: float) -> str:
        """The smallest edge that so many sessions could have shown, as a phrase."""
