"""Targets: what the future brought, hence never an input.

close    (T,) adjusted closes on the sessions that the ticker traded
returns  row t is about sessions after t; NaN, never 0, where that future is not known yet
"""

import pandas as pd


def direction(close: pd.Series) -> pd.Series:
    """(T,) 1.0 if the return of session t+1 is positive, else 0.0."""
    future = _returns(close).shift(-1)
    return (future > 0.0).astype(float).where(future.notna())


def multi_step(close: pd.Series, horizon: int = 5) -> pd.DataFrame:
    """(T, h) returns of sessions t+1 .. t+h; a row is known whole or not at all."""
    r = _returns(close)
    steps = pd.DataFrame({step: r.shift(-step) for step in range(1, horizon + 1)})
    return steps.where(steps.notna().all(axis=1))


def _returns(close: pd.Series) -> pd.Series:
    return close / close.shift(1) - 1.0
