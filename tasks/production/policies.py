"""Policies of retraining, lived through and compared, as tasks."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.errors import ConfigError
from rnntrade.evaluation import metrics
from rnntrade.evaluation.statistics import block_length, bootstrap_interval, sharpe_difference
from rnntrade.production.desk import Desk
from rnntrade.production.policy import History, live_through, sessions_between
from rnntrade.production.promotion import judge, score
from rnntrade.trading.backtest import backtest
from rnntrade.types import Backtest
from tasks.caching import step
from tasks.plain import run_logger, task
from tasks.refs import Ref, Tables, put, read_prices


class PolicyRow(BaseModel):
    """One policy's figures, after costs."""

    policy: str
    retrainings: int
    replaced: int
    annual_return: float
    sharpe: float | None  # None: it never held anything
    max_drawdown: float
    turnover: float  # a year
    difference: float | None  # of the Sharpe ratio to that of the first policy
    interval: tuple[float | None, float | None]  # of the difference
    folder: str  # probability.parquet, target.parquet, retrainings.parquet


@step("cut_prices-{ticker}-{session}", of=())
def cut_prices(ticker: str, prices: Ref[pd.DataFrame], session: str) -> Ref[pd.DataFrame]:
    """One ticker's bars as they were known after a session's close."""
    return put("prices", prices.load().loc[:session])


def tonight(experiment: Experiment, gate: bool) -> Experiment:
    """The experiment as it is retrained on an evening.

    gate  keep the newest sessions to be judged on; else only the evening itself is left out
    """
    wanted = experiment.production.evaluation_sessions if gate else 1
    split = replace(experiment.split, kind="latest", test_sessions=wanted, sealed_sessions=0)
    return replace(experiment, split=split)


@task("follow-{policy}")
def follow(
    experiment: Experiment,
    prices: Tables,
    policy: str,
    gate: bool,
    retrain: Callable[[str, int], Ref[Desk]],
) -> Ref[History]:
    """Live through every session after the first training part under one policy.

    retrain  (session, retrainings before) -> the desk of that evening
    errors   ConfigError for an unknown policy, or too few sessions
    """
    sessions_between(policy)
    bars, log = read_prices(prices), run_logger()
    first = experiment.split.train_sessions
    if len(bars.sessions) <= first:
        raise ConfigError(
            f"{len(bars.sessions)} sessions leave none after the first {first} "
            "(split.train_sessions), on which the first model is trained.  Use an earlier start."
        )

    def next_desk(day: pd.Timestamp, before: int, now: Desk | None) -> Desk:
        desk = retrain(f"{day:%Y-%m-%d}", before).load()
        log.info("%s: retrained on %s", policy, f"{day:%Y-%m-%d}")
        if now is None or not gate:
            return desk
        known, start = bars.upto(day), max(desk.fold.test, now.fold.test)
        money, cases = experiment.backtest, experiment.report.cost_cases
        own = score("challenger", desk, known, start, money, cases, now)
        other = score("champion", now, known, start, money, cases, now)
        return desk if judge(own, other, True, experiment.production).promoted else now

    return put("policies", live_through(policy, bars, bars.sessions[first:], next_desk))


@task("compare_policies")
def compare_policies(
    experiment: Experiment, prices: Tables, followed: dict[str, Ref[History]]
) -> list[PolicyRow]:
    """Trade each policy's decisions with the same engine and costs; the first is the yardstick."""
    bars, config = read_prices(prices), experiment.backtest
    year, report = config.sessions_per_year, experiment.report
    risk_free = config.risk_free_rate / year
    rows: list[PolicyRow] = []
    yardstick: Backtest | None = None
    for policy, ref in followed.items():
        lived = ref.load()
        done = backtest(lived.target, bars, config)
        yardstick = yardstick or done
        low, high = bootstrap_interval(
            partial(sharpe_difference, sessions_per_year=year),
            done.returns - risk_free,
            yardstick.returns - risk_free,
            block=block_length(len(done.returns), horizon=1),
            draws=report.bootstrap_draws,
            confidence=report.confidence,
        )
        sharpe, rival = (
            metrics.sharpe_ratio(each.returns, risk_free, year) for each in (done, yardstick)
        )
        rows.append(
            PolicyRow(
                policy=policy,
                retrainings=len(lived.retrainings),
                replaced=int(lived.retrainings["replaced"].sum()),
                annual_return=metrics.annual_return(done.returns, year),
                sharpe=_known(sharpe),
                max_drawdown=metrics.max_drawdown(done.returns),
                turnover=float(done.turnover.sum() * year / len(done.returns)),
                difference=_known(sharpe - rival),
                interval=(_known(low), _known(high)),
                folder=str(ref.folder),
            )
        )
    return rows


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
