"""Figures of the market itself: prices, returns, regimes, indicators."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rnntrade.config import SESSIONS_PER_YEAR
from rnntrade.report import canvas as c
from rnntrade.report.contents import ReportContents
from rnntrade.types import REGIMES, regime_names

_COLOURS = dict(zip(REGIMES, c.REGIME_COLOURS, strict=True)) | {
    "Calm": c.GREEN,
    "Middle": c.ORANGE,
    "Turbulent": c.PURPLE,
}
UNKNOWN = "#DDDDDD"
SHOWN = 504  # sessions of indicators: two years can still be read


def of_market(contents: ReportContents, ticker: str) -> c.Figures:
    """Prices and returns, regimes, indicators; nothing of fewer than two sessions."""
    close = contents.prices.close[ticker].dropna()
    if len(close) < 2:
        return
    year = contents.experiment.backtest.sessions_per_year
    yield f"{ticker}_prices", price_and_returns(ticker, close, year)
    if ticker in contents.regimes and contents.regimes[ticker].notna().any():
        regime = contents.regimes[ticker].reindex(close.index)
        names = regime_names(contents.experiment.labels)
        yield f"{ticker}_regimes", price_by_regime(ticker, close, regime, names)
    features = contents.features.get(ticker, pd.DataFrame()).dropna(how="all")
    if len(features):
        yield f"{ticker}_indicators", indicators(ticker, close, features)


def price_and_returns(ticker: str, close: pd.Series, per_year: float = SESSIONS_PER_YEAR) -> Figure:
    """Plot the adjusted close above its daily returns.

    close     (T,) adjusted closes on the sessions traded
    per_year  sessions a year of the calendar
    """
    returns = close.pct_change(fill_method=None).dropna()
    worst = returns.idxmin()
    growth = (close.iloc[-1] / close.iloc[0]) ** (per_year / len(returns)) - 1.0
    figure, (upper, lower) = c.canvas(
        f"{ticker}: CAGR {100 * growth:+.1f} %, "
        f"worst session {100 * returns.min():.1f} % on {c.day(worst)}",
        rows=(2.2, 1.0),
        height=4.2,
    )
    c.line(upper, close, c.BLUE, linewidth=1.1)
    _log_when_far(upper, close)
    c.finish(upper, "adjusted close")
    stems = np.column_stack([np.zeros(len(returns)), returns, np.full(len(returns), np.nan)])
    x = np.repeat(c.dates(returns.index), 3)
    lower.plot(x, stems.ravel(), color=c.GREY, linewidth=0.6)  # one path: much faster than vlines
    c.finish(lower, "daily return", percent="y", ticks=4, zero=True, dated=True)
    return figure


def price_by_regime(
    ticker: str, close: pd.Series, regime: pd.Series, names: Sequence[str] = REGIMES
) -> Figure:
    """Plot the close in the colour of each session's regime, with the regimes as a band below.

    close   (T,) adjusted closes on the sessions traded
    regime  (T,) class 0 .. 3 on the same sessions, NaN unknown
    names   of the classes, from `rnntrade.types.regime_names`
    """
    named = [_COLOURS[name] for name in names if name in _COLOURS]  # unused classes have none
    known = regime.dropna()
    share = known.value_counts(normalize=True)
    order = [int(code) for code in share.sort_values(ascending=False, kind="stable").index]
    parts = ", ".join(f"{names[code]} {c.share(share[code])}" for code in order)
    now = f"; {names[int(known.iloc[-1])]} on {c.day(known.index[-1])}" if len(known) else ""
    figure, (upper, band) = c.canvas(
        f"{ticker}: {parts or 'no regime known'} of sessions{now}", rows=(8.0, 1.0), height=4.2
    )
    x, y = date2num(c.dates(close.index)), close.to_numpy(float)
    points = np.column_stack([x, y])
    codes = regime.reindex(close.index).to_numpy(float)
    colours = np.array([*named, UNKNOWN])
    at = np.where(np.isnan(codes), len(named), np.nan_to_num(codes)).astype(int)
    changes = np.flatnonzero(np.diff(at[1:])) + 1  # sessions that end a stretch of one regime
    bounds = [0, *changes, len(points) - 1]
    stretches = [points[a : b + 1] for a, b in pairwise(bounds)]
    upper.add_collection(
        LineCollection(stretches, colors=list(colours[at[bounds[1:]]]), linewidths=1.4)
    )
    upper.autoscale_view()
    _log_when_far(upper, close)
    # each session in the middle of its cell: a regime of one session is seen, too
    edges = np.concatenate([x[:1] - 0.5, (x[1:] + x[:-1]) / 2.0, x[-1:] + 0.5])
    shades = ListedColormap([*named, UNKNOWN])
    band.pcolormesh(edges, [0.0, 1.0], at[None], cmap=shades, vmin=-0.5, vmax=len(named) + 0.5)
    band.set_ylim(0, 1)
    band.set_yticks([])
    band.grid(visible=False)
    c.finish(band, "regime", dated=True)
    shown = list(zip(named, names, strict=False))
    shown += [(UNKNOWN, "not known")] * bool((at == len(named)).any())
    keys = [Line2D([], [], color=colour, linewidth=4, label=name) for colour, name in shown]
    c.finish(upper, "adjusted close", keys=keys)
    return figure


def indicators(ticker: str, close: pd.Series, features: pd.DataFrame) -> Figure:
    """Plot price, MACD, RSI and volatility over the last two years; what is absent is left out.

    close     (T,) adjusted closes
    features  (T, F) by name, as the models read them
    """
    shown = features.iloc[-SHOWN:]
    price = close.reindex(shown.index)
    panels = {"macd": _macd, "rsi": _rsi, "volatility_20": _volatility}
    present = [name for name in panels if name in shown]
    last = shown.iloc[-1]
    facts = [
        fact(float(last[name]))
        for name, fact in _FACTS.items()
        if name in shown and np.isfinite(last[name])
    ]
    newest = float(price.iloc[-1])
    facts = facts or [f"close {newest:,.2f}" if newest >= 1.0 else f"close {newest:.3g}"]
    figure, (top, *rest) = c.canvas(
        f"{ticker} on {c.day(shown.index[-1])}: {', '.join(facts)}",
        rows=(2.0, *[1.0] * len(present)),
        height=2.6 + 1.05 * len(present),
    )
    x = c.dates(shown.index)
    if "bb_upper" in shown and "bb_lower" in shown:
        low, high = price * (1 + shown["bb_lower"]), price * (1 + shown["bb_upper"])
        top.fill_between(x, low, high, color=c.SKY, alpha=0.25, lw=0, label="Bollinger band (20)")
    c.line(top, price, c.BLUE, "close", linewidth=1.2)
    if "sma_50" in shown:
        mean = price * (1 + shown["sma_50"])
        c.line(top, mean, c.ORANGE, "50-session mean", linewidth=1.0)
    c.finish(top, "adjusted close", keys=())
    for name, axes in zip(present, rest, strict=True):
        panels[name](axes, shown)
    c.finish([top, *rest][-1], dated=True)
    return figure


_FACTS: Mapping[str, Callable[[float], str]] = {
    "rsi": lambda value: f"RSI {100 * (value + 0.5):.0f}",
    "volatility_20": lambda value: f"volatility {c.share(value)} a year",
}


def _macd(axes: Axes, shown: pd.DataFrame) -> None:
    c.line(axes, shown["macd"], c.BLUE, "MACD", linewidth=1.0)
    if "macd_signal" in shown:
        c.line(axes, shown["macd_signal"], c.ORANGE, "signal line", linewidth=1.0)
    keys = () if "macd_signal" in shown else None
    c.finish(axes, "MACD, of price", percent="y", ticks=4, zero=True, keys=keys)


def _rsi(axes: Axes, shown: pd.DataFrame) -> None:
    c.line(axes, 100 * (shown["rsi"] + 0.5), c.GREEN, linewidth=1.0)
    for level in (30, 70):
        axes.axhline(level, color=c.GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 30, 70, 100])
    c.finish(axes, "RSI (14)")


def _volatility(axes: Axes, shown: pd.DataFrame) -> None:
    volatility = shown["volatility_20"]
    style: c.Style = {"color": c.PURPLE, "alpha": 0.35, "linewidth": 0}
    axes.fill_between(c.dates(shown.index), 0.0, volatility, **style)
    c.line(axes, volatility, c.PURPLE, linewidth=1.0)
    axes.set_ylim(bottom=0.0)
    c.finish(axes, "volatility (20)", percent="y", ticks=4)


def _log_when_far(axes: Axes, close: pd.Series) -> None:
    """Use a logarithmic axis where prices grew so much that early moves would vanish."""
    if close.max() > 8.0 * close.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
