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
from pathlib import Path
from typing import Any, Literal

from scipy.stats import binom

from rnntrade.codec import plain
from rnntrade.data.synthetic import Best
from rnntrade.errors import ConfigError
from rnntrade.storage import atomic_file

Verdict = Literal["found", "missed", "quiet", "rejected", "leak"]

SEEDS = (0, 1, 2, 3, 4)
SEEDS_FOUND = 0.8  # share of the seeds on which an edge must be found: 4 of 5
FOUND_P = 0.001
CAPTURED: Mapping[str, float] = {"P1": 0.6, "P2": 0.5, "P3": 0.5}  # of the possible edge
HEADER = (
    "| control | accuracy, by seed | best possible | captured | p | rule | passed |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
MARKS = {"found": "", "quiet": "", "missed": "*", "rejected": "*", "leak": "!"}
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
        """The results as a table in Markdown, a line on the N tests, and the outcome."""
        n_line = (
            f"N tests rejected: {self.rejected} of {self.tests}, at most {self.allowed} may be.  "
            "With * an edge was missed (P) or found (N), with ! the ceiling was broken."
        )
        outcome = "All controls passed." if self.passed else " ".join(("FAILED:", *self.reasons))
        return "\n".join((*HEADER, *map(_line, self.rows), "", n_line, "", outcome, ""))

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
    fit = (control, seed, accuracy, best.accuracy, ceiling, sessions, p_value, captured, epochs)
    return ControlResult(*fit, verdict)


def judge(
    results: Sequence[ControlResult], expected: Sequence[str], version: str = "full"
) -> ControlsReport:
    """Judge all controls together; a control of `expected` that was not run is not passed."""
    nulls = [fit for fit in results if fit.control not in CAPTURED]
    rejected, allowed = sum(fit.p_value < NOMINAL for fit in nulls), most_rejected(len(nulls))
    rows, absent, missed = [], [], []
    for name in expected:
        fits = tuple(sorted((f for f in results if f.control == name), key=lambda fit: fit.seed))
        rule = f"p < {NOMINAL} no more often than chance allows, over all N"
        passed = rejected <= allowed
        if name in CAPTURED:
            rule = f"p < {FOUND_P} and {CAPTURED[name]:.1f} of the edge, on 4 of 5 seeds"
            count, needed = sum(f.verdict == "found" for f in fits), SEEDS_FOUND * len(fits)
            passed = count >= math.ceil(needed)
            if not passed:
                missed.append(
                    f"{name}: its edge was found on {count} of {len(fits)} seeds, "
                    f"{math.ceil(needed)} are needed."
                )
        if not fits:
            absent.append(f"{name} was not run.")
        clean = not any(fit.verdict == "leak" for fit in fits)
        rows.append(ControlRow(name, fits, rule, bool(fits) and clean and passed))
    leaks = [
        f"{fit.control}, seed {fit.seed}: accuracy {fit.accuracy:.4f} is above the ceiling "
        f"{fit.ceiling:.4f} (best possible {fit.best:.4f}): a leak.  Run `rnntrade audit`."
        for fit in results
        if fit.verdict == "leak"
    ]
    reasons = [*absent, *leaks, *missed]
    if rejected > allowed:
        reasons.append(
            f"{rejected} of {len(nulls)} N tests found an edge where there is none; "
            f"{allowed} may by chance."
        )
    return ControlsReport(
        version=version,
        passed=not reasons,
        reasons=tuple(reasons),
        rows=tuple(rows),
        rejected=rejected,
        allowed=allowed,
        tests=len(nulls),
    )


def most_rejected(tests: int) -> int:
    """Return the most N tests that may be rejected: exceeded by chance in at most 5 %."""
    return int(binom.ppf(1.0 - NOMINAL, tests, NOMINAL)) if tests else 0


def insert(page: Path, name: str, text: str) -> None:
    """Put `text` between the lines <!-- name --> and <!-- end name --> of a page."""
    start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    if not page.is_file():
        raise ConfigError(f"{page} is not there to write the table into.  Name docs/controls.md.")
    before, opened, rest = page.read_text(encoding="utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ConfigError(f"{page} has no lines {start.strip()} and {end} to write between.")
    with atomic_file(page) as temporary:
        temporary.write_text(f"{before}{start}{text}{end}{after}", encoding="utf-8")


def _line(row: ControlRow) -> str:
    fits = row.results
    captured = [fit.captured for fit in fits if fit.captured is not None]
    values = [fit.p_value for fit in fits]
    worst = f"at most {max(values):.1g}" if captured else f"at least {min(values, default=0):.2g}"
    cells = (
        row.control,
        " ".join(f"{fit.accuracy:.3f}{MARKS[fit.verdict]}" for fit in fits) or "not run",
        _range([fit.best for fit in fits]),
        _range(captured),
        worst if fits else "-",
        row.rule,
        "yes" if row.passed else "NO",
    )
    return f"| {' | '.join(cells)} |"


def _range(values: list[float]) -> str:
    if not values:
        return "-"
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return low if low == high else f"{low} to {high}"
