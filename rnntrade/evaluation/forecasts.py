"""How well forecast returns met what came, step by step, and intervals around them.

truth, forecast  (N, h) simple returns of sessions t+1 .. t+h, every one known
A multi-step forecast is judged free-running: it never saw a return after t.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray


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
