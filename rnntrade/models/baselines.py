"""What a network must beat: simple predictions for the same samples, in the network's own shape.

All are fitted on the training samples of a fold whose future is known, and nothing else.  Inputs of
the fitted ones are standardised as the network's are; those that tell classes apart get their
temperature from the validation part, as the network does.
"""

from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from rnntrade.models.calibration import fit_temperature, temper
from rnntrade.protocols import Basis, Objective
from rnntrade.samples.windows import fit_scaler, gather, standardise
from rnntrade.types import REGIMES, Array, Rows

INVERSE_PENALTY = 0.1  # of logistic regressions: neighbours in a window say nearly the same
SMALLEST = 1e-6  # probability of what was never seen
RIDGE_PENALTY = 100.0  # squared standardised inputs; shrinks, as returns are nearly unpredictable


def baselines(objective: Objective, basis: Basis) -> dict[str, Array]:
    """Each baseline's predictions by name, (n, C) in the shape of the objective's answers."""
    with threadpool_limits(limits=1):
        return objective.baselines(basis)


def transition_matrix(current: Array, future: Array, classes: int) -> Array:
    """Return P[i, j], the chance of class j in h sessions after class i today.

    Pairs of (n,) classes with a NaN are left out; one made-up count in each cell (Laplace), so that
    nothing is impossible, and a class never left is uniform.
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


def regime_baselines(basis: Basis) -> dict[str, Array]:
    """(n, 4) probabilities: majority, persistence, Markov chain, regressions, boosting."""
    classes, target = len(REGIMES), basis.target[:, 0]
    frequencies = np.bincount(target.astype(int), minlength=classes) / len(target)  # (4,)
    chain = transition_matrix(basis.current[basis.training], target, classes)
    today = basis.current[basis.rows]
    known = np.isfinite(today)
    state = np.where(known, today, 0).astype(int)  # (n,)
    unknown = np.tile(frequencies, (len(today), 1))  # a regime not known today: as the majority
    return {
        "majority": unknown,
        "persistence": np.where(known[:, None], np.eye(classes)[state], unknown),
        "markov_chain": np.where(known[:, None], chain[state], unknown),
        **_classifiers(basis, classes),
    }


def direction_baselines(basis: Basis) -> dict[str, Array]:
    """(n, 1) probability of a rise: majority, buy and hold, regressions, boosting."""
    n = len(basis.rows)
    return {
        "majority": np.full((n, 1), float(basis.target[:, 0].mean())),
        "buy_and_hold": np.ones((n, 1)),
        **{name: both[:, 1:] for name, both in _classifiers(basis, 2).items()},
    }


def return_baselines(basis: Basis) -> dict[str, Array]:
    """(n, O) returns: zero, training mean, ridge regression on the window, AR(1)."""
    target, n = basis.target, len(basis.rows)
    ridge = np.zeros((0, target.shape[1]))
    if n:
        from sklearn.linear_model import Ridge

        x, new = _inputs(basis, basis.rows, basis.samples.lookback)
        ridge = Ridge(alpha=RIDGE_PENALTY).fit(x, target).predict(new)
    predictions = {
        "zero": np.zeros((n, target.shape[1])),
        "mean": np.tile(target.mean(axis=0), (n, 1)),
        "ridge_window": np.asarray(ridge).reshape(n, -1),
    }
    if basis.last_return is None:
        return predictions
    constant, coefficient = autoregression(basis.last_return[basis.training], target[:, 0])
    steps, previous = [], np.nan_to_num(basis.last_return[basis.rows])
    for _ in range(target.shape[1]):
        previous = constant + coefficient * previous
        steps.append(previous)
    return {**predictions, "ar1": np.stack(steps, axis=1)}


def _classifiers(basis: Basis, classes: int) -> dict[str, Array]:
    """Return (n, classes) probabilities of each fitted classifier, calibrated on the validation.

    A class that training never saw has none.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second to import
    from sklearn.linear_model import LogisticRegression

    target, validation, n = basis.target[:, 0].astype(int), basis.fold.validation, len(basis.rows)
    new = np.concatenate([basis.rows, validation])
    last = _inputs(basis, new, lookback=1)
    window = _inputs(basis, new, basis.samples.lookback)
    logistic = partial(LogisticRegression, C=INVERSE_PENALTY, solver="newton-cholesky")
    boosting = HistGradientBoostingClassifier(
        max_leaf_nodes=15, early_stopping=False, random_state=basis.seed
    )
    seen, calibrated = np.unique(target), {}
    for name, model, (x, asked) in (
        ("logistic_last", logistic(), last),
        ("logistic_window", logistic(), window),
        ("gradient_boosting", boosting, last),
    ):
        probabilities = np.zeros((len(asked), classes))
        if len(seen) == 1:
            probabilities[:, seen[0]] = 1.0
        elif len(asked):
            probabilities[:, seen] = model.fit(x, target).predict_proba(asked)
        certain = np.log(np.clip(probabilities[n:], SMALLEST, 1.0))
        temperature = fit_temperature(certain, basis.samples.target[validation, 0])
        calibrated[name] = temper(probabilities[:n], temperature)
    return calibrated


def _inputs(basis: Basis, rows: Rows, lookback: int) -> tuple[Array, Array]:
    """Return standardised windows laid flat, (·, lookback × F), to fit on and to ask about."""
    samples, training = basis.samples, basis.training
    scaled = standardise(samples.rows, fit_scaler(samples, training, scale_target=False))
    known, new = (
        gather(scaled, samples.last[chosen], lookback).reshape(len(chosen), -1).astype(float)
        for chosen in (training, rows)
    )
    return known, new
