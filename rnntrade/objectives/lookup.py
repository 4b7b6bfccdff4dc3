"""Objectives by name.  Adding one is adding a file and a line."""

from collections.abc import Callable, Mapping

from rnntrade.config import ModelConfig
from rnntrade.objectives.direction import Direction
from rnntrade.objectives.regime import Regime
from rnntrade.objectives.returns import Returns
from rnntrade.protocols import Objective
from rnntrade.types import REGIMES

OBJECTIVES: Mapping[str, Callable[[int, tuple[str, ...]], Objective]] = {
    "regime": Regime,
    "direction": Direction,
    "return": Returns,
    "forecast": Returns,
}


def objective_of(model: ModelConfig, regimes: tuple[str, ...] = REGIMES) -> Objective:
    """What the model is asked.

    regimes  names of the classes, as the labels give them
    """
    return find_objective(model.task, model.horizon, regimes)


def find_objective(name: str, horizon: int, regimes: tuple[str, ...] = REGIMES) -> Objective:
    """The objective of that name."""
    return OBJECTIVES[name](horizon, regimes)
