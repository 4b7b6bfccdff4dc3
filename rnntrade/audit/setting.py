"""Where the audit looks: the clean prices, the folds, and the sessions after which all is replaced.

Costly stages are audited on the first and the last fold, cheap ones on every session chosen here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from rnntrade.audit.chain import Chain
from rnntrade.audit.evidence import Probe
from rnntrade.audit.perturb import PERTURBATIONS, replace_future
from rnntrade.config import Experiment
from rnntrade.samples.splits import Boundary
from rnntrade.types import Prices

LONG = 100  # sessions that a ticker has traded: every feature is long defined
HOLES = 3  # of each ticker, looked into
EVERY = tuple(PERTURBATIONS)


@dataclass(frozen=True, eq=False)
class Setting:
    """What every check needs."""

    chain: Chain
    experiment: Experiment
    given: Prices  # before the chain's first stage: these tell where the holes are
    prices: Prices  # after it
    seed: int

    @cached_property
    def folds(self) -> tuple[Boundary, ...]:
        """The first and the last fold."""
        every = self.chain.boundaries(self.prices.sessions, self.experiment.split)
        return tuple(dict.fromkeys((every[0], every[-1])))

    @cached_property
    def special(self) -> tuple[int, ...]:
        """Positions of the sessions where leaks like to sit.

        Each fold's first validation and test session and their neighbours, the first and the last
        rows, the last session before a hole and one in it, the eve of a listing and a month later.
        """
        sessions, chosen = self.prices.sessions, [0, 30, 60, len(self.prices.sessions) - 2]
        for fold in self.folds:
            for day in (fold.validation, fold.test):
                chosen += [int(sessions.searchsorted(day)) + step for step in (-1, 0, 1)]
        for ticker in self.prices.tickers:
            there = np.flatnonzero(self.given.close[ticker].notna())
            chosen += [there[0] - 1, there[0] + 20]
            holes = np.flatnonzero(np.diff(there) > 1)[:HOLES]
            chosen += [position for hole in holes for position in (there[hole], there[hole] + 1)]
        return tuple(sorted({int(each) for each in chosen if 0 <= each < len(sessions) - 1}))

    @cached_property
    def random(self) -> tuple[int, ...]:
        """Positions of `audit.sessions` others, drawn by the seed."""
        count = len(self.prices.sessions) - 1
        wanted = min(self.experiment.audit.sessions, count)
        rng = np.random.default_rng([self.seed, count])
        return tuple(sorted(rng.choice(count, wanted, replace=False).tolist()))

    def probes(self) -> Iterator[tuple[int, str]]:
        """Position and perturbation: a cut and two others at special sessions, one elsewhere.

        The others take turns, so neighbours see all seven.
        """
        others = EVERY[1:]
        for turn, last in enumerate(self.special):
            yield last, EVERY[0]
            yield from ((last, others[(2 * turn + i) % len(others)]) for i in range(2))
        for turn, last in enumerate(self.random):
            yield last, EVERY[turn % len(EVERY)]

    def few(self, first: int, end: int, count: int) -> list[int]:
        """`count` positions of first <= position < end: the ends and what lies evenly between."""
        return sorted({int(each) for each in np.linspace(first, end - 1, count)})

    def position(self, session: pd.Timestamp) -> int:
        """Row of a session."""
        return int(self.prices.sessions.searchsorted(session))

    def probe(self, last: int, name: str) -> Probe:
        """The probe that replaces what comes after a position."""
        return Probe(self.prices.sessions[last], name)

    def rng(self, last: int, name: str) -> np.random.Generator:
        """Randomness of one replaced future, and of no other."""
        return np.random.default_rng([self.seed, last, EVERY.index(name)])

    def replaced(self, last: int, name: str) -> Prices:
        """The prices with another future."""
        return replace_future(self.prices, last, name, self.rng(last, name))

    def ordinary(self, ticker: str, last: int) -> bool:
        """Whether the ticker trades there and has done so for long: nothing needs filling."""
        there = self.given.close[ticker].notna().to_numpy()
        return bool(there[last] and there[: last + 1].sum() > LONG)
