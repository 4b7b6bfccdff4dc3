"""Figures of series that have none: NaN, or one clear ValueError, and nothing in between."""

import inspect
import math
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.evaluation import metrics, statistics

ONE = [
    *(metrics.total_return, metrics.annual_return, metrics.annual_volatility),
    *(metrics.sharpe_ratio, metrics.downside_risk, metrics.sortino_ratio, metrics.max_drawdown),
    *(metrics.longest_drawdown, metrics.time_under_water, metrics.ulcer_index),
    *(metrics.calmar_ratio, metrics.omega_ratio, metrics.tail_ratio, metrics.value_at_risk),
    *(metrics.conditional_value_at_risk, metrics.skew, metrics.kurtosis, metrics.stability),
    *(metrics.win_rate, metrics.exposure, metrics.turnover, metrics.profit_factor),
    metrics.expectancy,
]
TWO = [
    *(metrics.beta, metrics.alpha, metrics.alpha_t_statistic, metrics.information_ratio),
    *(metrics.up_capture, metrics.down_capture, metrics.cost_drag),
]
SERIES = [metrics.drawdown, metrics.rolling_sharpe]
numbers = st.one_of(
    st.sampled_from([0.0, -1.0, -1.5, 0.01, -0.01, 1e-300, 1e300, -1e300, 1e100, 1e-17]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-2.0, 2.0),
)
returns = st.lists(numbers, max_size=12)
interval = partial(statistics.bootstrap_interval, draws=4)
quiet = settings(max_examples=150, deadline=None)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def is_number(value: object) -> bool:
    return isinstance(value, float) and not math.isinf(value)


@quiet
@given(returns, st.floats(-20.0, 20.0))
def test_any_series_has_figures_that_are_numbers_or_nan(values, target):
    for function in ONE:
        assert is_number(function(values)), function.__name__
    assert is_number(metrics.omega_ratio(values, target=target))
    for function in SERIES:
        assert function(values).shape == (len(values),)


@quiet
@given(st.lists(st.tuples(numbers, numbers, numbers), max_size=12))
def test_any_pair_of_series_has_figures_that_are_numbers_or_nan(rows):
    own, other, rate = np.array(rows, dtype=float).reshape(-1, 3).T
    for function in TWO:
        assert is_number(function(own, other)), function.__name__
    for function in (metrics.beta, metrics.alpha, metrics.alpha_t_statistic):
        assert is_number(function(own, other, rate)), function.__name__
    assert is_number(metrics.break_even_cost(float(own.sum()) if len(own) < 2 else 1.0, 0.0))


@pytest.mark.parametrize("nothing", [[], [math.nan], [math.nan] * 5, [math.inf, -math.inf]])
def test_nothing_known_has_no_figure_at_all(nothing):
    for function in ONE:
        assert math.isnan(function(nothing)), function.__name__
    for function in TWO:
        assert math.isnan(function(nothing, nothing)), function.__name__
    for function in SERIES:
        assert function(nothing).isna().all(), function.__name__


def test_an_annual_target_below_the_loss_of_everything_has_no_omega_ratio():
    values = [0.01, -0.02, 0.03]
    assert math.isnan(metrics.omega_ratio(values, target=-10.0))
    assert math.isnan(metrics.omega_ratio(values, target=math.nan))
    assert math.isnan(metrics.omega_ratio(values, target=-1.0))  # nothing falls short of it
    assert metrics.omega_ratio(values, target=-0.5) > metrics.omega_ratio(values)


def test_an_account_that_lost_everything_earns_nothing_back():
    assert metrics.total_return([0.5, -1.0, 10.0]) == -1.0
    assert metrics.total_return([-1.5, -1.5]) == -1.5  # two minuses make no plus
    assert metrics.annual_return([-1.5, -1.5]) == -1.0
    assert metrics.max_drawdown([-1.0, 3.0]) == -1.0
    assert metrics.drawdown([0.0, -1.5, -1.5]).tolist() == [0.0, -1.5, -1.5]
    assert math.isnan(metrics.stability([0.1, -1.5, 0.1]))


def test_what_no_float_can_hold_is_no_figure():
    assert math.isnan(metrics.annual_return([1e3]))  # 1001^252
    assert math.isnan(metrics.sharpe_ratio([1e300, -1e300, 1e300]))  # 0 would mislead
    assert math.isnan(metrics.beta([1.0, 2.0, 3.0], [1e200, -1e200, 0.0]))
    assert math.isnan(metrics.kurtosis([1e200, -1e200, 3.0]))


def test_a_benchmark_that_never_varies_explains_nothing():
    own, still = [0.01, -0.02, 0.03, 0.01], [0.001] * 4
    for function in (metrics.beta, metrics.alpha, metrics.alpha_t_statistic):
        assert math.isnan(function(own, still)), function.__name__
    nearly = np.array([0.001, 0.001, 0.001, 0.001 + 2e-16])
    assert math.isnan(metrics.alpha_t_statistic(own, nearly))


def test_profits_are_judged_in_any_currency():
    assert metrics.profit_factor([3e-15, -1e-15]) == pytest.approx(3.0)
    assert metrics.break_even_cost(1e-16, 1e-15) == pytest.approx(1e3)
    assert math.isnan(metrics.profit_factor([1e9, -1e-9]))  # a loss of rounding


def test_months_and_years_of_nothing_known_have_no_return():
    days = pd.bdate_range("2020-01-01", "2020-03-31")
    values = pd.Series(0.001, days)
    values["2020-02"] = math.nan
    values.iloc[0] = math.inf
    months = metrics.monthly_returns(values).loc[2020]
    assert months[1] == pytest.approx(1.001 ** (len(values["2020-01"]) - 1) - 1)
    assert months[2] == 0.0  # sessions without a return, in a series that has some
    assert metrics.monthly_returns(values * math.nan).isna().all(axis=None)
    assert math.isnan(metrics.yearly_returns(values * math.nan)[2020])
    nothing = pd.Series([], pd.DatetimeIndex([]), dtype=float)
    assert metrics.monthly_returns(nothing).shape == (0, 12)
    assert len(metrics.yearly_returns(nothing)) == 0


FLAT = [f for f in (*ONE, *SERIES) if f not in (metrics.exposure, metrics.turnover)]


@pytest.mark.parametrize("function", FLAT, ids=lambda f: f.__name__)
def test_two_dimensions_are_refused(function):
    with pytest.raises(ValueError, match="one series"):
        function([[0.1, 0.2], [0.1, 0.3]])


@pytest.mark.parametrize("function", TWO, ids=lambda f: f.__name__)
def test_series_of_different_lengths_are_refused(function):
    with pytest.raises(ValueError, match="differ in length"):
        function([0.1, 0.2], [0.1, 0.2, 0.3])


def test_intervals_of_series_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        statistics.bootstrap_interval(
            statistics.sharpe_difference, [0.1, 0.2], [0.1, 0.2, 0.3], block=2
        )


def test_every_public_figure_is_tried_here():
    public = {
        name
        for name, function in inspect.getmembers(metrics, inspect.isfunction)
        if function.__module__ == metrics.__name__ and not name.startswith("_")
    }
    tried = {function.__name__ for function in (*ONE, *TWO, *SERIES)}
    others = {"break_even_cost", "monthly_returns", "yearly_returns", "figures"}
    assert public == tried | others


@quiet
@given(
    numbers,
    st.integers(-2, 3000),
    numbers,
    numbers,
    numbers,
    st.floats(-0.999, 0.999),
    st.integers(1, 10**9),
)
def test_any_moments_have_a_probability_or_none(sharpe, sessions, skew, kurt, hurdle, rho, trials):
    moments = (sharpe, sessions, skew, kurt)
    variance = abs(hurdle)
    found = [
        statistics.probabilistic_sharpe_ratio(*moments, hurdle),
        statistics.probabilistic_sharpe_ratio_2025(*moments, hurdle, rho),
        statistics.deflated_sharpe_ratio(*moments, ["a", "b"], variance),
        statistics.deflated_sharpe_ratio_2025(*moments, ["a", "b"], variance, rho),
    ]
    assert all(math.isnan(p) or 0.0 <= p <= 1.0 for p in found)
    length = statistics.minimum_track_record_length(sharpe, skew, kurt, hurdle)
    assert math.isnan(length) or 1.0 <= length < math.inf
    assert is_number(float(statistics.expected_maximum_sharpe_ratio(trials, variance)))


def test_moments_beyond_floats_are_no_even_chance():
    assert math.isnan(statistics.probabilistic_sharpe_ratio(1e200, 100))
    assert math.isnan(
        statistics.probabilistic_sharpe_ratio_2025(0.1, 100, autocorrelation=math.nan)
    )
    with pytest.raises(ValueError, match="between -1 and 1"):
        statistics.probabilistic_sharpe_ratio_2025(0.1, 100, autocorrelation=1.5)


@pytest.mark.parametrize("size", [0.0, 1e200])
def test_configurations_that_never_vary_are_not_overfitted(size):
    table = 0.01 + size * np.tile([[1.0], [-1.0]], (20, 3))
    assert math.isnan(statistics.probability_of_backtest_overfitting(table, blocks=4))
    assert np.isnan(statistics.overfitting_noise_band(table, blocks=4, draws=2)).all()


@settings(max_examples=15, deadline=None)
@given(returns, st.sampled_from([0.0, 3.0, 1e9]))
def test_any_series_has_an_interval_or_none(values, block):
    other = values[::-1]
    for low, high in (
        interval(metrics.sharpe_ratio, values, block=block),
        interval(statistics.sharpe_difference, values, other, block=block),
        interval(np.mean, values, block=block),
    ):
        assert (math.isnan(low) and math.isnan(high)) or low <= high


def test_more_returns_than_floats_can_square_have_no_interval():
    values = np.tile([1e200, -1e200], 20)
    assert np.isnan(interval(metrics.sharpe_ratio, values, block=2)).all()
    assert np.isnan(interval(np.mean, [0.1], block=2)).all()
    assert interval(np.mean, [0.1] * 30, block=2) == pytest.approx((0.1, 0.1))
