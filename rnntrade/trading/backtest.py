"""From target weights to money: fills, costs, holdings and equity, session by session.

A position decided after the close of t is filled at the next open at which its ticker trades
("next_open"), or at the close of t itself ("close"); a halted ticker's order waits, and the newest
decision wins.  An order is placed only when the decision changes: between orders shares are held
and weights drift.  It buys target × equity worth of shares, equity marked at the fill's prices
(last known ones where a ticker does not trade) before the costs of that fill.  So a book invested
in full borrows what its costs take.

When equity is gone (nothing but rounding is left, or less, at an open with fills at opens, or at a
close), everything is closed there, halted tickers at their last price, and nothing is traded,
charged or earned again.
"""

import numpy as np
import pandas as pd

from rnntrade.config import BacktestConfig
from rnntrade.errors import DataError
from rnntrade.trading.costs import COST_KINDS, TRADE_COSTS, liquidity, trade_rates
from rnntrade.trading.ledger import FILL, Book, ledger
from rnntrade.types import Array, Backtest, Prices

IDENTITY_TOLERANCE = 1e-9
RUIN = 1e-12  # of the cash, lent or borrowed: what is left of both is rounding
MOMENTS = {  # of a session: (at its close?, are orders filled?); each looks whether equity is gone
    "next_open": ((False, True), (True, False)),
    "close": ((True, True), (True, False)),
}


def backtest(
    target: pd.DataFrame,
    prices: Prices,
    config: BacktestConfig,
    confidence: pd.DataFrame | None = None,
) -> Backtest:
    """Trade towards target weights and account for every cent.

    target      (T, K) fraction of equity, decided after the close of row t; NaN: no new decision.
                Sessions of `prices` missing in between are run too, without a decision
    prices      whose sessions and tickers include the target's; earlier ones inform slippage only
    confidence  (T, K) of the decisions, for the ledger
    returns     row t sees prices up to the close of t.  Equity starts from the initial capital
                before the first row; the first decision is filled in row 1 at an open, or in row 0
    errors      DataError for sessions or tickers without prices, an infinite target, prices <= 0;
                AssertionError if the books do not balance (a defect)
    """
    target = _on_sessions(target, prices)
    sessions, tickers = pd.DatetimeIndex(target.index), target.columns
    bars = {
        name: getattr(prices, name).loc[sessions, tickers].to_numpy(dtype=float)
        for name in ("open", "high", "low", "close")
    }
    if any((values <= 0.0).any() for values in bars.values()):
        raise DataError("prices of zero or less cannot be traded: check the source's bars.")
    known = liquidity(prices.of(list(tickers)), sessions)
    book = _trade(target, bars["open"], bars["close"], known, config)
    sure = pd.DataFrame(index=sessions, columns=tickers) if confidence is None else confidence
    sure = sure.reindex(index=sessions, columns=tickers)
    equity = pd.Series(book.equity, sessions, name="equity")
    before = equity.shift(fill_value=config.initial_capital)
    result = Backtest(
        execution=config.execution,
        initial_capital=config.initial_capital,
        equity=equity,
        returns=(equity / before - 1.0).where(before > 0.0, 0.0).rename("returns"),
        weights=pd.DataFrame(book.weights, sessions, tickers),
        turnover=pd.Series(book.turnover, sessions, name="turnover"),
        costs=pd.DataFrame(book.costs, sessions, pd.Index(COST_KINDS)),
        trades=ledger(book, bars["high"], bars["low"], sure),
    )
    gap = identity_gap(result)
    if not gap <= IDENTITY_TOLERANCE:
        raise AssertionError(f"the books do not balance: off by {gap:.3g} of the largest equity")
    return result


def buy_and_hold(prices: Prices, sessions: pd.DatetimeIndex, config: BacktestConfig) -> Backtest:
    """Hold all K tickers over these sessions: 1/K of equity each, bought once, at equal costs.

    Decided after the first session's close, like a strategy's first decision; a ticker listed later
    is bought when it first trades.
    """
    weight = 1.0 / max(len(prices.tickers), 1)
    return backtest(pd.DataFrame(weight, sessions, prices.close.columns), prices, config)


def identity_gap(result: Backtest) -> float:
    """How far final equity is from initial capital + net profits + interest - financing.

    returns  the absolute difference over the largest equity seen; 1e-9 is allowed
    """
    explained = (
        result.initial_capital
        + float(result.trades["net_profit"].sum())
        + float(result.costs["interest"].sum())
        - float(result.costs["financing"].sum())
    )
    scale = max(result.initial_capital, float(result.equity.abs().max()))
    return abs(float(result.equity.iloc[-1]) - explained) / scale


def _trade(
    target: pd.DataFrame,
    opens: Array,
    closes: Array,
    known: tuple[Array, Array],
    config: BacktestConfig,
) -> Book:
    """Walk through the sessions: the night, the open, the close."""
    count, width = target.shape
    wanted = target.ffill().fillna(0.0).to_numpy(dtype=float)
    decided = np.where(target.notna().to_numpy(), np.arange(count)[:, None], -1)
    decision = np.maximum.accumulate(decided, axis=0)  # row of the decision that stands
    nothing = np.zeros(width)

    cash, shares, mark = config.initial_capital, nothing, nothing
    filled, bankrupt = nothing, False  # the target that the shares answer to
    equity, turnover = np.zeros(count), np.zeros(count)
    costs = np.zeros((count, len(COST_KINDS)))
    weights, borrow = np.zeros((count, width)), np.zeros((count, width))
    fills: list[tuple[Array, ...]] = []

    for now in range(count):
        if now > 0 and not bankrupt:
            shorts = np.maximum(-shares, 0.0) * mark  # cash holds what their sale brought
            borrow[now] = shorts * (config.borrow_rate / config.sessions_per_year)
            financing = max(-cash, 0.0) * config.financing_rate / config.sessions_per_year
            interest = max(cash, 0.0) * config.cash_rate / config.sessions_per_year
            costs[now, len(TRADE_COSTS) :] = borrow[now].sum(), financing, interest
            cash += interest - financing - float(borrow[now].sum())
        for at_close, filling in MOMENTS[config.execution]:
            price = closes[now] if at_close else opens[now]
            trading = np.isfinite(price)
            mark = np.where(trading, price, mark)
            worth = cash + float((shares * mark).sum())
            seen = now if at_close else now - 1  # the newest decision that can be filled here
            after = shares
            if worth <= RUIN * abs(cash) and not bankrupt:
                after, bankrupt = nothing, True
            elif filling and seen >= 0 and not bankrupt:
                due = trading & (wanted[seen] != filled)
                filled = np.where(due, wanted[seen], filled)
                after = shares.copy()
                after[due] = wanted[seen, due] * worth / mark[due]
            (moved,) = np.nonzero(after != shares)
            if len(moved) == 0:
                continue
            change, at = (after - shares)[moved], mark[moved]
            value = np.abs(change) * at
            volatility, volume = (table[seen, moved] for table in known)
            paid = value * trade_rates(np.abs(change), volatility, volume, config)  # (3, E)
            shares_moved = shares[moved], after[moved], at, paid.sum(axis=0)
            fill = now, moved, decision[seen, moved], *shares_moved, at_close, bankrupt
            fills.append(np.broadcast_arrays(*fill))
            costs[now, : len(TRADE_COSTS)] += paid.sum(axis=1)
            before = equity[now - 1] if now else config.initial_capital
            turnover[now] += value.sum() / (worth if worth > 0.0 else before)
            cash -= float((change * at).sum() + paid.sum())
            shares = after
        equity[now] = cash + float((shares * mark).sum())
        if not bankrupt:
            weights[now] = shares * mark / equity[now]
    columns = [np.concatenate(column) for column in zip(*fills, strict=True)]
    joined = np.rec.fromarrays(columns, FILL) if fills else np.recarray(0, FILL)
    return Book(wanted, equity, weights, turnover, costs, borrow, mark, joined)


def _on_sessions(target: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """The target on every session from its first to its last, checked against the prices."""
    sessions, tickers = target.index, target.columns
    days, names = sessions.difference(prices.sessions), tickers.difference(prices.tickers)
    first = f"{min(days, default='')!s:.10}"
    faults = {
        "it has no sessions or no tickers": target.empty,
        "its sessions are not ascending": not sessions.is_monotonic_increasing,
        "it has a session or a ticker twice": not (sessions.is_unique and tickers.is_unique),
        f"there are no prices on {len(days)} of its sessions, the first {first}": len(days) > 0,
        f"there are no prices of {', '.join(map(str, names))}": len(names) > 0,
        "a weight is infinite": np.isinf(target.to_numpy(dtype=float)).any(),
    }
    if fault := next((why for why, wrong in faults.items() if wrong), ""):
        raise DataError(f"this target cannot be backtested: {fault}.")
    start, end = prices.sessions.get_indexer(sessions[[0, -1]])
    return target.reindex(prices.sessions[start : end + 1])
