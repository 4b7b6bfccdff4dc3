"""The tables of a run: their rows, from evaluations; what they are called is in the catalogue."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.audit.findings import AuditReport
from rnntrade.config import Experiment
from rnntrade.evaluation import metrics
from rnntrade.evaluation.compare import OVERFITTING_NEEDED, Comparison
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.predictions import INTERVAL_COVERAGE
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import plain
from rnntrade.report.catalogue import NOTHING, Figure, Table, figure, formatted, table
from rnntrade.report.contents import StrategyContents
from rnntrade.types import Prices

ROWS_SHOWN = 6  # longer tables are behind their title
TRADES_SHOWN = 200
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOLD = "buy & hold"


def measured(e: ModelEvaluation) -> dict[str, Figure]:
    """What a model's score, its baseline's and their difference are, in the model's measure."""
    measure, returns = figure(e.score_name), e.score_name == "rmse"
    change = figure("squared_error_saved" if returns else "difference")
    return {
        "score": measure,
        "baseline": replace(measure, label=f"of {plain(e.best_baseline)}"),
        "difference": replace(change, unit=""),
    }


def models(evaluations: Iterable[ModelEvaluation], brief: bool = False) -> Table:
    """Every model beside its best baseline.

    brief  fewer columns, for a terminal
    """
    rows, attempts = [], set()
    for e in evaluations:
        measure, change = (measured(e)[name] for name in ("score", "difference"))
        rows.append(
            {
                "model": e.name,
                "verdict": e.verdict,
                "p_corrected": min(1.0, e.p_value * e.attempts) if isfinite(e.p_value) else None,
                "asks": f"{e.task}, {e.horizon} ahead: {measure.label}",
                "chosen_epoch_score": measure.text(e.validation_score),
                "score": measure.text(e.score),
                "best_baseline": plain(e.best_baseline),
                "baseline": measure.text(e.baseline_score),
                "difference": change.text(e.difference),
                "interval": change.between(e.interval),
            }
        )
        attempts.add(e.attempts)
    written = {
        name: replace(figure(name), kind="number", unit="")
        for name in ("chosen_epoch_score", "score", "baseline", "difference")
    }
    columns = ["model", "asks", "score", "best_baseline", "baseline", "difference", "interval"]
    frame = pd.DataFrame(rows, columns=[*columns, "verdict"] if brief and rows else None)
    tried = " or ".join(f"{number:,}" for number in sorted(attempts))
    return table("brief_models" if brief else "models", frame, written, tried=tried)


def strategies(contents: Mapping[str, StrategyContents]) -> Table:
    """Every strategy in both executions, the rules beside it, and buy and hold."""
    rows = []
    for name, strategy in contents.items():
        e = strategy.evaluation
        judged = {
            "verdict": e.verdict,
            "deflated_sharpe": e.deflated_sharpe,
            "trials": e.trials,
            "sharpe_difference": e.difference,
            "interval": figure("sharpe_difference").between(e.interval),
            "cost_drag": e.cost_drag,
        }
        lines: list[tuple[str, str, Any]]
        lines = [(name, str(execution), row) for execution, row in e.by_execution.iterrows()]
        lines += [(plain(str(rule)), e.execution, row) for rule, row in e.rules.iterrows()]
        lines += [(HOLD, strategy.books.benchmark.execution, e.benchmark_figures)]
        for place, (who, execution, figures) in enumerate(lines):
            own = place < len(e.by_execution) and execution == e.execution
            row = {"strategy": who, "filled": filled(execution), "verdict": "", "interval": NOTHING}
            row |= {key: figures[key] for key in e.by_execution.columns}
            rows.append(row | judged if own else row)
    columns = ["strategy", "verdict", "deflated_sharpe", "trials", "filled", "annual_return"]
    columns += ["sharpe_ratio", "max_drawdown", "final_equity", "sharpe_difference", "interval"]
    return table("strategies", pd.DataFrame(rows, columns=[*columns, "cost_drag"]))


def brief_strategies(evaluations: Iterable[StrategyEvaluation]) -> Table:
    """One row a strategy, for a terminal."""
    names = ("total_return", "sharpe_ratio", "max_drawdown")
    rows = []
    for e in evaluations:
        known = e.rules["sharpe_ratio"].dropna()
        held = [figure(name).text(e.benchmark_figures[name]) for name in names]
        best = (
            f"{figure('sharpe_ratio').text(known.max())} {plain(str(known.idxmax()))}"
            if len(known)
            else "none"
        )
        rows.append(
            {
                "strategy": e.name,
                **{name: e.figures[name] for name in (*names, "trades")},
                "buy_and_hold": ", ".join(held),
                "best_rule": best,
                "deflated_sharpe": e.deflated_sharpe,
                "trials": e.trials,
                "verdict": e.verdict,
            }
        )
    return table("brief_strategies", pd.DataFrame(rows))


def together(comparisons: Iterable[Comparison], brief: bool = False) -> Table:
    """Whether the best of all models is better than a benchmark by more than the picking."""
    rows = [
        {
            "question": each.question,
            "compared": len(each.models),
            "benchmark": benchmark(each),
            "spa_p": each.spa_p,
            "spa_range": figure("spa_p").between(each.spa_range),
            "better": ", ".join(each.better) or "none",
            "overfitting": each.overfitting,
            "overfitting_band": figure("overfitting").between(each.overfitting_band),
            "overfitting_needed": _reached(each.overfitting),
        }
        for each in comparisons
    ]
    frame = pd.DataFrame(rows)
    if brief and rows:
        frame = frame.drop(columns=["spa_range", "overfitting_band", "overfitting_needed"])
    name = "brief_together" if brief else "together"
    return table(name, frame, needed=f"{OVERFITTING_NEEDED:g}")


def benchmark(each: Comparison) -> str:
    """A baseline in words; the model whose inputs it reads, by its name."""
    baseline, of, model = each.benchmark.partition(" of ")
    return plain(baseline) + of + model


def audit(report: AuditReport) -> Iterator[Table]:
    """What was compared, and how much history features need."""
    if compared := report.merged.comparisons:
        rows = [(plain(stage), count) for stage, count in compared.items()]
        yield table("audit", pd.DataFrame(rows, columns=["stage", "comparisons"]))
    if len(report.warm_up):
        yield table("warm_up", report.warm_up, folded=True)


def provenance(x: Experiment, prices: Prices, about: Mapping[str, str]) -> Table:
    """What made this run."""
    closes = {ticker: prices.close[ticker].dropna() for ticker in prices.tickers}
    ranges = ", ".join(
        f"{ticker} {formatted(close.first_valid_index(), 'date')} to "
        f"{formatted(close.last_valid_index(), 'date')} ({len(close):,} sessions)"
        for ticker, close in closes.items()
    )
    settings = {
        "Experiment": f"{x.name}. {x.description}",
        "Data": f"source {x.data.source}: {ranges}",
        "Split": _settings(x.split),
        "Regimes": _settings(x.labels),
        "Training": _settings(x.training),
        "Seed": f"{x.seed}, {x.members} fit{'s' * (x.members > 1)} per model and fold",
        "Filled at": filled(x.backtest.execution),
        "Costs": _settings(x.backtest),
        "Positions": _settings(x.trading),
        **about,
    }
    return table("provenance", pd.DataFrame(settings.items(), columns=["what", "setting"]))


def of_model(e: ModelEvaluation) -> Iterator[Table]:
    """How well a network answered, how that varies over folds and seeds, and what tests say."""
    own = measured(e)

    def sources(frame: pd.DataFrame, column: str = "source") -> pd.DataFrame:
        """Baselines in words, the network by its name."""
        shown = frame if column in frame else frame.reset_index()
        words = [name if name == e.name else plain(str(name)) for name in shown[column]]
        return shown.assign(**{column: words})

    recall = e.scores.get("transition_recall")
    said = changes(recall, e.name) if recall is not None else ""
    samples, sessions = (f"{number:,}" for number in (e.samples, e.sessions))
    yield table("scores", sources(e.scores), changes=said, samples=samples, sessions=sessions)
    if e.classes is not None:
        yield table("classes", e.classes, name=e.name)
    if e.steps is not None:
        yield table("steps", sources(e.steps))
    if e.coverage is not None:
        covered = f"{100 * INTERVAL_COVERAGE:g}"
        yield table("coverage", e.coverage, name=e.name, percent=covered)
    if len(e.folds) > 1:
        long, rival = len(e.folds) > ROWS_SHOWN, plain(e.best_baseline)
        yield table("model_folds", e.folds, own, long, name=e.name, rival=rival)
    if e.seeds is not None and len(e.seeds) > 1:
        yield table("model_seeds", e.seeds, own, name=e.name, spread=seeds_of_model(e))
    if len(e.tests):
        yield table("tests", sources(e.tests, "against"))


def changes(recall: pd.Series, name: str) -> str:
    """Return what share of the changes of regime each of those that matter foresaw.

    recall  by source
    """
    shown = [source for source in (name, "persistence", "markov_chain") if source in recall]
    if recall[shown].isna().all():
        return "The regime never changed on the test part: no change could be foreseen."
    parts = [
        f"{source if source == name else plain(source)} {formatted(recall[source], 'percent')}"
        for source in shown
    ]
    return (
        "Transition recall, the share of true changes of regime that were foreseen with the new "
        f"regime named right: {', '.join(parts)}."
    )


def of_strategy(strategy: StrategyContents) -> Iterator[Table]:
    """What is left after more trials, other costs, years and seeds; then all figures."""
    e, run, held = strategy.evaluation, strategy.books.strategy, strategy.books.benchmark
    yield _sharpe(e)
    if len(e.by_cost):
        bps = pd.Index([f"{float(bps):g}" for bps in e.by_cost.index], name="bps")
        yield table("by_cost", e.by_cost.set_axis(bps))
    if len(e.folds) > 1:
        ahead = int((e.folds["sharpe_ratio"] > e.folds["hold_sharpe_ratio"]).sum())
        long = len(e.folds) > ROWS_SHOWN
        yield table("folds", e.folds, folded=long, ahead=ahead, count=len(e.folds))
    if e.seeds is not None and len(e.seeds) > 1:
        yield table("seeds", e.seeds, spread=seeds_of_strategy(e))
    rows = [
        (entry.heading, entry.text(own), entry.text(e.benchmark_figures.get(name)))
        for name, own in e.figures.items()
        for entry in [figure(name)]
    ]
    shown = pd.DataFrame(rows, columns=["figure", "own", "held"])
    yield table("figures", shown, folded=True)
    years = {"own_return": run.returns, "held_return": held.returns}
    yearly = {name: metrics.yearly_returns(returns) for name, returns in years.items()}
    yield table("years", pd.DataFrame(yearly).rename_axis("year"))
    monthly = metrics.monthly_returns(run.returns).set_axis(list(MONTHS), axis=1)
    calendar = {month: replace(figure("month_return"), label=month) for month in MONTHS}
    yield table("months", monthly, calendar, folded=True)
    trades = run.trades
    if len(trades):
        cut = f", the first {TRADES_SHOWN} of them (the rest is in the CSV file under trades/)"
        cut *= len(trades) > TRADES_SHOWN
        first = trades.head(TRADES_SHOWN)
        yield table("trades", first, folded=True, count=f"{len(trades):,}", cut=cut)


def _sharpe(e: StrategyEvaluation) -> Table:
    """How much a Sharpe ratio of this length is worth; the deflated one in both forms."""
    ratio = figure("sharpe_ratio").text(e.sharpe)
    if np.isfinite(e.sharpe_interval).all():
        ratio += f" ({figure('sharpe_ratio').between(e.sharpe_interval)})"
    late = figure("deflated_sharpe_2025").text(e.deflated_sharpe_2025)
    years = f"its {100 * e.confidence:g} % interval in brackets"
    words = {"needed": f"{e.confidence:g}", "sessions": f"{e.sessions:,}", "enough": _enough(e)}
    rows = [
        (figure("sharpe_ratio").heading, ratio, "", years),
        *(
            (
                figure(name).heading,
                figure(name).text(getattr(e, name)),
                late * (name == "deflated_sharpe"),
                reading.format(**words),
            )
            for name, reading in _SHARPE.items()
        ),
        *(
            (
                f"{test} against {plain(rival)}",
                f"{figure('statistic').text(statistic)}, p {figure('p_value').text(p)}",
                "",
                "; ".join(filter(None, ["one-sided", detail])),
            )
            for test, rival, statistic, p, detail in e.tests.itertuples(index=False)
        ),
    ]
    frame = pd.DataFrame(rows, columns=["figure", "setting", "form_2025", "reading"])
    return table("sharpe", frame, {"setting": replace(figure("setting"), kind="number")})


_SHARPE = {
    "probabilistic_sharpe": "that the true ratio is above 0, were this the only trial",
    "deflated_sharpe": "the same, after trials; {needed} or more is needed",
    "trials": "fits ever begun on this data, failed and aborted ones too",
    "minimum_track_record": "there are {sessions}; {enough}",
}


def _enough(e: StrategyEvaluation) -> str:
    if not isfinite(e.minimum_track_record):
        return "no length would do, since the ratio is not above 0"
    if e.sessions >= e.minimum_track_record:
        return "enough to tell the ratio from 0, were this the only trial"
    return "too few to tell the ratio from 0"


def spread(values: pd.Series, entry: Figure) -> str:
    """Return "0.412 ± 0.010 (0.401 to 0.423)": mean, deviation (ddof 1) and range."""
    known = values.dropna()
    if len(known) < 2:
        return "not known"
    deviation = entry.text(known.std()).removeprefix("+")
    return f"{entry.text(known.mean())} ± {deviation} ({entry.between((known.min(), known.max()))})"


def seeds_of_model(e: ModelEvaluation) -> str:
    """Return how far the members of a network's ensemble lie apart, and where it is as a whole."""
    assert e.seeds is not None
    own = measured(e)
    over = "squared error saved over" if e.score_name == "rmse" else "difference to"
    return (
        f"{_members(e)} {own['score'].label} {spread(e.seeds['score'], own['score'])}, {over} "
        f"{plain(e.best_baseline)} {spread(e.seeds['difference'], own['difference'])}. "
        f"Averaged they reach {own['score'].text(e.score)}."
    )


def seeds_of_strategy(e: StrategyEvaluation) -> str:
    """Return how far the members lie apart when each is traded alone."""
    assert e.seeds is not None
    ratio, growth = figure("sharpe_ratio"), figure("annual_return")
    return (
        f"{_members(e)} {ratio.label} {spread(e.seeds['sharpe_ratio'], ratio)}, "
        f"{growth.label} {spread(e.seeds['annual_return'], growth)}. Averaged they reach "
        f"{ratio.text(e.sharpe)} and {growth.text(e.figures['annual_return'])}."
    )


def _members(e: ModelEvaluation | StrategyEvaluation) -> str:
    assert e.seeds is not None
    return f"{len(e.seeds)} members that differ by their seeds alone, mean ± deviation (range):"


def filled(execution: str) -> str:
    """Return in words where decisions are filled."""
    return {"next_open": "next open", "close": "same close"}.get(execution, execution)


def _reached(overfitting: float) -> str:
    if not isfinite(overfitting):
        return NOTHING
    return "reached" if overfitting < OVERFITTING_NEEDED else "not reached"


def _settings(section: object) -> str:
    """Return a section of the experiment in one line."""
    values = {field.name: getattr(section, field.name) for field in fields(section)}  # type: ignore[arg-type]  # a dataclass
    return ", ".join(f"{plain(name)} {value}" for name, value in values.items())
