"""What changed when the future was replaced, and which leak that looks like.

The kind of a leak is inferred from its traces: how far before the replaced sessions numbers still
change (the reach), whether they vanish when the future is cut off, and where this happens at all.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rnntrade.audit.findings import Audited, Finding

FAR = 0.5  # of the history before the replaced sessions: further back is "at any distance"
NAMED = 3  # series named in a finding; of the others the number


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

    def sentence(self) -> str:
        """What was done, in words."""
        return f"{self.way} after {self.session:%Y-%m-%d}"


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
        rows = f"{self.rows} of {self.history} changed"
        return f"{self.probe.sentence()}: {rows}, the first {moved}"


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
