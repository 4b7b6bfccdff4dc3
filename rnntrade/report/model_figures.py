"""Figures of the networks: how they trained, what they predicted, where they looked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.verdict import plain
from rnntrade.report import canvas as c
from rnntrade.types import Epoch, Fit


def learning_curves(name: str, fits: Sequence[Fit]) -> Figure:
    """Draw loss, and accuracy where there is one, over epochs; each fit's best epoch is marked."""
    scored = any(np.isfinite(epoch.validation_score) for fit in fits for epoch in fit.history)
    figure, panels = c.canvas(
        _learned(name, fits), height=3.4, columns=(1.0,) * (1 + scored), share_x=False
    )
    columns = [("training_loss", "validation_loss", "loss")]
    columns += [("training_score", "validation_score", "accuracy")] * scored
    faint = 1.0 if len(fits) == 1 else max(0.25, 1.0 / len(fits))
    keys = [
        Line2D([], [], color=c.GREY, linewidth=1.5, label="training"),
        Line2D([], [], color=c.BLUE, linewidth=1.5, label="validation"),
        Line2D([], [], color=c.RED, marker="o", markersize=6, linewidth=0, label="best epoch"),
    ]
    for axes, (training, validation, unit) in zip(panels, columns, strict=True):
        for part, colour in ((training, c.GREY), (validation, c.BLUE)):
            lines = [  # people count epochs from 1
                np.array([(epoch.number + 1, getattr(epoch, part)) for epoch in fit.history])
                for fit in fits
            ]
            axes.add_collection(LineCollection(lines, colors=colour, alpha=faint, linewidths=1.5))
        best = [_best(fit) for fit in fits]
        axes.plot(
            [epoch.number + 1 for epoch in best],
            [getattr(epoch, validation) for epoch in best],
            "o",
            color=c.RED,
            alpha=max(0.4, faint),
            markersize=6,
            zorder=3,
        )
        axes.autoscale_view()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch", fontsize=c.SMALL)
        c.label(axes, unit)
        c.legend(axes, keys)
    return figure


def confusion_and_classes(evaluation: ModelEvaluation) -> Figure:
    """Draw the confusion matrix, in counts and shares of what was true, with the class table."""
    if evaluation.confusion is None or evaluation.classes is None:
        raise ValueError(f"{evaluation.name} does not tell classes apart")
    recall = evaluation.classes["recall"].where(evaluation.classes["support"] > 0).dropna()
    figure, (left, right) = c.canvas(
        f"{evaluation.name} finds {c.share(recall.max())} of {recall.idxmax()}, "
        f"{c.share(recall.min())} of {recall.idxmin()}",
        height=3.9,
        columns=(1.0, 1.2),
        share_x=False,
        left=0.125,
        below=0.75,
    )
    counts = evaluation.confusion.to_numpy(float)
    names, columns = (
        [str(name).replace(" ", "\n") for name in axis]
        for axis in (evaluation.confusion.index, evaluation.confusion.columns)
    )
    of_true = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    left.imshow(of_true, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        left.text(
            column,
            row,
            f"{counts[row, column]:,.0f}\n{c.share(of_true[row, column])}",
            ha="center",
            va="center",
            fontsize=c.SMALL,
            color="white" if of_true[row, column] > 0.55 else c.INK,
        )
    left.set_xticks(range(len(columns)), columns, fontsize=c.SMALL)
    left.set_yticks(range(len(names)), names, fontsize=c.SMALL)
    left.set_xlabel("predicted", fontsize=c.SMALL)
    c.label(left, "came true")
    left.grid(visible=False)
    _class_table(right, evaluation.classes)
    return figure


def scores_by_source(evaluation: ModelEvaluation) -> Figure:
    """Draw the network's score beside those of its baselines, the best at the top."""
    better_high = evaluation.score_name == "accuracy"
    scores = evaluation.scores[evaluation.score_name].sort_values(
        ascending=better_high, kind="stable", na_position="first"
    )
    height = 1.3 + 0.27 * len(scores)
    figure, (axes,) = c.canvas(compared(evaluation), height=height, left=0.19)
    places = np.arange(len(scores))
    colours = [
        c.BLUE
        if name == evaluation.name
        else c.ORANGE
        if name == evaluation.best_baseline
        else c.GREY
        for name in scores.index
    ]
    scale = 1.0 if better_high else 100.0
    axes.scatter(scale * scores, places, c=colours, s=46, zorder=3)
    for place, score in zip(places, scores, strict=True):
        text = f"{score:.3f}" if better_high else f"{100 * score:.3f} %"
        if not np.isfinite(score):
            continue
        axes.annotate(
            text, (scale * score, place), (8, 0), textcoords="offset points",
            va="center", fontsize=c.SMALL,
        )  # fmt: skip
    names = [str(n) if n == evaluation.name else plain(str(n)) for n in scores.index]
    axes.set_yticks(places, names, fontsize=c.SMALL)
    for written in axes.get_yticklabels():
        written.set_parse_math(False)
    low, high = scale * float(scores.min()), scale * float(scores.max())
    margin = 0.25 * (high - low) or 0.05 * high or 1.0
    axes.set_xlim(max(0.0, low - margin), high + 1.6 * margin)
    axes.set_ylim(-0.6, len(scores) - 0.4)
    axes.set_xlabel(
        "accuracy on the test part (more is better)"
        if better_high
        else "root mean squared error of a return, % (less is better)",
        fontsize=c.SMALL,
    )
    axes.grid(visible=False)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
    return figure


def forecast_fan(
    ticker: str,
    history: pd.Series,
    sessions: pd.DatetimeIndex,
    forecast: NDArray[np.float64],
    came: NDArray[np.float64],
    half_width: NDArray[np.float64],
    coverage: float,
) -> Figure:
    """Draw one forecast against what came, as prices, with the interval it came with.

    history     closes up to the decision
    sessions    (h,) that the forecast is about
    forecast    (h,) simple returns; `came` likewise, NaN where not known yet
    half_width  (h,) of the interval of the return compounded since the decision; NaN unknown
    """
    start = float(history.iloc[-1])
    path, truth = np.cumprod(1.0 + forecast), np.cumprod(1.0 + came)
    inside = bool(np.abs(truth[-1] - path[-1]) <= half_width[-1])
    word = "inside" if inside else "outside"
    known = f", {100 * (truth[-1] - 1):+.1f} % came" if np.isfinite(truth[-1]) else ""
    of_interval = (
        f" ({word} the {c.share(coverage)} interval)" if np.isfinite(half_width[-1]) else ""
    )
    figure, (axes,) = c.canvas(
        f"{ticker} after {c.day(history.index[-1])}: {100 * (path[-1] - 1):+.1f} % forecast over "
        f"{len(sessions)} sessions{known}{of_interval if known else ''}",
        height=3.5,
    )
    x = c.dates(history.index[-1:].append(sessions))
    axes.plot(c.dates(history.index), history, color=c.INK, linewidth=1.4, label="known close")
    if np.isfinite(half_width).all():
        wide = np.concatenate([[0.0], half_width])
        middle = np.concatenate([[1.0], path])
        axes.fill_between(
            x,
            start * (middle - wide),
            start * (middle + wide),
            color=c.SKY,
            alpha=0.3,
            linewidth=0,
            label=f"{c.share(coverage)} interval",
        )
    for values, colour, style, name in (
        (path, c.BLUE, "-", "forecast"),
        (truth, c.RED, "--", "what came"),
    ):
        axes.plot(
            x,
            start * np.concatenate([[1.0], values]),
            color=colour,
            linestyle=style,
            marker="o",
            markersize=3.5,
            linewidth=1.5,
            label=name,
        )
    axes.axvline(x[0], color=c.GREY, linewidth=0.8, linestyle=":")
    c.label(axes, "adjusted close")
    c.dated(axes)
    c.legend(axes)
    return figure


def attention(
    ticker: str,
    sessions: pd.DatetimeIndex,
    weights: NDArray[np.float64],
    window: NDArray[np.float64],
    names: Sequence[str],
) -> Figure:
    """Draw the attention on each session of one window above the features it saw there.

    weights  (L,) sum to 1
    window   (L, F) standardised features
    """
    length = len(weights)
    top = int(weights.argmax())
    figure, (upper, lower) = c.canvas(
        f"{ticker} on {c.day(sessions[-1])}: most attention on {c.day(sessions[top])} "
        f"({c.share(weights[top])}, even would be {c.share(1 / length)})",
        rows=(1.0, max(1.5, 0.16 * len(names))),
        height=2.6 + 0.17 * len(names),
        left=0.13,
        right=0.885,
    )
    places = np.arange(length)
    upper.bar(places, weights, color=c.BLUE, width=0.85)
    upper.axhline(1.0 / length, color=c.RED, linewidth=1.0, linestyle="--", label="even")
    c.percent(upper.yaxis)
    c.label(upper, "attention")
    c.few_ticks(upper)
    c.legend(upper)
    limit = 3.0
    image = lower.imshow(
        window.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    lower.set_yticks(range(len(names)), list(names), fontsize=7)
    lower.grid(visible=False)
    marked = np.unique(np.linspace(0, length - 1, min(length, 6)).round().astype(int))
    lower.set_xticks(marked, [c.day(sessions[place]) for place in marked], fontsize=c.SMALL)
    box = lower.get_position()
    bar = figure.colorbar(image, cax=figure.add_axes((0.905, box.y0, 0.014, box.height)))
    bar.ax.tick_params(labelsize=c.SMALL)
    bar.set_label("standard deviations from the mean", fontsize=c.SMALL)
    return figure


def compared(evaluation: ModelEvaluation) -> str:
    """Return the verdict as a title: "LSTM: no evidence, 0.420 against 0.480 of persistence"."""
    rival = plain(evaluation.best_baseline)
    if evaluation.score_name == "rmse":
        figures = f"{100 * evaluation.score:.3f} % against {100 * evaluation.baseline_score:.3f} %"
    else:
        figures = f"{evaluation.score:.3f} against {evaluation.baseline_score:.3f}"
    return f"{evaluation.name}: {evaluation.verdict}, {figures} of {rival}"


def _best(fit: Fit) -> Epoch:
    return next(epoch for epoch in fit.history if epoch.number == fit.best)


def _learned(name: str, fits: Sequence[Fit]) -> str:
    best = [fit.best + 1 for fit in fits]
    if len(fits) > 1:
        middle = f"{np.median(best):g}"
        return f"{name}: {len(fits)} fits, best epochs {min(best)} to {max(best)} (median {middle})"
    (fit,) = fits
    last = fit.history[-1]
    loss = _best(fit).validation_loss
    if last.number == fit.best:
        return f"{name}: validation loss was lowest at the last epoch, {last.number + 1}"
    rise = 100 * (last.validation_loss / loss - 1)
    return (
        f"{name}: best epoch {fit.best + 1}; "
        f"validation loss {rise:+.1f} % by epoch {last.number + 1}"
    )


def _class_table(axes: Axes, classes: pd.DataFrame) -> None:
    axes.axis("off")
    table = axes.table(
        cellText=[
            [name, f"{row.precision:.2f}", f"{row.recall:.2f}", f"{row.f1:.2f}", f"{row.support:,}"]
            for name, row in zip(classes.index, classes.itertuples(index=False), strict=True)
        ],
        colLabels=["", "precision", "recall", "F1", "samples"],
        colWidths=[0.32, 0.18, 0.17, 0.15, 0.18],
        bbox=Bbox.from_bounds(0.0, 1.0 - 0.14 * (len(classes) + 1), 1.0, 0.14 * (len(classes) + 1)),
        cellLoc="center",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(c.NORMAL)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#DDDDDD")
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
        if row == 0:
            cell.set_facecolor("#F2F2F2")
