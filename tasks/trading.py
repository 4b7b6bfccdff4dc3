"""From predictions to a backtest, as a task."""

from dataclasses import replace

import pandas as pd

from rnntrade.config import BacktestConfig, TradingConfig
from rnntrade.trading.backtest import backtest as run_backtest
from rnntrade.trading.backtest import buy_and_hold
from rnntrade.trading.files import save_backtest
from rnntrade.trading.positions import allocate, confidence, decide, random_positions
from rnntrade.trading.rules import RULES
from tasks.artifacts import Ref, publish
from tasks.caching import cached_task
from tasks.tables import read_prices

RANDOM_SEED = 0  # of the positions at another time


@cached_task("backtest-{name}", not_in_key=("name",))
def backtest(
    name: str,
    predictions: Ref,
    prices: dict[str, Ref],
    trading: TradingConfig,
    config: BacktestConfig,
) -> Ref:
    """Trade the test part's probabilities: both executions, and beside them rules and holding."""
    table = pd.read_parquet(predictions.folder / "predictions.parquet")
    test = table[table["part"] == "test"]
    decided = test.pivot(index="decision", columns="ticker", values="p_up")
    bars = read_prices(prices)
    during = (bars.sessions >= decided.index[0]) & (bars.sessions <= decided.index[-1])
    sessions = bars.sessions[during]
    probability = decided.reindex(index=sessions, columns=bars.tickers)
    decided_positions = decide(probability, trading)
    target = allocate(decided_positions)
    with publish("backtests") as out:
        probability.to_parquet(out.folder / "probability.parquet")
        target.to_parquet(out.folder / "target.parquet")
        for part, chosen in (("strategy", config), ("other", _filled_otherwise(config))):
            done = run_backtest(target, bars, chosen, confidence(probability))
            save_backtest(done, out.folder / part)
        rules = {name: rule(bars.close).loc[sessions] for name, rule in RULES.items()}
        rules["random_positions"] = random_positions(decided_positions, RANDOM_SEED)
        for name, positions in rules.items():
            done = run_backtest(allocate(positions), bars, config)
            save_backtest(done, out.folder / "rules" / name)
        save_backtest(buy_and_hold(bars, sessions, config), out.folder / "benchmark")
    return out.ref


def _filled_otherwise(config: BacktestConfig) -> BacktestConfig:
    """The same but for the moment of filling: what the gap between them costs is information."""
    return replace(config, execution="close" if config.execution == "next_open" else "next_open")
