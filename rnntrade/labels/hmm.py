"""A Gaussian hidden Markov model of daily returns, and its forward filter.

Smoothed and Viterbi states (what hmmlearn's `predict_proba` and `predict` return) know the whole
series, and a label or a filter made of them looks wonderfully early.  So hmmlearn only finds the
parameters, from the training part; states come from the filter below, which at t has seen returns
up to t.  The filter is ours, since hmmlearn has none.

returns  (T,) simple returns of sessions; the model is in their units, per session
states   0 is the calmest, S-1 the most volatile
source   Hamilton (1989), Econometrica 57; Rabiner (1989), Proceedings of the IEEE 77
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from rnntrade.errors import DataError
from rnntrade.types import Array

SESSIONS_PER_STATE = 100  # fewer say little about a deviation
SMALLEST_DEVIATION = 1e-3  # share of the training part's; a state below it: prices stood still
ITERATIONS = 500
TOLERANCE = 1e-3  # of the log likelihood of the training part


@dataclass(frozen=True)
class HiddenMarkov:
    """S states with normally distributed returns; plain numbers, so that it can be stored."""

    means: tuple[float, ...]  # (S,)
    deviations: tuple[float, ...]  # (S,) ascending
    transition: tuple[tuple[float, ...], ...]  # (S, S) row: today's state, column: tomorrow's
    start: tuple[float, ...]  # (S,) before the first return: the chain's long-run shares


def fit_hmm(returns: Array, states: int, seed: int = 0, restarts: int = 8) -> HiddenMarkov:
    """Return the likeliest model of these returns that expectation maximisation finds.

    returns   (T,) of the training part, no more; all finite
    restarts  starts of the search, drawn with `seed`; the best likelihood wins, but for those that
              put a state on sessions without any move
    errors    DataError when there are too few returns, or they (or those of one state) never move
    """
    if len(returns) < states * SESSIONS_PER_STATE:
        raise DataError(
            f"a hidden Markov model of {states} states needs {states * SESSIONS_PER_STATE} "
            f"sessions of training, there are {len(returns)}.  Use an earlier start, fewer "
            "labels.states or labels.kind=rule."
        )
    centre, scale = float(returns.mean()), float(returns.std())
    if np.ptp(returns) == 0.0:
        raise DataError(
            "all returns of the training part are equal: there are no states to tell apart.  "
            "Check the prices, or leave the ticker out."
        )
    standard = ((returns - centre) / scale)[:, None]  # hmmlearn's priors expect deviations near 1
    generator = np.random.default_rng(seed)
    with threadpool_limits(limits=1):  # the same sums in the same order
        searched = [_search(standard, _start(states, generator)) for _ in range(restarts)]
    moving = [each for each in searched if each[1].covars_.min() > SMALLEST_DEVIATION**2]
    if not moving:
        raise DataError(
            "a state of the hidden Markov model has no volatility: prices stood still in many of "
            "the training sessions.  Check the prices, or use labels.kind=rule."
        )
    _, best = max(moving, key=lambda found: found[0])
    deviations = np.sqrt(best.covars_.reshape(states))
    order = np.argsort(deviations, kind="stable")
    transition = best.transmat_[order][:, order]
    return HiddenMarkov(
        means=tuple((centre + scale * best.means_[order, 0]).tolist()),
        deviations=tuple((scale * deviations[order]).tolist()),
        transition=tuple(map(tuple, transition.tolist())),
        start=tuple(_long_run(transition).tolist()),
    )


def filter_hmm(model: HiddenMarkov, returns: Array) -> Array:
    """Probability of each state given the returns so far: P(state_t | r_1 .. r_t).

    returns  (T,) all finite, beginning anywhere
    row t    sees returns up to and including t
    returns  (T, S), rows sum to 1

    In logarithms throughout: a crash that is impossible for a calm state underflows nothing.
    """
    deviations = np.array(model.deviations)
    distance = (returns[:, None] - np.array(model.means)) / deviations  # (T, S)
    density = -0.5 * distance**2 - np.log(deviations) - 0.5 * np.log(2.0 * np.pi)
    with np.errstate(divide="ignore"):  # log 0 = -inf: a transition that never happened
        transition, expected = np.log(model.transition), np.log(model.start)
    states = np.empty_like(density)
    for t in range(len(density)):
        joint = expected + density[t]
        states[t] = joint - np.logaddexp.reduce(joint)
        expected = np.logaddexp.reduce(states[t][:, None] + transition, axis=0)
    return np.asarray(np.exp(states))


def _search(standard: Array, start: dict[str, Array]) -> tuple[float, Any]:
    """Return (log likelihood, hmmlearn's model) where the search from `start` ends."""
    from hmmlearn.hmm import GaussianHMM  # takes seconds to import, and only fits need it

    model = GaussianHMM(
        n_components=len(start["startprob_"]),
        covariance_type="diag",
        n_iter=ITERATIONS,
        tol=TOLERANCE,
        covars_prior=SMALLEST_DEVIATION**2,  # the default hides a state that never moves
        init_params="",  # k-means would start every search at the same, by mean instead of spread
    )
    for name, value in start.items():
        setattr(model, name, value)
    model.fit(standard)
    return float(model.score(standard)), model


def _start(states: int, generator: np.random.Generator) -> dict[str, Array]:
    """Where a search begins: states of different spread that last for weeks or months."""
    stay = generator.uniform(0.9, 0.99, states)
    leave = (1.0 - stay) / (states - 1)
    spread = np.linspace(0.6, 2.0, states) * generator.uniform(0.7, 1.4, states)
    return {
        "startprob_": np.full(states, 1.0 / states),
        "transmat_": np.where(np.eye(states) == 1.0, stay[:, None], leave[:, None]),
        "means_": generator.normal(0.0, 0.1, (states, 1)),
        "covars_": spread[:, None] ** 2,
    }


def _long_run(transition: Array) -> Array:
    """Shares of time in each state, (S,): a history may begin anywhere, not where training did."""
    states = len(transition)
    equations = np.vstack([transition.T - np.eye(states), np.ones(states)])
    solution = np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0))[0]
    shares = np.clip(solution, 0.0, None)
    return np.asarray(shares / shares.sum())
