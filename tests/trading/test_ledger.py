import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from rnntrade.config import BacktestConfig
from rnntrade.trading.backtest import backtest
from tests.trading.test_backtest import NO_DATA, free, prices_of, targets, worlds

COLUMNS = [
    *("ticker", "direction", "entry_session", "exit_session", "entry_price", "exit_price"),
    *("duration", "gross_return", "net_return", "gross_profit", "costs", "net_profit"),
    *("maximum_adverse_excursion", "maximum_favourable_excursion", "confidence", "exit_reason"),
    *("open", "traded_value"),
]


def test_every_column_of_a_short_trade_by_hand():
    bars = prices_of({"A": [10, 10, 8, 9, 9]}, {"A": [10, 12, 6, 9, 9]})
    config = BacktestConfig(initial_capital=1000.0, commission_bps=50.0, half_spread_bps=50.0)
    sure = targets(bars, [0.2, 0.4, 0.9, 0.9, 0.9])
    result = backtest(targets(bars, [-1, -1, 0, 0, 0]), bars, config, sure)
    # 100 shares sold at 10 in session 1 and bought back at 9 in session 3
    expected = {
        "ticker": "A",
        "direction": -1,
        "entry_session": bars.sessions[1],
        "exit_session": bars.sessions[3],
        "entry_price": 10.0,
        "exit_price": 9.0,
        "duration": 2,
        "gross_return": 0.1,
        "net_return": 0.081,
        "gross_profit": 100.0,
        "costs": 19.0,
        "net_profit": 81.0,
        "maximum_adverse_excursion": -0.2,  # 12 in session 1
        "maximum_favourable_excursion": 0.4,  # 6 in session 2
        "confidence": 0.3,  # decisions 0 and 1 wanted it
        "exit_reason": "signal",
        "open": False,
        "traded_value": 1900.0,
    }
    pd.testing.assert_frame_equal(result.trades, pd.DataFrame([expected])[COLUMNS])


def test_scaling_stays_inside_one_trade():
    closes = [10.0, 20.0, 40.0, 30.0]
    bars = prices_of({"A": closes}, {"A": closes})
    config = free("close", initial_capital=1000.0)
    result = backtest(targets(bars, [0.5, 0.8, 0.4, 0.0]), bars, config)
    # 50 at 10; equity 1,500: 60 at 20; equity 2,700: 27 at 40; the last 27 at 30
    trade = result.trades.iloc[0]
    assert len(result.trades) == 1
    assert trade["entry_price"] == pytest.approx((50 * 10 + 10 * 20) / 60)
    assert trade["exit_price"] == pytest.approx((33 * 40 + 27 * 30) / 60)
    assert trade["gross_profit"] == pytest.approx(1430.0)
    assert trade["gross_return"] == pytest.approx(1430 / 700)
    assert trade["duration"] == 3


def test_an_open_trade_is_marked_at_the_last_price_without_an_exit_cost():
    bars = prices_of({"A": [10, 10, 11]}, {"A": [10, 11, 12]})
    config = BacktestConfig(initial_capital=1000.0, commission_bps=100.0, half_spread_bps=0.0)
    trade = backtest(targets(bars, [1, 1, 1]), bars, config).trades.iloc[0]
    assert bool(trade["open"])
    assert trade["exit_reason"] == "end of data"
    assert trade["exit_session"] == bars.sessions[2]
    assert (trade["exit_price"], trade["costs"], trade["duration"]) == (12.0, 10.0, 2)
    assert trade["net_return"] == pytest.approx(0.19)
    assert np.isnan(trade["confidence"])


def test_excursions_leave_out_what_was_not_held():
    """Bought at a close: that session's range is over.  Sold at an open: it has not begun."""
    bars = prices_of({"A": [30, 10, 10, 11, 1]}, {"A": [10, 10, 12, 99, 1]})
    closes = backtest(targets(bars, [1, 1, 0, 0, 0]), bars, free("close")).trades.iloc[0]
    assert closes["maximum_favourable_excursion"] == pytest.approx(0.2)
    opens = backtest(targets(bars, [1, 1, 0, 0, 0]), bars, free()).trades.iloc[0]
    assert opens["maximum_favourable_excursion"] == pytest.approx(0.2)
    assert opens["maximum_adverse_excursion"] == 0.0


def test_confidence_skips_decisions_that_no_longer_want_the_trade():
    """The exit decided in session 2 waits for a halt to end."""
    bars = prices_of({"A": [10, 10, 10, NO_DATA, 10, 10]}, {"A": [10, 10, 10, NO_DATA, 10, 10]})
    sure = targets(bars, [0.2, 0.4, 0.9, 0.9, 0.9, 0.9])
    result = backtest(targets(bars, [1, NO_DATA, 0, 0, 0, 0]), bars, free(), sure)
    assert result.trades["confidence"].tolist() == pytest.approx([0.3])
    assert result.trades["exit_session"].tolist() == [bars.sessions[4]]


def test_no_trade_is_an_empty_ledger_with_the_same_columns():
    bars = prices_of({"A": [10.0, 10.0]}, {"A": [10.0, 10.0]})
    trades = backtest(targets(bars, [0, 0]), bars, free()).trades
    assert list(trades) == COLUMNS
    assert len(trades) == 0
    assert trades["net_profit"].sum() == 0.0


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_trades_are_the_spells_of_one_sign(world):
    """A second derivation: walk down the held weights of each ticker and count the spells."""
    prices, target, config = world
    result = backtest(target, prices, config)
    if "bankrupt" in set(result.trades["exit_reason"]):
        return
    for ticker, weights in result.weights.items():
        sign = np.sign(weights.to_numpy())
        starts = np.flatnonzero((sign != 0) & (sign != np.append(0.0, sign[:-1])))
        trades = result.trades[result.trades["ticker"] == ticker]
        assert trades["entry_session"].tolist() == weights.index[starts].tolist()
        assert trades["direction"].tolist() == sign[starts].astype(int).tolist()
        assert trades["open"].sum() == int(sign[-1] != 0)
