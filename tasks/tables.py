"""Reading what other steps wrote."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel

from rnntrade.chain import Labels as FoldLabels
from rnntrade.samples.splits import Boundary
from rnntrade.types import Prices, Thresholds
from tasks.artifacts import Ref


class Labels(BaseModel):
    """Regimes of all tickers, as each fold's training part defines them."""

    ref: Ref  # regimes_<fold>.parquet (T, K), folds.json
    folds: int
    classes: tuple[str, ...]  # what the regimes are called


def as_boundary(each: Mapping[str, Any]) -> Boundary:
    """One fold's dates, as folds.json has them."""
    days = {name: pd.Timestamp(each[name]) for name in ("training", "validation", "test")}
    end = each["end"]
    return Boundary(int(each["number"]), **days, end=pd.Timestamp(end) if end else None)


def read_folds(labels: Labels) -> list[FoldLabels]:
    """What each fold's training part defines, in order of time."""
    folds = json.loads((labels.ref.folder / "folds.json").read_text(encoding="utf-8"))
    return [
        FoldLabels(
            as_boundary(each),
            pd.read_parquet(labels.ref.folder / f"regimes_{each['number']}.parquet"),
            {ticker: Thresholds(**values) for ticker, values in each["thresholds"].items()},
            {},  # nobody who reads a table of regimes makes them anew
            labels.classes,
        )
        for each in folds
    ]


def read_bars(prices: Ref) -> pd.DataFrame:
    """One ticker's table of bars."""
    return pd.read_parquet(prices.folder / "bars.parquet")


def read_prices(prices: Mapping[str, Ref]) -> Prices:
    """All tickers' bars on their common sessions."""
    return Prices.join({ticker: read_bars(ref) for ticker, ref in prices.items()})


def cost_cases(returns: pd.DataFrame) -> pd.DataFrame:
    """(T, cases) returns as a table that Parquet takes: a column is "2.0 strategy"."""
    return returns.set_axis([f"{case[0]} {case[1]}" for case in returns.columns], axis=1)


def read_cost_cases(table: pd.DataFrame) -> pd.DataFrame:
    """Return the same with columns (bps, "strategy" or "buy_and_hold")."""
    bps = [float(name.split()[0]) for name in table.columns]
    who = [name.split()[1] for name in table.columns]
    return table.set_axis(pd.MultiIndex.from_arrays([bps, who]), axis=1)


def read_predictions(predictions: Ref, baselines: Ref) -> pd.DataFrame:
    """A network's predictions and those of its baselines, in one table."""
    parts = [
        pd.read_parquet(ref.folder / "predictions.parquet") for ref in (predictions, baselines)
    ]
    return pd.concat(parts, ignore_index=True)
