"""Plain sentences, and the rule behind them, fixed before any result was seen.

A difference (model minus its best baseline, strategy minus buy and hold; positive is better) comes
with two intervals, one at the report's confidence (95 %) and a narrower one at 80 %:

    evidence       the wide interval is above 0
    weak evidence  the narrow one is above 0, the wide one is not
    loses          the wide interval is below 0
    none           anything else, an interval that could not be computed included

Touching 0 is not above it.  The best baseline is the best on the test part itself, known only
afterwards: the hardest to beat.

Not corrected for multiple testing: each verdict stands as if it were the only one, so of twenty
models without skill one would pass by luck.  UNCORRECTED says so, and every report repeats it.
"""

import math
from collections.abc import Sequence
from typing import Literal

Interval = tuple[float, float]
Outcome = Literal["evidence", "weak evidence", "none", "loses"]

NARROW_CONFIDENCE = 0.8
UNCORRECTED = (
    "The verdicts are not corrected for multiple testing: each stands as if its model were the "
    "only one tried, and of twenty models without any skill about one would pass by luck."
)


def judge(wide: Interval, narrow: Interval) -> Outcome:
    """Apply the rule at the top of this module."""
    if wide[0] > 0.0:
        return "evidence"
    if wide[1] < 0.0:
        return "loses"
    if narrow[0] > 0.0 and math.isfinite(wide[0]):
        return "weak evidence"
    return "none"


def phrase(outcome: Outcome, rival: str) -> str:
    """Return the verdict in the words of every report; `rival` is who was to be beaten."""
    return {
        "evidence": "evidence",
        "weak evidence": "weak evidence",
        "none": "no evidence of skill",
        "loses": f"loses to {plain(rival)}",
    }[outcome]


def plain(source: str) -> str:
    """Return a source's name in words: "markov_chain" is "markov chain"."""
    return source.replace("_", " ")


def model_sentence(
    verdict: str,
    name: str,
    score: tuple[str, float],
    rival: tuple[str, float],
    difference: float,
    interval: Interval,
    confidence: float,
) -> str:
    """Return the verdict on a model with the figures that decide it.

    score       what was measured ("accuracy" or "rmse") and the model's
    rival       the best baseline's name and its score
    difference  of accuracies; for rmse the share of the baseline's squared error that is saved
    """
    kind, value = score
    if kind == "rmse":
        figures = f"RMSE {100 * value:.3f} % against {100 * rival[1]:.3f} % of {plain(rival[0])}"
        change = f"{100 * difference:+.2f} % squared error saved"
        bounds = f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f} %"
    else:
        figures = f"{kind} {value:.3f} against {rival[1]:.3f} of {plain(rival[0])}"
        change = f"difference {difference:+.3f}"
        bounds = f"{interval[0]:+.3f} to {interval[1]:+.3f}"
    return (
        f"{name}: {verdict}. On the test part {figures}, the best baseline there: "
        f"{change}, {100 * confidence:g} % interval {_known(interval, bounds)}."
    )


def strategy_sentence(
    verdict: str,
    name: str,
    annual: tuple[float, float],
    sharpe: tuple[float, float],
    interval: Interval,
    confidence: float,
) -> str:
    """Return the verdict on a strategy, its figures before those of buy and hold."""
    own = (
        f"at a Sharpe ratio of {sharpe[0]:.2f}"
        if math.isfinite(sharpe[0])
        else ("with no Sharpe ratio")
    )
    held = f"at {sharpe[1]:.2f}" if math.isfinite(sharpe[1]) else "with none"
    bounds = f"{interval[0]:+.2f} to {interval[1]:+.2f}"
    difference = (
        f"difference {sharpe[0] - sharpe[1]:+.2f}, {100 * confidence:g} % interval "
        f"{_known(interval, bounds)}"
    )
    return (
        f"{name}: {verdict}. After costs {100 * annual[0]:+.1f} % a year {own}, against "
        f"{100 * annual[1]:+.1f} % {held} for buy and hold"
        + (f": {difference}." if math.isfinite(sharpe[0] - sharpe[1]) else ".")
    )


def summary(models: Sequence[str], strategies: Sequence[str]) -> str:
    """Return the one paragraph of the run, from the verdicts of all its models and strategies."""
    parts = [
        _count(models, "model", "models", "against the best baseline of each"),
        _count(strategies, "strategy", "strategies", "Sharpe ratio against buy and hold"),
    ]
    return " ".join([part for part in parts if part] or ["Nothing was evaluated."])


def _count(verdicts: Sequence[str], one: str, many: str, measure: str) -> str:
    if not verdicts:
        return ""
    total = len(verdicts)
    sure, weak = verdicts.count("evidence"), verdicts.count("weak evidence")
    lost = sum(verdict.startswith("loses") for verdict in verdicts)
    if sure:
        text = f"Evidence of skill in {sure} of {total} {many if total > 1 else one} ({measure})"
    elif total > 1:
        text = f"No evidence of skill in any of {total} {many} ({measure})"
    else:
        text = f"No evidence of skill in the one {one} ({measure})"
    notes = [f"{weak} with weak evidence"] * bool(weak) + [f"{lost} measurably worse"] * bool(lost)
    return text + (f": {', '.join(notes)}." if notes else ".")


def _known(interval: Interval, bounds: str) -> str:
    return bounds if math.isfinite(interval[0]) else "not computable"
