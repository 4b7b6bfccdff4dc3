"""What a strategy's backtest is worth, judged once beside buy and hold, with the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation import metrics, statistics, verdict
from rnntrade.evaluation.significance import strategy_tests
from rnntrade.evaluation.verdict import ALONE, NARROW_CONFIDENCE, Interval, Trials
from rnntrade.types import Books

SEED = 0  # of the bootstrap: the same returns, the same intervals
COMPARED = ("final_equity", "annual_return", "sharpe_ratio", "max_drawdown")


@dataclass(frozen=True, eq=False)
class StrategyEvaluation:
    """One strategy beside holding the same assets over the same sessions."""

    name: str
    execution: str  # of `figures`; `by_execution` has the other one too
    sessions: int
    figures: Mapping[str, float]  # of `evaluation.metrics.figures`
    benchmark_figures: Mapping[str, float]
    sharpe: float
    sharpe_interval: Interval
    benchmark_sharpe: float
    difference: float  # of Sharpe ratios, strategy minus buy and hold
    interval: Interval  # of that difference, at `confidence`
    narrow_interval: Interval  # at 80 %
    confidence: float
    probabilistic_sharpe: float  # that the Sharpe ratio is above 0 at all
    deflated_sharpe: float  # ... above what the best of all trials reaches by luck (2012/2014 form)
    deflated_sharpe_2025: float  # the same in the form of 2025
    trials: int  # fits ever begun on this data, and ways in which they were traded
    minimum_track_record: float  # sessions that a Sharpe ratio above 0 would need
    verdict: str
    sentence: str
    power: str
    rules: pd.DataFrame  # (rules, 4) the same figures of rules that learned nothing
    by_execution: pd.DataFrame  # (2, 4) final_equity, annual_return, sharpe_ratio, max_drawdown
    by_cost: pd.DataFrame  # by bps of traded value: the same figures, and those of buy and hold
    folds: pd.DataFrame  # by fold: first, last, sessions, annual_return, sharpe_ratio, hold
    seeds: pd.DataFrame | None  # by member: annual_return, sharpe_ratio, max_drawdown
    tests: pd.DataFrame  # test, against, statistic, one-sided p_value, detail
    cost_drag: float  # return a year that costs took


def evaluate_strategy(
    name: str,
    books: Books,
    config: BacktestConfig,
    report: ReportConfig,
    trials: Trials = ALONE,
) -> StrategyEvaluation:
    """Judge a strategy against buy and hold by the difference of their Sharpe ratios.

    trials  what was tried on this data, this strategy included
    """
    run, hold = books.strategy, books.benchmark
    own, held, other = (metrics.figures(each, hold, config) for each in (run, hold, books.other))
    sharpe, year = own["sharpe_ratio"], config.sessions_per_year
    risk_free = config.risk_free_rate / year
    excess, of_benchmark = run.returns - risk_free, hold.returns - risk_free
    drawn = partial(
        statistics.bootstrap_interval,
        block=statistics.block_length(len(excess), horizon=1),
        draws=report.bootstrap_draws,
        seed=SEED,
    )
    between = partial(statistics.sharpe_difference, sessions_per_year=year)
    alone = partial(metrics.sharpe_ratio, sessions_per_year=year)
    wide, narrow = (
        drawn(between, excess, of_benchmark, confidence=level)
        for level in (report.confidence, NARROW_CONFIDENCE)
    )
    length, per_session = len(excess), sharpe / math.sqrt(year)
    skew, kurtosis = metrics.skew(excess), metrics.kurtosis(excess)
    moments = (per_session, length, skew, kurtosis)
    tried = (trials.all_tries, trials.sharpe_variance)
    deflated = statistics.deflated_sharpe_ratio(*moments, *tried)
    enough = statistics.minimum_track_record_length(
        per_session, skew, kurtosis, confidence=report.confidence
    )
    survives = deflated >= report.confidence
    evaluation = StrategyEvaluation(
        name=name,
        execution=run.execution,
        sessions=length,
        figures=own,
        benchmark_figures=held,
        sharpe=sharpe,
        sharpe_interval=drawn(alone, excess, confidence=report.confidence),
        benchmark_sharpe=held["sharpe_ratio"],
        difference=sharpe - held["sharpe_ratio"],
        interval=wide,
        narrow_interval=narrow,
        confidence=report.confidence,
        probabilistic_sharpe=statistics.probabilistic_sharpe_ratio(*moments),
        deflated_sharpe=deflated,
        deflated_sharpe_2025=statistics.deflated_sharpe_ratio_2025(
            *moments, *tried, autocorrelation=_autocorrelation(excess)
        ),
        trials=len(trials.all_tries),
        minimum_track_record=enough,
        verdict=verdict.phrase(verdict.judge(wide, narrow, survives), "buy_and_hold"),
        sentence="",
        power=_power(
            statistics.smallest_edge(wide, length, float(year), report.confidence), length
        ),
        rules=_table(
            {n: metrics.figures(each, hold, config) for n, each in books.rules.items()}, "rule"
        ),
        by_execution=_table({run.execution: own, books.other.execution: other}, "execution"),
        by_cost=_by_cost(books.cost_cases, config),
        folds=_folds(run.returns, hold.returns, books.folds["fold"], config),
        seeds=_seeds(books.members, config),
        tests=strategy_tests(excess, of_benchmark, year),
        cost_drag=own["cost_drag"],
    )
    return replace(evaluation, sentence=sentence(evaluation))


def sentence(e: StrategyEvaluation) -> str:
    """The verdict with the figures that decide it, before those of buy and hold."""
    annual, rival = (100 * f["annual_return"] for f in (e.figures, e.benchmark_figures))
    own = (
        f"at a Sharpe ratio of {e.sharpe:.2f}"
        if math.isfinite(e.sharpe)
        else "with no Sharpe ratio"
    )
    held = f"at {e.benchmark_sharpe:.2f}" if math.isfinite(e.benchmark_sharpe) else "with none"
    text = (
        f"{e.name}: {e.verdict}. After costs {annual:+.1f} % a year {own}, against {rival:+.1f} %"
    )
    text += f" {held} for buy and hold"
    if math.isfinite(e.difference):
        bounds = verdict.bounded(e.interval[0], "{:+.2f} to {:+.2f}".format(*e.interval))
        text += f": difference {e.difference:+.2f}, {100 * e.confidence:g} % interval {bounds}"
    if not math.isfinite(e.deflated_sharpe):
        return f"{text}. No deflated Sharpe ratio."
    tried = "trial" if e.trials == 1 else "trials"
    return (
        f"{text}. Deflated Sharpe ratio {e.deflated_sharpe:.3f} with {e.trials:,} {tried} on "
        "this data."
    )


def _table(
    rows: Mapping[Any, Mapping[str, object]], of: str, columns: Sequence[str] | None = COMPARED
) -> pd.DataFrame:
    words = all(isinstance(key, str) for key in rows)  # as of none at all
    index = pd.Index(list(rows), dtype=object if words else None, name=of)
    return pd.DataFrame(list(rows.values()), index, list(columns) if columns else None)


def _of_returns(
    returns: pd.Series, config: BacktestConfig, whose: str = "", names: Sequence[str] = COMPARED
) -> dict[str, float]:
    """Figures that returns alone give, by name."""
    year = config.sessions_per_year
    figures = {
        "final_equity": config.initial_capital * (1.0 + metrics.total_return(returns)),
        "annual_return": metrics.annual_return(returns, year),
        "sharpe_ratio": metrics.sharpe_ratio(returns, config.risk_free_rate / year, year),
        "max_drawdown": metrics.max_drawdown(returns),
    }
    return {whose + name: figures[name] for name in names}


def _by_cost(cases: pd.DataFrame, config: BacktestConfig) -> pd.DataFrame:
    """One row a case of costs, cheapest first."""
    costs = sorted({float(case[0]) for case in cases.columns.to_list()})
    rows = {
        bps: _of_returns(cases[(bps, "strategy")], config)
        | _of_returns(cases[(bps, "buy_and_hold")], config, "hold_")
        for bps in costs
    }
    return _table(rows, "bps", [*COMPARED, *(f"hold_{name}" for name in COMPARED)])


def _folds(
    returns: pd.Series, hold: pd.Series, folds: pd.Series, config: BacktestConfig
) -> pd.DataFrame:
    """One row a fold: what its decisions earned."""
    two = ("annual_return", "sharpe_ratio")
    return _table(
        {
            int(fold): {
                "first": part.index[0],
                "last": part.index[-1],
                "sessions": len(part),
                **_of_returns(part, config, names=two),
                **_of_returns(hold.loc[part.index], config, "hold_", two),
            }
            for fold, part in returns.groupby(folds.reindex(returns.index).ffill())
        },
        "fold",
        None,
    )


def _seeds(members: pd.DataFrame, config: BacktestConfig) -> pd.DataFrame | None:
    """One row a member of the ensemble, traded alone; None where there is but one."""
    if members.shape[1] < 2:
        return None
    rows = {int(str(member)): _of_returns(alone, config) for member, alone in members.items()}
    return _table(rows, "member", COMPARED[1:])


def _autocorrelation(returns: pd.Series) -> float:
    """Of neighbouring returns; 0 for too few or returns that never vary, NaN for a perfect one."""
    known = returns.dropna().to_numpy(dtype=float)
    if len(known) < 4 or not (np.ptp(known[:-1]) > 0.0 and np.ptp(known[1:]) > 0.0):
        return 0.0
    found = float(np.corrcoef(known[:-1], known[1:])[0, 1])
    return found if abs(found) < 1.0 else math.nan


def _power(smallest: float, sessions: int) -> str:
    if not math.isfinite(smallest):
        return "Fewer than two sessions show nothing about a difference of Sharpe ratios."
    return (
        f"{sessions:,} sessions could not have told a Sharpe ratio up to about {smallest:.2f} "
        "above that of buy and hold from luck."
    )
