"""The head of the report: verdict, the tables that everyone reads, and where it all came from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from math import isfinite

import numpy as np
import pandas as pd

from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.verdict import CORRECTED, Interval, plain, summary
from rnntrade.report import trust
from rnntrade.report.contents import ReportContents
from rnntrade.report.markup import bullets, paragraph
from rnntrade.report.tables import NOTHING, Kind, formatted, html_table
from rnntrade.report.wording import SCORES

Parts = Iterator[str]


def verdict(contents: ReportContents) -> Parts:
    """What the run shows, in sentences, and a warning where it cannot show anything."""
    evaluations = list(contents.evaluations.values())
    strategies = [strategy.evaluation for strategy in contents.strategies.values()]
    if contents.experiment.labels.thresholds == "full_sample":
        yield paragraph(
            "LEAKY: the regime thresholds were learned from the whole sample, test part included. "
            "Scores of regime models below see the future and show nothing.",
            "leaky",
        )
    yield from trust.audit_warning(contents.audit)
    yield from trust.holdout(contents.holdout)
    shown = ([e.verdict for e in evaluations], [e.verdict for e in strategies])
    texts = [
        summary(*shown, warned=bool(contents.findings)),
        *(f"Warning about the prices: {finding}" for finding in contents.findings),
        *(evaluation.sentence for evaluation in evaluations),
        *(evaluation.sentence for evaluation in strategies),
        CORRECTED,
    ]
    yield f'<div class="verdict">{"".join(paragraph(text) for text in texts)}</div>'


def models(contents: ReportContents) -> Parts:
    """Every model beside its best baseline."""
    if not contents.evaluations:
        yield paragraph("This experiment has no models.")
        return
    rows = [
        {
            "model": e.name,
            "verdict": e.verdict,
            "p, corrected": min(1.0, e.p_value * e.attempts) if isfinite(e.p_value) else None,
            "asks": f"{e.task}, {e.horizon} ahead: {SCORES.get(e.score_name, e.score_name)}",
            "validation": _score(e, e.validation_score),
            "test": _score(e, e.score),
            "best baseline": plain(e.best_baseline),
            "its test score": _score(e, e.baseline_score),
            "difference": _difference(e, e.difference),
            "interval": _interval(e.interval, partial(_difference, e)),
        }
        for e in contents.evaluations.values()
    ]
    numbers = ("validation", "test", "its test score", "difference", "interval")
    kinds: dict[str, Kind] = dict.fromkeys(numbers, "number")
    kinds["p, corrected"] = "p"
    yield html_table(pd.DataFrame(rows), kinds)
    attempts = sorted({e.attempts for e in contents.evaluations.values()})
    tried = " or ".join(f"{number:,}" for number in attempts)
    yield paragraph(
        f"Corrected: one-sided p times the models ever tried on this data, {tried}. Differences "
        "are positive where the model is better: accuracy minus accuracy, or, for forecasts of "
        "returns, the share of the baseline's squared error that is saved. The best baseline is "
        "the best on the test part itself.",
        "note",
    )
    yield bullets([f"{e.name}: {e.power}" for e in contents.evaluations.values()])


def strategies(contents: ReportContents) -> Parts:
    """Every strategy in both executions, beside buy and hold."""
    if not contents.strategies:
        yield paragraph("This experiment trades nothing.")
        return
    rows = []
    for name, strategy in contents.strategies.items():
        e = strategy.evaluation
        for execution, figures in e.by_execution.iterrows():
            main = execution == e.execution
            rows.append(
                {
                    "strategy": name,
                    "verdict": e.verdict if main else "",
                    "deflated Sharpe": e.deflated_sharpe if main else None,
                    "trials": e.trials if main else None,
                    "filled": _filled(str(execution)),
                    "a year": figures["annual_return"],
                    "Sharpe": figures["sharpe_ratio"],
                    "largest fall": figures["max_drawdown"],
                    "final equity": figures["final_equity"],
                    "over hold, Sharpe": e.difference if main else None,
                    "interval": _interval(e.interval, "{:+.2f}".format) if main else NOTHING,
                    "costs a year": e.cost_drag if main else None,
                }
            )
        for rule, figures in e.rules.iterrows():
            rows.append(
                {
                    "strategy": str(rule).replace("_", " "),
                    "verdict": "",
                    "filled": _filled(e.execution),
                    "a year": figures["annual_return"],
                    "Sharpe": figures["sharpe_ratio"],
                    "largest fall": figures["max_drawdown"],
                    "final equity": figures["final_equity"],
                    "interval": NOTHING,
                }
            )
        held = e.benchmark_figures
        rows.append(
            {
                "strategy": "buy and hold",
                "verdict": "",
                "filled": _filled(strategy.benchmark.execution),
                "a year": held["annual_return"],
                "Sharpe": held["sharpe_ratio"],
                "largest fall": held["max_drawdown"],
                "final equity": float(strategy.benchmark.equity.iloc[-1]),
                "interval": NOTHING,
            }
        )
    kinds: dict[str, Kind] = {
        "deflated Sharpe": "score",
        "trials": "count",
        "a year": "gain",
        "Sharpe": "ratio",
        "largest fall": "percent",
        "final equity": "count",
        "over hold, Sharpe": "ratio",
        "interval": "number",
        "costs a year": "percent",
    }
    yield html_table(pd.DataFrame(rows), kinds)
    yield paragraph(
        "All figures are after costs, over the test sessions alone. The rules below each strategy "
        "have learned nothing; random positions are the strategy's own, at another time. The "
        "deflated Sharpe ratio (2012/2014 form) counts every fit ever begun on this data as a "
        "trial, and must reach the report's confidence.",
        "note",
    )


def findings(findings: Sequence[str]) -> Parts:
    """What the checks of the prices found."""
    yield bullets(findings) if findings else paragraph("The checks of the prices found nothing.")


def provenance(contents: ReportContents) -> Parts:
    """What made this run."""
    x = contents.experiment
    costs = x.backtest
    listed = contents.prices.close.apply(lambda close: close.first_valid_index())
    last = contents.prices.close.apply(lambda close: close.last_valid_index())
    ranges = ", ".join(
        f"{ticker} {formatted(listed[ticker], 'date')} to {formatted(last[ticker], 'date')} "
        f"({contents.prices.close[ticker].count():,} sessions)"
        for ticker in contents.prices.tickers
    )
    known = {
        "Experiment": f"{x.name}. {x.description}",
        "Data": f"source {x.data.source}: {ranges}",
        "Split": _fields(x.split),
        "Regimes": _fields(x.labels),
        "Training": _fields(x.training),
        "Seed": f"{x.seed}, {x.members} fit{'s' * (x.members > 1)} per model and fold",
        "Filled at": _filled(costs.execution),
        "Costs": _fields(costs),
        "Positions": _fields(x.trading),
    }
    rows = pd.DataFrame([*known.items(), *contents.provenance.items()], columns=["what", "value"])
    yield html_table(rows, {})


def _score(e: ModelEvaluation, value: float) -> str:
    return formatted(value, "fine_percent" if e.score_name == "rmse" else "score")


def _difference(e: ModelEvaluation, value: float) -> str:
    return f"{100 * value:+.2f} %" if e.score_name == "rmse" else f"{value:+.3f}"


def _interval(interval: Interval, write: Callable[[float], str]) -> str:
    if not np.isfinite(interval).all():
        return NOTHING
    return f"{write(interval[0])} to {write(interval[1])}"


def _filled(execution: str) -> str:
    return {"next_open": "next open", "close": "same close"}.get(execution, execution)


def _fields(section: object) -> str:
    """Return a section of the experiment in one line."""
    values = {field.name: getattr(section, field.name) for field in fields(section)}  # type: ignore[arg-type]  # a dataclass
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
