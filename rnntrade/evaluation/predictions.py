"""Reading a table of predictions, how well forecasts met what came, and intervals around them.

One row per source (the network, or a baseline), part, fold, ticker and decision; all sources have
the same ones.  Rows whose future is not known are left out.
truth, forecast  (N, h) simple returns of sessions t+1 .. t+h.  A multi-step forecast is judged
                 free-running: it never saw a return after t
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import ModelConfig
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
            half_width = conformal_half_width(residuals[known], INTERVAL_COVERAGE)
            result[places[key]] = half_width
    return result


def step_scores(truth: NDArray[np.float64], forecast: NDArray[np.float64]) -> pd.DataFrame:
    """(h, 4) by step 1 .. h: rmse, mae (return units), r2_zero, sign_accuracy.

    r2_zero        1 - MSE / MSE of forecasting 0; above 0 only if the forecast beats "no move"
    sign_accuracy  share of right signs where neither side is 0; NaN for a forecast that is always 0
    """
    error = forecast - truth
    mse = (error**2).mean(axis=0)
    of_zero = (truth**2).mean(axis=0)
    signed = (forecast != 0.0) & (truth != 0.0)
    right = (signed & (np.sign(forecast) == np.sign(truth))).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        table = {
            "rmse": np.sqrt(mse),
            "mae": np.abs(error).mean(axis=0),
            "r2_zero": np.where(of_zero > 0.0, 1.0 - mse / of_zero, np.nan),
            "sign_accuracy": right / signed.sum(axis=0),
        }
    return pd.DataFrame(table, index=pd.RangeIndex(1, truth.shape[1] + 1, name="step"))


def conformal_half_width(residuals: NDArray[np.float64], coverage: float) -> NDArray[np.float64]:
    """(h,) half widths of split-conformal intervals, from residuals that the fit has not seen.

    residuals  (n, h) truth - forecast on the validation part
    returns    the k-th smallest absolute residual, k = ceil((n + 1) coverage): covers at least
               that share of exchangeable futures; infinite where n is too small to promise it
    source     Lei et al. (2018), Distribution-Free Predictive Inference for Regression
    """
    n = len(residuals)
    k = math.ceil(round((n + 1) * coverage, 9))  # 10 x 0.9 must stay 9
    if k > n:
        return np.full(residuals.shape[1], np.inf)
    return np.asarray(np.sort(np.abs(residuals), axis=0)[k - 1], dtype=np.float64)


def interval_scores(
    truth: NDArray[np.float64], forecast: NDArray[np.float64], half_width: NDArray[np.float64]
) -> pd.DataFrame:
    """(h, 2) by step: the share of truths inside forecast ± half_width, and the mean width.

    half_width  (N, h) or (h,)
    """
    wide = np.broadcast_to(half_width, truth.shape)
    return pd.DataFrame(
        {
            "coverage": (np.abs(truth - forecast) <= wide).mean(axis=0),
            "mean_width": 2.0 * wide.mean(axis=0),
        },
        index=pd.RangeIndex(1, truth.shape[1] + 1, name="step"),
    )
