"""What a network must beat: simple predictions for the same samples, in the network's own shape.

All are fitted on the training samples of a fold whose future is known, and nothing else.  Inputs of
the fitted ones are standardised as the network's are; those that tell classes apart get their
temperature from the validation part, as the network does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from rnntrade.errors import DataError
from rnntrade.models.calibration import fit_temperature, temper
from rnntrade.protocols import Objective
from rnntrade.samples.scaling import fit_scaler, standardise
from rnntrade.samples.windows import gather
from rnntrade.types import REGIMES, Fold, Rows, Samples

Array = NDArray[np.float64]

INVERSE_PENALTY = 0.1  # of logistic regressions: neighbours in a window say nearly the same
SMALLEST = 1e-6  # probability of what was never seen
RIDGE_PENALTY = 100.0  # squared standardised inputs; shrinks, as returns are nearly unpredictable


def baselines(
    objective: Objective,
    samples: Samples,
    fold: Fold,
    rows: Rows,
    *,
    current: Array | None = None,
    last_return: Array | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """Return each baseline's predictions for the chosen samples.

    rows         (n,) positions of samples; their targets are not read
    current      (N,) regime of each sample's decision, NaN where unknown; for regime
    last_return  (N,) return of each sample's decision; for AR(1), which is left out without it
    seed         of gradient boosting, below 2^32
    returns      name -> (n, C) in the shape of the objective's answers
    errors       DataError when no training sample has a known future
    """
    training = fold.training[np.isfinite(samples.target[fold.training]).all(axis=1)]
    if len(training) == 0:
        raise DataError(f"fold {fold.number}: no training samples to fit baselines on.")
    with threadpool_limits(limits=1):
        return objective.baselines(
            samples, fold, training, rows, current=current, last_return=last_return, seed=seed
        )


def transition_matrix(current: Array, future: Array, classes: int) -> Array:
    """Return P[i, j], the chance of class j in h sessions after class i today.

    current, future  (n,) classes; pairs with a NaN are left out
    returns          (classes, classes), rows sum to 1; one made-up count in each cell (Laplace), so
                     that nothing is impossible, and a class never left is uniform
    """
    known = np.isfinite(current) & np.isfinite(future)
    counts = np.ones((classes, classes))
    np.add.at(counts, (current[known].astype(int), future[known].astype(int)), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def autoregression(today: Array, tomorrow: Array) -> tuple[float, float]:
    """Return the least-squares (a, b) of tomorrow = a + b × today."""
    known = np.isfinite(today) & np.isfinite(tomorrow)
    if not known.any() or np.ptp(today[known]) == 0.0:
        return float(np.mean(tomorrow[known])) if known.any() else 0.0, 0.0
    coefficient, constant = np.polyfit(today[known], tomorrow[known], deg=1)
    return float(constant), float(coefficient)


def regime_baselines(
    samples: Samples, fold: Fold, training: Rows, rows: Rows, current: Array, seed: int
) -> dict[str, Array]:
    """(n, 4) probabilities: majority, persistence, Markov chain, regressions, boosting."""
    classes = len(REGIMES)
    target = samples.target[training, 0]
    frequencies = np.bincount(target.astype(int), minlength=classes) / len(target)  # (4,)
    chain = transition_matrix(current[training], target, classes)
    today = current[rows]
    known = np.isfinite(today)
    state = np.where(known, today, 0).astype(int)  # (n,)
    unknown = np.tile(frequencies, (len(rows), 1))  # a regime not known today: as the majority
    return {
        "majority": unknown,
        "persistence": np.where(known[:, None], np.eye(classes)[state], unknown),
        "markov_chain": np.where(known[:, None], chain[state], unknown),
        **_classifiers(samples, fold, training, rows, classes, seed),
    }


def direction_baselines(
    samples: Samples, fold: Fold, training: Rows, rows: Rows, seed: int
) -> dict[str, Array]:
    """(n, 1) probability of a rise: majority, buy and hold, regressions, boosting."""
    frequency = float(samples.target[training, 0].mean())
    fitted = _classifiers(samples, fold, training, rows, 2, seed)
    return {
        "majority": np.full((len(rows), 1), frequency),
        "buy_and_hold": np.ones((len(rows), 1)),
        **{name: probabilities[:, 1:] for name, probabilities in fitted.items()},
    }


def return_baselines(
    samples: Samples, training: Rows, rows: Rows, last_return: Array | None
) -> dict[str, Array]:
    """(n, O) returns: zero, training mean, ridge regression on the window, AR(1)."""
    target = samples.target[training]  # (n_training, O)
    found = {
        "zero": np.zeros((len(rows), target.shape[1])),
        "mean": np.tile(target.mean(axis=0), (len(rows), 1)),
        "ridge_window": _ridge(samples, training, rows),
    }
    if last_return is None:
        return found
    constant, coefficient = autoregression(last_return[training], target[:, 0])
    steps, previous = [], np.nan_to_num(last_return[rows])
    for _ in range(target.shape[1]):
        previous = constant + coefficient * previous
        steps.append(previous)
    return {**found, "ar1": np.stack(steps, axis=1)}


def _classifiers(
    samples: Samples, fold: Fold, training: Rows, rows: Rows, classes: int, seed: int
) -> dict[str, Array]:
    """Return (n, classes) calibrated probabilities of each fitted classifier."""
    target = samples.target[training, 0].astype(int)
    asked = np.concatenate([rows, fold.validation])
    last, last_asked = _inputs(samples, training, asked, lookback=1)
    window, window_asked = _inputs(samples, training, asked, samples.lookback)
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second to import
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression(C=INVERSE_PENALTY, solver="newton-cholesky")
    boosting = HistGradientBoostingClassifier(
        max_leaf_nodes=15, early_stopping=False, random_state=seed
    )
    said = {
        "logistic_last": _fit_and_ask(logistic, last, target, last_asked, classes),
        "logistic_window": _fit_and_ask(logistic, window, target, window_asked, classes),
        "gradient_boosting": _fit_and_ask(boosting, last, target, last_asked, classes),
    }
    truth = samples.target[fold.validation, 0]
    return {
        name: _calibrated(found[: len(rows)], found[len(rows) :], truth)
        for name, found in said.items()
    }


def _calibrated(probabilities: Array, validation: Array, truth: Array) -> Array:
    """Return the probabilities at the temperature that suits the validation part."""
    certain = np.clip(validation, SMALLEST, 1.0)  # a class that training never saw
    return temper(probabilities, fit_temperature(np.log(certain), truth))


def _fit_and_ask(model: Any, x: Array, target: Rows, asked: Array, classes: int) -> Array:
    """Return probabilities of all classes; one that training never saw has none."""
    probabilities = np.zeros((len(asked), classes))
    seen = np.unique(target)
    if len(seen) == 1:
        probabilities[:, seen[0]] = 1.0
    elif len(asked):
        probabilities[:, seen] = model.fit(x, target).predict_proba(asked)
    return probabilities


def _ridge(samples: Samples, training: Rows, rows: Rows) -> Array:
    from sklearn.linear_model import Ridge

    x, asked = _inputs(samples, training, rows, samples.lookback)
    target = samples.target[training]
    if len(asked) == 0:
        return np.zeros((0, target.shape[1]))
    fitted = Ridge(alpha=RIDGE_PENALTY).fit(x, target).predict(asked)
    return np.asarray(fitted).reshape(len(rows), -1)


def _inputs(samples: Samples, training: Rows, rows: Rows, lookback: int) -> tuple[Array, Array]:
    """Return standardised windows laid flat, (·, lookback × F), to fit on and to ask about."""
    scaled = standardise(samples.rows, fit_scaler(samples, training, scale_target=False))
    flat = [
        gather(scaled, samples.last[chosen], lookback).reshape(len(chosen), -1).astype(float)
        for chosen in (training, rows)
    ]
    return flat[0], flat[1]
