"""What was tried on the same data before: the more, the better the best of them looks by luck."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trials:
    """Every try that was ever recorded on this data, the failed and the aborted ones too."""

    fits: tuple[str, ...] = ()  # ids, one a network that was fitted or begun
    attempts: tuple[str, ...] = ()  # ids, one a model with its settings: fits of one are its seeds
    strategies: tuple[str, ...] = ()  # ids, one a set of trades: the same fits traded otherwise
    sharpes: tuple[float, ...] = ()  # of every strategy that was backtested, per session

    @property
    def all_tries(self) -> frozenset[str]:
        """Ids of whatever could have been picked: every fit, and every way in which fits traded."""
        return frozenset(self.fits) | frozenset(f"traded {each}" for each in self.strategies)

    @property
    def sharpe_variance(self) -> float:
        """Of the Sharpe ratios, per session; 0 where fewer than two are known."""
        known = [ratio for ratio in self.sharpes if np.isfinite(ratio)]
        return float(np.var(known, ddof=1)) if len(known) > 1 else 0.0


ALONE = Trials(fits=("this",), attempts=("this",))  # nothing else was tried
