"""Engines broken on purpose: each mistake is found, named, and given to the right stage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rnntrade.audit.oracles import audit_engine
from rnntrade.audit.reference import account_scale, reference
from rnntrade.config import BacktestConfig
from rnntrade.trading.backtest import backtest, buy_and_hold
from rnntrade.types import FIELDS, Backtest, Prices
from tests.audit.wild import KINDS, wild

CONFIG = BacktestConfig()


@pytest.fixture(scope="module")
def two(prices) -> Prices:
    """The ticker with a halt and the whole one."""
    tables = {name: getattr(prices, name)[["WHOLE", "HALTED"]] for name in FIELDS}
    return Prices(**tables)


def test_the_engine_is_clean_on_prices_with_holes(prices):
    audited = audit_engine(prices, CONFIG)
    assert [finding.sentence() for finding in audited.findings] == []
    assert audited.clean
    assert min(audited.comparisons[s] for s in ("fills", "returns", "costs", "equity")) > 1000


def test_a_halt_held_through_at_a_close_far_from_its_open_is_no_loss_of_foresight():
    """The book marks a halted ticker at its last close; its position began at the open before."""
    days = pd.bdate_range("2024-01-01", periods=6, name="date")

    def table(**columns: list[float]) -> pd.DataFrame:
        return pd.DataFrame(columns, days)

    opens = table(A=[10.0, 10.0, 12.0, np.nan, 9.0, 9.0], B=[10.0, 10.1, 10.2, 10.3, 10.4, 10.5])
    closes = table(A=[10.0, 11.0, 15.0, np.nan, 9.0, 9.0], B=[10.0, 10.1, 10.2, 10.3, 10.4, 10.5])
    prices = Prices(
        opens, closes.clip(lower=opens), opens.clip(upper=closes), closes, opens, closes
    )
    assert audit_engine(prices, CONFIG).findings == ()


@pytest.mark.parametrize("execution", ["next_open", "close"])
def test_the_plain_loops_count_a_case_done_by_hand(execution):
    days = pd.bdate_range("2024-01-01", periods=4, name="date")

    def table(*values: float) -> pd.DataFrame:
        return pd.DataFrame({"X": values}, days)

    opens, close = table(10.0, 10.0, np.nan, 16.0), table(10.0, 12.0, np.nan, 20.0)
    prices = Prices(opens, close * 2.0, opens / 2.0, close, close, close)
    config = BacktestConfig(
        execution=execution, initial_capital=1000.0, commission_bps=100.0, half_spread_bps=0.0
    )
    told = reference(table(0.5, 0.0, -1.0, np.nan), prices, config)
    if execution == "next_open":
        # 50 shares at 10 for 5 of costs; the halt waits, and the newest decision wins: at 16 the
        # book is worth 495 + 800, is sold and goes short 1295 / 16 shares, 20.95 of costs.
        short = 1295.0 / 16.0
        costs = (50.0 + short) * 16.0 * 0.01
        equity = [1000.0, 1095.0, 1095.0, 1295.0 + short * 16.0 - costs - short * 20.0]
        assert told["costs"].tolist() == pytest.approx([0.0, 5.0, 0.0, costs])
    else:
        # 50 at 10, sold at 12; the short waits for the close of 20.
        equity = [995.0, 1089.0, 1089.0, 1089.0 * 0.99]
    # a decision that no bar came for: the last one, as if nothing new was decided
    assert told["equity"].tolist() == pytest.approx(equity)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_engine_is_never_condemned_on_a_wild_market(kind):
    number = list(KINDS).index(kind)
    prices = wild(kind, seed=number, tickers=1 + number % 2, sessions=130)
    config = BacktestConfig(initial_capital=(1e-3, 1e15)[number % 2])  # in any currency
    audited = audit_engine(prices, config, sessions=130)
    assert [finding.sentence() for finding in audited.findings] == []
    assert audited.comparisons["fills"] > 250


def one_ticker(opens: list[float], closes: list[float]) -> Prices:
    days = pd.bdate_range("2024-01-01", periods=len(opens), name="date")
    opens, closes = (pd.DataFrame({"X": np.array(each)}, days) for each in (opens, closes))
    high, low = opens.clip(lower=closes), opens.clip(upper=closes)
    return Prices(opens, high, low, closes, opens * 0 + 1e6, closes)


def test_a_short_is_ruined_where_the_price_doubles_exactly_by_engine_and_loops_alike():
    # 0.1 % of costs short at 10: what is left at 20 is less than nothing; without costs exactly 0
    prices = one_ticker([10.0, 10.0, 20.0, 5.0, 40.0], [10.0, 10.0, 20.0, 5.0, 40.0])
    target = pd.DataFrame({"X": [-1.0, -1.0, -1.0, 1.0, 1.0]}, prices.sessions)
    for execution in ("next_open", "close"):
        for rate in (0.0, 5.0):
            config = BacktestConfig(execution, 3.0, rate, rate)
            told = backtest(target, prices, config)
            due = reference(target, prices, config)["equity"]
            assert told.equity.to_numpy() == pytest.approx(due.to_numpy(), abs=1e-12)
            assert told.trades["exit_reason"].tolist() == ["bankrupt"]
            assert told.equity.iloc[-1] <= 0.0


def test_costs_beyond_the_account_ruin_it_at_the_same_close():
    prices = one_ticker([10.0] * 5, [10.0, 11.0, 9.0, 12.0, 12.0])
    target = pd.DataFrame({"X": [1.0, -1.0, 1.0, -1.0, 1.0]}, prices.sessions)
    config = BacktestConfig("close", slippage_bps=20_000.0)
    due = reference(target, prices, config)
    told = backtest(target, prices, config)
    assert told.equity.to_numpy() == pytest.approx(due["equity"].to_numpy())
    assert told.costs.sum(axis=1).to_numpy() == pytest.approx(due["costs"].to_numpy())


def test_a_ruin_before_a_ticker_is_listed_is_counted_by_the_plain_loops():
    prices = one_ticker([10.0, 10.0, 30.0, 30.0], [10.0, 10.0, 30.0, 30.0])
    late = {n: getattr(prices, n).assign(Y=[np.nan, np.nan, np.nan, 1.0]) for n in FIELDS}
    target = pd.DataFrame({"X": [-1.0] * 4, "Y": [0.5] * 4}, prices.sessions)
    due = reference(target, Prices(**late), CONFIG)["equity"]
    told = backtest(target, Prices(**late), CONFIG).equity
    assert told.to_numpy() == pytest.approx(due.to_numpy())


def test_an_account_is_as_large_as_it_is_was_and_fell_from():
    days = pd.RangeIndex(6)
    scale = account_scale(100.0, pd.Series([100.0, 1e6, 1e3, 2e3, 0.0, 0.0], days))
    assert scale.tolist() == [100.0, 1e6, 1e6, 2e6, 2e3, 0.0]


@pytest.mark.parametrize("share", [1e-7, -1e-7])
def test_a_wrong_share_of_a_large_account_is_found_where_it_is_small_beside_the_start(share, two):
    def leaking(target, prices, config):
        """From session 50 on it is off by a share of what is left."""
        result = backtest(target, prices, config)
        off = result.equity * share * (np.arange(len(result.equity)) >= 50)
        return replace(result, equity=result.equity + off)

    assert not audit_engine(two, CONFIG, sessions=90, backtest=leaking).clean


def same_close(target, prices, config):
    return backtest(target, prices, replace(config, execution="close"))


def next_open_for_close(target, prices, config):
    return backtest(target, prices, replace(config, execution="next_open"))


def at_the_low(target, prices, config):
    return backtest(target, replace(prices, open=prices.low), config)


def bought_at_the_low(target, prices, config):
    """Equity is honest, the ledger is not."""
    result = backtest(target, prices, config)
    trades = result.trades
    low = [
        prices.low.loc[session, ticker]
        for session, ticker in zip(trades["entry_session"], trades["ticker"], strict=True)
    ]
    price = trades["entry_price"].where(trades["direction"] < 0, low)
    return replace(result, trades=trades.assign(entry_price=price))


def same_session_return(target, prices, config):
    """The classic one-liner: position times return, both of session t."""
    result = backtest(target, prices, config)
    moves = prices.close.loc[target.index, target.columns].pct_change(fill_method=None)
    earned = (target.ffill().fillna(0.0) * moves.fillna(0.0)).sum(axis=1)
    equity = config.initial_capital * (1.0 + earned).cumprod()
    return replace(result, equity=equity, returns=earned)


def seen_a_session_early(target, prices, config):
    return backtest(target.shift(-1), prices, config)


def filled_a_session_late(target, prices, config):
    return backtest(target.shift(1), prices, config)


def without_costs(target, prices, config):
    return backtest(
        target, prices, BacktestConfig(config.execution, config.initial_capital, 0.0, 0.0)
    )


def half_the_costs(target, prices, config):
    rates = {name: getattr(config, name) / 2 for name in COSTS}
    return backtest(target, prices, replace(config, **rates))


def costs_on_buys_only(target, prices, config):
    """Nothing is charged for what is sold."""
    result = backtest(target, prices, config)
    paid = result.costs[["commission", "spread", "slippage"]].sum(axis=1)
    return replace(result, equity=result.equity + (paid / 2).cumsum())


def shorts_as_longs(target, prices, config):
    return backtest(target.abs(), prices, config)


def no_interest(target, prices, config):
    return backtest(target, prices, replace(config, cash_rate=0.0))


def no_interest_on_flat(target, prices, config):
    flat = not target.to_numpy().any()
    return backtest(target, prices, replace(config, cash_rate=0.0) if flat else config)


def no_borrow(target, prices, config):
    return backtest(target, prices, replace(config, borrow_rate=0.0))


def no_financing(target, prices, config):
    return backtest(target, prices, replace(config, financing_rate=0.0))


def filled_while_halted(target, prices, config):
    return backtest(target, replace(prices, open=prices.open.ffill()), config)


COSTS = (
    *("commission_bps", "half_spread_bps", "slippage_bps"),
    *("slippage_volatility", "slippage_impact"),
)
MUTANTS = [
    (same_close, "fills", "fill at the same close"),
    (next_open_for_close, "fills", "fill at the next open"),
    (at_the_low, "fills", "fill at the low"),
    (bought_at_the_low, "fills", "fill at the low"),
    (same_session_return, "returns", "off-by-one return"),
    (seen_a_session_early, "returns", "off-by-one return"),
    (filled_a_session_late, "fills", "decisions filled a session late"),
    (without_costs, "costs", "costs forgotten"),
    (half_the_costs, "costs", "costs in part"),
    (costs_on_buys_only, "costs", "costs in part"),
    (shorts_as_longs, "returns", "shorts earn what longs earn"),
    (no_interest, "costs", "interest on cash missing"),
    (no_interest_on_flat, "costs", "interest on cash missing"),
    (no_borrow, "costs", "borrow cost missing"),
    (no_financing, "costs", "financing missing"),
    (filled_while_halted, "fills", "fill while not trading"),
]


@pytest.mark.parametrize(
    ("mutant", "stage", "kind"), MUTANTS, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_broken_engine_is_caught_and_named(mutant, stage, kind, two):
    found = audit_engine(two, CONFIG, sessions=90, backtest=mutant).findings
    named = [each for each in found if (each.stage, each.kind) == (stage, kind)]
    assert named, [each.sentence() for each in found]
    assert named[0].check == "oracle"
    assert named[0].session in {f"{day:%Y-%m-%d}" for day in two.sessions}
    assert set(named[0].series.split(", ")) <= set(two.tickers)


def test_the_ticker_behind_a_mistake_is_named(two):
    def one_shorts_badly(target, bars, config) -> Backtest:
        if "HALTED" in target:
            target = target.assign(HALTED=target["HALTED"].abs())
        return backtest(target, bars, config)

    found = audit_engine(two, CONFIG, sessions=90, backtest=one_shorts_badly).findings
    assert {each.series for each in found if "shorts" in each.kind} == {"HALTED"}


def test_a_benchmark_at_other_costs_than_the_strategy_is_told(two):
    def free(bars, sessions, config):
        return buy_and_hold(bars, sessions, replace(config, commission_bps=0.0))

    found = audit_engine(two, CONFIG, sessions=90, buy_and_hold=free).findings
    assert {(each.stage, each.kind) for each in found} == {
        ("equity", "costs or fills differ from buy and hold's")
    }
