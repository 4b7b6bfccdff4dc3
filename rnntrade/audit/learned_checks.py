"""Causality of what is learned: fits, their predictions, baselines.

Learned numbers are dated by what they may know: scaler and first training loss by the training
part (its labels may end on the first validation decision), weights, epoch and temperature by the
validation part.  Networks are tiny and train on the newest sessions of each part, where leaks sit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import pandas as pd

from rnntrade.audit.evidence import Change, Evidence, Probe, kind_of_series
from rnntrade.audit.findings import Audited, merge
from rnntrade.audit.sample_checks import NEWEST, Learner
from rnntrade.types import Fit, FoldTargets, Samples

COSTLY = ("x1000", "reversed")


def audit_fit(learner: Learner) -> tuple[Audited, Fit]:
    """Scaler, weights, epoch and temperature, each at the last session that it may know."""
    setting = learner.setting
    evidence = {name: Evidence(name) for name in ("scaler", "fit", "epoch", "temperature")}
    clean = _fit(learner, learner.samples, learner.parts)
    for part, known in (
        ("validation", learner.training_known),
        ("test", learner.validation_known),
    ):
        for name in COSTLY:
            again = _fit(learner, *learner.replaced(*known, name))
            probe = Probe(setting.prices.sessions[known[1]], f"{name}: the {part} part")
            _compare_fits(evidence, learner.name, clean, again, part == "test", probe)
    judges = {
        "scaler": lambda changes: f"scaler sees beyond the training part: {_into(changes)}",
        "fit": lambda changes: f"weights learned from {_into(changes)}",
        "epoch": lambda changes: f"epoch chosen on {_into(changes)}",
        "temperature": lambda changes: f"temperature learned on {_into(changes)}",
    }
    return merge(each.audited(judges[name]) for name, each in evidence.items()), clean


def audit_predictions(learner: Learner, fit: Fit) -> Audited:
    """What one fit says of decisions up to t, whatever comes after."""
    setting, evidence = learner.setting, Evidence("predictions")
    parts = learner.thin(learner.samples, learner.parts)
    clean = setting.chain.predict_fold([fit], learner.samples, parts).table
    for last in _in_test(learner, 2):
        for name in ("cut", *COSTLY):
            samples, other = learner.replaced(last, last, name)
            again = setting.chain.predict_fold([fit], samples, learner.thin(samples, other)).table
            _compare_tables(evidence, learner, clean, again, setting.probe(last, name))
    return evidence.audited(partial(kind_of_series, near="reads later sessions"))


def audit_baselines(learner: Learner) -> Audited:
    """The same of the baselines, which are fitted anew each time."""
    setting, evidence = learner.setting, Evidence("baselines")
    _, test = learner.validation_known
    (last,) = _in_test(learner, 1)
    seed = setting.experiment.seed

    def said(samples: Samples, parts: FoldTargets) -> pd.DataFrame:
        parts = learner.thin(samples, parts)
        return setting.chain.predict_baselines(samples, parts, learner.objective, seed)

    clean = said(learner.samples, learner.parts)
    for name in COSTLY[:1]:
        again = said(*learner.replaced(last, test, name))
        _compare_tables(evidence, learner, clean, again, setting.probe(last, name))
    return evidence.audited(
        partial(kind_of_series, whole="baseline fitted beyond its training part")
    )


def _fit(learner: Learner, samples: Samples, parts: FoldTargets) -> Fit:
    thin = learner.thin(samples, parts)
    return learner.setting.chain.fit(samples, thin, learner.model, learner.setting.experiment)


def _compare_fits(
    evidence: Mapping[str, Evidence], name: str, one: Fit, two: Fit, final: bool, probe: Probe
) -> None:
    """Compare in the order in which things are learned, and stop at the first that differs.

    final  the validation part is known too; else only what the training part alone decides
    """

    def same(stage: str, series: str, before: object, after: object) -> bool:
        return evidence[stage].compare_numbers(
            f"{name} {series}",
            np.asarray(before, float),
            np.asarray(after, float),
            probe.session,
            probe,
        )

    for part in fields(one.scaler):
        if not same(
            "scaler",
            part.name.replace("_", " "),
            getattr(one.scaler, part.name),
            getattr(two.scaler, part.name),
        ):
            return
    if not same("fit", "first loss", one.history[0].training_loss, two.history[0].training_loss):
        return
    if not final:
        return
    losses = [[epoch.validation_loss for epoch in each.history] for each in (one, two)]
    if not (
        same("epoch", "validation loss", *losses) and same("epoch", "epoch", one.best, two.best)
    ):
        return
    flat = [np.concatenate([w.ravel() for w in each.weights.values()]) for each in (one, two)]
    if same("fit", "weights", *flat):
        same("temperature", "temperature", one.temperature, two.temperature)


def _into(changes: Sequence[Change]) -> str:
    """The latest part that is known: replacing the test part alone tells it from validation."""
    test = any(change.probe.name.endswith("test part") for change in changes)
    return "the test part" if test else "the validation part"


def _in_test(learner: Learner, count: int) -> list[int]:
    """Positions inside the test part, as far as costly stages look."""
    first = learner.setting.position(learner.labels.boundary.test)
    end = min(first + NEWEST["test"], len(learner.setting.prices.sessions)) - 1
    return learner.setting.few(first + (count == 1) * (end - first) // 2, end, count)


def _compare_tables(
    evidence: Evidence, learner: Learner, one: pd.DataFrame, two: pd.DataFrame, probe: Probe
) -> None:
    """Compare what was said of each ticker, by decision session."""
    said = [name for name in one.columns if name.startswith(("p_", "r_"))]
    groups = dict(list(two.groupby(["source", "ticker"])))
    for (source, ticker), table in one.groupby(["source", "ticker"]):
        again = groups.get((source, ticker), two.iloc[:0])
        evidence.compare(
            f"fold {learner.labels.boundary.number} {source} {ticker}",
            table.set_index("decision")[said],
            again.set_index("decision")[said],
            probe,
        )
