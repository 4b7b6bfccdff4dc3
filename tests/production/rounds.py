"""Simulated rounds of promotion, by the kind of challenger; tests and the benchmark run them.

Strategies trade a market of GARCH returns whose signs are a coin's: each holds -1, 0 or 1, drawn
apart from the market, so that nobody has an edge.  In `overlap` of all sessions, by stretches, both
hold the same.  A challenger with an `edge` is right that much more often than wrong where it holds
something of its own, which costs it more trades.

Models that are not traded say a probability of a rise over `horizon` sessions, and lose its squared
error; two without skill have opinions that last as long as their labels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnntrade.data.synthetic import FREEDOM, garch_sizes
from rnntrade.production.promotion import Candidate

CASES = (0.0, 2.0, 5.0, 10.0)  # bps of traded value
PAID = 5.0  # bps: what the scores pay
STRETCH = 10  # sessions for which a choice is kept, on average
WARM_UP = 200  # sessions, until the variance has forgotten where it began


@dataclass(frozen=True)
class Kind:
    """How a challenger relates to the champion."""

    overlap: float = 0.0  # share of sessions in which both hold the same
    edge: float = 0.0  # share of right minus share of wrong calls; 0: noise
    sessions: int = 126
    horizon: int = 0  # of labels; 0: strategies, which are scored by returns


def rounds(kind: Kind, number: int, seed: int) -> Iterator[tuple[Candidate, Candidate]]:
    """Yield challenger and champion of that many rounds, each on a market of its own."""
    make = models if kind.horizon else strategies
    for child in np.random.SeedSequence(seed).spawn(number):
        yield make(kind, np.random.default_rng(child))


def strategies(kind: Kind, rng: np.random.Generator) -> tuple[Candidate, Candidate]:
    market = market_returns(kind.sessions, rng)
    common, own, other = (held(kind.sessions, rng) for _ in range(3))
    if kind.edge:
        right = rng.random(kind.sessions) < 0.5 + kind.edge / 2.0
        own = np.abs(own) * np.where(right, 1.0, -1.0) * np.sign(market)
    shared = stretches(rng.random(kind.sessions), rng) < kind.overlap
    return (
        strategy("challenger", np.where(shared, common, own), market),
        strategy("champion", np.where(shared, common, other), market),
    )


def strategy(name: str, position: np.ndarray, market: np.ndarray) -> Candidate:
    traded = np.abs(np.diff(position, prepend=0.0))
    cases = {bps: dated(position * market - traded * bps / 1e4) for bps in CASES}
    return Candidate(name, cases[PAID], traded=True, cases=cases)


def models(kind: Kind, rng: np.random.Generator) -> tuple[Candidate, Candidate]:
    rose = lasting(kind, rng) > 0.0
    said = (1.0 / (1.0 + np.exp(-lasting(kind, rng))) for _ in range(2))
    challenger, champion = (
        Candidate(name, dated(-((each - rose) ** 2)), traded=False, horizon=kind.horizon)
        for name, each in zip(("challenger", "champion"), said, strict=True)
    )
    return challenger, champion


def lasting(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """(T,) sums of `horizon` draws, those of neighbours overlapping, of variance 1."""
    drawn = rng.normal(size=kind.sessions + kind.horizon - 1)
    return np.convolve(drawn, np.ones(kind.horizon), "valid") / math.sqrt(kind.horizon)


def market_returns(sessions: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) of t shocks and changing variance, signs by a coin."""
    shocks = rng.standard_t(FREEDOM, sessions + WARM_UP) * math.sqrt((FREEDOM - 2) / FREEDOM)
    return (garch_sizes(shocks) * rng.choice([-1.0, 1.0], len(shocks)))[WARM_UP:]


def held(sessions: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) -1, 0 or 1, kept for a stretch."""
    return stretches(rng.choice([-1.0, 0.0, 1.0], sessions), rng)


def stretches(drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T,) each draw repeated until a new one is due."""
    new = rng.random(len(drawn)) < 1.0 / STRETCH
    new[0] = True
    return drawn[np.maximum.accumulate(np.where(new, np.arange(len(drawn)), 0))]


def dated(values: np.ndarray) -> pd.Series:
    return pd.Series(values, pd.bdate_range("2024-01-01", periods=len(values)))
