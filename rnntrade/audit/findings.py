"""What an audit found, and how much it compared to be able to say so."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any


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
    def clean(self) -> bool:
        """Whether nothing was found, and something was compared."""
        return not self.findings and sum(self.comparisons.values()) > 0

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "clean": self.clean,
            "comparisons": dict(self.comparisons),
            "compared": sum(self.comparisons.values()),
            "findings": [asdict(finding) for finding in self.findings],
        }


def merge(parts: Iterable[Audited]) -> Audited:
    """All findings together, comparisons added up by stage."""
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    for part in parts:
        counts.update(part.comparisons)
        findings += part.findings
    return Audited(dict(counts), tuple(findings))
