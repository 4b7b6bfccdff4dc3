"""The sections of one network: what it was asked, how well it answered, and how sure one can be."""

from collections.abc import Iterator

import pandas as pd

from rnntrade.evaluation import classification
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.predictions import (
    INTERVAL_COVERAGE,
    conformal_half_widths,
    known_rows,
)
from rnntrade.evaluation.verdict import plain
from rnntrade.objectives.lookup import find_objective
from rnntrade.protocols import Objective
from rnntrade.report import model_figures, trust_figures
from rnntrade.report.contents import Picture, ReportContents, picture
from rnntrade.report.markup import paragraph
from rnntrade.report.spread import foldable, seeds_of_model
from rnntrade.report.tables import Kind, html_table
from rnntrade.report.wording import SCORES, TEST_HEADINGS, TEST_KINDS

HISTORY = 30  # closes before a forecast fan

Parts = Iterator[str | Picture]


def model_section(contents: ReportContents, name: str) -> Parts:
    """Figures first, tables after them."""
    e = contents.evaluations[name]
    yield paragraph(e.sentence)
    yield paragraph(e.power, "note")
    yield picture(f"{name}_scores", model_figures.scores_by_source(e))
    if len(e.folds) > 1:
        yield picture(f"{name}_folds", trust_figures.folds(e))
    if e.confusion is not None:
        yield picture(f"{name}_confusion", model_figures.confusion_and_classes(e))
    if e.reliability is not None:
        rival = _sure_baseline(contents, e)
        told = _of_what(e)
        drawn = trust_figures.reliability(name, told, e.reliability, rival)
        yield picture(f"{name}_reliability", drawn)
    if e.steps is not None and e.horizon > 1:
        yield from _fan(contents, e)
    if contents.fits.get(name):
        yield picture(f"{name}_learning", model_figures.learning_curves(name, contents.fits[name]))
    attention = contents.attention
    if attention is not None and attention.model == name:
        drawn = model_figures.attention(
            attention.ticker,
            attention.sessions,
            attention.weights,
            attention.window,
            attention.names,
        )
        yield picture(f"{name}_attention", drawn)
        yield paragraph("Attention says where a network looked, not why.", "note")
    yield from _tables(e)
    yield from _trust_tables(e)


def _sure_baseline(contents: ReportContents, e: ModelEvaluation) -> tuple[str, pd.DataFrame] | None:
    """Name and reliability of the baseline whose probabilities are best, by Brier score."""
    rivals = e.scores["brier"].drop(e.name).dropna()
    if e.name not in contents.predictions or rivals.empty:
        return None
    best = str(rivals.idxmin())
    rows = known_rows(contents.predictions[e.name], best, "test", _objective(e))
    probabilities = _objective(e).predicted(rows)[:, : len(_classes(e)) or None]
    return best, classification.reliability(rows["truth"].to_numpy(float), probabilities)


def _classes(e: ModelEvaluation) -> list[str]:
    return [] if e.classes is None else [str(name) for name in e.classes.index]


def _objective(e: ModelEvaluation) -> Objective:
    return find_objective(e.task, e.horizon)


def _of_what(e: ModelEvaluation) -> str:
    """Of what a reliability table's probability is: of two classes the second, else ""."""
    if _objective(e).traded:
        return "a rise"
    return _classes(e)[1] if len(_classes(e)) == 2 else ""


def _tables(e: ModelEvaluation) -> Parts:
    counted = f"test part: {e.samples:,} samples of {e.sessions:,} sessions"
    errors: dict[str, Kind] = {"rmse": "fine_percent", "mae": "fine_percent"}
    scores = e.scores.reset_index()
    scores["source"] = _sources(scores["source"], e)
    kinds: dict[str, Kind] = dict.fromkeys([str(name) for name in e.scores.columns], "score")
    if e.steps is not None:
        kinds |= errors
    yield html_table(scores, kinds, SCORES, f"Every source on the {counted}")
    if "transition_recall" in e.scores:
        yield paragraph(changes(e.scores["transition_recall"], e.name))
    if e.classes is not None:
        by_class: dict[str, Kind] = {**dict.fromkeys(["precision", "recall", "f1"], "score")}
        by_class["support"] = "count"
        yield html_table(e.classes, by_class, {"f1": "F1"}, f"{e.name} by class")
    if e.steps is not None:
        steps = e.steps.reset_index()
        steps["source"] = _sources(steps["source"], e)
        by_step: dict[str, Kind] = {"step": "count", "r2_zero": "score", "sign_accuracy": "score"}
        yield html_table(steps, by_step | errors, SCORES, "By step: sessions ahead")
    if e.coverage is not None:
        caption = f"{100 * INTERVAL_COVERAGE:g} % intervals of {e.name} by step, on the test part"
        width: dict[str, Kind] = {
            "step": "count",
            "coverage": "percent",
            "mean_width": "fine_percent",
        }
        yield html_table(e.coverage, width, {}, caption)


def changes(recall: pd.Series, name: str) -> str:
    """Return what share of the changes of regime each of those that matter foresaw.

    recall  by source
    """
    shown = [source for source in (name, "persistence", "markov_chain") if source in recall]
    if recall[shown].isna().all():
        return "The regime never changed on the test part: no change could be foreseen."
    parts = [
        f"{source if source == name else plain(source)} {100 * recall[source]:.1f} %"
        for source in shown
    ]
    return (
        "Transition recall, the share of true changes of regime that were foreseen with the new "
        f"regime named right: {', '.join(parts)}."
    )


def _trust_tables(e: ModelEvaluation) -> Parts:
    """How the result varies over folds and seeds, and what tests say of it."""
    unit: Kind = "fine_percent" if e.score_name == "rmse" else "score"
    change: Kind = "gain" if e.score_name == "rmse" else "signed"
    kinds: dict[str, Kind] = {
        **dict.fromkeys(["first", "last"], "date"),
        **dict.fromkeys(["score", "baseline"], unit),
        **dict.fromkeys(["fold", "samples", "member"], "count"),
        "difference": change,
    }
    titles = {
        "score": SCORES.get(e.score_name, e.score_name),
        "baseline": f"of {plain(e.best_baseline)}",
        "difference": "squared error saved" if e.score_name == "rmse" else "difference",
    }
    if len(e.folds) > 1:
        caption = f"By fold: {e.name} beside {plain(e.best_baseline)}"
        yield foldable(caption, e.folds, kinds, titles)
    if e.seeds is not None and len(e.seeds) > 1:
        yield html_table(e.seeds, kinds, titles, f"Each member of {e.name} alone, by its seed")
        yield paragraph(seeds_of_model(e))
    if len(e.tests):
        tests = e.tests.assign(against=[plain(str(rival)) for rival in e.tests["against"]])
        yield html_table(tests, TEST_KINDS, TEST_HEADINGS, "Tests, before any correction")


def _sources(names: pd.Series, e: ModelEvaluation) -> list[str]:
    """Baselines in words, the network by its name."""
    return [str(name) if name == e.name else plain(str(name)) for name in names]


def _fan(contents: ReportContents, e: ModelEvaluation) -> Parts:
    """Draw the last forecast whose whole future came, for the first ticker."""
    predictions = contents.predictions[e.name]
    validation = known_rows(predictions, e.name, "validation", _objective(e))
    rows = known_rows(predictions, e.name, "test", _objective(e))
    tickers = [ticker for ticker in contents.prices.tickers if (rows["ticker"] == ticker).any()]
    if not tickers:
        return
    close = contents.prices.close[tickers[0]].dropna()
    row = rows[rows["ticker"] == tickers[0]].sort_values("decision").iloc[[-1]]
    forecast, came = _objective(e).predicted(row)[0], _objective(e).truth(row)[0]
    decided = int(close.index.get_indexer(pd.DatetimeIndex(row["decision"]))[0])
    if decided < 0:
        return
    sessions = pd.DatetimeIndex(close.index[decided + 1 : decided + 1 + len(forecast)])
    widths = conformal_half_widths(_objective(e), validation, row, cumulative=True)[0]
    figure = model_figures.forecast_fan(
        tickers[0],
        close.iloc[max(0, decided + 1 - HISTORY) : decided + 1],
        sessions,
        forecast[: len(sessions)],
        came[: len(sessions)],
        widths[: len(sessions)],
        INTERVAL_COVERAGE,
    )
    yield picture(f"{e.name}_fan", figure)
