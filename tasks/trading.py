"""From predictions to a backtest, as a task."""

import pandas as pd

from rnntrade.chain import CHAIN, Books, Predictions
from rnntrade.config import BacktestConfig, TradingConfig
from rnntrade.trading.files import save_backtest
from tasks.artifacts import Pending, Ref, publish
from tasks.caching import cached_task
from tasks.tables import Labels, read_folds, read_prices
from tasks.tables import cost_cases as as_table


@cached_task("backtest-{name}", steps=("stitch", "trade"), not_in_key=("name",))
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
    turbulent  classes in which positions are reduced
    """
    bars = read_prices(prices)
    table = pd.read_parquet(predictions.folder / "predictions.parquet")
    alone = predictions.folder / "members.parquet"
    members = pd.read_parquet(alone) if alone.is_file() else pd.DataFrame()
    stitched = CHAIN.stitch(read_folds(regimes), trading) if regimes else None
    books = CHAIN.trade(
        Predictions(table, members), bars, trading, config, cost_cases, stitched, turbulent
    )
    with publish("backtests") as out:
        _write(books, out)
    return out.ref


def _write(books: Books, out: Pending) -> None:
    books.probability.to_parquet(out.folder / "probability.parquet")
    books.target.to_parquet(out.folder / "target.parquet")
    books.folds.to_parquet(out.folder / "folds.parquet")
    for part in ("strategy", "other", "benchmark"):
        save_backtest(getattr(books, part), out.folder / part)
    for rule, done in books.rules.items():
        save_backtest(done, out.folder / "rules" / rule)
    as_table(books.cost_cases).to_parquet(out.folder / "cost_cases.parquet")
    if len(books.members.columns):
        books.members.to_parquet(out.folder / "members.parquet")
