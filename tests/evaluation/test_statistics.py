import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from rnntrade.evaluation.metrics import sharpe_ratio
from rnntrade.evaluation.statistics import (
    bootstrap_interval,
    deflated_sharpe_ratio,
    expected_maximum_sharpe_ratio,
    minimum_track_record_length,
    overfitting_noise_band,
    probabilistic_sharpe_ratio,
    probabilistic_sharpe_ratio_2025,
    probability_of_backtest_overfitting,
    sharpe_difference,
)

# Sharpe ratios ----------------------------------------------------------------------------------


def ids(number: int) -> list[str]:
    return [f"run-{trial}" for trial in range(number)]


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "published"),
    [
        (100, -3.0, 10.0, 0.9004),  # the example itself
        (46, -3.0, 10.0, 0.9505),  # had it been found after 46 trials only
        (88, 0.0, 3.0, 0.9505),  # or after 88, were returns normal
    ],
)
def test_the_published_examples_of_the_deflated_sharpe_ratio(trials, skew, kurtosis, published):
    """Bailey and López de Prado (2014): annual 2.5 over 1,250 days, the trials' variance 1/2."""
    result = deflated_sharpe_ratio(2.5 / 250**0.5, 1250, skew, kurtosis, ids(trials), 0.5 / 250)
    assert result == pytest.approx(published, abs=5e-5)


def test_the_published_hurdle_of_the_deflated_sharpe_ratio():
    """Bailey and López de Prado (2014): 0.1132 a day; Bailey et al. (2014): 1.57 of 10 trials."""
    assert expected_maximum_sharpe_ratio(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert expected_maximum_sharpe_ratio(10, 1.0) == pytest.approx(1.57, abs=5e-3)
    # five years and 45 trials make an annual Sharpe ratio of 1 without any skill
    assert expected_maximum_sharpe_ratio(45, 1.0 / 5) == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize(
    ("months", "skew", "kurtosis", "published"),
    [(24, 0.0, 3.0, 0.982), (24, -2.448, 10.164, 0.913), (36, -2.448, 10.164, 0.953)],
)
def test_the_published_examples_of_the_probabilistic_sharpe_ratio(
    months, skew, kurtosis, published
):
    """Bailey and López de Prado (2012): a hedge fund's monthly 0.458 (annual 1.59)."""
    result = probabilistic_sharpe_ratio(0.458, months, skew, kurtosis)
    assert result == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "published"),
    [
        (250, 0.0, 3.0, 2.73),
        (52, 0.0, 3.0, 2.83),
        (12, 0.0, 3.0, 3.24),
        (12, -0.72, 5.78, 4.99),  # a hedge-fund index: 54 % longer
    ],
)
def test_the_published_examples_of_the_minimum_track_record(a_year, skew, kurtosis, published):
    """Bailey and López de Prado (2012): years until an annual 2 is told from 1 with 95 %."""
    sharpe, benchmark = 2 / a_year**0.5, 1 / a_year**0.5
    years = minimum_track_record_length(sharpe, skew, kurtosis, benchmark, 0.95) / a_year
    assert years == pytest.approx(published, abs=5e-3)


def test_trials_are_counted_from_their_ids_and_never_given_as_a_number():
    def of(trials):
        return deflated_sharpe_ratio(0.1, 250, -0.5, 5.0, trials, 0.01)

    assert of(ids(7)) == of(set(ids(7))) == of(tuple(ids(7))) == of(dict.fromkeys(ids(7)).keys())
    assert of(ids(7) + ids(7)) == of(ids(7))  # the same fit twice is one trial
    assert of(ids(8)) < of(ids(7))
    for bare in (7, 7.0, np.int64(7), "run-7", b"run", iter(ids(7))):
        with pytest.raises(TypeError, match="by hand forgets some"):
            of(bare)
    for wrong in ([1, 2, 3], np.arange(7), ["run-1", None], ["run-1", ""]):
        with pytest.raises(TypeError, match="strings"):
            of(wrong)
    with pytest.raises(ValueError, match="at least 1 trial"):
        of([])


def test_the_published_examples_of_the_form_of_2025():
    """López de Prado, Lipton and Zoonekynd (2025): a fund of monthly mean .036, deviation .079."""
    sharpe = 0.036 / 0.079
    assert probabilistic_sharpe_ratio_2025(sharpe, 24, -2.448, 10.164) == pytest.approx(
        0.987, abs=5e-4
    )
    assert probabilistic_sharpe_ratio_2025(sharpe, 24, -2.448, 10.164, 0.1) == pytest.approx(
        0.939, abs=5e-4
    )


def test_the_probabilistic_sharpe_ratio_by_hand():
    z = (0.1 - 0.02) * 99**0.5 / (1 - 0.5 * 0.1 + (4 - 1) / 4 * 0.01) ** 0.5
    assert probabilistic_sharpe_ratio(0.1, 100, 0.5, 4.0, 0.02) == pytest.approx(
        scipy_stats.norm.cdf(z)
    )
    assert probabilistic_sharpe_ratio(0.1, 100, benchmark=0.1) == 0.5


def test_the_probabilistic_sharpe_ratio_is_right_as_often_as_it_says():
    """A true Sharpe ratio of 0 leaves its probabilities spread evenly."""
    drawn = np.random.default_rng(0).normal(size=(2000, 100))
    said = [
        probabilistic_sharpe_ratio(row.mean() / row.std(ddof=1), 100, kurtosis=3.0) for row in drawn
    ]
    assert scipy_stats.kstest(said, "uniform").pvalue > 0.01


def test_autocorrelation_makes_the_form_of_2025_less_sure():
    plain = probabilistic_sharpe_ratio_2025(0.1, 250)
    assert probabilistic_sharpe_ratio_2025(0.1, 250, autocorrelation=0.3) < plain
    # at a benchmark of 0 the variance grows by (1 + rho) / (1 - rho)
    assert probabilistic_sharpe_ratio_2025(0.1, 250, autocorrelation=0.3) == pytest.approx(
        NormalDist().cdf(0.1 * (250 * 0.7 / 1.3) ** 0.5)
    )
    with pytest.raises(ValueError, match="autocorrelation"):
        probabilistic_sharpe_ratio_2025(0.1, 250, autocorrelation=1.0)


def test_the_expected_maximum_is_near_that_of_normal_draws():
    for trials in (10, 100, 1000):
        exact, _ = integrate.quad(
            lambda x, n=trials: (
                x * n * scipy_stats.norm.pdf(x) * scipy_stats.norm.cdf(x) ** (n - 1)
            ),
            -10,
            10,
        )
        assert expected_maximum_sharpe_ratio(trials, 4.0) == pytest.approx(2 * exact, rel=0.03)


def test_a_single_trial_is_not_deflated():
    assert expected_maximum_sharpe_ratio(1, 1.0) == 0.0
    plain = probabilistic_sharpe_ratio(0.1, 250, -0.5, 5.0)
    assert deflated_sharpe_ratio(0.1, 250, -0.5, 5.0, ids(1), 0.1) == plain
    with pytest.raises(ValueError, match="at least 1 trial"):
        expected_maximum_sharpe_ratio(0, 1.0)


def test_trials_that_resemble_each_other_do_not_hide_the_search():
    floored = deflated_sharpe_ratio(0.1, 101, 0.0, 3.0, ids(50), 0.0)
    assert floored == deflated_sharpe_ratio(0.1, 101, 0.0, 3.0, ids(50), 0.01)
    assert floored > deflated_sharpe_ratio(0.1, 101, 0.0, 3.0, ids(50), 0.02)


def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence():
    length = minimum_track_record_length(0.08, -0.5, 6.0, 0.01, 0.9)
    # (T - 1) is what the probability goes by, so the length need not be whole
    variance = 1 + 0.5 * 0.08 + 5 / 4 * 0.08**2
    z = (0.08 - 0.01) * ((length - 1) / variance) ** 0.5
    assert NormalDist().cdf(z) == pytest.approx(0.9)
    assert probabilistic_sharpe_ratio(0.08, math.ceil(length), -0.5, 6.0, 0.01) >= 0.9
    assert probabilistic_sharpe_ratio(0.08, math.floor(length), -0.5, 6.0, 0.01) < 0.9


def test_what_is_undefined_is_nan():
    assert math.isnan(probabilistic_sharpe_ratio(0.1, 1))
    assert math.isnan(probabilistic_sharpe_ratio(math.nan, 100))
    assert math.isnan(deflated_sharpe_ratio(0.1, 1, 0.0, 3.0, ids(10), 0.1))
    assert math.isnan(minimum_track_record_length(0.01, benchmark=0.02))
    assert math.isnan(minimum_track_record_length(0.02, benchmark=0.02))


# Overfitting ------------------------------------------------------------------------------------


def overfitting_by_loops(returns: np.ndarray, blocks: int) -> float:
    """Cross-validate as the paper says, one split after the other."""
    parts = np.array_split(np.arange(len(returns)), blocks)
    bad = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[block] for block in chosen])
        outside = np.setdiff1d(np.arange(len(returns)), inside)
        first, second = (
            [sharpe_ratio(returns[rows, column]) for column in range(returns.shape[1])]
            for rows in (inside, outside)
        )
        omega = scipy_stats.rankdata(second)[int(np.argmax(first))] / (returns.shape[1] + 1)
        bad.append(math.log(omega / (1 - omega)) <= 1e-12)
    return float(np.mean(bad))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("sessions", "configurations"), [(60, 5), (67, 8)])
def test_overfitting_agrees_with_loops(seed, sessions, configurations):
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, (sessions, configurations))
    returns[:, 0] += 0.001 * seed
    expected = overfitting_by_loops(returns, 6)
    assert probability_of_backtest_overfitting(returns, 6) == pytest.approx(expected)


def test_one_configuration_better_everywhere_is_no_overfitting():
    returns = np.random.default_rng(0).normal(0.0, 0.01, (320, 10))
    returns[:, 3] += 0.02
    assert probability_of_backtest_overfitting(returns) == 0.0


def test_a_configuration_that_wins_by_one_block_is_overfitting():
    returns = np.random.default_rng(0).normal(0.0, 0.01, (80, 2))
    returns[:40, 0] += 0.05  # best in the first half, worst in the second
    returns[40:, 0] -= 0.05
    assert probability_of_backtest_overfitting(returns, 2) == 1.0


def test_without_skill_overfitting_lies_in_its_noise_band():
    returns = np.random.default_rng(5).normal(0.0, 0.01, (300, 10))
    low, high = overfitting_noise_band(returns, blocks=8, draws=100, seed=1)
    assert 0.0 < low < 0.5 < high < 1.0
    assert low <= probability_of_backtest_overfitting(returns, 8) <= high
    assert (low, high) == overfitting_noise_band(returns, blocks=8, draws=100, seed=1)


def test_the_wrong_shape_is_refused():
    returns = np.random.default_rng(0).normal(size=(100, 5))
    with pytest.raises(ValueError, match="not \\(5, 100\\)"):
        probability_of_backtest_overfitting(returns.T)
    with pytest.raises(ValueError, match="two or more"):
        probability_of_backtest_overfitting(returns[:, :1])
    with pytest.raises(ValueError, match="blocks"):
        probability_of_backtest_overfitting(returns, 7)
    with pytest.raises(ValueError, match="blocks"):
        probability_of_backtest_overfitting(returns[:20], 16)
    returns[3, 3] = math.nan
    with pytest.raises(ValueError, match="whole sessions"):
        probability_of_backtest_overfitting(returns)


# Intervals --------------------------------------------------------------------------------------


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(60):
        low, high = bootstrap_interval(
            np.mean, rng.normal(0.1, 1.0, 200), block=2.0, draws=200, confidence=0.8, seed=seed
        )
        hits += low <= 0.1 <= high
    assert 0.65 <= hits / 60 <= 0.93


def test_intervals_are_about_the_figure_and_repeat_with_the_seed():
    returns = pd.Series(np.random.default_rng(1).normal(0.001, 0.01, 500))
    fixed = {"block": 5.0, "draws": 500, "seed": 3}
    low, high = bootstrap_interval(sharpe_ratio, returns, **fixed, confidence=0.9)
    assert low < sharpe_ratio(returns) < high
    assert (low, high) == bootstrap_interval(sharpe_ratio, returns, **fixed, confidence=0.9)
    wider = bootstrap_interval(sharpe_ratio, returns, **fixed, confidence=0.99)
    assert wider[0] < low
    assert high < wider[1]


def test_pairs_stay_together_in_the_interval_of_a_difference():
    benchmark = pd.Series(np.random.default_rng(2).normal(0.0005, 0.01, 500))
    low, high = bootstrap_interval(sharpe_difference, benchmark, benchmark, block=5.0, draws=200)
    assert low == high == 0.0
    low, high = bootstrap_interval(
        sharpe_difference, benchmark + 0.001, benchmark, block=5.0, draws=200
    )
    assert 0.0 < low < high


def test_longer_blocks_widen_the_interval_of_what_persists():
    noise = np.random.default_rng(3).normal(size=1000)
    slow = np.convolve(noise, np.ones(20) / 20, "valid")
    short, long = (
        bootstrap_interval(np.mean, slow, block=block, draws=500) for block in (1.0, 40.0)
    )
    assert long[1] - long[0] > 2 * (short[1] - short[0])


def test_missing_sessions_are_left_out_and_series_joined():
    sessions = pd.bdate_range("2024-01-01", periods=100)
    rng = np.random.default_rng(4)
    own, other = (pd.Series(rng.normal(size=100), sessions) for _ in range(2))
    own.iloc[7] = math.nan
    kept = own.dropna().index
    expected = bootstrap_interval(sharpe_difference, own[kept], other[kept], block=3.0, draws=100)
    assert bootstrap_interval(sharpe_difference, own, other, block=3.0, draws=100) == expected
    assert bootstrap_interval(
        sharpe_difference, own[kept].to_numpy(), other[kept].to_numpy(), block=3.0, draws=100
    ) == (expected)


def test_too_few_sessions_have_no_interval():
    for result in (
        bootstrap_interval(sharpe_ratio, [0.01], block=1),
        bootstrap_interval(np.mean, [], block=1),
        bootstrap_interval(sharpe_ratio, [0.0] * 9, block=1),
    ):
        assert all(math.isnan(bound) for bound in result)
