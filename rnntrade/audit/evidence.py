"""What changed when the future was replaced, and which leak that looks like.

The kind of a leak is inferred from its traces: how far before the replaced sessions numbers still
change (the reach), whether they vanish when the future is cut off, and where this happens at all.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnntrade.audit.findings import Audited, Finding

Array = NDArray[np.float64]

FAR = 0.5  # of the history before the replaced sessions: further back is "at any distance"
NAMED = 3  # series named in a finding; of the others the number


@dataclass(frozen=True)
class Probe:
    """A future replaced once: everything after `session`, in the way called `name`."""

    session: pd.Timestamp
    name: str

    def told(self) -> str:
        """What was done, in words."""
        return f"{self.name} after {self.session:%Y-%m-%d}"


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

    def told(self) -> str:
        """What was done, and what changed by how much."""
        moved = "vanished" if self.vanished else f"{self.was:.10g} became {self.became:.10g}"
        return f"{self.probe.told()}: {self.rows} of {self.history} changed, the first {moved}"


Judge = Callable[[Sequence[Change]], str]


@dataclass
class Evidence:
    """Comparisons of one stage, as they come in."""

    stage: str
    compared: int = 0
    changes: list[Change] = field(default_factory=list)

    def compare(
        self,
        series: str,
        before: pd.DataFrame,
        after: pd.DataFrame,
        probe: Probe,
        ordinary: bool = True,
    ) -> bool:
        """Compare two tables by session, up to the probe's; each column is a series of its own.

        series   what comes before the column's name
        returns  whether all is bit-identical, the missing values included
        """
        known = before.loc[: probe.session]
        again = after.loc[: probe.session]
        if not again.index.equals(known.index):
            rows = known.index.union(again.index)
            known, again = known.reindex(rows), again.reindex(rows)
        old, new = known.to_numpy(float), again.to_numpy(float)  # (R, C)
        changed = (old != new) & ~(np.isnan(old) & np.isnan(new))
        self.compared += old.size
        for column in np.flatnonzero(changed.any(axis=0)):
            rows_changed = np.flatnonzero(changed[:, column])
            first = int(rows_changed[0])
            self.changes.append(
                Change(
                    series=f"{series} {known.columns[int(column)]}".strip(),
                    probe=probe,
                    session=f"{pd.Timestamp(known.index[first]):%Y-%m-%d}",
                    reach=len(known) - first,
                    history=len(known),
                    rows=len(rows_changed),
                    vanished=bool(np.isnan(new[rows_changed, column]).all()),
                    ordinary=ordinary,
                    was=float(old[first, column]),
                    became=float(new[first, column]),
                )
            )
        return not changed.any()

    def compare_numbers(
        self, series: str, before: Array, after: Array, session: pd.Timestamp, probe: Probe
    ) -> bool:
        """Compare numbers that are known on one session: what was learned until then."""
        old, new = (np.atleast_1d(np.asarray(each, float)).ravel() for each in (before, after))
        self.compared += old.size
        same = len(old) == len(new)
        where = 0
        if same:
            changed = (old != new) & ~(np.isnan(old) & np.isnan(new))
            same, where = not changed.any(), int(changed.argmax())
        if not same:
            was = float(old[where]) if len(old) else np.nan
            became = float(new[where]) if len(new) else np.nan
            self.changes.append(
                Change(
                    series=series,
                    probe=probe,
                    session=f"{session:%Y-%m-%d}",
                    reach=1,
                    history=max(len(old), 1),
                    rows=int(changed.sum()) if len(old) == len(new) else len(old),
                    vanished=bool(np.isnan(became)),
                    ordinary=True,
                    was=was,
                    became=became,
                )
            )
        return same

    def audited(self, judge: Judge, check: str = "causality") -> Audited:
        """One finding per kind, on the series and session where it shows first."""
        by_series: dict[str, list[Change]] = {}
        for change in self.changes:
            by_series.setdefault(change.series, []).append(change)
        alike: dict[str, list[Change]] = {}  # the same kind, whatever its numbers
        for own in by_series.values():
            alike.setdefault(re.sub(r"\d+", "", judge(own)), []).extend(own)
        findings = tuple(
            Finding(
                check, self.stage, _named(own), _earliest(own).session, judge(own), _detail(own)
            )
            for own in alike.values()
        )
        return Audited({self.stage: self.compared} if self.compared else {}, findings)


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
    if any(change.vanished for change in ordinary if change.probe.name == "cut"):
        return f"negative shift or centred window, {sessions}"
    return f"{near}, {sessions}"


def _earliest(changes: Sequence[Change]) -> Change:
    return min(changes, key=lambda change: (change.session, change.probe.session))


def _named(changes: Sequence[Change]) -> str:
    """The series, that of the earliest change first."""
    names = list(dict.fromkeys([_earliest(changes).series, *(each.series for each in changes)]))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _detail(changes: Sequence[Change]) -> str:
    seen = len({change.probe for change in changes})
    return f"{_earliest(changes).told()}; seen with {seen} replaced future{'s' if seen > 1 else ''}"
