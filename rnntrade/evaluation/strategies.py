"""What a strategy's backtest is worth, judged once beside buy and hold, with the verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from rnntrade.config import BacktestConfig, ReportConfig
from rnntrade.evaluation import metrics, statistics, verdict
from rnntrade.evaluation.hypotheses import strategy_tests
from rnntrade.evaluation.power import block_length, smallest_edge
from rnntrade.evaluation.verdict import ALONE, NARROW_CONFIDENCE, Interval, Trials
from rnntrade.types import Backtest

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
    seeds: (
        pd.DataFrame | None
    )  # by member of the ensemble: annual_return, sharpe_ratio, max_drawdown
    tests: pd.DataFrame  # test, against, statistic, one-sided p_value, detail
    cost_drag: float  # return a year that costs took


def evaluate_strategy(
    name: str,
    backtest: Backtest,
    benchmark: Backtest,
    other_execution: Backtest,
    config: BacktestConfig,
    report: ReportConfig,
    rules: Mapping[str, Backtest] = MappingProxyType({}),
    *,
    cost_cases: pd.DataFrame | None = None,
    members: pd.DataFrame | None = None,
    folds: pd.Series | None = None,
    trials: Trials = ALONE,
) -> StrategyEvaluation:
    """Judge a strategy against buy and hold by the difference of their Sharpe ratios.

    benchmark        holds the same assets over the same sessions, at the same costs
    other_execution  the same decisions, filled the other way
    rules            what trades by rule over the same sessions, at the same costs
    cost_cases       (T, 2 × cases) returns, columns (bps, "strategy" or "buy_and_hold")
    members          (T, members) returns of each member of the ensemble alone
    folds            (T,) number of the fold that decided
    trials           what was tried on this data, this strategy included
    """
    own = metrics.figures(backtest, benchmark, config)
    held = metrics.figures(benchmark, benchmark, config)
    other = metrics.figures(other_execution, benchmark, config)
    sharpe, of_benchmark = own["sharpe_ratio"], held["sharpe_ratio"]
    year = config.sessions_per_year
    risk_free = config.risk_free_rate / year
    block = block_length(len(backtest.returns), horizon=1)
    wide, narrow = (
        statistics.sharpe_difference_interval(
            backtest.returns - risk_free,
            benchmark.returns - risk_free,
            block,
            report.bootstrap_draws,
            confidence,
            SEED,
            year,
        )
        for confidence in (report.confidence, NARROW_CONFIDENCE)
    )
    excess = backtest.returns - risk_free
    per_session = sharpe / math.sqrt(year)
    moments = (metrics.skew(excess), metrics.kurtosis(excess))
    tried = (trials.all_tries, trials.sharpe_variance)
    deflated = statistics.deflated_sharpe_ratio(per_session, len(excess), *moments, *tried)
    words = verdict.phrase(
        verdict.judge(wide, narrow, survives=deflated >= report.confidence), "buy_and_hold"
    )
    return StrategyEvaluation(
        name=name,
        execution=backtest.execution,
        sessions=len(backtest.returns),
        figures=own,
        benchmark_figures=held,
        sharpe=sharpe,
        sharpe_interval=statistics.sharpe_interval(
            backtest.returns - risk_free,
            block,
            report.bootstrap_draws,
            report.confidence,
            SEED,
            year,
        ),
        benchmark_sharpe=of_benchmark,
        difference=sharpe - of_benchmark,
        interval=wide,
        narrow_interval=narrow,
        confidence=report.confidence,
        probabilistic_sharpe=statistics.probabilistic_sharpe_ratio(
            per_session, len(excess), *moments
        ),
        deflated_sharpe=deflated,
        deflated_sharpe_2025=statistics.deflated_sharpe_ratio_2025(
            per_session, len(excess), *moments, *tried, autocorrelation=_autocorrelation(excess)
        ),
        trials=len(tried[0]),
        minimum_track_record=(
            statistics.minimum_track_record_length(
                per_session, *moments, confidence=report.confidence
            )
            if per_session > 0.0
            else math.nan
        ),
        verdict=words,
        sentence=verdict.strategy_sentence(
            words,
            name,
            (own["annual_return"], held["annual_return"]),
            (sharpe, of_benchmark),
            wide,
            report.confidence,
            (deflated, len(tried[0])),
        ),
        power=_power(smallest_edge(wide, len(excess), float(year), report.confidence), len(excess)),
        rules=_table(
            {n: _some(metrics.figures(run, benchmark, config)) for n, run in rules.items()}, "rule"
        ),
        by_execution=_table(
            {backtest.execution: _some(own), other_execution.execution: _some(other)}, "execution"
        ),
        by_cost=_by_cost(cost_cases, config),
        folds=_folds(backtest.returns, benchmark.returns, folds, risk_free, year),
        seeds=_seeds(members, risk_free, year),
        tests=strategy_tests(backtest.returns - risk_free, benchmark.returns - risk_free, year),
        cost_drag=own["cost_drag"],
    )


def _some(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: figures[name] for name in COMPARED}


def _table(rows: Mapping[str, Mapping[str, float]], of: str) -> pd.DataFrame:
    index = pd.Index(list(rows), dtype=object, name=of)
    return pd.DataFrame(list(rows.values()), index=index, columns=list(COMPARED))


def _by_cost(cases: pd.DataFrame | None, config: BacktestConfig) -> pd.DataFrame:
    """One row a case of costs, cheapest first."""
    columns = [*COMPARED, *(f"hold_{name}" for name in COMPARED)]
    if cases is None:
        return pd.DataFrame(columns=columns, index=pd.Index([], name="bps"))
    rows = {}
    for bps in sorted({float(case[0]) for case in cases.columns.to_list()}):
        rows[bps] = {
            prefix + name: value
            for prefix, who in (("", "strategy"), ("hold_", "buy_and_hold"))
            for name, value in _of_returns(cases[(bps, who)], config).items()
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("bps")


def _of_returns(returns: pd.Series, config: BacktestConfig) -> dict[str, float]:
    year = config.sessions_per_year
    risk_free = config.risk_free_rate / year
    return {
        "final_equity": config.initial_capital * (1.0 + metrics.total_return(returns)),
        "annual_return": metrics.annual_return(returns, year),
        "sharpe_ratio": metrics.sharpe_ratio(returns, risk_free, year),
        "max_drawdown": metrics.max_drawdown(returns),
    }


def _folds(
    returns: pd.Series, hold: pd.Series, folds: pd.Series | None, risk_free: float, year: int
) -> pd.DataFrame:
    """One row a fold: what its decisions earned."""
    number = folds if folds is not None else pd.Series(0, returns.index)
    rows = {}
    standing = number.reindex(returns.index).ffill()
    for fold in sorted(standing.unique()):
        part = returns[standing == fold]
        rows[int(fold)] = {
            "first": part.index[0],
            "last": part.index[-1],
            "sessions": len(part),
            "annual_return": metrics.annual_return(part, year),
            "sharpe_ratio": metrics.sharpe_ratio(part, risk_free, year),
            "hold_annual_return": metrics.annual_return(hold.loc[part.index], year),
            "hold_sharpe_ratio": metrics.sharpe_ratio(hold.loc[part.index], risk_free, year),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")


def _seeds(members: pd.DataFrame | None, risk_free: float, year: int) -> pd.DataFrame | None:
    """One row a member of the ensemble, traded alone; None where there is but one."""
    if members is None or members.shape[1] < 2:
        return None
    rows = {
        int(str(member)): {
            "annual_return": metrics.annual_return(returns, year),
            "sharpe_ratio": metrics.sharpe_ratio(returns, risk_free, year),
            "max_drawdown": metrics.max_drawdown(returns),
        }
        for member, returns in members.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("member")


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
