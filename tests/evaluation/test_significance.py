import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rnntrade.evaluation.significance import (
    binomial_by_session,
    diebold_mariano,
    ledoit_wolf_sharpe,
    mcnemar_by_session,
    pesaran_timmermann_by_session,
)

TICKERS = 3


def overlapping(rng: np.random.Generator, sessions: int, horizon: int) -> np.ndarray:
    """(sessions, 3) sums over `horizon` sessions of noise that tickers share for nine tenths."""
    length = sessions + horizon - 1
    shared = rng.normal(size=(length, 1)) * 0.9**0.5
    own = rng.normal(size=(length, TICKERS)) * 0.1**0.5
    total = np.vstack([np.zeros((1, TICKERS)), np.cumsum(shared + own, axis=0)])
    return (total[horizon:] - total[:-horizon]) / horizon**0.5


def sessions_of(table: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(table)), TICKERS)


def two_without_difference(rng, sessions, horizon):
    """Regimes 20 ahead and two models that know nothing of them, whether each was right."""
    truth, model, rival = (
        np.digitize(overlapping(rng, sessions, horizon), [-0.6, 0.0, 0.6]) for _ in range(3)
    )
    return (model == truth).ravel(), (rival == truth).ravel(), sessions_of(truth)


# McNemar ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_block_signs_agree_with_trying_them_all(seed):
    rng = np.random.default_rng(seed)
    model, rival = rng.random((60, 2)) < 0.6, rng.random((60, 2)) < 0.45
    session = np.repeat(pd.bdate_range("2024-01-01", periods=60), 2)
    found = mcnemar_by_session(model.ravel(), rival.ravel(), session, 2)  # blocks of 6 sessions
    blocks = (model.astype(int) - rival).sum(axis=1).reshape(10, 6).sum(axis=1)
    drawn = np.array(list(product([-1, 1], repeat=10))) @ blocks
    assert found.p_better == pytest.approx((drawn >= blocks.sum()).mean())
    shuffled = rng.permutation(120)
    assert found == mcnemar_by_session(
        model.ravel()[shuffled], rival.ravel()[shuffled], session[shuffled], 2
    )


def test_block_signs_keep_their_size_where_the_plain_test_does_not():
    rng = np.random.default_rng(0)
    plain, blocks = [], []
    for _ in range(200):
        model, rival, session = two_without_difference(rng, 440, 20)
        wins, losses = int((model & ~rival).sum()), int((rival & ~model).sum())
        plain.append(stats.binomtest(wins, wins + losses).pvalue <= 0.05)  # McNemar's own, exact
        blocks.append(mcnemar_by_session(model, rival, session, 20).p_better <= 0.05)
    assert np.mean(plain) > 0.4
    assert np.mean(blocks) < 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


def test_block_signs_see_a_model_that_is_better():
    rng = np.random.default_rng(1)
    model, rival, session = two_without_difference(rng, 1500, 20)
    better = model | (rng.random(len(model)) < 0.3)
    found = mcnemar_by_session(better, rival, session, 20)
    assert found.p_better < 0.001
    assert mcnemar_by_session(rival, better, session, 20).p_better > 0.99


# Directions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "count"), [(60, 100), (240, 439), (0, 9)])
def test_the_binomial_test_of_one_ticker_agrees_with_scipy(right, count):
    found = binomial_by_session(np.arange(count) < right, np.arange(count))
    expected = stats.binomtest(right, count, alternative="greater").pvalue
    assert found.p_better == pytest.approx(expected)
    assert found.statistic == pytest.approx(right / count - 0.5)


def test_calls_of_tickers_that_are_one_count_once():
    right = np.random.default_rng(0).random(200) < 0.6
    found = binomial_by_session(np.repeat(right, 3), np.repeat(np.arange(200), 3))
    once = binomial_by_session(right, np.arange(200))
    assert found.p_better == pytest.approx(once.p_better)
    assert found.detail.endswith("worth 200 independent calls")


def test_calls_never_count_as_more_than_they_are():
    alternating = np.arange(200) % 2 == 0  # varies less than a coin over any two sessions
    found = binomial_by_session(alternating, np.arange(200) // 2)
    assert found.p_better == pytest.approx(stats.binom.sf(99, 200, 0.5))
    assert binomial_by_session(np.ones(9), np.arange(9)).p_better == pytest.approx(2.0**-9)


def formula_of_1992(truth, predicted):
    """Pesaran and Timmermann's own, variance by variance."""
    n, y, x = len(truth), truth.mean(), predicted.mean()
    right, chance = np.mean(truth == predicted), y * x + (1 - y) * (1 - x)
    of_right = chance * (1 - chance) / n
    of_chance = ((2 * y - 1) ** 2 * x * (1 - x) + (2 * x - 1) ** 2 * y * (1 - y)) / n
    of_chance += 4 * y * x * (1 - y) * (1 - x) / n**2
    return (right - chance) / (of_right - of_chance) ** 0.5


@pytest.mark.parametrize("seed", range(3))  # with little skill the variance is that of none
def test_pesaran_timmermann_of_one_ticker_is_near_the_formula_of_the_paper(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(150) < 0.55
    predicted = np.where(rng.random(150) < 0.2 * seed, truth, rng.random(150) < 0.7)
    found = pesaran_timmermann_by_session(truth, predicted, np.arange(150))
    paper = formula_of_1992(truth, predicted)
    assert found.statistic == pytest.approx(paper, rel=0.2, abs=0.05)
    assert found.p_better == pytest.approx(stats.t.sf(found.statistic, 149))


def test_a_prediction_that_never_varies_has_no_timing():
    truth = np.arange(10) % 2 == 0
    found = pesaran_timmermann_by_session(truth, np.ones(10), np.arange(10))
    assert math.isnan(found.statistic)
    assert math.isnan(found.p_better)


@pytest.mark.parametrize("horizon", [1, 5])
def test_tests_of_direction_keep_their_size_when_tickers_move_together(horizon):
    rng = np.random.default_rng(horizon)
    said = []
    for _ in range(200):
        truth, predicted = (overlapping(rng, 440, horizon) > 0.0 for _ in range(2))
        session, right = sessions_of(truth), (truth == predicted).ravel()
        said.append(
            (
                stats.binom.sf(right.sum() - 1, right.size, 0.5),
                binomial_by_session(right, session, horizon).p_better,
                pesaran_timmermann_by_session(
                    truth.ravel(), predicted.ravel(), session, horizon
                ).p_better,
            )
        )
    plain, by_session, timing = (np.array(said) <= 0.05).mean(axis=0)
    bound = 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert plain > bound
    assert by_session < bound
    assert timing < bound


# Forecasts --------------------------------------------------------------------------------------


def test_diebold_mariano_one_step_ahead_is_the_t_test_of_the_differences():
    rng = np.random.default_rng(0)
    model, rival = rng.random(50), rng.random(50) + 0.1
    found = diebold_mariano(model, rival, 1)
    expected = stats.ttest_1samp(rival - model, 0.0)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_better == pytest.approx(expected.pvalue / 2)


def test_diebold_mariano_further_ahead_by_hand():
    saved = np.array([3.0, 1.0, 2.0, 0.0, 2.0, 4.0])  # mean 2, centred 1 -1 0 -2 0 2
    # autocovariances: (1+1+4+4)/6 = 10/6 and (-1 + 0 + 0 + 0 + 0)/6, twice
    variance = (10 - 2) / 6
    correction = (6 + 1 - 4 + 2 / 6) / 6
    found = diebold_mariano(np.zeros(6), saved, 2)
    assert found.statistic == pytest.approx(2.0 * (correction * 6 / variance) ** 0.5)
    assert found.p_better == pytest.approx(stats.t.sf(found.statistic, 5))
    assert diebold_mariano(saved, np.zeros(6), 2).statistic == -found.statistic


def test_a_variance_that_is_not_positive_falls_back_to_weights_that_make_it_so():
    saved = np.array([1.0, -1.0] * 10) + np.arange(20) * 0.01
    centred = saved - saved.mean()
    rectangular = centred @ centred + 2 * centred[1:] @ centred[:-1]
    assert rectangular <= 0.0
    bartlett = (centred @ centred + centred[1:] @ centred[:-1]) / 20
    correction = (20 + 1 - 4 + 2 / 20) / 20
    found = diebold_mariano(np.zeros(20), saved, 2)
    assert found.statistic == pytest.approx(saved.mean() * (correction * 20 / bartlett) ** 0.5)


def test_losses_of_a_session_are_averaged_and_unknown_ones_left_out():
    rng = np.random.default_rng(3)
    model, rival = rng.random((30, 3)), rng.random((30, 3))
    session = np.repeat(pd.bdate_range("2024-01-01", periods=30), 3)
    found = diebold_mariano(model.ravel(), rival.ravel(), 2, session)
    averaged = diebold_mariano(model.mean(axis=1), rival.mean(axis=1), 2)
    assert found.statistic == pytest.approx(averaged.statistic)
    assert found.detail == averaged.detail == "30 sessions, horizon 2"
    model[4], model[7, :2] = math.nan, math.nan  # a session of none, and one of a single ticker
    found = diebold_mariano(model.ravel(), rival.ravel(), 2, session)
    kept = pd.DataFrame(rival - model).mean(axis=1).dropna().to_numpy()
    averaged = diebold_mariano(np.zeros(29), kept, 2)
    assert found.statistic == pytest.approx(averaged.statistic)
    assert found.detail == averaged.detail == "29 sessions, horizon 2"


def test_losses_that_say_nothing_have_no_p_value_or_one_of_1():
    same = diebold_mariano([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 1)
    assert same.p_better == 1.0
    assert math.isnan(diebold_mariano([1.0, 2.0], [2.0, 3.0], 1).p_better)  # never varies
    assert math.isnan(diebold_mariano(np.zeros(9), np.arange(9.0), 5).p_better)  # too few
    assert math.isnan(diebold_mariano([], [], 1).p_better)


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_diebold_mariano_keeps_its_size_under_overlap(horizon):
    rng = np.random.default_rng(horizon)
    rejected = []
    for _ in range(200):
        truth, model, rival = (overlapping(rng, 1000, horizon) for _ in range(3))
        found = diebold_mariano(
            ((truth - model) ** 2).ravel(),
            ((truth - rival) ** 2).ravel(),
            horizon,
            sessions_of(truth),
        )
        rejected.append(found.p_better <= 0.05)
    assert np.mean(rejected) < 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


# Sharpe ratios ----------------------------------------------------------------------------------


def normal_pair(rng, sessions, sharpe=(0.05, 0.05), correlation=0.7):
    first = rng.normal(size=sessions)
    second = correlation * first + (1 - correlation**2) ** 0.5 * rng.normal(size=sessions)
    return 0.01 * (first + sharpe[0]), 0.02 * (second + sharpe[1])


def test_the_error_of_a_difference_of_sharpe_ratios_is_memmels_for_normal_returns():
    """Memmel (2003): 2 - 2ρ + (SR₁² + SR₂² - 2 SR₁ SR₂ ρ²) / 2, over T."""
    own, held = normal_pair(np.random.default_rng(0), 8_000, (0.3, 0.1))
    first, second = own.mean() / own.std(), held.mean() / held.std()
    rho = np.corrcoef(own, held)[0, 1]
    variance = 2 - 2 * rho + (first**2 + second**2 - 2 * first * second * rho**2) / 2
    expected = (first - second) / (variance / 8_000) ** 0.5
    assert ledoit_wolf_sharpe(own, held).statistic == pytest.approx(expected, rel=0.08)


def test_the_error_of_a_difference_of_sharpe_ratios_is_the_jackknifes():
    """Whatever the distribution, as long as sessions are independent."""
    rng = np.random.default_rng(1)
    own, held = rng.exponential(size=2000), rng.standard_t(8, size=2000) + 0.5

    def difference(keep):
        return own[keep].mean() / own[keep].std() - held[keep].mean() / held[keep].std()

    every = np.arange(2000)
    left_out = np.array([difference(every != row) for row in every])
    error = (1999 / 2000 * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
    expected = difference(every) / error
    assert ledoit_wolf_sharpe(own, held).statistic == pytest.approx(expected, rel=0.1)


def test_returns_that_persist_make_the_difference_less_sure():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(5001, 2))
    persistent = noise[1:] + noise[:-1] + 0.1
    independent = 2**0.5 * rng.normal(size=(5000, 2)) + 0.1
    persistent[:, 0] += 0.05
    independent[:, 0] += 0.05
    errors = []
    for table in (persistent, independent):
        ratios = table.mean(axis=0) / table.std(axis=0)
        errors.append((ratios[0] - ratios[1]) / ledoit_wolf_sharpe(*table.T).statistic)
    # sums of two neighbours have a long-run variance twice that of independent sessions
    assert errors[0] / errors[1] == pytest.approx(2**0.5, rel=0.15)


def test_ledoit_wolf_keeps_its_size():
    rng = np.random.default_rng(3)
    found = [ledoit_wolf_sharpe(*normal_pair(rng, 440)).p_better for _ in range(150)]
    assert np.mean(np.array(found) <= 0.05) < 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_ledoit_wolf_sees_a_difference_and_has_a_sign():
    own, held = (
        pd.Series(column, pd.bdate_range("2015-01-01", periods=2000))
        for column in normal_pair(np.random.default_rng(4), 2000, (0.12, 0.02))
    )
    assert ledoit_wolf_sharpe(own, held).p_better < 0.01
    assert ledoit_wolf_sharpe(held, own).p_better > 0.99
    own.iloc[5] = math.nan
    rest = own.dropna().index
    assert ledoit_wolf_sharpe(own, held) == ledoit_wolf_sharpe(own[rest], held[rest])


def test_sharpe_ratios_that_cannot_be_compared():
    returns = np.random.default_rng(5).normal(size=50)
    assert ledoit_wolf_sharpe(returns, returns).p_better == 1.0
    assert math.isnan(ledoit_wolf_sharpe(returns, np.zeros(50)).p_better)
    assert math.isnan(ledoit_wolf_sharpe(returns[:5], returns[5:10]).p_better)


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="pairs"):
        mcnemar_by_session([True], [True, False], [0], 1)
    with pytest.raises(ValueError, match="pairs"):
        pesaran_timmermann_by_session([True], [True, False], [0])
