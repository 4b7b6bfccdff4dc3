"""What comparing all models of one question, or all strategies, came to."""

from dataclasses import dataclass

from rnntrade.evaluation.plain import plain_fields

OVERFITTING_NEEDED = 0.2  # below it a choice among strategies counts as not overfitted


@dataclass(frozen=True)
class Comparison:
    """Several models or strategies beside one benchmark, on the same sessions."""

    question: str  # "direction, 1 ahead", "strategies"
    benchmark: str  # whom the best of them has to beat
    models: tuple[str, ...]
    spa_p: float  # of "none is better than the benchmark" (Hansen, consistent); NaN: too short
    spa_range: tuple[float, float]  # its lower and upper variants
    better: tuple[str, ...]  # the models that StepM calls better
    overfitting: float  # probability of backtest overfitting; NaN for fewer than 2 configurations
    overfitting_band: tuple[float, float]  # of that probability, where there is nothing to choose
    note: str  # what was left out, and why; "" for nothing

    def to_json(self) -> dict[str, object]:
        """Everything as plain values, NaN as null."""
        return plain_fields(self)
