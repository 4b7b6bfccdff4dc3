"""What must come out of the controls, fixed before any of them was run.

P controls have an edge of known size, N controls have none.  Over all of them and 5 seeds:

found    A P control passes when on at least 4 of 5 seeds the one-sided binomial test against 0.5
         has p < 0.001 and the share of the possible edge that is captured,
         (accuracy - 0.5) / (best - 0.5), is at least 0.6 (P1) or 0.5 (P2, P3).
quiet    An N test is rejected when the one-sided binomial test against the best possible accuracy
         has p < 0.05.  Of all N tests together no more may be rejected than a sound library
         exceeds in at most 5 % of cases: 3 of 20, which it exceeds in 1.6 %.
ceiling  An accuracy above the best possible one plus 3 standard errors, on any control and seed,
         is a leak and fails everything.

The best possible accuracy is the process's own.  On real returns (N3, N4), which drift, it is the
share of the more frequent direction in the test part: whoever always says "up" has no more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.stats import binom

from rnntrade.codec import plain
from rnntrade.data.synthetic import Best

Verdict = Literal["found", "missed", "quiet", "rejected", "leak"]

SEEDS = (0, 1, 2, 3, 4)
SEEDS_FOUND = 0.8  # share of the seeds on which an edge must be found: 4 of 5
FOUND_P = 0.001
CAPTURED: Mapping[str, float] = {"P1": 0.6, "P2": 0.5, "P3": 0.5}  # of the possible edge
NOMINAL = 0.05  # size of each N test, and of the bound on how many may be rejected
CEILING = 3.0  # standard errors


@dataclass(frozen=True)
class ControlResult:
    """One fit, judged on its test part."""

    control: str
    seed: int
    accuracy: float
    best: float  # possible accuracy
    ceiling: float  # above it is a leak
    sessions: int  # judged
    p_value: float  # of the accuracy against 0.5 (P) or `best` (N), one-sided binomial
    captured: float | None  # share of the possible edge; None where there is none
    epochs: int
    verdict: Verdict

    def sentence(self) -> str:
        """The outcome in a line."""
        captured = "" if self.captured is None else f", {self.captured:.2f} of the edge"
        return (
            f"{self.control} seed {self.seed}: {self.verdict}, accuracy {self.accuracy:.4f} "
            f"(best possible {self.best:.4f}, a leak above {self.ceiling:.4f}), "
            f"p {self.p_value:.2g}{captured}, {self.epochs} epochs"
        )


@dataclass(frozen=True)
class ControlRow:
    """One control over its seeds."""

    control: str
    results: tuple[ControlResult, ...]  # in order of seed
    rule: str
    passed: bool


@dataclass(frozen=True)
class ControlsReport:
    """What the controls say of the library."""

    version: str  # "full" or "fast"
    passed: bool
    reasons: tuple[str, ...]  # why not; empty if passed
    rows: tuple[ControlRow, ...]
    rejected: int  # N tests
    allowed: int
    tests: int  # N tests in all
    folder: str = ""  # with controls.json and controls.md

    @property
    def table(self) -> str:
        """The table in Markdown, with the outcome below it."""
        from rnntrade.controls.table import markdown

        return markdown(self)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return plain(self)


def judge_fit(
    control: str, seed: int, right: int, sessions: int, best: Best, epochs: int
) -> ControlResult:
    """Judge one fit that was right on so many of the test part's sessions."""
    accuracy = right / sessions
    ceiling = best.accuracy + CEILING * best.deviation(sessions)
    edge = control in CAPTURED
    null = 0.5 if edge else best.accuracy
    p_value = float(binom.sf(right - 1, sessions, null))
    captured = (accuracy - 0.5) / (best.accuracy - 0.5) if edge else None
    verdict: Verdict
    if accuracy > ceiling:
        verdict = "leak"
    elif captured is not None:
        enough = p_value < FOUND_P and captured >= CAPTURED[control]
        verdict = "found" if enough else "missed"
    else:
        verdict = "rejected" if p_value < NOMINAL else "quiet"
    return ControlResult(
        control,
        seed,
        accuracy,
        best.accuracy,
        ceiling,
        sessions,
        p_value,
        captured,
        epochs,
        verdict,
    )


def judge(
    results: Sequence[ControlResult], expected: Sequence[str], version: str = "full"
) -> ControlsReport:
    """Judge all controls together; a control of `expected` that was not run is not passed."""
    in_order = sorted(results, key=lambda fit: fit.seed)
    of = {name: tuple(fit for fit in in_order if fit.control == name) for name in expected}
    reasons = [f"{name} was not run." for name, fits in of.items() if not fits]
    for fit in results:
        if fit.verdict == "leak":
            reasons.append(
                f"{fit.control}, seed {fit.seed}: accuracy {fit.accuracy:.4f} is above the ceiling "
                f"{fit.ceiling:.4f} (best possible {fit.best:.4f}): a leak.  Run `rnntrade audit`."
            )
    for name, fits in of.items():
        count, needed = _found(fits)
        if name in CAPTURED and count < needed:
            reasons.append(
                f"{name}: its edge was found on {count} of {len(fits)} seeds, {needed} are needed."
            )
    nulls = [fit for fit in results if fit.control not in CAPTURED]
    rejected = sum(fit.p_value < NOMINAL for fit in nulls)
    allowed = most_rejected(len(nulls))
    if rejected > allowed:
        reasons.append(
            f"{rejected} of {len(nulls)} N tests found an edge where there is none; "
            f"{allowed} may by chance."
        )
    return ControlsReport(
        version=version,
        passed=not reasons,
        reasons=tuple(reasons),
        rows=tuple(
            ControlRow(name, fits, rule_of(name), _row_passed(name, fits, rejected <= allowed))
            for name, fits in of.items()
        ),
        rejected=rejected,
        allowed=allowed,
        tests=len(nulls),
    )


def most_rejected(tests: int) -> int:
    """Return the most N tests that may be rejected: exceeded by chance in at most 5 %."""
    return int(binom.ppf(1.0 - NOMINAL, tests, NOMINAL)) if tests else 0


def rule_of(control: str) -> str:
    """Return the control's own rule in a line."""
    if control in CAPTURED:
        return f"p < {FOUND_P} and {CAPTURED[control]:.1f} of the edge, on 4 of 5 seeds"
    return f"p < {NOMINAL} no more often than chance allows, over all N"


def _found(fits: Sequence[ControlResult]) -> tuple[int, int]:
    """On how many seeds the edge was found, and on how many it must be."""
    return sum(fit.verdict == "found" for fit in fits), math.ceil(SEEDS_FOUND * len(fits))


def _row_passed(name: str, fits: Sequence[ControlResult], few_rejected: bool) -> bool:
    if not fits or any(fit.verdict == "leak" for fit in fits):
        return False
    count, needed = _found(fits)
    return count >= needed if name in CAPTURED else few_rejected
