"""Backtests as files that people can open."""

import json
from pathlib import Path

import pandas as pd

from rnntrade.types import Backtest


def save_backtest(backtest: Backtest, folder: Path) -> None:
    """Write sessions, weights, costs and trades as Parquet, and the rest as JSON, into `folder`."""
    folder.mkdir(parents=True)
    sessions = {name: getattr(backtest, name) for name in ("equity", "returns", "turnover")}
    pd.DataFrame(sessions).to_parquet(folder / "sessions.parquet")
    backtest.weights.to_parquet(folder / "weights.parquet")
    backtest.costs.to_parquet(folder / "costs.parquet")
    backtest.trades.to_parquet(folder / "trades.parquet")
    about = {"execution": backtest.execution, "initial_capital": backtest.initial_capital}
    (folder / "backtest.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def load_backtest(folder: Path) -> Backtest:
    """Read what `save_backtest` wrote."""
    sessions = pd.read_parquet(folder / "sessions.parquet")
    about = json.loads((folder / "backtest.json").read_text(encoding="utf-8"))
    return Backtest(
        execution=about["execution"],
        initial_capital=about["initial_capital"],
        equity=sessions["equity"],
        returns=sessions["returns"],
        weights=pd.read_parquet(folder / "weights.parquet"),
        turnover=sessions["turnover"],
        costs=pd.read_parquet(folder / "costs.parquet"),
        trades=pd.read_parquet(folder / "trades.parquet"),
    )
