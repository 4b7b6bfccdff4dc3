"""Reading a table of predictions: whose, which part, and only what can be judged.

One row per source (the network, or a baseline), part, fold, ticker and decision; all sources have
the same ones.  Rows whose future is not known are left out.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import ModelConfig
from rnntrade.evaluation import forecasts
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective

KEYS = ["fold", "ticker", "decision"]
INTERVAL_COVERAGE = 0.9  # of the conformal intervals around forecasts


def known_rows(
    predictions: pd.DataFrame, source: str, part: str, objective: Objective
) -> pd.DataFrame:
    """One source's rows of one part whose whole future is known, by fold, ticker and decision."""
    rows = predictions[(predictions["source"] == source) & (predictions["part"] == part)]
    truth = objective.truth(rows)
    known = np.flatnonzero(np.isfinite(truth if truth.ndim > 1 else truth[:, None]).all(axis=1))
    return rows.iloc[known].sort_values(KEYS, kind="stable", ignore_index=True)


def rows_by_source(
    predictions: pd.DataFrame, part: str, model: ModelConfig
) -> dict[str, pd.DataFrame]:
    """Rows by source, the network first; empty where the part has no known future (validation)."""
    names = [str(name) for name in predictions["source"].unique()]
    if model.name not in names or len(names) < 2:
        raise ValueError(
            f"{model.name}: predictions need its own rows and a baseline's, got {names}"
        )
    ordered = [model.name, *(name for name in names if name != model.name)]
    objective = objective_of(model)
    by_source = {name: known_rows(predictions, name, part, objective) for name in ordered}
    first = by_source[model.name]
    for name, rows in by_source.items():
        if not rows[KEYS].equals(first[KEYS]):
            raise ValueError(f"{model.name}: {name} was not predicted for the same {part} rows")
    if first.empty and part == "test":
        raise ValueError(f"{model.name}: no test row has a known future")
    return by_source if len(first) else {}


def conformal_half_widths(
    objective: Objective, validation: pd.DataFrame, rows: pd.DataFrame, cumulative: bool = False
) -> NDArray[np.float64]:
    """(N, h) half width of the 90 % interval of each forecast in `rows`.

    Each fold and ticker has its own, from its own validation residuals: tickers move unequally.
    cumulative  of the compounded return over steps 1 .. k instead of that of step k
    returns     NaN where the fold and ticker have no validation row
    """
    truth, forecast = objective.truth(validation), objective.predicted(validation)
    residuals = truth - forecast
    if cumulative:
        residuals = np.cumprod(1.0 + truth, axis=1) - np.cumprod(1.0 + forecast, axis=1)
    result = np.full((len(rows), truth.shape[1]), np.nan)
    group = ["fold", "ticker"]
    places = rows.groupby(group, sort=False).indices
    for key, known in validation.groupby(group, sort=False).indices.items():
        if key in places:
            half_width = forecasts.conformal_half_width(residuals[known], INTERVAL_COVERAGE)
            result[places[key]] = half_width
    return result
