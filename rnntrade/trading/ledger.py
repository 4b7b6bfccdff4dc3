"""The trade ledger: one row a round trip, from flat (or a change of sign) to flat (or another).

Scaling in and out happens inside a trade.  Everything is vectorised over legs: a fill is one leg,
one that changes the sign of a holding is two, the first closing a trade and the second opening one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.types import Array, Bools, Rows

FILL = np.dtype(
    [
        ("session", int),  # row of the session
        ("ticker", int),  # column
        ("decision", int),  # row of the newest decision behind it
        ("before", float),  # shares held before, negative when short
        ("after", float),  # and after
        ("price", float),
        ("cost", float),  # money: commission, spread and slippage
        ("at_close", bool),  # filled at the close rather than the open
        ("forced", bool),  # closed because nothing was left
    ]
)
Fills = Any  # np.recarray of FILL: E executed orders in the order they were filled


@dataclass(frozen=True, eq=False)
class Book:
    """What trading left behind; (T, K) unless noted otherwise."""

    wanted: Array  # target weight that stands after the decision of t
    equity: Array  # (T,) marked at the close
    weights: Array
    turnover: Array  # (T,)
    costs: Array  # (T, kinds)
    borrow: Array  # money charged for the night before session t
    mark: Array  # (K,) last known prices
    fills: Fills


def ledger(book: Book, high: Array, low: Array, confidence: pd.DataFrame) -> pd.DataFrame:
    """Round trips in order of entry; the net profits add up to what trading brought.

    high, low                    (T, K) of each session
    confidence                   (T, K) of the decisions, on the book's sessions; NaN: none
    returns
    direction                    1 long, -1 short
    entry_price, exit_price      averages weighted by shares; an open trade is marked at the last
                                 known price
    duration                     sessions whose open-to-close the trade was in the market (filled at
                                 opens), or closes it was held into (filled at closes)
    gross_return                 direction × (exit_price / entry_price - 1), over the whole trade
    net_return                   net_profit / (entry_price × shares entered): the same, less costs
    gross_profit, net_profit     money, before and after costs
    costs                        commission, spread, slippage and borrow
    maximum_adverse_excursion, maximum_favourable_excursion
                                 worst (<= 0) and best (>= 0) price seen while held, highs and lows
                                 included, as a return on entry_price
    confidence                   mean over the decisions that wanted this trade; NaN: not given
    exit_reason                  signal, reversal, end of data or bankrupt
    open                         still held at the end: no exit cost yet
    traded_value                 money bought and sold
    """
    index = confidence.index
    legs, flips = _legs(book.fills)
    change = legs.after - legs.before
    opens = legs.before == 0.0
    trade = np.cumsum(opens) - 1  # number of the trade that a leg belongs to
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(opens))[: len(first)] - 1
    direction = np.sign(legs.after[first])
    column = legs.ticker[first]

    def total(amount: Array) -> Array:
        return np.bincount(trade, weights=amount, minlength=len(first)).astype(float)

    entering = change * direction[trade] > 0.0
    value = np.abs(change) * legs.price
    remaining = np.abs(legs.after[last])
    is_open = remaining > 0.0
    entry_value = total(np.where(entering, value, 0.0))
    exit_value = total(np.where(entering, 0.0, value)) + np.where(
        is_open, remaining * book.mark[column], 0.0
    )
    shares = total(np.where(entering, np.abs(change), 0.0))
    entry_price, exit_price = entry_value / shares, exit_value / shares
    gross_profit = direction * (exit_value - entry_value)

    sessions = len(index)
    entry, leaving = legs.session[first], legs.session[last]
    exit_ = np.where(is_open, sessions - 1, leaving)
    start = entry + legs.at_close[first]  # first session in the market from its open on
    end = np.where(
        is_open, sessions, leaving + legs.at_close[last]
    )  # and the first after the trade
    nights = np.where(is_open, sessions, leaving + 1)
    costs = total(legs.cost) + _over(np.add, book.borrow, entry + 1, nights, column, 0.0)
    net_profit = gross_profit - costs

    lows = _over(np.fmin, low, start, end, column, np.nan)
    highs = _over(np.fmax, high, start, end, column, np.nan)
    lowest = np.fmin(np.fmin(lows, exit_price), entry_price) / entry_price - 1.0
    highest = np.fmax(np.fmax(highs, exit_price), entry_price) / entry_price - 1.0
    long = direction > 0.0

    until = np.where(is_open, sessions, np.where(legs.forced[last], leaving, legs.decision[last]))
    reason = np.select(
        [is_open, legs.forced[last], flips[last]], ["end of data", "bankrupt", "reversal"], "signal"
    )
    sure = confidence.to_numpy(dtype=float)
    table = pd.DataFrame(
        {
            "ticker": confidence.columns.to_numpy()[column],
            "direction": direction.astype(int),
            "entry_session": index[entry],
            "exit_session": index[exit_],
            "entry_price": entry_price,
            "exit_price": exit_price,
            "duration": np.maximum(end - start, 0),
            "gross_return": direction * (exit_price / entry_price - 1.0),
            "net_return": net_profit / entry_value,
            "gross_profit": gross_profit,
            "costs": costs,
            "net_profit": net_profit,
            "maximum_adverse_excursion": np.where(long, lowest, -highest),
            "maximum_favourable_excursion": np.where(long, highest, -lowest),
            "confidence": _mean_confidence(
                book.wanted, sure, direction, legs.decision[first], until, column
            ),
            "exit_reason": reason.astype(object),
            "open": is_open,
            "traded_value": total(value),
        }
    )
    order = np.lexsort((column, entry))
    return table.iloc[order].reset_index(drop=True)


def _legs(fills: Fills) -> tuple[Fills, Bools]:
    """Fills as legs, one ticker after the other, and which of them a change of sign closed."""
    flips = np.sign(fills.before) * np.sign(fills.after) < 0.0
    source = np.repeat(np.arange(len(flips)), np.where(flips, 2, 1))
    second = np.append(False, source[1:] == source[:-1])[: len(source)]  # leg of a flip
    closing = flips[source] & ~second
    part = np.ones(len(source))  # of the order, by shares
    size = np.abs(fills.before) + np.abs(fills.after)
    part[closing] = np.abs(fills.before[flips]) / size[flips]
    part[second] = 1.0 - part[closing]
    legs = fills[source]
    legs.before[second], legs.after[closing] = 0.0, 0.0
    legs.cost[:] *= part
    order = np.argsort(legs.ticker, kind="stable")
    return legs[order], closing[order]


def _mean_confidence(
    wanted: Array, confidence: Array, direction: Array, start: Rows, end: Rows, column: Rows
) -> Array:
    """Mean over the decisions in rows start..end-1 that wanted the trade's direction."""
    mean = np.full(len(direction), np.nan)
    for sign in (1.0, -1.0):
        counted = (np.sign(wanted) == sign) & np.isfinite(confidence)
        sums = _over(np.add, np.where(counted, confidence, 0.0), start, end, column, 0.0)
        count = _over(np.add, counted.astype(float), start, end, column, 0.0)
        found = (direction == sign) & (count > 0.0)
        mean[found] = sums[found] / count[found]
    return mean


def _over(
    reduce: np.ufunc, values: Array, start: Rows, end: Rows, column: Rows, empty: float
) -> Array:
    """Reduce rows start..end-1 of a column of a (T, K) array, for many (start, end, column)."""
    if len(start) == 0:
        return np.empty(0)
    flat = np.append(values.T.ravel(), empty)  # so that the last end is a position too
    offset = column * len(values)
    pairs = np.column_stack([offset + start, offset + np.maximum(end, start)]).ravel()
    reduced: Array = reduce.reduceat(flat, pairs)[::2]
    return np.where(end > start, reduced, empty)
