import itertools

import numpy as np
import pandas as pd
import pytest
from jumpmodels.jump import JumpModel
from numpy.typing import NDArray

from rnntrade.errors import DataError
from rnntrade.labels.jump import (
    CLIP,
    JumpStates,
    filter_jump,
    fit_jump,
    jump_features,
)

PLAIN = JumpStates((0.0, 0.0), (1.0, 1.0), ((-1.0, 0.0), (1.0, 0.5)), 2.0)


def calm_and_wild(sessions: int = 1300, seed: int = 0) -> tuple[pd.Series, NDArray[np.int64]]:
    """Returns that alternate between two years of calm and one of fall."""
    generator = np.random.default_rng(seed)
    wild = (np.arange(sessions) % 600) >= 400
    returns = np.where(wild, -0.003, 0.001) + np.where(wild, 0.025, 0.006) * generator.normal(
        size=sessions
    )
    return pd.Series(returns, pd.bdate_range("2010-01-01", periods=sessions)), wild.astype(int)


def fitted(returns: pd.Series, states: int = 2, penalty: float = 50.0) -> JumpStates:
    features = jump_features(returns).dropna()
    known = returns.loc[features.index].to_numpy()
    return fit_jump(features.to_numpy(), known, states, penalty, restarts=3)


def library(model: JumpStates) -> JumpModel:
    """The package's own model with our numbers in it."""
    other = JumpModel(len(model.centres), jump_penalty=model.penalty)
    other.check_jump_penalty_mx()
    other.centers_, other.feat_weights = np.array(model.centres), None
    return other


def scaled(model: JumpStates, features: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip((features - np.array(model.mean)) / np.array(model.deviation), -CLIP, CLIP)


def test_a_jump_waits_until_it_pays():
    # A row at the other centre saves (2² + 0.5²) / 2 = 2.125 > 2; one between them saves less.
    there, back = (1.0, 0.5), (-1.0, 0.0)
    assert filter_jump(PLAIN, np.array([back, there, back, back])).tolist() == [0, 1, 0, 0]
    dear = JumpStates(PLAIN.mean, PLAIN.deviation, PLAIN.centres, 4.0)
    assert filter_jump(dear, np.array([back, there, there, there])).tolist() == [0, 0, 1, 1]


def test_each_row_is_the_end_of_the_cheapest_of_all_paths():
    features = np.random.default_rng(0).normal(0.0, 1.5, (9, 2))
    found = filter_jump(PLAIN, features)
    centres = np.array(PLAIN.centres)
    for t in range(len(features)):
        costs = {}
        for path in itertools.product((0, 1), repeat=t + 1):
            distance = 0.5 * ((features[: t + 1] - centres[list(path)]) ** 2).sum()
            costs[path] = distance + PLAIN.penalty * np.count_nonzero(np.diff(path))
        assert found[t] == min(costs, key=lambda path: costs[path])[-1]
    assert 0 < found.sum() < len(found)


@pytest.mark.parametrize(("states", "penalty"), [(2, 50.0), (3, 20.0), (2, 0.0)])
def test_it_is_the_online_prediction_of_the_authors_package(states, penalty):
    returns, _ = calm_and_wild()
    model = fitted(returns, states, penalty)
    features = jump_features(returns).dropna().to_numpy()
    online = library(model).predict_online(scaled(model, features))
    np.testing.assert_array_equal(filter_jump(model, features), online)


def test_neither_ours_nor_the_packages_online_states_see_the_future_but_its_fitted_ones_do():
    returns, _ = calm_and_wild()
    model = fitted(returns.iloc[:800])
    features = jump_features(returns).dropna().to_numpy()
    package = library(model)
    online, ours = (
        package.predict_online(scaled(model, features)),
        filter_jump(model, features),
    )
    traced, repainted = package.predict(scaled(model, features)), 0
    for t in range(300, 1200, 50):
        for later in (features[t + 1 :] * -5.0, features[t + 1 :] * 0.0, features[:0]):
            other = np.concatenate([features[: t + 1], later])
            np.testing.assert_array_equal(filter_jump(model, other)[: t + 1], ours[: t + 1])
            again = package.predict_online(scaled(model, other))
            np.testing.assert_array_equal(again[: t + 1], online[: t + 1])
            repainted += (package.predict(scaled(model, other))[: t + 1] != traced[: t + 1]).any()
    assert repainted > 0


def test_features_by_hand():
    returns, _ = calm_and_wild(100)
    features = jump_features(returns)
    assert features.iloc[:59].isna().all().all()
    assert features.iloc[59:].notna().all().all()
    t = 70
    age = np.arange(t, -1, -1)
    r = returns.to_numpy()[: t + 1]

    def mean(values: NDArray[np.float64], half_life: int) -> float:
        return float(np.average(values, weights=0.5 ** (age / half_life)))

    falls = np.minimum(r, 0.0) ** 2
    expected = [
        np.sqrt(mean(falls, 10)),
        mean(r, 20) / np.sqrt(mean(falls, 20)),
        mean(r, 60) / np.sqrt(mean(falls, 60)),
    ]
    np.testing.assert_allclose(features.iloc[t], expected)


def test_the_future_changes_no_feature_by_a_single_bit():
    returns, _ = calm_and_wild(400)
    whole = jump_features(returns)
    for t in (59, 60, 250, 398):
        other = returns.copy()
        other.iloc[t + 1 :] *= 1000.0
        for future in (other, returns.iloc[: t + 1]):
            found = jump_features(future).iloc[: t + 1]
            pd.testing.assert_frame_equal(found, whole.iloc[: t + 1], check_exact=True)


def test_prices_that_never_fell_have_no_features():
    returns = pd.Series(np.full(100, 0.01), pd.bdate_range("2010-01-01", periods=100))
    assert jump_features(returns).isna().all().all()


def test_states_of_a_simulated_market_are_found_again_calm_first():
    returns, wild = calm_and_wild(2400)
    features = jump_features(returns).dropna()
    truth = wild[-len(features) :]
    jumps = []
    for penalty in (0.0, 10.0, 50.0):
        model = fitted(returns.iloc[:1200], 2, penalty)
        found = filter_jump(model, features.to_numpy())
        assert (found == truth).mean() > 0.75  # its features lag a change by some weeks
        assert model.centres[0][0] < model.centres[1][0]  # downside deviation
        jumps.append(np.count_nonzero(np.diff(found)))
    assert jumps[0] > jumps[1] > jumps[2] >= np.count_nonzero(np.diff(truth))


def test_one_seed_gives_one_model():
    returns, _ = calm_and_wild()
    model = fitted(returns)
    assert fitted(returns) == model


def test_features_that_cannot_be_told_apart_are_refused_with_a_cure():
    generator = np.random.default_rng(5)
    features = generator.normal(size=(400, 3))
    with pytest.raises(DataError, match=r"needs 300 sessions .* there are 299"):
        fit_jump(features[:299], features[:299, 0], 3, 50.0)
    with pytest.raises(DataError, match="never moves"):
        fit_jump(np.ones((400, 3)), features[:, 0], 2, 50.0)
    with pytest.raises(DataError, match=r"fewer than 2 states.*Lower labels\.jump_penalty"):
        fit_jump(features, features[:, 0], 2, 1e6)
