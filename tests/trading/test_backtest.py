from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntrade.config import BacktestConfig
from rnntrade.errors import DataError
from rnntrade.trading.backtest import backtest, buy_and_hold, identity_gap
from rnntrade.trading.costs import liquidity
from rnntrade.trading.positions import random_positions
from rnntrade.types import FIELDS, Backtest, Prices
from tests.conftest import made_up_bars

EXECUTIONS = ["next_open", "close"]
NO_DATA = np.nan


def prices_of(
    opens: dict[str, list[float]], closes: dict[str, list[float]], volume: float = 1000.0
) -> Prices:
    """Bars from opens and closes; a NaN close is a session not traded."""
    bars = {}
    for ticker, close in closes.items():
        sessions = pd.bdate_range("2024-01-01", periods=len(close), name="date")
        table = pd.DataFrame({"open": opens[ticker], "close": close}, index=sessions)
        table["high"], table["low"] = table.max(axis=1), table.min(axis=1)
        table["volume"], table["raw_close"] = volume, table["close"]
        bars[ticker] = table.where(table["close"].notna())
    return Prices.join(bars)


def free(execution: str = "next_open", **changes: float) -> BacktestConfig:
    """No costs but those asked for."""
    return replace(
        BacktestConfig(execution=execution, commission_bps=0.0, half_spread_bps=0.0), **changes
    )


def targets(prices: Prices, *columns: list[float]) -> pd.DataFrame:
    values = np.column_stack([np.array(column, dtype=float) for column in columns])
    return pd.DataFrame(values, prices.sessions, prices.close.columns)


SMALL = prices_of({"A": [10.0, 10.0, 12.0, 11.0]}, {"A": [10.0, 11.0, 12.0, 12.0]})


# By hand ----------------------------------------------------------------------------------------


def test_a_trade_filled_at_opens_by_hand():
    config = BacktestConfig(initial_capital=1000.0, commission_bps=60.0, half_spread_bps=40.0)
    result = backtest(targets(SMALL, [1, 1, 0, 0]), SMALL, config)
    # 100 shares: bought at 10 in session 1 for 10 of costs, sold at 11 in session 3 for 11
    assert result.equity.tolist() == pytest.approx([1000.0, 1090.0, 1190.0, 1079.0])
    assert result.returns.tolist() == pytest.approx([0.0, 0.09, 1190 / 1090 - 1, 1079 / 1190 - 1])
    assert result.weights["A"].tolist() == pytest.approx([0.0, 1100 / 1090, 1200 / 1190, 0.0])
    assert result.turnover.tolist() == pytest.approx([0.0, 1.0, 0.0, 1100 / 1090])
    assert result.costs["commission"].tolist() == pytest.approx([0.0, 6.0, 0.0, 6.6])
    assert result.costs["spread"].tolist() == pytest.approx([0.0, 4.0, 0.0, 4.4])
    assert list(result.costs) == [
        *("commission", "spread", "slippage", "borrow", "financing", "interest")
    ]
    assert len(result.trades) == 1
    trade = result.trades.iloc[0]
    assert trade["entry_session"] == SMALL.sessions[1]
    assert trade["exit_session"] == SMALL.sessions[3]
    assert trade["net_profit"] == pytest.approx(79.0)
    assert trade["net_return"] == pytest.approx(0.079)


def test_the_same_decisions_filled_at_closes_by_hand():
    config = BacktestConfig(
        execution="close", initial_capital=1000.0, commission_bps=60.0, half_spread_bps=40.0
    )
    result = backtest(targets(SMALL, [1, 1, 0, 0]), SMALL, config)
    # 100 shares at 10 in session 0, sold at 12 in session 2
    assert result.equity.tolist() == pytest.approx([990.0, 1090.0, 1178.0, 1178.0])
    assert result.returns.iloc[0] == pytest.approx(-0.01)
    assert result.trades["net_return"].tolist() == pytest.approx([0.178])
    assert result.trades["duration"].tolist() == [2]


def test_the_last_decision_is_not_filled_before_a_next_open():
    late = targets(SMALL, [0, 0, 0, 1])
    assert len(backtest(late, SMALL, BacktestConfig()).trades) == 0
    assert len(backtest(late, SMALL, BacktestConfig(execution="close")).trades) == 1


def test_a_change_of_sign_is_one_order_and_two_trades():
    config = BacktestConfig(initial_capital=1000.0, commission_bps=100.0, half_spread_bps=0.0)
    result = backtest(targets(SMALL, [1, -1, -1, -1]), SMALL, config)
    # session 1: buy 100 at 10, pays 10; session 2: equity 1190, so short 1190/12 shares
    shares = 1190 / 12
    assert result.costs["commission"].tolist() == pytest.approx(
        [0, 10, (100 + shares) * 12 * 0.01, 0]
    )
    assert result.trades["exit_reason"].tolist() == ["reversal", "end of data"]
    assert result.trades["direction"].tolist() == [1, -1]
    assert result.trades["costs"].tolist() == pytest.approx([10 + 12.0, 11.9])
    assert result.trades["gross_return"].tolist() == pytest.approx([0.2, 0.0])


def test_borrow_financing_and_interest_by_hand():
    config = free(
        "close", initial_capital=1000.0, borrow_rate=2.52, financing_rate=2.52, cash_rate=0.252
    )
    flat = prices_of({"A": [10.0] * 3}, {"A": [10.0] * 3})
    short = backtest(targets(flat, [-1, -1, -1]), flat, config)
    # cash 2,000 earns 2 a night, 1,000 borrowed in shares cost 10
    assert short.costs["interest"].tolist() == pytest.approx([0, 2.0, 1.992])
    assert short.costs["borrow"].tolist() == pytest.approx([0, 10.0, 10.0])
    assert short.trades["costs"].tolist() == pytest.approx([20.0])
    leveraged = backtest(targets(flat, [2, 2, 2]), flat, config)  # 1,000 borrowed in cash
    assert leveraged.costs["financing"].tolist() == pytest.approx([0, 10.0, 10.1])
    assert leveraged.equity.tolist() == pytest.approx([1000.0, 990.0, 979.9])


def test_slippage_by_hand():
    """Fixed bps, and volatility × (share + impact × √(ordered / volume)), known at the decision."""
    closes = [10.0, 11.0, 9.9, 9.9]  # returns 0.1, -0.1 known at session 2: deviation 0.1 √2
    bars = prices_of({"A": closes}, {"A": closes}, volume=400.0)
    target = targets(bars, [NO_DATA, NO_DATA, 1, 1])
    config = free(
        initial_capital=990.0, slippage_bps=100.0, slippage_volatility=0.5, slippage_impact=1.0
    )
    result = backtest(target, bars, config)
    rate = 0.01 + 0.1 * 2**0.5 * (0.5 + (100 / 400) ** 0.5)
    assert result.costs["slippage"].tolist() == pytest.approx([0, 0, 0, 990 * rate])


def test_an_order_waits_through_a_halt_and_the_newest_decision_wins():
    closes = {"A": [10.0, NO_DATA, NO_DATA, 20.0, 20.0], "B": [1.0] * 5}
    bars = prices_of({"A": [10.0, NO_DATA, NO_DATA, 16.0, 20.0], "B": [1.0] * 5}, closes)
    nothing = [0.0] * 5
    waits = backtest(targets(bars, [1, NO_DATA, NO_DATA, NO_DATA, NO_DATA], nothing), bars, free())
    assert waits.trades["entry_session"].tolist() == [bars.sessions[3]]
    assert waits.trades["entry_price"].tolist() == [16.0]
    assert waits.equity.tolist() == pytest.approx([1e5, 1e5, 1e5, 1.25e5, 1.25e5])
    replaced = backtest(targets(bars, [1, 1, -0.5, -0.5, -0.5], nothing), bars, free())
    assert replaced.weights["A"].iloc[3] == pytest.approx(-0.625 / 0.875)
    withdrawn = backtest(targets(bars, [1, 0, 0, 0, 0], nothing), bars, free())
    assert len(withdrawn.trades) == 0


def test_a_halted_holding_is_marked_at_its_last_price():
    bars = prices_of({"A": [10, 10, NO_DATA, 12]}, {"A": [10, 11, NO_DATA, 12]})
    for execution in EXECUTIONS:
        result = backtest(targets(bars, [1, 1, 1, 1]), bars, free(execution))
        assert result.equity.tolist() == pytest.approx([1e5, 1.1e5, 1.1e5, 1.2e5])
        assert result.trades["open"].tolist() == [True]


def test_a_missing_decision_holds_and_weights_drift():
    bars = prices_of({"A": [10, 10, 20, 20]}, {"A": [10, 20, 20, 20]})
    held = backtest(targets(bars, [0.5, NO_DATA, 0.5, 0.5]), bars, free())
    assert held.turnover.tolist() == [0, 0.5, 0, 0]
    assert held.weights["A"].tolist() == pytest.approx([0, 2 / 3, 2 / 3, 2 / 3])


def test_next_open_differs_from_close_by_the_overnight_gap():
    bars = prices_of({"A": [10, 11, 11]}, {"A": [10, 11, 11]})  # the whole move is overnight
    target = targets(bars, [1, 1, 1])
    assert backtest(target, bars, free("close")).equity.iloc[-1] == pytest.approx(1.1e5)
    assert backtest(target, bars, free("next_open")).equity.iloc[-1] == 1e5


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_nothing_is_traded_after_bankruptcy(execution):
    closes = [10.0, 10.0, 25.0, 5.0, 5.0]
    bars = prices_of({"A": closes}, {"A": closes})
    config = BacktestConfig(execution=execution, cash_rate=0.05, financing_rate=0.05)
    result = backtest(targets(bars, [-1, -1, -1, 1, -1]), bars, config)
    assert result.trades["exit_reason"].tolist() == ["bankrupt"]
    assert result.trades["exit_session"].tolist() == [bars.sessions[2]]
    assert (result.equity.iloc[2:] == result.equity.iloc[2]).all()
    assert result.equity.iloc[2] < 0
    assert result.returns.iloc[3:].tolist() == [0.0, 0.0]
    assert result.weights.iloc[2:].to_numpy().tolist() == [[0.0], [0.0], [0.0]]


# Oracles ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> Prices:
    sessions = pd.bdate_range("2018-01-01", periods=400, name="date")
    return Prices.join({"A": made_up_bars(sessions, 7), "B": made_up_bars(sessions, 8)})


def foresight(prices: Prices, at: str) -> pd.DataFrame:
    """The sign of the move from this fill to the next one, half of equity in each ticker."""
    price = getattr(prices, at)
    first = 0 if at == "close" else -1  # a decision of t is filled at close t, or at open t+1
    return np.sign(price.shift(first - 1) - price.shift(first)).fillna(0.0) / 2


def gross_days(result: Backtest) -> pd.Series:
    return result.equity.diff().fillna(0.0)


def test_perfect_foresight_never_loses_a_gross_day_and_a_day_late_does(whole):
    target = foresight(whole, "close")
    assert (gross_days(backtest(target, whole, free("close"))) >= 0).all()
    late = gross_days(backtest(target.shift(1), whole, free("close")))
    assert (late < 0).mean() > 0.2

    no_gap = replace(whole, open=whole.close.shift(1).fillna(whole.open))
    target = foresight(no_gap, "open")
    assert (gross_days(backtest(target, no_gap, free())) >= -1e-6).all()
    assert (gross_days(backtest(target.shift(1), no_gap, free())) < 0).mean() > 0.2


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_no_trade_with_perfect_foresight_loses(whole, execution):
    target = foresight(whole, "close" if execution == "close" else "open")
    trades = backtest(target, whole, free(execution)).trades
    assert len(trades) > 100
    assert (trades["gross_profit"] >= -1e-9).all()


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_always_long_equals_buy_and_hold(whole, execution):
    config = BacktestConfig(execution=execution)
    always = backtest(pd.DataFrame(0.5, whole.sessions, whole.close.columns), whole, config)
    held = buy_and_hold(whole, whole.sessions, config)
    np.testing.assert_allclose(always.equity, held.equity, rtol=1e-12)

    # a second derivation: shares bought once, and the cash that their costs took
    at, first = (whole.close, 0) if execution == "close" else (whole.open, 1)
    shares = 50_000.0 / at.iloc[first]
    by_hand = (whole.close * shares).sum(axis=1) - 100.0
    by_hand.iloc[:first] = 100_000.0
    np.testing.assert_allclose(held.equity, by_hand, rtol=1e-12)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_flat_equals_cash(whole, execution):
    flat = pd.DataFrame(0.0, whole.sessions, whole.close.columns)
    result = backtest(flat, whole, BacktestConfig(execution=execution))
    assert (result.equity == 100_000.0).all()
    result = backtest(flat, whole, BacktestConfig(execution=execution, cash_rate=0.05))
    grown = 100_000.0 * (1 + 0.05 / 252) ** np.arange(len(flat))
    np.testing.assert_allclose(result.equity, grown, rtol=1e-12)


def test_random_positions_lose_the_costs_on_average():
    sessions = pd.bdate_range("2018-01-01", periods=250, name="date")
    gross, net, paid = [], [], []
    for seed in range(60):
        bars = Prices.join({"A": made_up_bars(sessions, 1000 + seed)})
        signs = np.where(np.random.default_rng(seed).random(len(sessions)) < 0.5, -1.0, 1.0)
        target = random_positions(pd.DataFrame({"A": signs}, index=sessions), seed)
        gross.append(backtest(target, bars, free()).equity.iloc[-1] - 1e5)
        result = backtest(target, bars, BacktestConfig())
        net.append(result.equity.iloc[-1] - 1e5)
        paid.append(result.costs[["commission", "spread"]].to_numpy().sum())
    noise = np.std(gross, ddof=1) / len(gross) ** 0.5
    assert abs(np.mean(gross)) < 3 * noise
    assert abs(np.mean(net) + np.mean(paid)) < 3 * noise
    assert np.mean(net) < -3 * noise


# Properties -------------------------------------------------------------------------------------

RATE = st.floats(0.0, 0.5)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Prices, pd.DataFrame, BacktestConfig]:
    """Targets, prices with holes, and costs of any size."""
    count, width = draw(st.integers(1, 25)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.001, 0.05, 0.5]))
    sessions = pd.bdate_range("2020-01-01", periods=count, name="date")
    bars = {}
    for ticker in "ABC"[:width]:
        table = made_up_bars(sessions, int(rng.integers(2**31)))
        step = np.exp(rng.normal(0.0, scale, count).cumsum())
        table[list(FIELDS[:4])] = table[list(FIELDS[:4])].mul(step, axis=0)
        missing = rng.random(count) < draw(st.sampled_from([0.0, 0.2, 0.7]))
        table[missing] = np.nan
        bars[ticker] = table
    prices = Prices.join(bars)
    choices = [NO_DATA, -1.0, 0.0, 1.0, *rng.uniform(-3.0, 3.0, 3)]
    rows = rng.choice(choices, size=(count, width))
    config = BacktestConfig(
        execution=draw(st.sampled_from(EXECUTIONS)),
        commission_bps=draw(st.floats(0.0, 300.0)),
        half_spread_bps=draw(st.floats(0.0, 300.0)),
        slippage_bps=draw(st.floats(0.0, 300.0)),
        slippage_volatility=draw(RATE),
        slippage_impact=draw(RATE),
        borrow_rate=draw(RATE),
        financing_rate=draw(RATE),
        cash_rate=draw(st.floats(-0.1, 0.5)),
    )
    return prices, pd.DataFrame(rows, sessions, prices.close.columns), config


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_the_books_balance_in_every_world(world):
    prices, target, config = world
    result = backtest(target, prices, config)
    assert identity_gap(result) <= 1e-9
    assert np.isfinite(result.equity).all()
    paid = result.costs.sum().drop(["interest", "financing"]).sum()
    assert result.trades["costs"].sum() == pytest.approx(paid, rel=1e-9, abs=1e-6)
    # returns compound to the final equity, and weights belong to the equity of their row
    growth = (1 + result.returns).prod()
    assert result.equity.iloc[-1] == pytest.approx(1e5 * growth, rel=1e-9, abs=1e-5)
    trades = result.trades
    np.testing.assert_allclose(
        trades["gross_return"],
        trades["direction"] * (trades["exit_price"] / trades["entry_price"] - 1),
    )
    assert (trades["maximum_adverse_excursion"] <= 0).all()
    assert (trades["maximum_favourable_excursion"] >= 0).all()
    assert (trades["entry_session"] <= trades["exit_session"]).all()


@settings(max_examples=60, deadline=None)
@given(worlds(), st.data())
def test_nothing_dated_up_to_t_sees_prices_after_t(world, data):
    prices, target, config = world
    now = data.draw(st.integers(0, len(target) - 1))
    factor = data.draw(st.sampled_from([1.01, 1000.0, NO_DATA]))
    after = np.arange(len(target)) > now
    changed = prices.map(lambda frame: frame.mul(np.where(after, factor, 1.0), axis=0))
    first, second = (backtest(target, some, config) for some in (prices, changed))
    for name in ("equity", "returns", "weights", "turnover", "costs"):
        before, then = (getattr(run, name).iloc[: now + 1] for run in (first, second))
        assert before.equals(then), name


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_replay_that_ends_at_t_gives_the_same_rows(prices, execution):
    rng = np.random.default_rng(0)
    target = pd.DataFrame(rng.normal(size=(700, 3)) / 3, prices.sessions, prices.close.columns)
    config = BacktestConfig(execution=execution, slippage_impact=0.1, cash_rate=0.02)
    full = backtest(target, prices, config)
    for end in (1, 151, 302, 306, 699):
        part = backtest(target.iloc[:end], prices, config)
        assert part.equity.equals(full.equity.iloc[:end])
        assert part.weights.equals(full.weights.iloc[:end])


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_splits_do_not_matter_on_adjusted_data(prices, execution):
    """Only `raw_close` shows a split; rescaled adjusted prices buy more or fewer shares."""
    rng = np.random.default_rng(1)
    target = pd.DataFrame(
        rng.choice([-0.3, 0.0, 0.3], size=(700, 3)), prices.sessions, prices.close.columns
    )
    config = BacktestConfig(execution=execution, slippage_impact=0.1)
    before = backtest(target, prices, config)
    split = {name: getattr(prices, name) / 4.0 for name in FIELDS[:4]}
    after = backtest(
        target,
        replace(prices, **split, volume=prices.volume * 4.0, raw_close=prices.raw_close * 3.0),
        config,
    )
    np.testing.assert_allclose(after.equity, before.equity, rtol=1e-12)
    pd.testing.assert_series_equal(after.trades["net_return"], before.trades["net_return"])


def test_sessions_between_decisions_are_run_too(prices):
    target = pd.DataFrame(0.3, prices.sessions[[200, 210, 400]], prices.close.columns)
    result = backtest(target, prices, BacktestConfig())
    assert result.equity.index.equals(prices.sessions[200:401])


def test_earlier_prices_than_the_first_decision_inform_slippage_only(prices):
    target = pd.DataFrame(0.3, prices.sessions[300:], prices.close.columns)
    config = BacktestConfig()
    cut = prices.on(slice(300, None))
    one, other = backtest(target, prices, config), backtest(target, cut, config)
    assert one.equity.equals(other.equity)


# Mistakes ---------------------------------------------------------------------------------------


def test_what_cannot_be_run_is_refused_with_the_reason(prices):
    good = pd.DataFrame(0.3, prices.sessions, prices.close.columns)
    config = BacktestConfig()
    with pytest.raises(DataError, match="1 of its sessions, the first 1999-01-01"):
        backtest(
            good.rename({prices.sessions[3]: pd.Timestamp("1999-01-01")}).sort_index(),
            prices,
            config,
        )
    with pytest.raises(DataError, match="no prices of NONE"):
        backtest(good.rename(columns={"LATE": "NONE"}), prices, config)
    with pytest.raises(DataError, match="infinite"):
        backtest(good * np.inf, prices, config)
    with pytest.raises(DataError, match="ascending"):
        backtest(good.iloc[::-1], prices, config)
    with pytest.raises(DataError, match="no sessions"):
        backtest(good.iloc[:0], prices, config)
    with pytest.raises(DataError, match="zero or less"):
        backtest(good, replace(prices, low=prices.low * 0.0), config)


def test_slippage_forgets_a_jump_that_left_its_window():
    days = pd.bdate_range("2024-01-01", periods=60, name="date")
    close = np.full(60, 1e-4)
    close[:20] = 1e-4 * np.exp(np.random.default_rng(0).normal(0.0, 3.0, 20))
    volume = np.where(np.arange(60) < 20, 1e12, 1e-3)
    bars = {name: close for name in ("open", "high", "low", "close", "raw_close")}
    prices = Prices.join({"X": pd.DataFrame({**bars, "volume": volume}, days)})
    volatility, mean_volume = liquidity(prices, days)
    assert volatility[20, 0] > 0.0
    assert (volatility[41:] == 0.0).all()
    assert mean_volume[41:, 0] == pytest.approx(1e-3, rel=1e-12)
