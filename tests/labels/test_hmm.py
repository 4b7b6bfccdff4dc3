import itertools
from time import perf_counter

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray
from scipy.stats import norm

from rnntrade.errors import DataError
from rnntrade.labels.hmm import HiddenMarkov, filter_hmm, fit_hmm

Array = NDArray[np.float64]

TWO = HiddenMarkov(
    means=(0.001, -0.001),
    deviations=(0.007, 0.02),
    transition=((0.98, 0.02), (0.06, 0.94)),
    start=(0.75, 0.25),
)
THREE = HiddenMarkov(
    means=(0.001, 0.0, -0.002),
    deviations=(0.005, 0.011, 0.03),
    transition=((0.97, 0.03, 0.0), (0.03, 0.96, 0.01), (0.0, 0.02, 0.98)),
    start=(0.5, 0.4, 0.1),
)


def simulate(model: HiddenMarkov, sessions: int, seed: int) -> tuple[Array, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    states = np.empty(sessions, dtype=int)
    chances = np.array(model.start)
    for t in range(sessions):
        states[t] = generator.choice(len(chances), p=chances)
        chances = np.array(model.transition[states[t]])
    noise = generator.normal(size=sessions)
    return np.array(model.means)[states] + np.array(model.deviations)[states] * noise, states


def in_library(model: HiddenMarkov) -> GaussianHMM:
    library = GaussianHMM(len(model.means), covariance_type="diag")
    library.startprob_, library.transmat_ = np.array(model.start), np.array(model.transition)
    library.means_ = np.array(model.means)[:, None]
    library.covars_ = np.array(model.deviations)[:, None] ** 2
    return library


def smoothed(model: HiddenMarkov, returns: Array) -> Array:
    """What must never be a label: hmmlearn's P(state_t | all returns)."""
    return np.asarray(in_library(model).predict_proba(returns[:, None]))


def by_enumeration(model: HiddenMarkov, returns: Array) -> Array:
    """P(last state | returns), summed over every path of states there is."""
    total = np.zeros(len(model.means))
    density = norm.pdf(returns[:, None], model.means, model.deviations)  # (T, S)
    for path in itertools.product(range(len(model.means)), repeat=len(returns)):
        chance = model.start[path[0]]
        for before, after in itertools.pairwise(path):
            chance *= model.transition[before][after]
        total[path[-1]] += chance * density[np.arange(len(path)), path].prod()
    return np.asarray(total / total.sum())


@pytest.mark.parametrize("model", [TWO, THREE])
def test_the_filter_is_the_sum_over_all_paths(model):
    returns, _ = simulate(model, 7, seed=0)
    found = filter_hmm(model, returns)
    for t in range(len(returns)):
        np.testing.assert_allclose(found[t], by_enumeration(model, returns[: t + 1]), rtol=1e-10)


def test_one_step_by_hand():
    model = HiddenMarkov((0.0, 0.0), (1.0, 2.0), ((0.9, 0.1), (0.2, 0.8)), (0.5, 0.5))
    first, second = filter_hmm(model, np.array([0.0, 0.0]))
    assert first == pytest.approx([2 / 3, 1 / 3])  # densities at 0 are as 1 to 1/2
    calm, wild = 2 / 3 * 0.9 + 1 / 3 * 0.2, 2 / 3 * 0.1 + 1 / 3 * 0.8
    assert second == pytest.approx(np.array([calm, wild / 2]) / (calm + wild / 2))


@pytest.mark.parametrize("model", [TWO, THREE])
def test_filtered_and_smoothed_agree_on_the_last_row_only(model):
    returns, _ = simulate(model, 400, seed=1)
    filtered, looking_ahead = filter_hmm(model, returns), smoothed(model, returns)
    np.testing.assert_allclose(filtered[-1], looking_ahead[-1], atol=1e-9)
    assert np.abs(filtered - looking_ahead).max(axis=1)[:-1].max() > 0.3
    assert (np.abs(filtered - looking_ahead).max(axis=1)[:-1] > 1e-6).mean() > 0.95


@pytest.mark.parametrize("model", [TWO, THREE])
def test_the_future_changes_no_row_by_a_single_bit(model):
    returns, _ = simulate(model, 300, seed=2)
    whole = filter_hmm(model, returns)
    for t in (0, 1, 150, 298):
        np.testing.assert_array_equal(filter_hmm(model, returns[: t + 1]), whole[: t + 1])
        for later in (returns[t + 1 :] * 1000.0, returns[t + 1 :] * 0.0, -returns[t + 1 :][::-1]):
            other = filter_hmm(model, np.concatenate([returns[: t + 1], later]))
            np.testing.assert_array_equal(other[: t + 1], whole[: t + 1])
    leaky = smoothed(model, returns)[:150]
    changed = smoothed(model, np.concatenate([returns[:150], returns[150:] * 10.0]))[:150]
    assert (leaky != changed).any()  # this test would see it


def test_a_return_that_no_state_expects_leaves_probabilities():
    found = filter_hmm(THREE, np.array([0.001, 999.0, 0.001, -0.99, 0.0]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert filter_hmm(TWO, np.array([0.001, -0.2]))[1, 1] > 0.999


@pytest.mark.parametrize("truth", [TWO, THREE])
def test_a_simulated_chain_is_found_again(truth):
    returns, states = simulate(truth, 6000, seed=3)
    found = fit_hmm(returns, len(truth.means))
    assert list(found.deviations) == sorted(found.deviations)
    np.testing.assert_allclose(found.deviations, truth.deviations, rtol=0.1)
    np.testing.assert_allclose(found.means, truth.means, atol=0.002)
    np.testing.assert_allclose(found.transition, truth.transition, atol=0.03)
    np.testing.assert_allclose(found.start @ np.array(found.transition), found.start)
    known = (filter_hmm(truth, returns).argmax(axis=1) == states).mean()
    assert (filter_hmm(found, returns).argmax(axis=1) == states).mean() > known - 0.02 > 0.8
    likelihood, of_truth = (in_library(each).score(returns[:, None]) for each in (found, truth))
    assert likelihood > of_truth


def test_the_same_seed_finds_the_same_bits_and_other_seeds_the_same_states():
    returns, _ = simulate(TWO, 1500, seed=4)
    found = fit_hmm(returns, 2, seed=1)
    assert fit_hmm(returns, 2, seed=1) == found
    other = fit_hmm(returns, 2, seed=2)
    np.testing.assert_allclose(other.deviations, found.deviations, rtol=1e-2)


def test_returns_that_cannot_be_told_apart_are_refused_with_a_cure():
    generator = np.random.default_rng(5)
    with pytest.raises(DataError, match=r"needs 300 sessions of training, there are 299"):
        fit_hmm(generator.normal(size=299), 3)
    with pytest.raises(DataError, match=r"all returns .* equal.*leave the ticker out"):
        fit_hmm(np.full(500, 0.01), 2)
    halted = np.concatenate([generator.normal(0, 0.01, 300), np.zeros(300)])
    with pytest.raises(DataError, match=r"stood still.*labels\.kind=rule"):
        fit_hmm(halted, 2)


def test_twenty_years_are_filtered_in_a_moment():
    returns, _ = simulate(THREE, 5000, seed=6)
    begun = perf_counter()
    filter_hmm(THREE, returns)
    assert perf_counter() - begun < 2.0  # 0.05 s measured on one core
