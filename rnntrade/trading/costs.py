"""What trading and holding cost, in money.

Rates in bps are of traded value; annual rates are charged per session held, each time
the share of a year that a session is.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.config import BacktestConfig
from rnntrade.types import Array, Bools, Prices

SLIPPAGE_SESSIONS = 20  # behind the volatility and the volume that slippage goes by
TRADE_COSTS = ("commission", "spread", "slippage")  # paid at fills
COST_KINDS = (*TRADE_COSTS, "borrow", "financing", "interest")  # interest: received


def liquidity(prices: Prices, sessions: pd.DatetimeIndex) -> tuple[Array, Array]:
    """What is known of each ticker at each close, to judge an order's slippage by.

    Both are (T, K), over the last 20 sessions, row t sees t and before, and 0 is "not known":
    deviation of returns, per session, and mean shares a session.

    Window by window: a running sum carries rounding on from a jump long after it left.
    """
    rows = prices.sessions.get_indexer(sessions)
    returns, known = _windows(prices.close.pct_change(fill_method=None), rows)
    mean = returns.sum(axis=2, where=known) / np.maximum(known.sum(axis=2), 1)
    squares = np.square(returns - mean[:, :, None]).sum(axis=2, where=known)
    volume, there = _windows(prices.volume, rows)
    return (
        np.sqrt(squares / np.maximum(known.sum(axis=2) - 1, 1)),
        volume.sum(axis=2, where=there) / np.maximum(there.sum(axis=2), 1),
    )


def _windows(table: pd.DataFrame, rows: NDArray[np.int64]) -> tuple[Array, Bools]:
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


def trade_rates(shares: Array, volatility: Array, volume: Array, config: BacktestConfig) -> Array:
    """(3, E) commission, spread and slippage of each order, as fractions of its value.

    slippage = bps / 10,000 + volatility × (share + impact × sqrt(ordered / volume of a session)),
    the volume an average known at the decision; where none is known, the order counts as a whole
    session's volume.
    shares              (E,) ordered, positive
    volatility, volume  (E,) of returns, and in shares; per session, as known at the decision
    source              square-root impact: Almgren et al. (2005), Direct Estimation of Market
                        Impact
    """
    part = np.where(volume > 0.0, shares / np.where(volume > 0.0, volume, 1.0), 1.0)
    slippage = config.slippage_bps / 1e4 + volatility * (
        config.slippage_volatility + config.slippage_impact * np.sqrt(part)
    )
    fixed = config.commission_bps / 1e4, config.half_spread_bps / 1e4
    return np.stack(np.broadcast_arrays(*fixed, slippage))
