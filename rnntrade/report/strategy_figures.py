"""Figures of the strategies: what they held, what they earned, beside buy and hold."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from rnntrade.evaluation import metrics
from rnntrade.evaluation.metrics import drawdown
from rnntrade.report import canvas as c
from rnntrade.report.contents import ReportContents, StrategyContents
from rnntrade.report.tables import HOLD, MONTHS

ROLLING = 63  # sessions of the rolling Sharpe ratio
SMOOTH = 21  # sessions over which probabilities are averaged, for the eye alone
LONG_SHORT = LinearSegmentedColormap.from_list("long_short", [c.RED, "#F4F4F4", c.GREEN])


def of_strategy(contents: ReportContents, name: str) -> c.Figures:
    """Equity, months, distribution of returns, rolling Sharpe ratio."""
    strategy, x = contents.strategies[name], contents.experiment
    run, held = strategy.books.strategy, strategy.books.benchmark
    yield f"{name}_equity", equity_panels(name, strategy, x.trading.dead_band)
    monthly = metrics.monthly_returns(run.returns)
    yield f"{name}_monthly", monthly_heat_map(name, monthly)
    drawn = return_distribution(name, run.returns, held.returns)
    yield f"{name}_distribution", drawn
    year = x.backtest.sessions_per_year
    own, other = (
        metrics.rolling_sharpe(each.returns, ROLLING, sessions_per_year=year)
        for each in (run, held)
    )
    yield f"{name}_rolling_sharpe", rolling_sharpe(name, own, other, ROLLING)


def equity_panels(name: str, strategy: StrategyContents, dead_band: float) -> Figure:
    """Plot equity, drawdown, position and probability of a strategy beside buy and hold.

    dead_band  probabilities within half of it around 0.5 trade nothing
    """
    books, e = strategy.books, strategy.evaluation
    growth, held = (100 * figures["annual_return"] for figures in (e.figures, e.benchmark_figures))
    figure, (equity, fall, position, chance) = c.canvas(
        f"{name}: CAGR {growth:+.1f} % after costs, {held:+.1f} % for {HOLD}",
        rows=(2.4, 1.0, 1.0, 1.0),
        height=6.4,
    )
    for run, colour, text in ((books.strategy, c.BLUE, name), (books.benchmark, c.GREY, HOLD)):
        c.line(equity, 100.0 * run.equity / run.initial_capital, colour, c.short(text, 40))
        c.line(fall, drawdown(run.returns), colour, linewidth=1.0)
    x, depth = c.dates(books.strategy.equity.index), drawdown(books.strategy.returns)
    fall.fill_between(x, depth, 0.0, color=c.BLUE, alpha=0.15, linewidth=0)
    equity.axhline(100.0, color=c.INK, linewidth=0.6)
    c.finish(equity, "growth of 100", keys=())
    c.finish(fall, "drawdown", percent="y", ticks=4)
    _positions(position, books.target)
    _probabilities(chance, books.probability, dead_band)
    c.finish(chance, dated=True)
    return figure


def monthly_heat_map(name: str, monthly: pd.DataFrame) -> Figure:
    """Plot the return of every calendar month.

    monthly  (years, 12) columns 1 .. 12; NaN outside the test
    """
    grid = monthly.reindex(columns=range(1, 13)).to_numpy(float)
    known = grid[np.isfinite(grid)]
    finding = f"{(known > 0).sum()} of {len(known)} months gained"
    if len(known) and known.min() < 0:
        year, month = divmod(int(np.nanargmin(grid)), 12)
        worst = f"{-100 * known.min():.1f} % in {MONTHS[month]} {monthly.index[year]}"
        finding += f"; the worst lost {worst}"
    else:
        finding += ", none lost"
    figure, (axes,) = c.canvas(f"{name}: {finding}", height=1.1 + 0.3 * len(monthly))
    limit = float(np.abs(known).max()) if len(known) and np.abs(known).max() > 0 else 0.01
    # blue is gain, red is loss
    axes.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    texts = [[f"{100 * cell:+.1f}" if np.isfinite(cell) else "" for cell in row] for row in grid]
    c.write_cells(axes, grid, texts, dark=0.65 * limit)
    axes.set_xticks(range(12), MONTHS, fontsize=c.SMALL)
    c.rows_of(axes, [str(year) for year in monthly.index])
    c.finish(axes, x="return of the month, %")
    return figure


def return_distribution(name: str, returns: pd.Series, benchmark: pd.Series) -> Figure:
    """Plot how often a session earned what, strategy and benchmark on the same bins."""
    own, held = returns.dropna().to_numpy(float), benchmark.dropna().to_numpy(float)
    idle = float((own == 0.0).mean())
    tail = float(np.percentile(own, 5))
    rests = idle > 0.01
    figure, (axes,) = c.canvas(
        f"{name}: one session in 20 loses more than {max(0.0, -100 * tail):.2f} %"
        + (f"; {c.share(idle)} of sessions earn exactly nothing" if rests else ""),
        height=3.2,
    )
    edge = float(np.percentile(np.abs(np.concatenate([own, held])), 99.5)) or 0.01
    bins = list(np.linspace(-edge, edge, 62))  # an odd number of bins: one of them is about zero
    invested = "strategy, while invested" if rests else "strategy"
    for values, colour, text in (
        (held, c.GREY, HOLD),
        (own[own != 0.0] if rests else own, c.BLUE, invested),
    ):
        weights = np.full(len(values), 1.0 / max(1, len(values)))
        style: c.Style = {"color": colour, "alpha": 0.45, "label": text}
        axes.hist(np.clip(values, -edge, edge), bins, weights=weights, **style)
    axes.axvline(tail, color=c.RED, linewidth=1.2, linestyle="--", label="strategy's worst 5 %")
    below = "return of a session; the outermost bars hold all beyond them"
    c.finish(axes, "share of sessions", below, percent="xy", keys=())
    return figure


def rolling_sharpe(name: str, own: pd.Series, held: pd.Series, sessions: int) -> Figure:
    """Plot the Sharpe ratio of the last `sessions` sessions, strategy and benchmark."""
    both = own.notna() & held.notna()
    finding = f"fewer than {sessions} sessions with a position: nothing to see yet"
    if both.any():
        share = c.share(float((own[both] > held[both]).mean()))
        finding = f"above {HOLD} on {share} of sessions, looking back {sessions}"
    figure, (axes,) = c.canvas(f"{name}: {finding}", height=3.0)
    c.line(axes, held, c.GREY, HOLD, linewidth=1.2)
    c.line(axes, own, c.BLUE, "strategy")
    c.finish(axes, f"Sharpe ratio, {sessions} sessions", zero=True, dated=True, keys=())
    return figure


def _positions(axes: Axes, weights: pd.DataFrame) -> None:
    """One ticker as an area, several as one strip each: green is long, red is short."""
    x = c.dates(weights.index)
    table = weights.ffill().fillna(0.0).to_numpy(float)
    if weights.shape[1] == 1:
        style: c.Style = {"step": "post", "alpha": 0.7, "linewidth": 0}
        for side, colour in ((np.maximum, c.GREEN), (np.minimum, c.RED)):
            axes.fill_between(x, 0.0, side(table[:, 0], 0.0), color=colour, **style)
        c.finish(axes, "target position", percent="y", ticks=4, zero=True)
        return
    most = float(np.abs(table).max()) or 1.0
    edges = np.append(x, x[-1] + np.timedelta64(1, "D"))
    lines = np.arange(weights.shape[1] + 1) - 0.5
    axes.pcolormesh(edges, lines, table.T, cmap=LONG_SHORT, vmin=-most, vmax=most)
    c.rows_of(axes, [str(ticker) for ticker in weights.columns])
    for line in lines[1:-1]:
        axes.axhline(line, color="white", linewidth=2.0)
    axes.invert_yaxis()
    c.finish(axes, f"target ±{c.share(most)}")


def _probabilities(axes: Axes, probability: pd.DataFrame, dead_band: float) -> None:
    low, high = 0.5 - dead_band / 2, 0.5 + dead_band / 2
    axes.axhspan(low, high, color="#E4E4E4", linewidth=0, label="no trade")
    colours = cycle([c.PURPLE, c.ORANGE, c.GREEN, c.BLUE, c.SKY, c.RED])
    for colour, ticker in zip(colours, probability.columns, strict=False):
        p = probability[ticker].dropna()  # where it did not trade, nothing was predicted
        c.line(axes, p, colour, linewidth=0.6, alpha=0.35)
        smooth = p.rolling(SMOOTH, min_periods=1).mean()
        c.line(axes, smooth, colour, str(ticker), linewidth=1.2)
    c.finish(axes, f"P(up), mean of {SMOOTH}", ticks=4, keys=())
