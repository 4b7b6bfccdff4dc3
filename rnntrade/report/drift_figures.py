"""Figures of a champion's health: its inputs, its probabilities and its hits, then and now."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnntrade.evaluation.classification import reliability
from rnntrade.production.decay import Outcomes
from rnntrade.report import canvas as c
from rnntrade.report.model_figures import calibration

WINDOW = 20  # sessions of the rolling hit rate


def figures(
    inputs: pd.DataFrame, validation: Outcomes | None = None, recent: Outcomes | None = None
) -> dict[str, Figure]:
    """Return figures by file name without its ending.

    inputs              of `production.drift.feature_drift`
    validation, recent  predictions and outcomes, then and now; None: not known, and not drawn
    """
    drawn = {"input_drift": input_drift(inputs)}
    if validation is None or recent is None or validation.forecasts or not len(recent.session):
        return drawn
    drawn["calibration_then_and_now"] = calibration_then_and_now(validation, recent)
    drawn["hit_rate"] = hit_rate(validation, recent)
    return drawn


def input_drift(inputs: pd.DataFrame) -> Figure:
    """Plot each input's stability index as a bar, with the limit above which it has drifted."""
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
    for place, row in zip(places, table.to_dict("records"), strict=True):
        usual = "?" if np.isnan(row["limit"]) else f"{row['limit']:.2f}"
        new = row["out_of_range"]  # share of values that the training part never had
        outside = f", {c.share(new)} outside" if new > 0.005 else ""
        axes.annotate(
            f"{row['psi']:.2f} of {usual}{outside}",
            (1.0, float(place)),
            xytext=(8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=c.RED if row["drifted"] else c.INK,
        )
    axes.set_xlim(0.0, 1.04 * float(np.nanmax([*table["psi"], *limit, 0.25])))
    axes.set_ylim(-0.7, len(table) - 0.3)
    c.rows_of(axes, table["feature"].tolist())
    axes.grid(axis="x", color=c.GRID, linewidth=0.7)
    mark = Line2D([], [], color=c.INK, marker="|", markersize=9, linewidth=0, label="limit")
    mark.set_markeredgewidth(1.6)
    keys = [Patch(color=c.SKY, label="within its limit"), Patch(color=c.RED, label="drifted"), mark]
    told = (
        "population stability index, newest sessions against training (outside: never seen there)"
    )
    c.finish(axes, x=told, keys=keys)
    return figure


def calibration_then_and_now(validation: Outcomes, recent: Outcomes) -> Figure:
    """Plot observed frequency against predicted probability in both periods."""
    before, now = (float(part.squared_errors().mean()) for part in (validation, recent))
    title = f"Brier score {now:.3f} in the newest {len(recent.hits())} sessions, "
    title += f"{before:.3f} on the validation part"
    event = "a rise" if validation.predicted.shape[1] == 2 else ""
    periods = (("validation part", validation, c.GREY, "s"), ("newest", recent, c.BLUE, "o"))
    shares = []
    for who, outcomes, colour, marker in periods:
        table = reliability(outcomes.truth, outcomes.predicted)
        weight = table["count"] / table["count"].sum()
        shares.append((who, table.assign(count=weight), colour, marker))
    return calibration(title, event, shares)


def hit_rate(validation: Outcomes, recent: Outcomes) -> Figure:
    """Plot the rolling share of right calls against that on the validation part."""
    level, hits = float(validation.hits().mean()), recent.hits()
    title = f"{100 * hits.mean():.1f} % right in the newest {len(hits)} sessions, "
    title += f"{100 * level:.1f} % on the validation part"
    figure, (axes,) = c.canvas(title, height=3.2)
    window = min(WINDOW, len(hits))
    c.line(axes, hits, c.SKY, "a session", linewidth=0, marker="o", markersize=3.5)
    c.line(axes, hits.rolling(window).mean(), c.BLUE, f"{window} sessions", linewidth=1.8)
    axes.axhline(level, color=c.ORANGE, linewidth=1.4, linestyle="--", label="validation part")
    axes.set_ylim(-0.04, 1.04)
    c.finish(axes, "hit rate, all tickers", percent="y", dated=True, keys=())
    return figure
