"""From predictions to a backtest, as a task."""

import json
from dataclasses import replace

import pandas as pd

from rnntrade.config import BacktestConfig, TradingConfig
from rnntrade.trading.backtest import backtest as run_backtest
from rnntrade.trading.backtest import buy_and_hold
from rnntrade.trading.costs import at_cost
from rnntrade.trading.files import save_backtest
from rnntrade.trading.filters import stitch_regimes
from rnntrade.trading.positions import (
    allocate,
    confidence,
    filtered_positions,
    random_positions,
    target_weights,
)
from rnntrade.trading.rules import RULES
from rnntrade.types import Prices
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import Labels, read_prices
from tasks.tables import cost_cases as as_table

RANDOM_SEED = 0  # of the positions at another time


@cached_task("backtest-{name}", not_in_key=("name",))
def backtest(
    name: str,
    predictions: Ref,
    prices: dict[str, Ref],
    trading: TradingConfig,
    config: BacktestConfig,
    cost_cases: tuple[float, ...],
    regimes: Labels | None = None,
    turbulent: tuple[int, ...] = (),
) -> Ref:
    """Trade the test part's probabilities: both executions, and beside them rules and holding.

    Folds are stitched by decision session; each member of an ensemble is traded alone too.
    regimes    what a regime filter looks at; None without one
    turbulent  classes in which it holds less
    """
    bars = read_prices(prices)
    table = pd.read_parquet(predictions.folder / "predictions.parquet")
    test = table[table["part"] == "test"]
    probability = _probability(test, bars)
    sessions = pd.DatetimeIndex(probability.index)
    known = _known_regimes(regimes) if regimes else None
    positions = filtered_positions(probability, trading, known, turbulent)
    target = allocate(positions)
    with publish("backtests") as out:
        probability.to_parquet(out.folder / "probability.parquet")
        target.to_parquet(out.folder / "target.parquet")
        test.groupby("decision")[["fold"]].first().to_parquet(out.folder / "folds.parquet")
        for part, chosen in (("strategy", config), ("other", _filled_otherwise(config))):
            done = run_backtest(target, bars, chosen, confidence(probability))
            save_backtest(done, out.folder / part)
        year = config.sessions_per_year
        rules = {rule: of(bars.close, year).loc[sessions] for rule, of in RULES.items()}
        rules["random_positions"] = random_positions(positions, RANDOM_SEED)
        for rule, rule_positions in rules.items():
            done = run_backtest(allocate(rule_positions), bars, config)
            save_backtest(done, out.folder / "rules" / rule)
        save_backtest(buy_and_hold(bars, sessions, config), out.folder / "benchmark")
        cases = {}
        for bps in cost_cases:
            cheap = at_cost(config, bps)
            cases[(bps, "strategy")] = run_backtest(target, bars, cheap).returns
            cases[(bps, "buy_and_hold")] = buy_and_hold(bars, sessions, cheap).returns
        as_table(cases).to_parquet(out.folder / "cost_cases.parquet")
        alone = predictions.folder / "members.parquet"
        if alone.is_file():
            returns = {}
            for member, rows in pd.read_parquet(alone).groupby("member"):
                wanted = target_weights(_probability(rows, bars), trading, known, turbulent)
                returns[str(member)] = run_backtest(wanted, bars, config).returns
            pd.DataFrame(returns).to_parquet(out.folder / "members.parquet")
    return out.ref


def _probability(test: pd.DataFrame, bars: Prices) -> pd.DataFrame:
    """(T, K) of a rise, on every session from the first decision to the last."""
    decided = test.pivot(index="decision", columns="ticker", values="p_up")
    during = (bars.sessions >= decided.index[0]) & (bars.sessions <= decided.index[-1])
    return decided.reindex(index=bars.sessions[during], columns=bars.tickers)


def _known_regimes(regimes: Labels) -> pd.DataFrame:
    """(T', K) as known at each decision: each test part as its own fold tells regimes apart."""
    folds = json.loads((regimes.ref.folder / "folds.json").read_text())
    tables = [
        pd.read_parquet(regimes.ref.folder / f"regimes_{each['number']}.parquet") for each in folds
    ]
    return stitch_regimes(tables, [pd.Timestamp(each["test"]) for each in folds])


def _filled_otherwise(config: BacktestConfig) -> BacktestConfig:
    """The same but for the moment of filling: what the gap between them costs is information."""
    return replace(config, execution="close" if config.execution == "next_open" else "next_open")
