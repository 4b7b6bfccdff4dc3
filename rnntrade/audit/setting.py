"""Where the audit looks: the clean prices, the folds, and the sessions after which all is replaced.

Costly stages are audited on the first and the last fold, cheap ones on every session chosen here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Probe
from rnntrade.audit.perturb import PERTURBATIONS, replace_future
from rnntrade.chain import Chain
from rnntrade.config import Experiment
from rnntrade.types import Boundary, Prices

LONG = 100  # sessions that a ticker has traded: every feature is long defined
HOLES = 3  # of each ticker, looked into ...
LISTED = 4  # ... of so many tickers
EVERY = tuple(PERTURBATIONS)


@dataclass(frozen=True, eq=False)
class Setting:
    """What every check needs."""

    chain: Chain
    experiment: Experiment
    given: Prices  # before the chain's first stage: these tell where the holes are
    prices: Prices  # after it
    seed: int
    test_from: pd.Timestamp | None = None  # where an opened holdout begins

    @cached_property
    def folds(self) -> tuple[Boundary, ...]:
        """The first and the last fold; of an opened holdout the only one."""
        sessions, split = self.prices.sessions, self.experiment.split
        every = self.chain.boundaries(sessions, split, self.test_from)
        return tuple(dict.fromkeys((every[0], every[-1])))

    @cached_property
    def special(self) -> dict[int, str]:
        """Positions of the sessions where leaks like to sit, and whose they are ("": anybody's).

        Each fold's first validation and test session and their neighbours, the first and the last
        rows, the last session before a hole and one in it, the eve of a listing and a month later.
        """
        total = len(self.prices.sessions)
        chosen = dict.fromkeys((0, 30, 60, total - 2), "")
        for ticker in self.prices.tickers[:LISTED]:
            there = np.flatnonzero(self.given.close[ticker].notna())
            if not len(there):  # listed in sealed sessions
                continue
            holes = np.flatnonzero(np.diff(there) > 1)[:HOLES]
            near = [position for hole in holes for position in (there[hole], there[hole] + 1)]
            chosen |= {int(each): ticker for each in (there[0] - 1, there[0] + 20, *near)}
        for fold in self.folds:
            for day in (fold.validation, fold.test):
                first = self.position(day)
                chosen |= dict.fromkeys((first - 1, first, first + 1), "")
        return {each: chosen[each] for each in sorted(chosen) if 0 <= each < total - 1}

    @cached_property
    def random(self) -> tuple[int, ...]:
        """Positions of `audit.sessions` others, drawn by the seed."""
        total = len(self.prices.sessions) - 1
        wanted = min(self.experiment.audit.sessions, total)
        rng = np.random.default_rng([self.seed, total])
        return tuple(sorted(rng.choice(total, wanted, replace=False).tolist()))

    def probes(self) -> Iterator[tuple[int, str, str]]:
        """Position, perturbation and a ticker: a cut and two others at special sessions, else one.

        The others take turns, so neighbours see all seven; and so do the tickers, whose stages are
        the same functions of one ticker's bars.  At its own holes and listing it is that ticker.
        """
        others, tickers = EVERY[1:], self.prices.tickers
        turns = count()
        for turn, (last, own) in enumerate(self.special.items()):
            for name in (EVERY[0], *(others[(2 * turn + i) % len(others)] for i in range(2))):
                yield last, name, own or tickers[next(turns) % len(tickers)]
        for turn, last in enumerate(self.random):
            yield last, EVERY[turn % len(EVERY)], tickers[next(turns) % len(tickers)]

    def few(self, first: int, end: int, wanted: int) -> list[int]:
        """Positions of first <= position < end: both ends and what lies evenly between."""
        return sorted({int(each) for each in np.linspace(first, end - 1, wanted)})

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
