"""Plain sentences, and the rule behind them, fixed before any result was seen.

A difference (model minus its best baseline, strategy minus buy and hold; positive is better) comes
with two intervals, one at the report's confidence (95 %) and a narrower one at 80 %:

    evidence       the wide interval is above 0, and the result survives the number of trials
    weak evidence  the narrow one is above 0, but one of the two does not hold
    loses          the wide interval is below 0
    no evidence    anything else, an interval that could not be computed included

Touching 0 is not above it.  The best baseline is the best on the test part itself, known only
afterwards: the hardest to beat.

To survive, a model's one-sided p-value times the number of models ever tried on the same data stays
below 5 % (Bonferroni), and a strategy's deflated Sharpe ratio, with every fit ever begun on that
data as a trial, reaches 95 %.  CORRECTED says so, and every report repeats it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Interval = tuple[float, float]
Outcome = Literal["evidence", "weak evidence", "no evidence", "loses"]
SCALE = ("evidence", "weak evidence", "no evidence")  # and "loses to" whom, in every place

NARROW_CONFIDENCE = 0.8
CORRECTED = (
    "Corrected for trials: evidence needs a p-value that stays below 5 % when multiplied by the "
    "models ever tried on this data, and a deflated Sharpe ratio of 95 % or more with every fit "
    "ever begun on it as a trial. What was tried elsewhere, nobody has counted."
)


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


def judge(wide: Interval, narrow: Interval, survives: bool) -> Outcome:
    """Apply the rule at the top of this module; `survives` the number of trials."""
    if wide[0] > 0.0 and survives:
        return "evidence"
    if wide[1] < 0.0:
        return "loses"
    if narrow[0] > 0.0 and math.isfinite(wide[0]):
        return "weak evidence"
    return "no evidence"


def phrase(outcome: Outcome, rival: str) -> str:
    """Return the verdict in the words of every report; `rival` is who was to be beaten."""
    return f"loses to {plain(rival)}" if outcome == "loses" else outcome


def plain(source: str) -> str:
    """Return a source's name in words: "markov_chain" is "markov chain"."""
    return source.replace("_", " ")


def overall(verdicts: Sequence[str]) -> str:
    """Return "evidence", "weak evidence" or "no evidence": the best that any of them showed."""
    return next((each for each in SCALE if each in verdicts), SCALE[-1])


def summary(models: Sequence[str], strategies: Sequence[str], warned: bool = False) -> str:
    """Return the one paragraph of the run: what it shows at best, then how often it shows what.

    warned  whether the checks of the prices found anything
    """
    if not models and not strategies:
        return "Nothing was evaluated."
    best = overall([*models, *strategies]).capitalize()
    parts = [
        _count(models, "model", "models", "the best baseline of each"),
        _count(strategies, "strategy", "strategies", "buy and hold, by Sharpe ratio"),
    ]
    resting = ", resting on prices with warnings" if warned else ""
    return " ".join([f"{best}{resting}.", *filter(None, parts)])


def _count(verdicts: Sequence[str], one: str, many: str, rival: str) -> str:
    """Count every verdict once: "5 models against …: no evidence in 4, 1 loses"."""
    if not verdicts:
        return ""
    counts = [(each, verdicts.count(each)) for each in SCALE]
    lost = sum(verdict.startswith("loses") for verdict in verdicts)
    notes = [f"{outcome} in {count}" for outcome, count in counts if count]
    notes += [f"{lost} {'loses' if lost == 1 else 'lose'}"] * bool(lost)
    what = one if len(verdicts) == 1 else many
    return f"{len(verdicts)} {what} against {rival}: {', '.join(notes)}."


def bounded(low: float, bounds: str) -> str:
    """An interval in words, if it could be computed."""
    return bounds if math.isfinite(low) else "not computable"
