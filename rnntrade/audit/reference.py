"""The backtest's accounting once more: plain loops over the definition, slow and written apart.

With its inputs changed on purpose it is also the engine with a known mistake, which is how a
difference gets its name.
"""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
import pandas as pd

from rnntrade.config import BacktestConfig
from rnntrade.types import Prices

Execution = Literal["next_open", "close"]
LOOKS = {  # at a session: moment, and whether orders are filled there; at each ruin is looked for
    "next_open": (("open", True), ("close", False)),
    "close": (("close", True), ("close", False)),
}

TOLERANCE = 1e-9  # of the account at that moment, see `account_scale`
RUIN = 1e-12  # of the cash: an account worth less has lost everything
FREE = BacktestConfig(commission_bps=0.0, half_spread_bps=0.0)
TRADING_COSTS = (
    *("commission_bps", "half_spread_bps", "slippage_bps"),
    *("slippage_volatility", "slippage_impact"),
)


def charging(costs: BacktestConfig, config: BacktestConfig) -> BacktestConfig:
    """Other costs, the moment of filling, capital and calendar as they are."""
    own = ("execution", "initial_capital", "sessions_per_year")
    return replace(costs, **{name: getattr(config, name) for name in own})


def reference(target: pd.DataFrame, prices: Prices, config: BacktestConfig) -> pd.DataFrame:
    """Money by plain loops, one ticker and session at a time: (T, 2) `equity` and `costs`.

    costs  of a session, interest included as in `Backtest.costs`: all kinds added up
    """
    tickers, days = list(target.columns), list(target.index)
    cash, rows, broke = config.initial_capital, [], False
    held, stands, answered = ({k: 0.0 for k in tickers} for _ in range(3))
    last: dict[str, float] = {}
    rate = (config.commission_bps + config.half_spread_bps + config.slippage_bps) / 1e4
    table = {m: getattr(prices, m).loc[days, tickers].to_dict("list") for m in ("open", "close")}
    wanted = target.to_dict("list")
    first = int(prices.sessions.searchsorted(days[0]))
    past = {k: (prices.close[k].tolist(), prices.volume[k].tolist()) for k in tickers}
    for s in range(len(days)):
        costs = 0.0
        if s and not broke:
            short = sum(-held[k] * last[k] for k in tickers if held[k] < 0.0)
            charged = short * config.borrow_rate + max(-cash, 0.0) * config.financing_rate
            interest = max(cash, 0.0) * config.cash_rate / config.sessions_per_year
            cash += interest - charged / config.sessions_per_year
            costs = interest + charged / config.sessions_per_year
        for moment, filling in LOOKS[config.execution]:
            now = {k: table[moment][k][s] for k in tickers if table[moment][k][s] > 0.0}
            last |= now
            if moment == "close":
                stands |= {k: wanted[k][s] for k in tickers if wanted[k][s] == wanted[k][s]}
            worth = cash + sum(held[k] * last[k] for k in tickers if held[k] != 0.0)
            gone = worth <= RUIN * abs(cash) and not broke
            for k in tickers:
                due = filling and k in now and stands[k] != answered[k] and not broke
                if due or (gone and held[k] != 0.0):
                    answered[k] = stands[k]
                    order = (0.0 if gone else stands[k] * worth / last[k]) - held[k]
                    seen = first + s - (moment == "open")
                    paid = abs(order) * last[k] * (rate + _slip(*past[k], seen, order, config))
                    cash -= order * last[k] + paid
                    held[k] += order
                    costs += paid
            broke = broke or gone
        rows.append((cash + sum(held[k] * last[k] for k in tickers if held[k] != 0.0), costs))
    return pd.DataFrame(rows, target.index, ["equity", "costs"])


def _slip(
    close: list[float], volume: list[float], row: int, order: float, config: BacktestConfig
) -> float:
    """What volatility and volume of the last 20 sessions add to an order's rate."""
    if config.slippage_volatility == 0.0 and config.slippage_impact == 0.0:
        return 0.0
    close, volume = close[max(row - 20, 0) : row + 1], volume[max(row - 19, 0) : row + 1]
    changes = [b / a - 1.0 for a, b in pairwise(close) if b / a == b / a]
    shares = [each for each in volume if each == each]
    typical = fmean(shares) if shares else 0.0
    part = abs(order) / typical if typical > 0.0 else 1.0
    deviation = stdev(changes) if len(changes) > 1 else 0.0
    return deviation * (config.slippage_volatility + config.slippage_impact * math.sqrt(part))


def likely_mistake(
    equity: pd.Series, target: pd.DataFrame, prices: Prices, config: BacktestConfig
) -> tuple[str, str] | None:
    """The mistake, and its stage, with which plain loops come to the engine's equity."""
    other: Execution = "close" if config.execution == "next_open" else "next_open"
    moment = "fill at the same close" if other == "close" else "fill at the next open"
    half = {name: getattr(config, name) / 2 for name in TRADING_COSTS}
    at_low, at_high, at_close = (
        replace(prices, open=getattr(prices, name)) for name in ("low", "high", "close")
    )
    tries: tuple[tuple[str, str, pd.DataFrame, Prices, dict[str, Any]], ...] = (
        (moment, "fills", target, prices, {"execution": other}),
        ("fill at the low", "fills", target, at_low, {}),
        ("fill at the high", "fills", target, at_high, {}),
        ("fill at the session's close", "fills", target, at_close, {}),
        ("off-by-one return", "returns", target.shift(-1), prices, {}),
        ("decisions filled a session late", "fills", target.shift(1), prices, {}),
        ("shorts earn what longs earn", "returns", target.abs(), prices, {}),
        ("costs forgotten", "costs", target, prices, vars(charging(FREE, config))),
        ("costs in part", "costs", target, prices, half),
        ("interest on cash missing", "costs", target, prices, {"cash_rate": 0.0}),
        ("borrow cost missing", "costs", target, prices, {"borrow_rate": 0.0}),
        ("financing missing", "costs", target, prices, {"financing_rate": 0.0}),
    )
    for kind, stage, decided, bars, changes in tries:
        same = reference(decided, bars, replace(config, **changes))["equity"]
        scale = account_scale(config.initial_capital, equity, same)
        if not first_gap(equity, same, TOLERANCE * scale):
            return kind, stage
    return None


def account_scale(
    capital: float, *equity: pd.Series, exposure: pd.Series | float = 0.0
) -> pd.Series:
    """(T,) size of an account that rounding is relative to, at each session.

    The largest of what the account is worth, was worth before, and what it holds: longs and shorts
    may be many times what is left.  An error made then stays a share of the account, so the largest
    share of all sessions so far counts.
    capital   before the first session
    equity    (T,) of one book, or of several that should be the same: the largest counts
    exposure  (T,) of positions, longs and shorts added up
    """
    worth = np.max([each.abs().to_numpy(float) for each in equity], axis=0)
    size = np.maximum(np.append(capital, worth[:-1]), np.maximum(worth, exposure))
    share = np.divide(size, worth, out=np.ones(len(worth)), where=worth > 0.0)
    lasting = np.maximum.accumulate(share) * worth
    return pd.Series(np.maximum(size, lasting), equity[0].index)


def first_gap(
    told: pd.Series, due: pd.Series, tolerance: pd.Series
) -> tuple[pd.Timestamp, float, float] | None:
    """The first session on which two series differ by more than a tolerance, and both values."""
    gap = ~((told - due).abs() <= tolerance)
    if not gap.any():
        return None
    first = int(gap.to_numpy().argmax())
    return told.index[first], float(told.iloc[first]), float(due.iloc[first])
