"""Figures of how far a network's result can be trusted: its probabilities, and its folds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.verdict import plain
from rnntrade.report import canvas as c

TICKS = 16  # folds whose dates can be read side by side


def calibration_error(table: pd.DataFrame) -> float:
    """Mean gap between confidence and accuracy of a reliability table, over its samples."""
    gap = (table["confidence"] - table["accuracy"]).abs()
    return float((gap * table["count"]).sum() / table["count"].sum())


def reliability(
    name: str, told: str, own: pd.DataFrame, rival: tuple[str, pd.DataFrame] | None
) -> Figure:
    """Draw how often came true what was said with some confidence, above how often it was said.

    told   of what the probability is: "a rise"; "" for that of the class predicted
    own    of `classification.reliability`
    rival  a baseline's name and its table; None: none gives probabilities
    """
    figure, (upper, lower) = c.canvas(
        _calibrated(name, told, own, rival), rows=(2.6, 1.0), height=4.6, below=0.55
    )
    upper.plot([0, 1], [0, 1], color=c.INK, linewidth=0.8, linestyle="--", label="as promised")
    shown = [(name, own, c.BLUE, "o")]
    if rival is not None:
        shown.insert(0, (plain(rival[0]), rival[1], c.ORANGE, "s"))
    width = 0.8 / len(shown)
    for place, (who, table, colour, marker) in enumerate(shown):
        x, y = table["confidence"], table["accuracy"]
        upper.plot(x, y, color=colour, linewidth=1.0, alpha=0.5)
        area = 14.0 + 70.0 * table["count"] / table["count"].max()  # a bin of 2 samples says little
        upper.scatter(x, y, s=area, c=colour, marker=marker, zorder=3, label=c.short(who, 40))
        middle = (table["low"] + table["high"]) / 2.0
        step = (table["high"] - table["low"]).to_numpy(float) * width
        shift = step * (place - (len(shown) - 1) / 2.0)
        bars = lower.bar(middle + shift, table["count"], step, color=colour)
        lower.bar_label(bars, fmt="{:,.0f}", fontsize=7, color=c.INK, padding=1)
    lower.margins(y=0.25)  # room for the counts
    low, high = _range([table for _, table, *_ in shown])
    upper.set_xlim(low, high)
    upper.set_ylim(-0.08, 1.06)
    c.label(upper, "how often it came" if told else "share that was right")
    c.label(lower, "samples")
    lower.set_xlabel(
        f"probability of {told or 'the class predicted'}, as said",
        fontsize=c.SMALL,
    )
    c.percent(lower.xaxis)
    c.percent(upper.yaxis)
    c.few_ticks(lower, 3)
    c.legend(upper)
    return figure


def folds(evaluation: ModelEvaluation) -> Figure:
    """Draw each fold's score beside that of the best baseline, above their difference."""
    table, returns = evaluation.folds, evaluation.score_name == "rmse"
    scale = 100.0 if returns else 1.0
    figure, (upper, lower) = c.canvas(by_fold(evaluation), rows=(1.6, 1.0), height=4.4, below=0.5)
    places = np.arange(len(table))
    own, rival = scale * table["score"], scale * table["baseline"]
    upper.vlines(places, np.minimum(own, rival), np.maximum(own, rival), color="#CCCCCC", lw=2)
    who = plain(evaluation.best_baseline)
    upper.plot(places, rival, "s", color=c.ORANGE, markersize=6, label=who)
    upper.plot(places, own, "o", color=c.BLUE, markersize=6, label=evaluation.name)
    c.label(upper, "RMSE, % (less is better)" if returns else "accuracy")
    c.legend(upper)
    difference = table["difference"].to_numpy(float)
    colours = [c.BLUE if each > 0 else c.ORANGE for each in difference]
    lower.bar(places, difference, width=0.6, color=colours)
    lower.axhline(0.0, color=c.INK, linewidth=0.6)
    if returns:
        c.percent(lower.yaxis, 1)
    c.label(lower, "sq. error saved" if returns else "difference")
    c.few_ticks(lower, 5)
    _fold_dates(lower, table)
    return figure


def by_fold(evaluation: ModelEvaluation) -> str:
    """Return the finding as a title: "LSTM is ahead of zero in 4 of 15 folds; worst …, best …"."""
    table = evaluation.folds
    ahead = int((table["difference"] > 0).sum())
    title = f"{evaluation.name} is ahead of {plain(evaluation.best_baseline)} in {ahead} of "
    title += f"{len(table)} folds"
    known = table[table["difference"].notna()].sort_values("difference", kind="stable")
    if known.empty:
        return title
    ends = [
        f"{word} {_difference(evaluation, float(change))} (from {first:%Y-%m})"
        for word, change, first in zip(
            ("worst", "best"),
            known["difference"].iloc[[0, -1]],
            pd.DatetimeIndex(known["first"].iloc[[0, -1]]),
            strict=True,
        )
    ]
    return f"{title}; {', '.join(ends)}"


def _difference(evaluation: ModelEvaluation, value: float) -> str:
    return f"{100 * value:+.1f} %" if evaluation.score_name == "rmse" else f"{value:+.3f}"


def _calibrated(
    name: str, told: str, own: pd.DataFrame, rival: tuple[str, pd.DataFrame] | None
) -> str:
    """Return the finding as a title, the calibration error in it."""
    weight = own["count"] / own["count"].sum()
    said, came = float((own["confidence"] * weight).sum()), float((own["accuracy"] * weight).sum())
    other = f" ({plain(rival[0])} {calibration_error(rival[1]):.3f})" if rival else ""
    error = f"calibration error {calibration_error(own):.3f}{other}"
    if told:
        return f"{name} says {told} at {c.share(said)}, it came in {c.share(came)}: {error}"
    return f"{name} says {c.share(said)}, is right in {c.share(came)}: {error}"


def _range(tables: list[pd.DataFrame]) -> tuple[float, float]:
    """Whole bins that hold all that was said, with a little room."""
    low = min(float(table["low"].min()) for table in tables)
    high = max(float(table["high"].max()) for table in tables)
    return low - 0.02, high + 0.02


def _fold_dates(axes: Axes, table: pd.DataFrame) -> None:
    """Write each fold's first session, or every second, third ... where they are many."""
    every = -(-len(table) // TICKS)
    places = np.arange(0, len(table), every)
    firsts = [f"{pd.Timestamp(table['first'].iloc[place]):%Y-%m}" for place in places]
    axes.set_xticks(places, firsts, fontsize=c.SMALL if len(places) <= 10 else 7.5)
    axes.set_xlim(-0.6, len(table) - 0.4)
    axes.set_xlabel("first session of the fold", fontsize=c.SMALL)
