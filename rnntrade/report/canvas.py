"""The paper that all figures are drawn on: sizes, colours, dated axes, and PNG bytes.

Matplotlib's object interface only: pyplot keeps global state, and tasks run in threads.
Texts are never read as formulas: a ticker may hold a dollar sign.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

DPI = 110
WIDTH = 9.6  # inches
GAP = 0.24  # inches between the axes of a figure, a legend's height
# Okabe and Ito (2008): told apart with every kind of colour vision
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, INK, GRID = "#CC79A7", "#56B4E9", "#8A8A8A", "#222222", "#E6E6E6"
REGIME_COLOURS = (RED, "#B8B8B8", GREEN, PURPLE)  # Bear, Consolidation, Bull, High volatility
SMALL, NORMAL, LARGE = 8.5, 9.5, 11.5  # points
Style = dict[str, Any]  # how something is drawn
Figures = Iterator[tuple[str, Figure]]  # with the names of their files
TITLE_LENGTH = 84  # letters that fit in the width; longer titles are written smaller


def canvas(
    title: str,
    rows: Sequence[float] = (1.0,),
    height: float = 3.6,
    columns: Sequence[float] = (1.0,),
    left: float = 0.085,
    right: float = 0.975,
    below: float = 0.5,
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with a left-aligned title, and its axes row by row.

    rows, columns  relative heights and widths of the axes
    height, below  inches, of the figure and under its lowest axes
    left, right    where the axes begin and end, as fractions of the width
    """
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        len(rows),
        len(columns),
        sharex=len(columns) == 1,
        squeeze=False,
        gridspec_kw={
            "height_ratios": rows,
            "width_ratios": columns,
            "left": left,
            "right": right,
            "top": 1.0 - 0.5 / height,
            "bottom": below / height,
            "hspace": GAP / ((height - 0.5 - below - GAP * (len(rows) - 1)) / len(rows)),
            "wspace": 0.22,
        },
    )
    figure.text(
        0.012,
        1.0 - 0.12 / height,
        title,
        fontsize=LARGE * min(1.0, TITLE_LENGTH / len(title)),
        fontweight="bold",
        color=INK,
        va="top",
        parse_math=False,
    )
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#BBBBBB")
        axes.tick_params(labelsize=SMALL, colors="#444444", length=3)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, list(grid.flat)


def line(axes: Axes, series: pd.Series, colour: str, label: str = "", **style: Any) -> None:
    """Draw values over their sessions."""
    axes.plot(dates(series.index), series, color=colour, label=label, **{"linewidth": 1.4} | style)


def finish(
    axes: Axes,
    y: str = "",
    x: str = "",
    percent: str = "",
    ticks: int = 0,
    dated: bool = False,
    zero: bool = False,
    keys: Sequence[Artist] | None = None,
) -> None:
    """Name a panel's axes, write their ticks, and put the legend above its upper right corner.

    percent  axes of fractions, which are written in percent: "x", "y" or "xy"
    ticks    no more than these on the vertical axis, for a low panel
    zero     whether a line is drawn at 0
    keys     of the legend; (): whatever is labelled
    """
    if y:
        axes.set_ylabel(y, fontsize=SMALL, color=INK, parse_math=False)
    if x:
        axes.set_xlabel(x, fontsize=SMALL, parse_math=False)
    for axis in percent:
        in_percent(axes.xaxis if axis == "x" else axes.yaxis)
    if ticks:
        axes.yaxis.set_major_locator(MaxNLocator(ticks))
    if zero:
        axes.axhline(0.0, color=INK, linewidth=0.6)
    if dated:
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.xaxis.get_offset_text().set_fontsize(SMALL)
        axes.margins(x=0.01)
    if keys is not None:
        box = axes.legend(
            handles=list(keys) or axes.get_legend_handles_labels()[0],
            loc="lower right",
            bbox_to_anchor=(1.0, 0.995),
            ncols=6,
            fontsize=SMALL,
            frameon=False,
            borderaxespad=0.0,
            handlelength=1.4,
            columnspacing=1.2,
            handletextpad=0.5,
        )
        for text in box.get_texts():
            text.set_parse_math(False)


def in_percent(axis: Axis) -> None:
    """Write an axis of fractions in percent, with as many digits as a tick needs."""

    def written(value: float, _: int | None = None) -> str:
        texts = [f"{100 * value:.{digits}f}" for digits in range(5)]
        exact = [text for text in texts if abs(float(text) - 100 * value) < 1e-6]
        return f"{(exact or texts[1:])[0]} %"

    axis.set_major_formatter(FuncFormatter(written))


def rows_of(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a chart that is read from side to side."""
    axes.set_yticks(range(len(names)), list(names), fontsize=SMALL)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.grid(visible=False)


def write_cells(
    axes: Axes, grid: NDArray[np.float64], texts: Sequence[Sequence[str]], dark: float
) -> None:
    """Write a text into each cell of an image; white where its colour is dark."""
    for row, column in np.ndindex(*grid.shape):
        colour = "white" if abs(grid[row, column]) > dark else INK
        where: Style = {"ha": "center", "va": "center", "fontsize": SMALL, "color": colour}
        if texts[row][column]:
            axes.text(column, row, texts[row][column], **where)


def png(figure: Figure) -> bytes:
    """Return the figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def share(fraction: float) -> str:
    """Return a fraction as whole percent."""
    return f"{100 * fraction:.0f} %"


def day(session: object) -> str:
    """Return a session's date as YYYY-MM-DD."""
    return f"{pd.Timestamp(session):%Y-%m-%d}"  # type: ignore[arg-type]  # any date will do


def short(text: str, length: int = 60) -> str:
    """Cut what is too long for a title."""
    return text if len(text) <= length else text[: length - 1] + "…"


def dates(index: pd.Index) -> np.ndarray:
    """(T,) sessions as matplotlib wants them."""
    return pd.DatetimeIndex(index).to_numpy()
