"""What an audit found, how much it compared to be able to say so, and which leak it looks like.

The kind of a leak is inferred from its traces: how far before the replaced sessions numbers still
change (the reach), whether they vanish when the future is cut off, and where this happens at all.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from rnntrade.codec import plain
from rnntrade.errors import LeakError

SHOWN = 5  # findings in an error
FAR = 0.5  # of the history before the replaced sessions: further back is "at any distance"
NAMED = 3  # series named in a finding; of the others the number


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


@dataclass(frozen=True)
class Probe:
    """A future replaced once: everything after `session`, in the way called `way`.

    Decisions, and the features behind them, are replaced from `wait` sessions earlier on.
    """

    position: int
    session: pd.Timestamp
    way: str
    ticker: str = ""  # the only one that is looked at; "": all
    wait: int = 0
    part: str = ""  # of the fold that is replaced: "the validation part" or "the test part"


@dataclass(frozen=True)
class Change:
    """One series that was not the same up to the session after which the future was replaced."""

    series: str
    probe: Probe
    session: str  # of the first number that changed
    reach: int  # sessions from that number to the replaced ones: 1 if the next one decides
    history: int  # numbers that the series has up to there
    rows: int  # that changed
    vanished: bool  # they are missing now, all of them
    ordinary: bool  # the ticker traded there, and had for long
    was: float
    became: float

    def sentence(self) -> str:
        """What was done, and what changed by how much."""
        moved = "vanished" if self.vanished else f"{self.was:.10g} became {self.became:.10g}"
        done = f"{self.probe.way} after {self.probe.session:%Y-%m-%d}"
        return f"{done}: {self.rows} of {self.history} changed, the first {moved}"


Judge = Callable[[Sequence[Change]], str]


@dataclass
class Evidence:
    """Comparisons as they come in, by stage."""

    compared: Counter[str] = field(default_factory=Counter)
    changes: dict[str, list[Change]] = field(default_factory=dict)

    def compare(
        self,
        stage: str,
        series: str,
        before: pd.DataFrame,
        after: pd.DataFrame,
        probe: Probe,
        ordinary: bool = True,
        tolerance: float = 0.0,
    ) -> bool:
        """Compare two tables by session, up to the probe's; each column is a series of its own.

        series     what comes before the column's name
        tolerance  share of a value that is rounding
        returns    whether all is equal, the missing values included
        """
        dated, again = before.loc[: probe.session], after.loc[: probe.session]
        if not (again.index.equals(dated.index) and again.columns.equals(dated.columns)):
            dated, again = dated.align(again)
        old, new = dated.to_numpy(float), again.to_numpy(float)  # (R, C)
        changed = (old != new) & ~(np.isnan(old) & np.isnan(new))
        if tolerance:
            changed &= ~np.isclose(old, new, rtol=tolerance, atol=tolerance)
        self.compared[stage] += old.size
        for column in np.flatnonzero(changed.any(axis=0)):
            rows = np.flatnonzero(changed[:, column])
            first = int(rows[0])
            self.changes.setdefault(stage, []).append(
                Change(
                    series=f"{series} {dated.columns[int(column)]}".strip(),
                    probe=probe,
                    session=f"{pd.Timestamp(dated.index[first]):%Y-%m-%d}",
                    reach=len(dated) - first,
                    history=len(dated),
                    rows=len(rows),
                    vanished=bool(np.isnan(new[rows, column]).all()),
                    ordinary=ordinary,
                    was=float(old[first, column]),
                    became=float(new[first, column]),
                )
            )
        return not changed.any()

    def audited(self, order: Iterable[str], judges: Mapping[str, Judge]) -> Audited:
        """One finding per kind, on the series and session where it shows first.

        order  of the stages as they follow from each other: only the first that changed is judged
        """
        stage = next((name for name in order if name in self.changes), "")
        by_series: dict[str, list[Change]] = {}
        for change in self.changes.get(stage, ()):
            by_series.setdefault(change.series, []).append(change)
        alike: dict[str, list[Change]] = {}  # the same kind, whatever its numbers
        for own in by_series.values():
            alike.setdefault(re.sub(r"\d+|sessions?", "", judges[stage](own)), []).extend(own)
        findings = []
        for own in alike.values():
            first = min(own, key=lambda change: (change.session, change.probe.session))
            names = list(dict.fromkeys([first.series, *(change.series for change in own)]))
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            seen = len({change.probe for change in own})
            detail = f"{first.sentence()}; seen with {seen} replaced future{'s' * (seen > 1)}"
            series, kind = ", ".join(names[:NAMED]) + more, judges[stage](own)
            findings.append(Finding("causality", stage, series, first.session, kind, detail))
        return Audited(dict(self.compared), tuple(findings))


def kind_of_series(
    changes: Sequence[Change],
    whole: str = "whole-sample statistic",
    near: str = "two-sided smoothing",
) -> str:
    """The likely leak of a series that should see no later session.

    whole  what a change at any distance is called
    near   what a change of numbers shortly before, which do not vanish with their future, is called
    """
    ordinary = [change for change in changes if change.ordinary]
    if not ordinary:
        return "fills missing values from the future"
    reach = max(change.reach for change in ordinary)
    if any(change.reach > max(FAR * change.history, 5.0) for change in ordinary):
        return whole
    sessions = f"reach {reach} session{'s' if reach > 1 else ''}"
    if any(change.vanished for change in ordinary if change.probe.way == "cut"):
        return f"negative shift or centred window, {sessions}"
    return f"{near}, {sessions}"
