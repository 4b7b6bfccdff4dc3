"""What a report is made of: the results of a run, and the pieces of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.audit.findings import AuditReport
from rnntrade.config import Experiment
from rnntrade.evaluation.compare import Comparison
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.types import Books, Fit, Prices


@dataclass(frozen=True, eq=False)
class StrategyContents:
    """One strategy: its decisions and its money, and how they are judged."""

    books: Books
    evaluation: StrategyEvaluation


@dataclass(frozen=True, eq=False)
class AttentionExample:
    """Where one network looked in one window."""

    model: str
    ticker: str
    sessions: pd.DatetimeIndex  # (L,)
    weights: NDArray[np.float64]  # (L,) sum to 1
    window: NDArray[np.float64]  # (L, F) standardised features
    names: tuple[str, ...]  # (F,)


@dataclass(frozen=True, eq=False)
class ReportContents:
    """Everything that a report shows; mappings are shown in their order."""

    experiment: Experiment
    provenance: Mapping[str, str]  # fingerprint, git commit, device, versions ... in words
    prices: Prices
    features: Mapping[str, pd.DataFrame]  # ticker -> (T, F)
    regimes: pd.DataFrame  # (T, K) class 0 .. 3, NaN unknown
    fits: Mapping[str, Sequence[Fit]]  # by model
    predictions: Mapping[str, pd.DataFrame]  # by model
    evaluations: Mapping[str, ModelEvaluation]  # by model
    strategies: Mapping[str, StrategyContents]
    attention: AttentionExample | None = None
    findings: Sequence[str] = ()  # what the checks of the data found
    audit: AuditReport | None = None  # None: nobody looked for leaks
    comparison: Mapping[str, Comparison] | None = None  # by question
    holdout: str = ""  # what became of the final holdout, in words; "" where none was set aside
