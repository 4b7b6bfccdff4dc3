"""Temperature: how sure a classifier may be, learned on the validation part of its fold.

One number divides all logits, so what is predicted stays; only how sure it sounds changes.
"""

import numpy as np
from scipy.special import log_softmax

from rnntrade.types import Array

LOWEST, HIGHEST = 0.1, 10.0


def fit_temperature(logits: Array, target: Array) -> float:
    """Return the temperature with the lowest mean log loss, between 0.1 and 10.

    logits   (n, C) of classes, up to a constant a row: log-probabilities will do; or (n, 1), the
             log-odds of class 1
    target   (n,) classes 0 .. C-1; rows with a NaN are left out
    returns  1.0 (as it is) where no target is known
    source   Guo et al. (2017), On Calibration of Modern Neural Networks
    """
    from scipy.optimize import minimize_scalar  # takes a second to import, and only fits need it

    known = np.isfinite(target) & np.isfinite(logits).all(axis=1)
    if not known.any():
        return 1.0
    scores = np.asarray(logits[known], dtype=float)
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    rows, true = np.arange(len(scores)), target[known].astype(int)

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, true].mean())

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def temper(probabilities: Array, temperature: float) -> Array:
    """(n, C) probabilities at another temperature; impossible stays impossible."""
    with np.errstate(divide="ignore"):
        scaled = np.log(probabilities) / temperature
    return np.asarray(np.exp(log_softmax(scaled, axis=1)), dtype=np.float64)
