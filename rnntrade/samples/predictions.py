"""Predictions as a table: the one that runs record, and that everything after training reads."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import Task
from rnntrade.samples.files import FoldTargets
from rnntrade.types import Rows, Samples


def prediction_table(
    source: str,
    part: str,
    task: Task,
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
    steps = range(truth.shape[1])
    if task in ("return", "forecast"):
        columns |= {f"truth_{step + 1}": truth[:, step] for step in steps}
        columns |= {f"r_{step + 1}": outputs[:, step] for step in steps}
    elif task == "direction":
        columns |= {"truth": truth[:, 0], "p_up": outputs[:, 0]}
    else:
        columns |= {"truth": truth[:, 0], "current": targets.current[rows]}
        columns |= {f"p_{regime}": outputs[:, regime] for regime in range(outputs.shape[1])}
    return pd.DataFrame(columns)
