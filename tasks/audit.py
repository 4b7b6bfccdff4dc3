"""The audit of a run, as a task, and the gate behind it."""

import logging
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from rnntrade.audit.findings import Audited, AuditReport, Finding, merge
from rnntrade.codec import VALUE
from rnntrade.config import Experiment
from rnntrade.labels.regimes import Labels
from rnntrade.types import Prices
from tasks.caching import step
from tasks.refs import ModelRefs, Ref, Tables, load_all, put, read_prices, refs_in

if TYPE_CHECKING:
    from rnntrade.audit.record import RunRecord

log = logging.getLogger("prefect.rnntrade")

SERVED = 5  # sessions that the registered model is asked about
OTHER_DEVICE = 1e-5  # how far a GPU's prediction may be from the served model's, which uses the CPU


@step("audit", of=__name__)
def audit(
    experiment: Experiment,
    prices: Tables,
    features: Tables,
    labels: list[Ref[Labels]],
    models: dict[str, ModelRefs],
    device: str = "cpu",
    test_from: str = "",
) -> Ref[AuditReport]:
    """Hunt leaks in the library on these prices, and compare the run's record with both.

    models     that were trained; not yet evaluated
    device     that the run predicted on
    test_from  first session of an opened holdout, as `label_regimes` was given it
    """
    import torch

    from rnntrade.audit.causality import audit_causality
    from rnntrade.audit.oracles import audit_engine
    from rnntrade.audit.record import audit_record
    from rnntrade.audit.replay import audit_replay
    from rnntrade.audit.warmup import judged, warmup_table

    torch.set_num_threads(1)  # one order of additions, so one result
    bars = read_prices(prices)
    warmup = warmup_table()
    record = read_record(experiment, bars, features, labels, models, test_from, device)
    checks: dict[str, Callable[[], Audited]] = {
        "files": partial(_files, prices, features, labels, models),
        "record": partial(audit_record, record),
        "replay": partial(audit_replay, record),
        "served model": partial(_served, record),
        "oracle": partial(audit_engine, bars, experiment.backtest, seed=experiment.seed),
        "warm-up": partial(judged, warmup),
        "causality": partial(audit_causality, bars, experiment, test_from=record.test_from),
    }
    found = {}
    for name, check in checks.items():
        started = time.perf_counter()
        found[name] = check()
        outcome = f"{found[name].compared} comparisons, {len(found[name].findings)} findings"
        log.info("audit, %s: %s, %.1f s", name, outcome, time.perf_counter() - started)
    return put("audits", AuditReport(found, warmup))


def require_clean(audited: Ref[AuditReport], tolerated: str = "") -> None:
    """Raise LeakError naming the first findings, if there are any.

    tolerated  stage whose findings are let pass: a leak that was asked for by name
    """
    audited.load().require_clean(audited.folder / VALUE, tolerated)


def _files(
    prices: Tables, features: Tables, labels: list[Ref[Labels]], models: dict[str, ModelRefs]
) -> Audited:
    refs = list(dict.fromkeys(refs_in([prices, features, labels, models])))
    kind = "files changed since they were written"
    findings = (
        Finding("record", ref.step, ref.digest[:16], "", kind, "its digest is another")
        for ref in refs
        if not ref.is_intact()
    )
    return Audited({"files": len(refs)}, tuple(findings))


def read_record(
    experiment: Experiment,
    prices: Prices,
    features: Tables,
    labels: list[Ref[Labels]],
    models: dict[str, ModelRefs],
    test_from: str,
    device: str,
) -> "RunRecord":
    """The run's files as values: a model's record has the fields of its references."""
    from rnntrade.audit.record import ModelRecord, RunRecord

    names = [field.name for field in fields(ModelRecord)]
    records = {
        model: ModelRecord(**{name: load_all(getattr(refs, name)) for name in names})
        for model, refs in models.items()
    }
    return RunRecord(
        prices=prices,
        experiment=experiment,
        features=load_all(features),
        labels=load_all(labels),
        models=records,
        test_from=pd.Timestamp(test_from) if test_from else None,
        device=device,
    )


def _served(record: "RunRecord") -> Audited:
    """Every model, asked as it would be served, on sessions all over its newest test part."""
    from rnntrade.audit.replay import audit_served

    tolerance = 0.0 if record.device == "cpu" else OTHER_DEVICE
    year, parts = record.experiment.backtest.sessions_per_year, []
    for own in record.models.values():
        table = own.predictions.table
        newest = table[(table["part"] == "test") & (table["fold"] == table["fold"].max())]
        days = pd.DatetimeIndex(sorted(newest["decision"].unique()))
        chosen = {round(step * (len(days) - 1) / (SERVED - 1)) for step in range(SERVED)}
        asked = [days[number] for number in sorted(chosen)]
        audited = audit_served(
            record.prices, own.fits[-1], table, asked, tolerance=tolerance, sessions_per_year=year
        )
        parts.append(audited)
    return merge(parts)
