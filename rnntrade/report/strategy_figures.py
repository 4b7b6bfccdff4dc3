"""Figures of the strategies: what they held, what they earned, beside buy and hold."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from rnntrade.evaluation.metrics import drawdown
from rnntrade.report import canvas as c
from rnntrade.report.contents import StrategyContents

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HELD = "buy and hold"
SMOOTH = 21  # sessions over which probabilities are averaged, for the eye alone
LONG_SHORT = LinearSegmentedColormap.from_list("long_short", [c.RED, "#F4F4F4", c.GREEN])


def equity_panels(
    name: str, annual: tuple[float, float], strategy: StrategyContents, dead_band: float
) -> Figure:
    """Draw equity, drawdown, position and probability of a strategy beside buy and hold.

    annual     the strategy's and the benchmark's annual return
    dead_band  probabilities within half of it around 0.5 trade nothing
    """
    backtest, benchmark, probability = strategy.backtest, strategy.benchmark, strategy.probability
    figure, panels = c.canvas(
        f"{name}: {100 * annual[0]:+.1f} % a year after costs, {100 * annual[1]:+.1f} % held",
        rows=(2.4, 1.0, 1.0) if probability is None else (2.4, 1.0, 1.0, 1.0),
        height=5.2 if probability is None else 6.4,
    )
    equity, fall, position = panels[:3]
    both = ((backtest, c.BLUE, name), (benchmark, c.GREY, HELD))
    for run, colour, text in both:
        x = c.dates(run.equity.index)
        equity.plot(
            x,
            100.0 * run.equity / run.initial_capital,
            color=colour,
            linewidth=1.4,
            label=c.short(text, 40),
        )
        fall.plot(x, drawdown(run.returns), color=colour, linewidth=1.0)
    x = c.dates(backtest.equity.index)
    fall.fill_between(x, drawdown(backtest.returns), 0.0, color=c.BLUE, alpha=0.15, linewidth=0)
    equity.axhline(100.0, color=c.INK, linewidth=0.6)
    c.label(equity, "growth of 100")
    c.legend(equity)
    c.label(fall, "drawdown")
    c.percent(fall.yaxis)
    _positions(position, strategy.weights)
    if probability is not None:
        _probabilities(panels[3], probability, dead_band)
    c.few_ticks(fall)
    c.dated(panels[-1])
    return figure


def monthly_heat_map(name: str, monthly: pd.DataFrame) -> Figure:
    """Draw the return of every calendar month.

    monthly  (years, 12) columns 1 .. 12; NaN outside the test
    """
    grid = monthly.reindex(columns=range(1, 13)).to_numpy(float)
    known = grid[np.isfinite(grid)]
    worst = divmod(int(np.nanargmin(grid)), 12) if len(known) else (0, 0)
    finding = (
        f"{(known > 0).sum()} of {len(known)} months gained; the worst lost "
        f"{-100 * known.min():.1f} % in {MONTHS[worst[1]]} {monthly.index[worst[0]]}"
        if len(known) and known.min() < 0
        else f"{(known > 0).sum()} of {len(known)} months gained, none lost"
    )
    figure, (axes,) = c.canvas(f"{name}: {finding}", height=1.1 + 0.3 * len(monthly))
    limit = float(np.abs(known).max()) if len(known) and np.abs(known).max() > 0 else 0.01
    # blue is gain, red is loss
    axes.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.ndindex(*grid.shape):
        value = grid[row, column]
        if np.isfinite(value):
            axes.text(
                column,
                row,
                f"{100 * value:+.1f}",
                ha="center",
                va="center",
                fontsize=c.SMALL,
                color="white" if abs(value) > 0.65 * limit else c.INK,
            )
    axes.set_xticks(range(12), MONTHS, fontsize=c.SMALL)
    axes.set_yticks(range(len(monthly)), [str(year) for year in monthly.index], fontsize=c.SMALL)
    axes.grid(visible=False)
    axes.set_xlabel("return of the month, %", fontsize=c.SMALL)
    return figure


def return_distribution(name: str, returns: pd.Series, benchmark: pd.Series) -> Figure:
    """Draw how often a session earned what, strategy and benchmark on the same bins."""
    own, held = returns.dropna().to_numpy(float), benchmark.dropna().to_numpy(float)
    idle = float((own == 0.0).mean())
    tail = float(np.percentile(own, 5))
    figure, (axes,) = c.canvas(
        f"{name}: one session in 20 loses more than {max(0.0, -100 * tail):.2f} %"
        + (f"; {c.share(idle)} of sessions earn exactly nothing" if idle > 0.01 else ""),
        height=3.2,
    )
    edge = float(np.percentile(np.abs(np.concatenate([own, held])), 99.5)) or 0.01
    bins = list(np.linspace(-edge, edge, 62))  # an odd number of bins: one of them is about zero
    moving = own[own != 0.0] if idle > 0.01 else own
    for values, colour, text in (
        (held, c.GREY, HELD),
        (moving, c.BLUE, "strategy" + (", when it holds something" if idle > 0.01 else "")),
    ):
        clipped = np.clip(values, -edge, edge)
        axes.hist(
            clipped,
            bins,
            weights=np.full(len(values), 1.0 / max(1, len(values))),
            color=colour,
            alpha=0.45,
            label=text,
        )
    axes.axvline(tail, color=c.RED, linewidth=1.2, linestyle="--", label="strategy's worst 5 %")
    c.percent(axes.xaxis, 1)
    axes.set_xlabel("return of a session; the outermost bars hold the rest", fontsize=c.SMALL)
    c.percent(axes.yaxis)
    c.label(axes, "share of sessions")
    c.legend(axes)
    return figure


def rolling_sharpe(name: str, own: pd.Series, held: pd.Series, sessions: int) -> Figure:
    """Draw the Sharpe ratio of the last `sessions` sessions, strategy and benchmark."""
    both = own.notna() & held.notna()
    share = float((own[both] > held[both]).mean()) if both.any() else float("nan")
    finding = (
        f"above buy and hold on {c.share(share)} of sessions, looking back {sessions}"
        if both.any()
        else f"fewer than {sessions} sessions with a position: nothing to see yet"
    )
    figure, (axes,) = c.canvas(f"{name}: {finding}", height=3.0)
    axes.plot(c.dates(held.index), held, color=c.GREY, linewidth=1.2, label=HELD)
    axes.plot(c.dates(own.index), own, color=c.BLUE, linewidth=1.4, label="strategy")
    axes.axhline(0.0, color=c.INK, linewidth=0.6)
    c.label(axes, f"Sharpe ratio, {sessions} sessions")
    c.dated(axes)
    c.legend(axes)
    return figure


def _positions(axes: Axes, weights: pd.DataFrame) -> None:
    """One ticker as an area, several as one strip each: green is long, red is short."""
    x = c.dates(weights.index)
    table = weights.ffill().fillna(0.0).to_numpy(float)
    if weights.shape[1] == 1:
        for side, colour in (
            (table[:, 0].clip(min=0.0), c.GREEN),
            (table[:, 0].clip(max=0.0), c.RED),
        ):
            axes.fill_between(x, 0.0, side, step="post", color=colour, alpha=0.7, linewidth=0)
        axes.axhline(0.0, color=c.INK, linewidth=0.6)
        c.percent(axes.yaxis)
        c.few_ticks(axes)
        c.label(axes, "target position")
    else:
        most = float(np.abs(table).max()) or 1.0
        edges = np.append(x, x[-1] + np.timedelta64(1, "D"))
        lines = np.arange(weights.shape[1] + 1) - 0.5
        axes.pcolormesh(edges, lines, table.T, cmap=LONG_SHORT, vmin=-most, vmax=most)
        axes.set_yticks(range(weights.shape[1]), [str(ticker) for ticker in weights.columns])
        for line in lines[1:-1]:
            axes.axhline(line, color="white", linewidth=2.0)
        axes.grid(visible=False)
        axes.invert_yaxis()
        c.label(axes, f"target ±{c.share(most)}")


def _probabilities(axes: Axes, probability: pd.DataFrame, dead_band: float) -> None:
    low, high = 0.5 - dead_band / 2, 0.5 + dead_band / 2
    axes.axhspan(low, high, color="#E4E4E4", linewidth=0, label="no trade")
    for colour, ticker in zip(_cycle(probability.shape[1]), probability.columns, strict=True):
        p = probability[ticker].dropna()  # where it did not trade, nothing was said
        x = c.dates(p.index)
        axes.plot(x, p, color=colour, linewidth=0.6, alpha=0.35)
        smooth = p.rolling(SMOOTH, min_periods=1).mean()
        axes.plot(x, smooth, color=colour, lw=1.2, label=str(ticker))
    c.label(axes, f"P(up), mean of {SMOOTH}")
    c.few_ticks(axes)
    c.legend(axes)


def _cycle(number: int) -> list[str]:
    colours = [c.PURPLE, c.ORANGE, c.GREEN, c.BLUE, c.SKY, c.RED]
    return [colours[place % len(colours)] for place in range(number)]
