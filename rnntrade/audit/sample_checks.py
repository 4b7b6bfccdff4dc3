"""Causality of samples and of the parts of a fold: what trains, and what chooses the epoch.

A sample is dated by its decision, its label by the session on which its span says that it ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Change, Evidence, Probe
from rnntrade.audit.findings import Audited, Finding
from rnntrade.audit.perturb import replace_rows
from rnntrade.audit.setting import Setting
from rnntrade.config import ModelConfig
from rnntrade.labels.regimes import Labels
from rnntrade.objectives.lookup import objective_of
from rnntrade.protocols import Objective
from rnntrade.samples.windows import gather
from rnntrade.types import FoldTargets, Rows, Samples

NEWEST = {"training": 160, "validation": 60, "test": 50}  # sessions of a part that costly fits see
WAYS = ("cut", "x1000", "reversed")
LAST_WINDOWS = 60  # before t, whose rows are compared one by one


@dataclass(frozen=True, eq=False)
class Learner:
    """One model on one fold, with clean inputs and clean outputs of all stages before training."""

    setting: Setting
    model: ModelConfig
    labels: Labels
    features: Mapping[str, pd.DataFrame]
    targets: Mapping[str, pd.DataFrame]
    samples: Samples
    parts: FoldTargets

    @property
    def name(self) -> str:
        """Fold and model."""
        return f"fold {self.labels.boundary.number} {self.model.name}"

    @property
    def objective(self) -> Objective:
        """What the model is asked."""
        return objective_of(self.model, self.labels.classes)

    def replaced(self, last: int, label_end: int, name: str) -> tuple[Samples, FoldTargets]:
        """Samples whose features after `last` and whose labels ending after `label_end` are others.

        Positions are of sessions; a label ends `horizon` of its ticker's own sessions later.  Cut,
        the sessions after `label_end` are gone.
        """
        setting, rng = self.setting, self.setting.rng(last, name)
        sessions = setting.prices.sessions
        after = sessions[label_end if name == "cut" else last]
        features, targets = {}, {}
        for ticker, table in self.features.items():
            features[ticker] = replace_rows(table, after, name, rng)
            known = int(table.index.searchsorted(sessions[label_end], side="right"))
            row = known - 1 - self.model.horizon
            kept = self.targets[ticker].reindex(table.index)
            values = kept.to_numpy(float, copy=True)
            values[max(row + 1, 0) :] = self.objective.other_target(values[max(row + 1, 0) :])
            targets[ticker] = pd.DataFrame(values, kept.index, kept.columns)
        return setting.chain.sample(features, targets, self.labels, self.model)

    def thin(self, samples: Samples, parts: FoldTargets) -> FoldTargets:
        """Only the newest sessions of each part, so that a fit takes a moment."""
        boundary, sessions = self.labels.boundary, self.setting.prices.sessions
        decision = samples.spans.decision
        chosen = {}
        for part, end in (("training", boundary.validation), ("validation", boundary.test)):
            newest = NEWEST[part] + self.model.horizon  # the newest labels are purged
            first = sessions[max(self.setting.position(end) - newest, 0)]
            rows = getattr(parts.fold, part)
            chosen[part] = rows[decision[rows] >= first.to_datetime64()]
        test = self.setting.position(boundary.test)
        last = sessions[min(test + NEWEST["test"], len(sessions) - 1)].to_datetime64()
        chosen["test"] = parts.fold.test[decision[parts.fold.test] <= last]
        return replace(parts, fold=replace(parts.fold, **chosen))

    @property
    def training_known(self) -> tuple[int, int]:
        """Positions: the last features of the training part, and the session its labels end by."""
        validation = self.setting.position(self.labels.boundary.validation)
        return validation - 1, validation

    @property
    def validation_known(self) -> tuple[int, int]:
        """The same of the validation part."""
        test = self.setting.position(self.labels.boundary.test)
        return test - 1, test


def audit_samples(learner: Learner) -> Audited:
    """Windows end on their decision, and no label ends after its span says."""
    setting, evidence = learner.setting, Evidence("samples")
    clean = learner.samples
    for last in _looked_at(learner):
        for name in WAYS:
            probe = setting.probe(last, name)
            again, _ = learner.replaced(last, last, name)
            before, after = (_dated(each, probe.session) for each in (clean, again))
            for what, table in before.items():
                again_known = after.get(what, table.iloc[:0])
                evidence.compare(f"{learner.model.name} {what}", table, again_known, probe)
    return evidence.audited(_kind_of_sample)


def _looked_at(learner: Learner) -> list[int]:
    """A few sessions, from the first decision on, at which samples are compared."""
    setting, count = learner.setting, len(learner.setting.prices.sessions)
    first = setting.position(pd.Timestamp(learner.samples.spans.decision.min()))
    return setting.few(max(count // 4, first), count - 1, 4)


def audit_parts(learner: Learner) -> Audited:
    """What trains, and what chooses the epoch, is known by the first decision after it."""
    setting, compared = learner.setting, 0
    findings: list[Finding] = []
    for part, known in (
        ("training", learner.training_known),
        ("validation", learner.validation_known),
    ):
        changed: dict[pd.Timestamp, tuple[str, pd.Timestamp, Probe]] = {}
        for name in WAYS:
            samples, parts = learner.replaced(*known, name)
            old = _part_table(learner.samples, getattr(learner.parts.fold, part))
            new = _part_table(samples, getattr(parts.fold, part))
            compared += old.size
            kept = old.index.union(new.index)
            values = [each.reindex(kept).drop(columns="label_end") for each in (old, new)]
            differ = ~((values[0] == values[1]) | (values[0].isna() & values[1].isna())).all(
                axis=1
            ) | ~(kept.isin(old.index) & kept.isin(new.index))
            for ticker, decision in kept[differ.to_numpy()]:
                ends = pd.Series([each["label_end"].get((ticker, decision)) for each in (old, new)])
                changed[decision] = (ticker, ends.max(), setting.probe(known[1], name))
        if changed:
            findings.append(_finding_of_part(learner, part, changed))
    return Audited({"split": compared}, tuple(findings))


def _dated(samples: Samples, session: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Tables by decision of what each sample up to a session is: span, label as known, window."""
    spans, tables = samples.spans, {}
    day = session.to_datetime64()
    for ticker in np.unique(spans.ticker):
        rows = np.flatnonzero((spans.ticker == ticker) & (spans.decision <= day))
        index = pd.DatetimeIndex(spans.decision[rows])
        known = spans.label_end[rows] <= day  # false where NaT
        start = pd.Series(spans.feature_start[rows]).astype("int64").astype(float)
        tables[f"{ticker} span"] = pd.DataFrame({"start": start.to_numpy()}, index)
        label = np.where(known[:, None], samples.target[rows], np.nan)
        tables[f"{ticker} label"] = pd.DataFrame(label, index)
        newest = rows[-LAST_WINDOWS:]
        inside = samples.last[newest] < len(samples.rows)
        window = gather(samples.rows, samples.last[newest[inside]], samples.lookback)
        tables[f"{ticker} window"] = pd.DataFrame(
            window.reshape(len(window), window.shape[1] * window.shape[2]),
            index[-LAST_WINDOWS:][inside],
        )
    return tables


def _kind_of_sample(changes: Sequence[Change]) -> str:
    series = changes[0].series
    if " label " in series:
        return "label ends later than its span says"
    if " window " in series:
        return "window reaches past its decision"
    return "span depends on later sessions"


def _part_table(samples: Samples, rows: Rows) -> pd.DataFrame:
    """Samples of a part by (ticker, decision): newest row, target, and when it is known."""
    spans = samples.spans[rows]
    index = pd.MultiIndex.from_arrays([spans.ticker, pd.DatetimeIndex(spans.decision)])
    values = np.hstack([samples.rows[samples.last[rows]], samples.target[rows]])
    return pd.DataFrame(values, index).assign(label_end=spans.label_end)


def _finding_of_part(
    learner: Learner, part: str, changed: Mapping[pd.Timestamp, tuple[str, pd.Timestamp, Probe]]
) -> Finding:
    """The plainest trespass: a decision of a later part, else a label that ends in it."""
    boundary = learner.labels.boundary
    later = [("test", boundary.test)]
    if part == "training":
        later.append(("validation", boundary.validation))
    for name, first in later:
        strangers = [decision for decision in changed if decision >= first]
        if strangers:
            kind = f"{part} samples come from the {name} part"
            break
    else:
        for name, first in later:
            strangers = [day for day, (_, end, _) in changed.items() if end > first]
            if strangers:
                kind = f"label of a {part} sample overlaps the {name} part"
                break
        else:
            strangers, kind = list(changed), f"{part} samples depend on later sessions"
    decision = min(strangers)
    ticker, end, probe = changed[decision]
    until = "not known" if pd.isna(end) else f"{end:%Y-%m-%d}"
    return Finding(
        "causality",
        "split",
        f"{learner.name} {part}, {ticker}",
        f"{decision:%Y-%m-%d}",
        kind,
        f"{probe.told()}: {len(strangers)} decisions changed; label until {until}",
    )
