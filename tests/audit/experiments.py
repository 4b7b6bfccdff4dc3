"""Small experiments for the audit: three questions, asked of 700 sessions with holes."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rnntrade.config import AuditConfig, Experiment, LabelConfig, SplitConfig
from rnntrade.types import Prices
from tests.configs import ATTENTION, DIRECTION, FORECAST, REGIME
from tests.conftest import made_up_bars

MODELS = {
    "direction": replace(DIRECTION, lookback=10),
    "forecast": replace(FORECAST, lookback=10, horizon=3),
    "regime": replace(REGIME, lookback=10, horizon=10),
    "attention": replace(ATTENTION, lookback=10),
}
HOLDOUT = SplitConfig(kind="holdout", test_fraction=0.25, validation_fraction=0.2)
WALK = SplitConfig(train_sessions=400, test_sessions=130)


def experiment(models: tuple[str, ...] = (), sessions: int = 12, **more: object) -> Experiment:
    chosen = tuple(MODELS[name] for name in models)
    known = {"split": HOLDOUT, "labels": LabelConfig(min_sessions=120), **more}
    return Experiment("audited", models=chosen, audit=AuditConfig(sessions=sessions), **known)


def holed_prices() -> Prices:
    """Three tickers: one whole, one late, one halted for a week, as in conftest."""
    sessions = pd.bdate_range("2018-01-01", periods=700, name="date")
    whole, late, halted = (made_up_bars(sessions, seed) for seed in range(3))
    halted = halted.drop(halted.index[300:305])
    halted.loc[halted.index[:400], "raw_close"] *= 4.0
    assert np.isfinite(whole.to_numpy()).all()
    return Prices.join({"WHOLE": whole, "LATE": late.iloc[150:], "HALTED": halted})
