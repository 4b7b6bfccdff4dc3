"""Figures of the networks: how they trained, what they predicted, how far that can be trusted."""

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

from rnntrade.evaluation import classification
from rnntrade.evaluation.classification import calibration_error
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.predictions import INTERVAL_COVERAGE, conformal_half_widths, known_rows
from rnntrade.evaluation.verdict import plain
from rnntrade.objectives.lookup import find_objective
from rnntrade.report import canvas as c
from rnntrade.report.catalogue import figure as entry
from rnntrade.report.contents import AttentionExample, ReportContents
from rnntrade.report.tables import measured
from rnntrade.types import Epoch, Fit

HISTORY = 30  # closes before a forecast fan
TICKS = 16  # folds whose dates can be read side by side
Calibration = tuple[str, pd.DataFrame, str, str]  # whose, of `reliability`, colour, marker


def of_model(contents: ReportContents, name: str) -> c.Figures:
    """Scores, folds, classes, calibration, a forecast, training, attention: what there is."""
    e = contents.evaluations[name]
    yield f"{name}_scores", scores_by_source(e)
    if len(e.folds) > 1:
        yield f"{name}_folds", folds(e)
    if e.confusion is not None:
        yield f"{name}_confusion", confusion_and_classes(e)
    if e.reliability is not None and e.classes is not None:
        objective, classes = find_objective(e.task, e.horizon), e.classes.index
        event = "a rise" if objective.traded else classes[1] if len(classes) == 2 else ""
        rival = _sure_baseline(contents, e)
        yield f"{name}_reliability", reliability(name, event, e.reliability, rival)
    steps = find_objective(e.task, e.horizon).answer_columns
    if e.steps is not None and len(steps) == e.horizon > 1 and (fan := _fan(contents, e)):
        yield f"{name}_fan", fan
    if contents.fits.get(name):
        yield f"{name}_learning", learning_curves(name, contents.fits[name])
    if contents.attention is not None and contents.attention.model == name:
        yield f"{name}_attention", attention(contents.attention)


def learning_curves(name: str, fits: Sequence[Fit]) -> Figure:
    """Plot loss, and accuracy where there is one, over epochs; mark each fit's best epoch."""
    scored = any(np.isfinite(epoch.validation_score) for fit in fits for epoch in fit.history)
    figure, panels = c.canvas(_learned(name, fits), height=3.4, columns=(1.0,) * (1 + scored))
    faint = 1.0 if len(fits) == 1 else max(0.25, 1.0 / len(fits))
    keys = [
        Line2D([], [], color=c.GREY, linewidth=1.5, label="training"),
        Line2D([], [], color=c.BLUE, linewidth=1.5, label="validation"),
        Line2D([], [], color=c.RED, marker="o", markersize=6, linewidth=0, label="best epoch"),
    ]
    best = [_best(fit) for fit in fits]
    for axes, unit in zip(panels, ("loss", "score"), strict=False):
        for part, colour in (("training", c.GREY), ("validation", c.BLUE)):
            lines = [  # people count epochs from 1
                np.array([(e.number + 1, getattr(e, f"{part}_{unit}")) for e in fit.history])
                for fit in fits
            ]
            axes.add_collection(LineCollection(lines, colors=colour, alpha=faint, linewidths=1.5))
        axes.plot(
            [epoch.number + 1 for epoch in best],
            [getattr(epoch, f"validation_{unit}") for epoch in best],
            "o",
            color=c.RED,
            alpha=max(0.4, faint),
            markersize=6,
            zorder=3,
        )
        axes.autoscale_view()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        c.finish(axes, "accuracy" if unit == "score" else unit, "epoch", keys=keys)
    return figure


def confusion_and_classes(evaluation: ModelEvaluation) -> Figure:
    """Plot the confusion matrix, in counts and shares of the truth, with the class table."""
    assert evaluation.confusion is not None
    assert evaluation.classes is not None
    recall = evaluation.classes["recall"].where(evaluation.classes["support"] > 0).dropna()
    figure, (left, right) = c.canvas(
        f"{evaluation.name} finds {c.share(recall.max())} of {recall.idxmax()}, "
        f"{c.share(recall.min())} of {recall.idxmin()}",
        height=3.9,
        columns=(1.0, 1.2),
        left=0.125,
        below=0.75,
    )
    counts = evaluation.confusion.to_numpy(float)
    of_true = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    left.imshow(of_true, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    texts = [
        [f"{count:,.0f}\n{c.share(share)}" for count, share in zip(*row, strict=True)]
        for row in zip(counts, of_true, strict=True)
    ]
    c.write_cells(left, of_true, texts, dark=0.55)
    names, columns = (
        [str(name).replace(" ", "\n") for name in axis]
        for axis in (evaluation.confusion.index, evaluation.confusion.columns)
    )
    left.set_xticks(range(len(columns)), columns, fontsize=c.SMALL)
    c.rows_of(left, names)
    c.finish(left, "observed", "predicted")
    _class_table(right, evaluation.classes)
    return figure


def scores_by_source(evaluation: ModelEvaluation) -> Figure:
    """Plot the network's score beside those of its baselines, the best at the top."""
    accuracy, measure = evaluation.score_name == "accuracy", entry(evaluation.score_name)
    scores = evaluation.scores[evaluation.score_name].sort_values(
        ascending=accuracy, kind="stable", na_position="first"
    )
    figure, (axes,) = c.canvas(compared(evaluation), height=1.3 + 0.27 * len(scores), left=0.19)
    colour = {evaluation.best_baseline: c.ORANGE, evaluation.name: c.BLUE}
    colours = [colour.get(str(name), c.GREY) for name in scores.index]
    scale = 1.0 if accuracy else 100.0
    places = np.arange(len(scores))
    axes.scatter(scale * scores, places, c=colours, s=46, zorder=3)
    for place, score in zip(places, scores, strict=True):
        if np.isfinite(score):
            axes.annotate(
                measure.text(score), (scale * score, place), (8, 0),
                textcoords="offset points", va="center", fontsize=c.SMALL,
            )  # fmt: skip
    c.rows_of(axes, [n if n == evaluation.name else plain(str(n)) for n in scores.index])
    low, high = scale * float(scores.min()), scale * float(scores.max())
    margin = 0.25 * (high - low) or 0.05 * high or 1.0
    axes.set_xlim(max(0.0, low - margin), high + 1.6 * margin)
    axes.set_ylim(-0.6, len(scores) - 0.4)
    axes.grid(axis="x", color=c.GRID, linewidth=0.7)
    long = {"accuracy": "accuracy on the test part (more is better)"}
    c.finish(axes, x=long.get(measure.name, "RMSE of a session's return, % (less is better)"))
    return figure


def folds(evaluation: ModelEvaluation) -> Figure:
    """Plot each fold's score beside that of the best baseline, and their difference below."""
    table, returns = evaluation.folds, evaluation.score_name == "rmse"
    scale = 100.0 if returns else 1.0
    figure, (upper, lower) = c.canvas(by_fold(evaluation), rows=(1.6, 1.0), height=4.4)
    places = np.arange(len(table))
    own, rival = scale * table["score"], scale * table["baseline"]
    upper.vlines(places, np.minimum(own, rival), np.maximum(own, rival), color="#CCCCCC", lw=2)
    who = plain(evaluation.best_baseline)
    upper.plot(places, rival, "s", color=c.ORANGE, markersize=6, label=who)
    upper.plot(places, own, "o", color=c.BLUE, markersize=6, label=evaluation.name)
    c.finish(upper, "RMSE, % (less is better)" if returns else "accuracy", keys=())
    difference = table["difference"].to_numpy(float)
    colours = [c.BLUE if change > 0 else c.ORANGE for change in difference]
    lower.bar(places, difference, width=0.6, color=colours)
    shown = places[:: -(-len(table) // TICKS)]  # every fold, or every second, third ...
    firsts = [f"{pd.Timestamp(table['first'].iloc[place]):%Y-%m}" for place in shown]
    lower.set_xticks(shown, firsts, fontsize=c.SMALL if len(shown) <= 10 else 7.5)
    lower.set_xlim(-0.6, len(table) - 0.4)
    name, percent = ("sq. error saved", "y") if returns else ("difference", "")
    c.finish(lower, name, "first session of the fold", percent, ticks=5, zero=True)
    return figure


def by_fold(evaluation: ModelEvaluation) -> str:
    """Return the finding as a title: "LSTM is ahead of zero in 4 of 15 folds; worst …, best …"."""
    table, change = evaluation.folds, measured(evaluation)["difference"]
    ahead = int((table["difference"] > 0).sum())
    title = f"{evaluation.name} is ahead of {plain(evaluation.best_baseline)} in {ahead} of "
    title += f"{len(table)} folds"
    known = table[table["difference"].notna()].sort_values("difference", kind="stable")
    if known.empty:
        return title
    ends = zip(("worst", "best"), known.iloc[[0, -1]].itertuples(), strict=True)
    return f"{title}; " + ", ".join(
        f"{word} {change.text(fold.difference)} (from {fold.first:%Y-%m})" for word, fold in ends
    )


def reliability(
    name: str, event: str, own: pd.DataFrame, rival: tuple[str, pd.DataFrame] | None
) -> Figure:
    """Plot observed frequency against predicted probability, with bin counts below.

    event  of what the probability is: "a rise"; "" for the class predicted
    own    of `classification.reliability`
    rival  a baseline's name and its table; None: none gives probabilities
    """
    shown: list[Calibration] = [(name, own, c.BLUE, "o")]
    if rival is not None:
        shown.insert(0, (plain(rival[0]), rival[1], c.ORANGE, "s"))
    return calibration(_calibrated(name, event, own, rival), event, shown)


def calibration(title: str, event: str, shown: Sequence[Calibration]) -> Figure:
    """Plot observed frequency against predicted probability, with the bins' weights below.

    shown  tables whose `count` is a number of samples, or their share
    """
    figure, (upper, lower) = c.canvas(title, rows=(2.6, 1.0), height=4.6, below=0.55)
    diagonal: c.Style = {"linewidth": 0.8, "linestyle": "--", "label": "perfect calibration"}
    upper.plot([0, 1], [0, 1], color=c.INK, **diagonal)
    shares = all(table["count"].sum() < 1.5 for _, table, *_ in shown)
    width = 0.8 / len(shown)
    for place, (who, table, colour, marker) in enumerate(shown):
        x, y = table["confidence"], table["accuracy"]
        upper.plot(x, y, color=colour, linewidth=1.0, alpha=0.5)
        area = 14.0 + 70.0 * table["count"] / table["count"].max()  # a bin of 2 samples says little
        upper.scatter(x, y, s=area, c=colour, marker=marker, zorder=3, label=c.short(who, 40))
        step = (table["high"] - table["low"]).to_numpy(float) * width
        middle = (table["low"] + table["high"]) / 2.0 + step * (place - (len(shown) - 1) / 2.0)
        bars = lower.bar(middle, table["count"], step, color=colour)
        if not shares:
            lower.bar_label(bars, fmt="{:,.0f}", fontsize=7, color=c.INK, padding=1)
    lower.margins(y=0.25)  # room for the counts
    low = min(float(table["low"].min()) for _, table, *_ in shown)
    high = max(float(table["high"].max()) for _, table, *_ in shown)
    upper.set_xlim(low - 0.02, high + 0.02)
    upper.set_ylim(-0.08, 1.06)
    c.finish(upper, "observed frequency" if event else "share right", percent="y", keys=())
    below = f"predicted probability of {event or 'the predicted class'}"
    name, percent = ("share of samples", "xy") if shares else ("samples", "x")
    c.finish(lower, name, below, percent, ticks=3)
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
    """Plot one forecast against the realised prices, with its interval.

    history     closes up to the decision
    sessions    (h,) that the forecast is about
    forecast    (h,) simple returns; `came` likewise, NaN where not known yet
    half_width  (h,) of the interval of the return compounded since the decision; NaN unknown
    """
    start = float(history.iloc[-1])
    path, truth = np.cumprod(1.0 + forecast), np.cumprod(1.0 + came)
    title = f"{ticker} after {c.day(history.index[-1])}: {100 * (path[-1] - 1):+.1f} % forecast "
    title += f"over {len(sessions)} sessions"
    if np.isfinite(truth[-1]):
        title += f", {100 * (truth[-1] - 1):+.1f} % realised"
        if np.isfinite(half_width[-1]):
            inside = bool(np.abs(truth[-1] - path[-1]) <= half_width[-1])
            where = "inside" if inside else "outside"
            title += f" ({where} the {c.share(coverage)} interval)"
    figure, (axes,) = c.canvas(title, height=3.5)
    days = history.index[-1:].append(sessions)
    c.line(axes, history, c.INK, "history")
    if np.isfinite(half_width).all():
        middle, wide = np.append(1.0, path), np.append(0.0, half_width)
        low, high = start * (middle - wide), start * (middle + wide)
        shade: c.Style = {"color": c.SKY, "alpha": 0.3, "linewidth": 0}
        label = f"{c.share(coverage)} interval"
        axes.fill_between(c.dates(days), low, high, label=label, **shade)
    marked: c.Style = {"marker": "o", "markersize": 3.5, "linewidth": 1.5}
    c.line(axes, pd.Series(start * np.append(1.0, path), days), c.BLUE, "forecast", **marked)
    realised = pd.Series(start * np.append(1.0, truth), days)
    c.line(axes, realised, c.RED, "realised", linestyle="--", **marked)
    axes.axvline(c.dates(days)[0], color=c.GREY, linewidth=0.8, linestyle=":")
    c.finish(axes, "adjusted close", dated=True, keys=())
    return figure


def attention(example: AttentionExample) -> Figure:
    """Plot the attention on each session of one window above the features it saw there."""
    sessions, weights, names = example.sessions, example.weights, example.names
    length, top = len(weights), int(weights.argmax())
    figure, (upper, lower) = c.canvas(
        f"{example.ticker} on {c.day(sessions[-1])}: most attention on {c.day(sessions[top])} "
        f"({c.share(weights[top])}, uniform would be {c.share(1 / length)})",
        rows=(1.0, max(1.5, 0.16 * len(names))),
        height=2.6 + 0.17 * len(names),
        left=0.13,
        right=0.885,
    )
    upper.bar(np.arange(length), weights, color=c.BLUE, width=0.85)
    upper.axhline(1.0 / length, color=c.RED, linewidth=1.0, linestyle="--", label="uniform")
    c.finish(upper, "attention", percent="y", ticks=4, keys=())
    limits: c.Style = {"cmap": "RdBu_r", "vmin": -3.0, "vmax": 3.0}
    image = lower.imshow(example.window.T, aspect="auto", interpolation="nearest", **limits)
    c.rows_of(lower, names)
    lower.tick_params(axis="y", labelsize=7)
    marked = np.unique(np.linspace(0, length - 1, min(length, 6)).round().astype(int))
    lower.set_xticks(marked, [c.day(sessions[place]) for place in marked], fontsize=c.SMALL)
    box = lower.get_position()
    bar = figure.colorbar(image, cax=figure.add_axes((0.905, box.y0, 0.014, box.height)))
    bar.ax.tick_params(labelsize=c.SMALL)
    bar.set_label("standard deviations from the mean", fontsize=c.SMALL)
    return figure


def compared(evaluation: ModelEvaluation) -> str:
    """Return the verdict as a title: "LSTM: no evidence, 0.420 against 0.480 of persistence"."""
    measure = entry(evaluation.score_name)
    figures = f"{measure.text(evaluation.score)} against {measure.text(evaluation.baseline_score)}"
    rival = plain(evaluation.best_baseline)
    return f"{evaluation.name}: {evaluation.verdict}, {figures} of {rival}"


def _sure_baseline(contents: ReportContents, e: ModelEvaluation) -> tuple[str, pd.DataFrame] | None:
    """Name and reliability of the baseline whose probabilities are best, by Brier score."""
    rivals = e.scores["brier"].drop(e.name).dropna()
    if e.name not in contents.predictions or rivals.empty:
        return None
    best, objective = str(rivals.idxmin()), find_objective(e.task, e.horizon)
    rows = known_rows(contents.predictions[e.name], best, "test", objective)
    count = None if e.classes is None else len(e.classes)
    probabilities = objective.predicted(rows)[:, :count]
    return best, classification.reliability(rows["truth"].to_numpy(float), probabilities)


def _fan(contents: ReportContents, e: ModelEvaluation) -> Figure | None:
    """Draw the last forecast whose whole future came, for the first ticker."""
    predictions, objective = contents.predictions[e.name], find_objective(e.task, e.horizon)
    validation, rows = (
        known_rows(predictions, e.name, part, objective) for part in ("validation", "test")
    )
    tickers = [ticker for ticker in contents.prices.tickers if (rows["ticker"] == ticker).any()]
    if not tickers:
        return None
    close = contents.prices.close[tickers[0]].dropna()
    row = rows[rows["ticker"] == tickers[0]].sort_values("decision").iloc[[-1]]
    decided = int(close.index.get_indexer(pd.DatetimeIndex(row["decision"]))[0])
    if decided < 0:
        return None
    sessions = pd.DatetimeIndex(close.index[decided + 1 : decided + 1 + e.horizon])
    widths = conformal_half_widths(objective, validation, row, cumulative=True)[0]
    steps = slice(len(sessions))
    return forecast_fan(
        tickers[0],
        close.iloc[max(0, decided + 1 - HISTORY) : decided + 1],
        sessions,
        objective.predicted(row)[0][steps],
        objective.truth(row)[0][steps],
        widths[steps],
        INTERVAL_COVERAGE,
    )


def _best(fit: Fit) -> Epoch:
    return next(epoch for epoch in fit.history if epoch.number == fit.best)


def _learned(name: str, fits: Sequence[Fit]) -> str:
    best = [fit.best + 1 for fit in fits]
    if len(fits) > 1:
        middle = f"{np.median(best):g}"
        return f"{name}: {len(fits)} fits, best epochs {min(best)} to {max(best)} (median {middle})"
    (fit,) = fits
    last = fit.history[-1]
    if last.number == fit.best:
        return f"{name}: validation loss was lowest at the last epoch, {last.number + 1}"
    rise = 100 * (last.validation_loss / _best(fit).validation_loss - 1)
    after = f"validation loss {rise:+.1f} % by epoch {last.number + 1}"
    return f"{name}: best epoch {fit.best + 1}; {after}"


def _calibrated(
    name: str, event: str, own: pd.DataFrame, rival: tuple[str, pd.DataFrame] | None
) -> str:
    weight = own["count"] / own["count"].sum()
    said, came = (c.share((own[column] * weight).sum()) for column in ("confidence", "accuracy"))
    other = f" ({plain(rival[0])} {calibration_error(rival[1]):.3f})" if rival else ""
    error = f"calibration error {calibration_error(own):.3f}{other}"
    if event:
        return f"{name} predicts {event} at {said} on average, observed {came}: {error}"
    return f"{name} is {said} confident on average, right in {came}: {error}"


def _class_table(axes: Axes, classes: pd.DataFrame) -> None:
    axes.axis("off")
    columns = ("precision", "recall", "f1", "support")
    height = 0.14 * (len(classes) + 1)
    table = axes.table(
        cellText=[
            [name, f"{row.precision:.2f}", f"{row.recall:.2f}", f"{row.f1:.2f}", f"{row.support:,}"]
            for name, row in zip(classes.index, classes.itertuples(index=False), strict=True)
        ],
        colLabels=["", *(entry(column).label for column in columns)],
        colWidths=[0.32, 0.18, 0.17, 0.15, 0.18],
        bbox=Bbox.from_bounds(0.0, 1.0 - height, 1.0, height),
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
