"""Figures of a champion's health: its inputs, its probabilities and its hits, then and now."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnntrade.evaluation.classification import reliability
from rnntrade.production.decay import Outcomes
from rnntrade.report import canvas as c

WINDOW = 20  # sessions of the rolling hit rate


def figures(
    inputs: pd.DataFrame, validation: Outcomes | None = None, recent: Outcomes | None = None
) -> dict[str, Figure]:
    """Return figures by file name without its ending.

    inputs              of `production.drift.feature_drift`
    validation, recent  what was said and came, then and now; None: not known, and not drawn
    """
    drawn = {"input_drift": input_drift(inputs)}
    if validation is None or recent is None or validation.forecasts or not len(recent.session):
        return drawn
    drawn["calibration_then_and_now"] = calibration_then_and_now(validation, recent)
    drawn["hit_rate"] = hit_rate(validation, recent)
    return drawn


def input_drift(inputs: pd.DataFrame) -> Figure:
    """Draw the stability index of each input as a bar, with the mark above which it has drifted."""
    table = inputs.iloc[::-1]  # the first on top
    names = table.loc[table["drifted"], "feature"].tolist()[::-1]
    title = f"{len(names)} of {len(table)} inputs have drifted: {', '.join(names)}"
    if not names:
        title = f"None of {len(table)} inputs has drifted"
    height = 1.15 + 0.24 * max(len(table), 3)
    figure, (axes,) = c.canvas(c.short(title, 110), height=height, left=0.13, right=0.8, below=0.6)
    places = np.arange(len(table))
    colours = [c.RED if drifted else c.SKY for drifted in table["drifted"]]
    axes.barh(places, table["psi"], height=0.62, color=colours)
    limit = table["limit"].to_numpy(float)
    axes.vlines(limit, places - 0.42, places + 0.42, color=c.INK, linewidth=1.6)
    outside, drifted = table["out_of_range"].to_numpy(float), table["drifted"].to_numpy(bool)
    for place, psi in enumerate(table["psi"].to_numpy(float)):
        usual = "?" if np.isnan(limit[place]) else f"{limit[place]:.2f}"
        told = f"{psi:.2f} of {usual}"
        told += f", {c.share(outside[place])} outside" if outside[place] > 0.005 else ""
        axes.annotate(
            told,
            (1.0, float(place)),
            xytext=(8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=c.RED if drifted[place] else c.INK,
        )
    axes.set_xlim(0.0, 1.04 * float(np.nanmax([*table["psi"], *limit, 0.25])))
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.set_yticks(places, table["feature"].tolist(), fontsize=c.SMALL)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
    axes.set_xlabel(
        "population stability index, newest sessions against training (outside: never seen there)",
        fontsize=c.SMALL,
    )
    mark = Line2D([], [], color=c.INK, marker="|", markersize=9, linewidth=0, label="limit")
    mark.set_markeredgewidth(1.6)
    c.legend(
        axes, [Patch(color=c.SKY, label="as usual"), Patch(color=c.RED, label="drifted"), mark]
    )
    return figure


def calibration_then_and_now(validation: Outcomes, recent: Outcomes) -> Figure:
    """Draw how often came true what was said with some confidence, in both periods."""
    parts = (("validation part", validation, c.GREY, "s"), ("newest", recent, c.BLUE, "o"))
    before, now = (float(each.squared_errors().mean()) for each in (validation, recent))
    title = f"Brier score {now:.3f} in the newest {len(recent.hits())} sessions, "
    title += f"{before:.3f} on the validation part"
    figure, (upper, lower) = c.canvas(title, rows=(2.6, 1.0), height=4.6, below=0.55)
    upper.plot([0, 1], [0, 1], color=c.INK, linewidth=0.8, linestyle="--", label="as promised")
    two = validation.predicted.shape[1] == 2
    ends = []
    for place, (who, outcomes, colour, marker) in enumerate(parts):
        table = reliability(outcomes.truth, outcomes.predicted)
        weight = table["count"] / table["count"].sum()
        upper.plot(table["confidence"], table["accuracy"], color=colour, linewidth=1.0, alpha=0.5)
        upper.scatter(
            table["confidence"], table["accuracy"], s=14.0 + 90.0 * weight, c=colour,
            marker=marker, zorder=3, label=who,
        )  # fmt: skip
        step = 0.4 * (table["high"] - table["low"]).to_numpy(float)
        middle = (table["low"] + table["high"]) / 2.0 + step * (place - 0.5)
        lower.bar(middle, weight, step, color=colour)
        ends += [table["low"].min(), table["high"].max()]
    upper.set_xlim(min(ends) - 0.02, max(ends) + 0.02)
    upper.set_ylim(-0.06, 1.06)
    c.label(upper, "how often it came" if two else "share that was right")
    c.label(lower, "of all samples")
    lower.set_xlabel(
        f"probability of {'a rise' if two else 'the class predicted'}, as said", fontsize=c.SMALL
    )
    c.percent(lower.xaxis)
    c.percent(upper.yaxis)
    c.percent(lower.yaxis)
    c.few_ticks(lower, 3)
    c.legend(upper)
    return figure


def hit_rate(validation: Outcomes, recent: Outcomes) -> Figure:
    """Draw the rolling share of right calls against that on the validation part."""
    level, hits = float(validation.hits().mean()), recent.hits()
    title = f"{100 * hits.mean():.1f} % right in the newest {len(hits)} sessions, "
    title += f"{100 * level:.1f} % on the validation part"
    figure, (axes,) = c.canvas(title, height=3.2)
    window = min(WINDOW, len(hits))
    rolling = hits.rolling(window).mean()
    axes.plot(c.dates(hits.index), hits, "o", color=c.SKY, markersize=3.5, label="a session")
    axes.plot(c.dates(hits.index), rolling, color=c.BLUE, linewidth=1.8, label=f"{window} sessions")
    axes.axhline(level, color=c.ORANGE, linewidth=1.4, linestyle="--", label="validation part")
    axes.set_ylim(-0.04, 1.04)
    c.label(axes, "right calls, of all tickers")
    c.percent(axes.yaxis)
    c.dated(axes)
    c.legend(axes)
    return figure
