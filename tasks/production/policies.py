"""Policies of retraining, lived through and compared, as tasks."""

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from rnntrade.config import Experiment
from rnntrade.errors import ConfigError
from rnntrade.evaluation import metrics
from rnntrade.evaluation.power import block_length
from rnntrade.evaluation.statistics import sharpe_difference_interval
from rnntrade.production.desk import Desk, load_desk
from rnntrade.production.history import live_through
from rnntrade.production.policy import sessions_between
from rnntrade.production.promotion import decide as promoted
from rnntrade.production.scores import score
from rnntrade.trading.backtest import backtest
from rnntrade.types import Backtest
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_bars, read_prices


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


@cached_task("cut_prices-{ticker}-{session}")
def cut_prices(ticker: str, prices: Ref, session: str) -> Ref:
    """One ticker's bars as they were known after a session's close."""
    with publish("prices") as out:
        read_bars(prices).loc[:session].to_parquet(out.folder / "bars.parquet")
    return out.ref


def tonight(experiment: Experiment, gate: bool) -> Experiment:
    """The experiment as it is retrained on an evening.

    gate  keep the newest sessions to be judged on; else only the evening itself is left out
    """
    wanted = experiment.production.evaluation_sessions if gate else 1
    split = replace(experiment.split, kind="latest", test_sessions=wanted, sealed_sessions=0)
    return replace(experiment, split=split)


@task(task_run_name="follow-{policy}", cache_policy=NO_CACHE)
def follow(
    experiment: Experiment,
    prices: dict[str, Ref],
    policy: str,
    gate: bool,
    retrain: Callable[[str, int], Ref],
) -> Ref:
    """Live through every session after the first training part under one policy.

    retrain  (session, retrainings before) -> the desk of that evening
    errors   ConfigError for an unknown policy, or too few sessions
    """
    sessions_between(policy)
    bars, log = read_prices(prices), get_run_logger()
    first = experiment.split.train_sessions
    if len(bars.sessions) <= first:
        raise ConfigError(
            f"{len(bars.sessions)} sessions leave none after the first {first} "
            "(split.train_sessions), on which the first model is trained.  Use an earlier start."
        )

    def next_desk(day: pd.Timestamp, before: int, now: Desk | None) -> Desk:
        desk = load_desk(retrain(f"{day:%Y-%m-%d}", before).folder)
        log.info("%s: retrained on %s", policy, f"{day:%Y-%m-%d}")
        if now is None or not gate:
            return desk
        known = bars.upto(day)
        start = max(desk.fold.test, now.fold.test)
        fixed = (known, start, experiment.backtest, experiment.report.cost_cases, now)
        own, other = score("challenger", desk, *fixed), score("champion", now, *fixed)
        return desk if promoted(own, other, True, experiment.production).promoted else now

    lived = live_through(policy, bars, bars.sessions[first:], next_desk)
    with publish("policies") as out:
        lived.probability.to_parquet(out.folder / "probability.parquet")
        lived.target.to_parquet(out.folder / "target.parquet")
        lived.retrainings.to_parquet(out.folder / "retrainings.parquet")
    return out.ref


@task(task_run_name="compare_policies", cache_policy=NO_CACHE)
def compare_policies(
    experiment: Experiment, prices: dict[str, Ref], followed: dict[str, Ref]
) -> list[PolicyRow]:
    """Trade each policy's decisions with the same engine and costs; the first is the yardstick."""
    bars, config = read_prices(prices), experiment.backtest
    rows: list[PolicyRow] = []
    yardstick: Backtest | None = None
    for policy, ref in followed.items():
        target = pd.read_parquet(ref.folder / "target.parquet")
        events = pd.read_parquet(ref.folder / "retrainings.parquet")
        done = backtest(target, bars, config)
        yardstick = yardstick or done
        year = config.sessions_per_year
        risk_free = config.risk_free_rate / year
        own, other = (each.returns - risk_free for each in (done, yardstick))
        block, report = block_length(len(own), horizon=1), experiment.report
        bounds = sharpe_difference_interval(
            *(own, other, block, report.bootstrap_draws, report.confidence),
            sessions_per_year=year,
        )
        sharpe = metrics.sharpe_ratio(done.returns, risk_free, year)
        rows.append(
            PolicyRow(
                policy=policy,
                retrainings=len(events),
                replaced=int(events["replaced"].sum()),
                annual_return=metrics.annual_return(done.returns, year),
                sharpe=_known(sharpe),
                max_drawdown=metrics.max_drawdown(done.returns),
                turnover=float(done.turnover.sum() * year / len(own)),
                difference=_known(
                    sharpe - metrics.sharpe_ratio(yardstick.returns, risk_free, year)
                ),
                interval=(_known(bounds[0]), _known(bounds[1])),
                folder=str(ref.folder),
            )
        )
    return rows


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
