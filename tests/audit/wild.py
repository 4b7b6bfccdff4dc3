"""Made-up series that are hard on an engine and its oracles, by kind; none of them is unsound."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.types import FIELDS, Prices

Floats = NDArray[np.float64]

SESSIONS = 1260  # five years


def walk(
    rng: np.random.Generator,
    sessions: int = SESSIONS,
    start: float = 10.0,
    deviation: float = 0.04,
    tick: float = 0.01,
    drift: float = 0.0,
    tail: float = 0.0,
) -> Floats:
    """(T, 2) opens and closes of a rounded random walk; `tail` is the chance of a jump a moment."""
    steps = rng.normal(drift / 2, deviation / np.sqrt(2), (sessions, 2))
    jumps = rng.random((sessions, 2)) < tail
    steps += np.where(jumps, rng.choice([-1.0, 1.0], (sessions, 2)) * rng.uniform(0.5, 3.0), 0.0)
    level = start * np.exp(np.clip(np.cumsum(steps.ravel()), -25.0, 60.0)).reshape(-1, 2)
    return np.maximum(np.round(level / tick), 1.0) * tick


def steps(rng: np.random.Generator, sessions: int, *factors: float) -> Floats:
    """(T, 2) prices that change by exact factors, a power of two each: ties of ruin are exact."""
    change = rng.choice(factors, (sessions, 2))
    level = np.clip(np.cumsum(np.log2(change).ravel()), -20.0, 40.0)
    return np.asarray(2.0**level).reshape(-1, 2)


def vanishing(rng: np.random.Generator, sessions: int) -> Floats:
    """(T, 2) prices that lose a tenth a session, turn now and then, and end near nothing."""
    falls = np.where(rng.random((sessions, 2)) < 0.02, 1.3, 0.95)
    return np.asarray(1e6 * np.exp(np.clip(np.cumsum(np.log(falls).ravel()), -60.0, 60.0))).reshape(
        -1, 2
    )


KINDS: Mapping[str, Callable[[np.random.Generator, int], Floats]] = {
    "a share at 10 with 4 % a day": lambda rng, n: walk(rng, n),
    "penny share": lambda rng, n: walk(rng, n, start=0.05, deviation=0.06, tick=0.0001),
    "coarse tick": lambda rng, n: walk(rng, n, start=2.0, deviation=0.03, tick=0.25),
    "index of volatility": lambda rng, n: walk(rng, n, start=20.0, deviation=0.09, tail=0.01),
    "huge volatility": lambda rng, n: walk(rng, n, deviation=0.35, tick=1e-6),
    "squeezes": lambda rng, n: walk(rng, n, deviation=0.03, tick=1e-4, tail=0.02),
    "growth without end": lambda rng, n: walk(rng, n, deviation=0.03, drift=0.03),
    "exact doubling": lambda rng, n: steps(rng, n, 1.0, 0.5, 2.0),
    "exact doubling and quadrupling": lambda rng, n: steps(rng, n, 1.0, 0.25, 0.5, 2.0, 4.0),
    "vanishing": vanishing,
}


def wild(kind: str, seed: int, tickers: int = 1, sessions: int = SESSIONS) -> Prices:
    """One made-up market of a kind; of several tickers every second one has halts."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    days = pd.bdate_range("2015-01-01", periods=sessions, name="date")
    tables = {}
    for number in range(tickers):
        price = KINDS[kind](rng, sessions)
        high, low = price.max(axis=1) * 1.001, price.min(axis=1) / 1.001
        volume = np.exp(rng.normal(8.0, 4.0, sessions))
        columns = (price[:, 0], high, low, price[:, 1], volume, price[:, 1])
        table = pd.DataFrame(dict(zip(FIELDS, columns, strict=True)), days)
        if number % 2:
            gone = np.zeros(sessions, dtype=bool)
            gone[rng.integers(0, sessions, 5)] = True
            table = table[~gone]
        tables[f"T{number}"] = table
    return Prices.join(tables)
