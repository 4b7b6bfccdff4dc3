"""What an audit found, and how much it compared to be able to say so."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from rnntrade.codec import plain
from rnntrade.errors import LeakError

SHOWN = 5  # findings in an error


@dataclass(frozen=True)
class Finding:
    """One number that knew what it could not know, or one rule of the engine that did not hold."""

    check: str  # "causality", "oracle", "warm-up", "replay", "served model", "record"
    stage: str  # "features", "regimes", "thresholds", "scaler", "fit", ... "equity"
    series: str  # which one: "SPY rsi", "fold 2 SPY upper"
    session: str  # YYYY-MM-DD of the number, "" where it belongs to none
    kind: str  # the likely leak, in a few words: "whole-sample statistic"
    detail: str  # what was done, and what changed by how much

    def sentence(self) -> str:
        """All of it in one line."""
        when = f" on {self.session}" if self.session else ""
        return f"{self.stage}: {self.series}{when}: {self.kind} ({self.check}: {self.detail})"


@dataclass(frozen=True, eq=False)
class Audited:
    """The outcome of one check, or of several merged."""

    comparisons: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # by stage
    findings: tuple[Finding, ...] = ()

    @property
    def compared(self) -> int:
        """How much was compared."""
        return sum(self.comparisons.values())

    @property
    def clean(self) -> bool:
        """Whether nothing was found, and something was compared."""
        return not self.findings and self.compared > 0


def merge(parts: Iterable[Audited]) -> Audited:
    """All findings together, comparisons added up by stage."""
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    for part in parts:
        counts.update(part.comparisons)
        findings += part.findings
    return Audited(dict(counts), tuple(findings))


@dataclass(frozen=True, eq=False)
class AuditReport:
    """All checks of a run."""

    checks: Mapping[str, Audited]  # by name
    warm_up: pd.DataFrame  # by feature: how much history it needs

    @property
    def merged(self) -> Audited:
        """The checks, merged."""
        return merge(self.checks.values())

    def as_json(self) -> dict[str, Any]:
        """Everything but the table as plain values."""
        merged = self.merged
        return {
            "clean": merged.clean,
            "compared": merged.compared,
            **plain(merged),
            "checks": {
                name: {"compared": check.compared, "findings": len(check.findings)}
                for name, check in self.checks.items()
            },
        }

    def require_clean(self, file: Path, tolerated: str = "") -> None:
        """Raise LeakError with the first findings, if there are any.

        file       that holds all of them
        tolerated  stage whose findings are let pass: a leak that was asked for by name
        """
        merged = self.merged
        findings = [each for each in merged.findings if each.stage != tolerated]
        if merged.clean or (merged.findings and not findings):
            return
        if not findings:
            raise LeakError("the audit compared nothing: there was nothing to audit.")
        shown = "\n".join(f"  {each.sentence()}" for each in findings[:SHOWN])
        more = f"\n  and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
        raise LeakError(
            f"the audit found {len(findings)} numbers that do not follow from what was known:\n"
            f"{shown}{more}\n"
            f"Do not believe this run.  All findings are in {file}: mend the first stage that is "
            "named, or, if only files changed, remove them and run again."
        )
