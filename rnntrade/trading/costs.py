"""What trading and holding cost, in money.

Rates in bps are of traded value; annual rates are charged per session held, each time
the share of a year that a session is.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import BacktestConfig
from rnntrade.types import Prices

SLIPPAGE_SESSIONS = 20  # behind the volatility and the volume that slippage goes by
TRADE_COSTS = ("commission", "spread", "slippage")  # paid at fills
COST_KINDS = (*TRADE_COSTS, "borrow", "financing", "interest")  # interest: received


@dataclass(frozen=True, eq=False)
class Liquidity:
    """What is known of each ticker at each close, to judge an order's slippage by."""

    volatility: NDArray[np.float64]  # (T, K) deviation of returns, per session; 0 before known
    volume: NDArray[np.float64]  # (T, K) mean shares a session; 0 where none is known


def liquidity(prices: Prices, sessions: pd.DatetimeIndex) -> Liquidity:
    """Volatility and volume over the last 20 sessions; row t sees closes and volumes up to t.

    Window by window: a running sum carries rounding on from a jump long after it left.
    """
    rows = prices.sessions.get_indexer(sessions)
    returns, known = _windows(prices.close.pct_change(fill_method=None), rows)
    mean = returns.sum(axis=2, where=known) / np.maximum(known.sum(axis=2), 1)
    squares = np.square(returns - mean[:, :, None]).sum(axis=2, where=known)
    volume, there = _windows(prices.volume, rows)
    return Liquidity(
        np.sqrt(squares / np.maximum(known.sum(axis=2) - 1, 1)),
        volume.sum(axis=2, where=there) / np.maximum(there.sum(axis=2), 1),
    )


def _windows(
    table: pd.DataFrame, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(T, K, 20) values up to each of these rows, and which of them there are."""
    before = np.full((SLIPPAGE_SESSIONS - 1, table.shape[1]), np.nan)
    values = np.vstack([before, table.to_numpy(dtype=float)])
    windows = np.lib.stride_tricks.sliding_window_view(values, SLIPPAGE_SESSIONS, axis=0)[rows]
    return windows, np.isfinite(windows)


def at_cost(config: BacktestConfig, bps: float) -> BacktestConfig:
    """The same with trades that cost `bps` of their value in all, half of it the spread."""
    return replace(
        config,
        commission_bps=bps / 2,
        half_spread_bps=bps / 2,
        slippage_bps=0.0,
        slippage_volatility=0.0,
        slippage_impact=0.0,
    )


def trade_rates(
    shares: NDArray[np.float64],
    volatility: NDArray[np.float64],
    volume: NDArray[np.float64],
    config: BacktestConfig,
) -> NDArray[np.float64]:
    """(3, E) commission, spread and slippage of each order, as fractions of its value.

    slippage = bps / 10,000 + volatility × (share + impact × sqrt(ordered / volume of a session)),
    the volume an average known at the decision; where none is known, the order counts as a whole
    session's volume.
    shares       (E,) ordered, positive
    volatility   (E,) of returns, per session, as known at the decision
    volume       (E,) shares a session, as known at the decision
    source       square-root impact: Almgren et al. (2005), Direct Estimation of Market Impact
    """
    part = np.where(volume > 0.0, shares / np.where(volume > 0.0, volume, 1.0), 1.0)
    slippage = config.slippage_bps / 1e4 + volatility * (
        config.slippage_volatility + config.slippage_impact * np.sqrt(part)
    )
    every = np.ones(len(shares))
    return np.stack(
        [config.commission_bps / 1e4 * every, config.half_spread_bps / 1e4 * every, slippage]
    )


def overnight(
    cash: float, short_value: NDArray[np.float64], config: BacktestConfig
) -> tuple[NDArray[np.float64], float, float]:
    """Borrow per ticker, financing and interest of one night.

    cash         held overnight, proceeds of short sales included; negative: borrowed
    short_value  (K,) of shares sold short, positive, at the last marks
    returns      borrow (K,) and financing, both paid, and interest received
    """
    borrow = short_value * (config.borrow_rate / config.sessions_per_year)
    financing = max(-cash, 0.0) * config.financing_rate / config.sessions_per_year
    interest = max(cash, 0.0) * config.cash_rate / config.sessions_per_year
    return borrow, financing, interest
