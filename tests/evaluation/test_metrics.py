import inspect
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnntrade.config import BacktestConfig
from rnntrade.evaluation import metrics as m
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.trading.positions import random_positions
from rnntrade.types import Prices

NAN = math.nan
YEAR = 252
RETURNS = [0.10, -0.05, NAN, 0.02, -0.03]  # present: 0.10, -0.05, 0.02, -0.03; mean 0.01
BENCHMARK = [0.05, -0.02, 0.01, 0.03, -0.02]
DEVIATION = math.sqrt((0.09**2 + 0.06**2 + 0.01**2 + 0.04**2) / 3)
GROWTH = 1.1 * 0.95 * 1.02 * 0.97
DEPTH = [0.0, -0.05, -0.05, 0.95 * 1.02 - 1, 0.95 * 1.02 * 0.97 - 1]

BY_HAND: list[tuple[Callable[..., float], tuple[object, ...], float]] = [
    (m.total_return, (RETURNS,), GROWTH - 1),
    (m.annual_return, (RETURNS,), GROWTH ** (YEAR / 5) - 1),
    (m.annual_volatility, (RETURNS,), DEVIATION * YEAR**0.5),
    (m.sharpe_ratio, (RETURNS,), 0.01 / DEVIATION * YEAR**0.5),
    (m.sharpe_ratio, (RETURNS, 0.004), 0.006 / DEVIATION * YEAR**0.5),
    (m.sharpe_ratio, (RETURNS, [0.004] * 5), 0.006 / DEVIATION * YEAR**0.5),
    (m.downside_risk, (RETURNS,), ((0.05**2 + 0.03**2) / 4 * YEAR) ** 0.5),
    (m.downside_risk, (RETURNS, 0.03), ((0.08**2 + 0.01**2 + 0.06**2) / 4 * YEAR) ** 0.5),
    (m.sortino_ratio, (RETURNS,), 0.01 * YEAR / ((0.05**2 + 0.03**2) / 4 * YEAR) ** 0.5),
    (m.max_drawdown, (RETURNS,), DEPTH[-1]),
    (m.max_drawdown, ([-0.1, 0.2],), -0.1),  # the starting capital is the first peak
    (m.max_drawdown, ([0.1, 0.2],), 0.0),
    (m.longest_drawdown, (RETURNS,), 4),
    (m.longest_drawdown, ([-0.1, 0.2, -0.1, -0.1, 0.5, -0.1],), 2),
    (m.longest_drawdown, ([0.1, 0.2],), 0),
    (m.time_under_water, (RETURNS,), 4 / 5),
    (m.ulcer_index, (RETURNS,), 100 * (sum(depth**2 for depth in DEPTH) / 5) ** 0.5),
    (m.calmar_ratio, (RETURNS,), (GROWTH ** (YEAR / 5) - 1) / -DEPTH[-1]),
    (m.omega_ratio, (RETURNS,), 0.12 / 0.08),
    (m.omega_ratio, (RETURNS, 1.01**YEAR - 1), (0.09 + 0.01) / (0.06 + 0.04)),
    (m.tail_ratio, (RETURNS,), (0.02 + 0.85 * 0.08) / (0.05 - 0.15 * 0.02)),
    (m.value_at_risk, (RETURNS,), -0.05 + 0.15 * 0.02),
    (m.conditional_value_at_risk, (RETURNS,), -0.05),
    (m.skew, ([0.0, 0.0, 0.0, 1.0],), (27 / 64 - 3 / 64) / 4 / (3 / 16) ** 1.5),
    (m.kurtosis, ([-1.0, 1.0, -1.0, 1.0],), 1.0),
    (m.beta, ([0.03, 0.05, 0.01], [0.01, 0.02, 0.0]), 2.0),
    (m.alpha, ([0.03, 0.05, 0.01], [0.01, 0.02, 0.0]), 1.01**YEAR - 1),
    (m.alpha, ([0.03, 0.05, 0.01], [0.01, 0.02, 0.0], 0.01), 1.02**YEAR - 1),
    (m.information_ratio, ([0.02, 0.0, NAN], [0.0, 0.0, 1.0], 1), 0.01 / 0.0002**0.5),
    (m.information_ratio, ([0.02, 0.0], [0.0, 0.0]), 0.01 / 0.0002**0.5 * YEAR**0.5),
    (
        m.up_capture,
        (RETURNS, BENCHMARK),
        ((1.1 * 1.02) ** (YEAR / 3) - 1) / ((1.05 * 1.01 * 1.03) ** (YEAR / 3) - 1),
    ),
    (
        m.down_capture,
        (RETURNS, BENCHMARK),
        ((0.95 * 0.97) ** (YEAR / 2) - 1) / (0.98**YEAR - 1),
    ),
    (m.up_capture, ([0.01, 0.5], [0.0, -0.1]), NAN),  # a benchmark of 0 is not negative
    (m.up_capture, ([0.05, 0.01], [0.0, 0.02]), ((1.05 * 1.01) ** 126 - 1) / (1.02**126 - 1)),
    (m.stability, ([0.01] * 10,), 1.0),
    (m.win_rate, (RETURNS,), 2 / 4),
    (m.win_rate, ([0.0, 0.01, -0.01],), 1 / 2),
    (m.win_rate, ([0.0, 0.01, -0.01], [True, True, False]), 1 / 2),
    (m.win_rate, ([0.01, 0.01, -0.01], [NAN, 1.0, 1.0]), 1 / 2),  # a NaN held is no position
    (m.exposure, ([0.0, 0.5, -0.5, 0.0],), 2 / 4),
    (m.turnover, ([0.0, 1.0, -1.0, NAN],), 3 * YEAR / 4),
    (m.profit_factor, ([10.0, -4.0, -1.0],), 2.0),
    (m.expectancy, ([10.0, -4.0, 0.0],), 2.0),
    (m.expectancy, ([1, 2, 6],), 3.0),
    (m.cost_drag, ([0.009] * YEAR, [0.001] * YEAR), 1.01**YEAR - 1.009**YEAR),
    (m.break_even_cost, (50.0, 100_000.0), 5.0),
]

CONSTANT = [0.01] * 10  # whose deviation is 1.8e-18 in floats
UNDEFINED: list[tuple[Callable[..., float], tuple[object, ...]]] = [
    *(
        (function, ([],))
        for function in (
            *(m.total_return, m.annual_return, m.annual_volatility, m.sharpe_ratio),
            *(m.downside_risk, m.sortino_ratio, m.max_drawdown, m.longest_drawdown),
            *(m.time_under_water, m.ulcer_index, m.calmar_ratio, m.omega_ratio, m.tail_ratio),
            *(m.value_at_risk, m.conditional_value_at_risk, m.skew, m.kurtosis, m.stability),
            *(m.win_rate, m.exposure, m.turnover, m.profit_factor, m.expectancy),
        )
    ),
    *(
        (function, ([NAN, 0.01, NAN],))
        for function in (
            *(m.annual_volatility, m.sharpe_ratio, m.sortino_ratio, m.omega_ratio),
            *(m.skew, m.kurtosis, m.downside_risk, m.tail_ratio, m.value_at_risk),
            m.conditional_value_at_risk,
        )
    ),
    *(
        (function, (CONSTANT,))
        for function in (
            *(m.sharpe_ratio, m.sortino_ratio, m.calmar_ratio, m.omega_ratio),
            *(m.skew, m.kurtosis, m.profit_factor),
        )
    ),
    (m.sharpe_ratio, (np.diff(1.0001 ** np.arange(50.0)) / 1.0001 ** np.arange(49.0),)),
    (m.sharpe_ratio, (RETURNS, RETURNS)),
    (m.sortino_ratio, (CONSTANT, 0.01)),
    (m.tail_ratio, ([0.0] * 10,)),
    (m.stability, ([0.0] * 10,)),
    (m.stability, ([0.1, -1.0, 0.1],)),
    (m.win_rate, ([0.0, 0.0],)),
    (m.beta, (RETURNS, [0.01] * 5)),
    (m.alpha, (RETURNS, [0.01] * 5)),
    (m.alpha_t_statistic, (RETURNS, [0.01] * 5)),
    (m.alpha_t_statistic, (BENCHMARK, BENCHMARK)),
    (m.beta, ([0.01, NAN], [0.01, 0.02])),
    (m.information_ratio, (BENCHMARK, BENCHMARK)),
    (m.up_capture, (RETURNS, [-0.01] * 5)),
    (m.down_capture, (RETURNS, [0.01] * 5)),
    (m.break_even_cost, (0.0, 0.0)),
    (m.cost_drag, ([], [])),
]


@pytest.mark.parametrize(("function", "inputs", "expected"), BY_HAND)
def test_figures_by_hand(function, inputs, expected):
    assert function(*inputs) == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(("function", "inputs"), UNDEFINED)
def test_what_is_undefined_is_nan(function, inputs):
    assert math.isnan(function(*inputs))


def test_one_return_has_an_annual_return_and_a_drawdown():
    assert m.annual_return([-0.01]) == pytest.approx(0.99**YEAR - 1)
    assert m.max_drawdown([-0.01]) == pytest.approx(-0.01)


def test_a_constant_series_has_no_volatility():
    assert m.annual_volatility(CONSTANT) == 0.0


def test_nothing_left_is_a_loss_of_everything_a_year():
    assert m.annual_return([0.1, -1.0, 0.1]) == -1.0
    assert m.annual_return([0.1, -1.5, 0.1]) == -1.0


def test_drawdown_is_a_series_on_the_same_sessions():
    sessions = pd.bdate_range("2024-01-01", periods=5)
    expected = pd.Series(DEPTH, sessions, name="drawdown")
    pd.testing.assert_series_equal(m.drawdown(pd.Series(RETURNS, sessions)), expected)


def test_a_recovery_to_the_peak_but_for_rounding_is_not_under_water():
    assert m.time_under_water([-0.1, 1 / 9, -0.1, 1 / 9]) == 0.5


def test_series_are_joined_on_sessions_not_on_positions():
    sessions = pd.bdate_range("2024-01-01", periods=5)
    own, other = pd.Series(RETURNS, sessions), pd.Series(BENCHMARK, sessions)
    extra = pd.concat([pd.Series([9.9], [pd.Timestamp("2023-12-29")]), other])
    assert m.beta(own, extra) == m.beta(own, other) == m.beta(RETURNS, BENCHMARK)
    with pytest.raises(ValueError, match="differ in length"):
        m.beta(RETURNS, BENCHMARK[:3])


def test_return_tables_follow_real_dates():
    sessions = pd.to_datetime(["2022-12-30", "2023-01-03", "2023-01-31", "2023-03-01"])
    returns = pd.Series([0.1, 0.2, -0.5, NAN], sessions)
    monthly = m.monthly_returns(returns)
    assert monthly.shape == (2, 12)
    assert monthly.loc[2022, 12] == pytest.approx(0.1)
    assert monthly.loc[2023, 1] == pytest.approx(-0.4)
    assert monthly.loc[2023, 3] == 0.0  # a session without a return
    assert monthly.notna().to_numpy().sum() == 3
    assert m.yearly_returns(returns).to_dict() == pytest.approx({2022: 0.1, 2023: -0.4})


def test_rolling_sharpe_is_sharpe_of_full_windows():
    returns = pd.Series(np.random.default_rng(0).normal(0.001, 0.01, 100))
    returns.iloc[[5, 50]] = NAN
    rolling = m.rolling_sharpe(returns)
    assert rolling.iloc[:62].isna().all()
    for end in (63, 80, 100):
        expected = m.sharpe_ratio(returns.iloc[end - 63 : end])
        assert rolling.iloc[end - 1] == pytest.approx(expected)


def test_the_t_statistic_of_alpha_is_that_of_statsmodels():
    regression = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    other = rng.normal(0.0004, 0.01, 500)
    own = 0.0006 + 0.7 * other + np.convolve(rng.normal(0, 0.005, 502), np.ones(3), "valid")
    for lags in (0, 5, None):
        used = 5 if lags is None else lags  # ⌊4 × 5^(2/9)⌋
        fit = regression.OLS(own, regression.add_constant(other)).fit(
            cov_type="HAC", cov_kwds={"maxlags": used, "use_correction": False}
        )
        assert m.alpha_t_statistic(own, other, lags=lags) == pytest.approx(fit.tvalues[0])


# A second derivation -----------------------------------------------------------------------------

SERIES = st.lists(
    st.one_of(st.just(NAN), st.integers(-200, 200).map(lambda bps: bps / 1000)),
    min_size=2,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(SERIES, SERIES)
def test_figures_agree_with_loops_and_scipy(returns, benchmark):
    length = min(len(returns), len(benchmark))
    returns, benchmark = returns[:length], benchmark[:length]
    known = [r for r in returns if not math.isnan(r)]
    if not known:
        return
    wealth, peak, depths = 1.0, 1.0, []
    for r in returns:
        wealth *= 1 + (0.0 if math.isnan(r) else r)
        peak = max(peak, wealth)
        depths.append(wealth / peak - 1)
    assert m.total_return(returns) == pytest.approx(wealth - 1)
    assert m.annual_return(returns) == pytest.approx(wealth ** (YEAR / length) - 1)
    assert m.max_drawdown(returns) == pytest.approx(min(depths))
    assert m.ulcer_index(returns) == pytest.approx(
        100 * math.sqrt(sum(d * d for d in depths) / length)
    )
    assert m.time_under_water(returns) == sum(d < -1e-12 for d in depths) / length
    logs = np.log1p(pd.Series(returns).fillna(0.0)).cumsum()
    if len(set(logs)) > 1:
        line = np.polyfit(range(length), logs, 1)
        errors = logs - np.polyval(line, range(length))
        expected = 1 - (errors**2).sum() / ((logs - logs.mean()) ** 2).sum()
        assert m.stability(returns) == pytest.approx(expected, abs=1e-9)
    if len(set(known)) < 2:
        return
    series = pd.Series(known)
    assert m.sharpe_ratio(returns) == pytest.approx(series.mean() / series.std() * YEAR**0.5)
    assert m.skew(returns) == pytest.approx(stats.skew(known), abs=1e-9)
    assert m.kurtosis(returns) == pytest.approx(stats.kurtosis(known, fisher=False))
    assert m.value_at_risk(returns) == pytest.approx(series.quantile(0.05))
    assert m.conditional_value_at_risk(returns) == pytest.approx(
        series[series <= series.quantile(0.05)].mean()
    )
    short = sum(min(r, 0) ** 2 for r in known) / len(known)
    assert m.downside_risk(returns) == pytest.approx(math.sqrt(short * YEAR))
    if short:
        assert m.sortino_ratio(returns) == pytest.approx(
            series.mean() * YEAR / math.sqrt(short * YEAR)
        )
        assert m.omega_ratio(returns) == pytest.approx(
            sum(r for r in known if r > 0) / -sum(r for r in known if r < 0)
        )
    pairs = pd.DataFrame({"own": returns, "other": benchmark}).dropna()
    if len(set(pairs["other"])) > 1:
        line = stats.linregress(pairs["other"], pairs["own"])
        assert m.beta(returns, benchmark) == pytest.approx(line.slope, abs=1e-12)
        daily = max(1 + line.intercept, 0)
        assert m.alpha(returns, benchmark) == pytest.approx(daily**YEAR - 1, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(SERIES, st.floats(0.1, 3.0))
def test_leverage_scales_what_it_should(returns, leverage):
    levered = [leverage * r for r in returns]
    assert m.sharpe_ratio(levered) == pytest.approx(m.sharpe_ratio(returns), nan_ok=True)
    assert m.annual_volatility(levered) == pytest.approx(
        leverage * m.annual_volatility(returns), nan_ok=True
    )
    assert m.tail_ratio(levered) == pytest.approx(m.tail_ratio(returns), nan_ok=True)


# Figures of a backtest ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config() -> BacktestConfig:
    return BacktestConfig(risk_free_rate=0.02, borrow_rate=0.03, financing_rate=0.05)


def test_the_figures_of_a_small_backtest_by_hand(config):
    sessions = pd.bdate_range("2024-01-01", periods=4, name="date")
    close = pd.DataFrame({"A": [10.0, 10.0, 11.0, 11.0]}, sessions)
    prices = Prices(close, close, close, close, close, close)
    target = pd.DataFrame({"A": [1.0, 0.0, 0.0, 0.0]}, sessions)
    config = replace(config, execution="next_open", financing_rate=0.0, initial_capital=1000.0)
    held = buy_and_hold(prices, sessions, config)
    # bought at 10 for 1, sold at the open of 11 for 1.1
    figures = m.figures(backtest(target, prices, config), held, config)
    assert figures["final_equity"] == pytest.approx(1097.9)
    assert figures["trades"] == figures["mean_holding_time"] == figures["trade_win_rate"] == 1
    assert figures["expectancy"] == pytest.approx(0.0979)
    assert math.isnan(figures["profit_factor"])
    assert figures["win_rate"] == 1 / 2  # held in sessions 1 (costs) and 2 (the gap)
    assert figures["exposure"] == 1 / 4
    assert figures["turnover"] == pytest.approx((1 + 1100 / 1099) * YEAR / 4)
    assert figures["break_even_cost"] == pytest.approx(100 / 2100 * 1e4)
    gross = (999 + 1) / 1000 * (1097.9 + 1.1) / 999
    assert figures["cost_drag"] == pytest.approx(gross**63 - 1.0979**63)
    assert figures["sharpe_ratio"] == pytest.approx(
        m.sharpe_ratio([0.0, -0.001, 1097.9 / 999 - 1, 0.0], 0.02 / YEAR)
    )


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_every_figure_of_a_real_strategy_is_known(prices, config, execution):
    config = replace(config, execution=execution)
    position = np.sign(prices.close.pct_change(20, fill_method=None)) / 3
    held = buy_and_hold(prices, prices.sessions, config)
    for target in (position, random_positions(position, seed=1)):
        figures = m.figures(backtest(target, prices, config), held, config)
        assert [name for name, value in figures.items() if not math.isfinite(value)] == []
    benchmark = m.figures(held, held, config)
    unknown = {name for name, value in benchmark.items() if not math.isfinite(value)}
    assert unknown <= {"information_ratio", "alpha_t_statistic", "profit_factor"}
    assert benchmark["beta"] == pytest.approx(1.0)
    assert benchmark["up_capture"] == benchmark["down_capture"] == 1.0


def test_a_strategy_that_never_trades_has_figures_all_the_same(prices, config):
    flat = backtest(prices.close * 0.0, prices, config)
    figures = m.figures(flat, buy_and_hold(prices, prices.sessions, config), config)
    assert figures["total_return"] == figures["max_drawdown"] == figures["trades"] == 0.0
    assert math.isnan(figures["sharpe_ratio"])
    assert math.isnan(figures["expectancy"])


def test_a_benchmark_of_other_sessions_is_refused(prices, config):
    flat = backtest(prices.close * 0.0, prices, config)
    with pytest.raises(ValueError, match="same sessions"):
        m.figures(flat, buy_and_hold(prices, prices.sessions[1:], config), config)


def test_every_public_function_is_tested_here():
    own = {
        name
        for name, value in vars(m).items()
        if inspect.isfunction(value) and value.__module__ == m.__name__ and name[0] != "_"
    }
    text = inspect.getsource(inspect.getmodule(test_every_public_function_is_tested_here))
    assert {name for name in own if f"m.{name}" not in text} == set()
