"""Predictions as a table: the one that runs record, and that everything after training reads."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.protocols import Objective
from rnntrade.types import FoldTargets, Rows, Samples


def prediction_table(
    source: str,
    part: str,
    objective: Objective,
    samples: Samples,
    targets: FoldTargets,
    rows: Rows,
    outputs: NDArray[np.float64],
) -> pd.DataFrame:
    """One row a prediction: who, which part, where, when, what came, what was said.

    rows     (n,) positions of samples; outputs (n, O) as `predict` and `baselines` give them
    """
    spans, truth = samples.spans[rows], samples.target[rows]
    columns: dict[str, object] = {
        "source": source,
        "part": part,
        "fold": targets.fold.number,
        "ticker": spans.ticker,
        "decision": spans.decision,
        "label_end": spans.label_end,
    }
    columns |= objective.columns(truth, outputs, targets.current[rows])
    return pd.DataFrame(columns)
