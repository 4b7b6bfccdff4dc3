"""The audit of a run, as a task, and the gate behind it."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from rnntrade.audit.findings import Audited, Finding, merge
from rnntrade.chain import Books, Predictions
from rnntrade.config import Experiment, ModelConfig
from rnntrade.samples.files import load_samples
from rnntrade.storage import write_json
from rnntrade.trading.files import load_backtest
from rnntrade.types import Prices
from tasks.artifacts import Ref, publish, refs_in
from tasks.caching import cached_task
from tasks.tables import Labels, read_cost_cases, read_folds, read_prices

if TYPE_CHECKING:
    from rnntrade.audit.record import RunRecord

log = logging.getLogger("prefect.rnntrade")

SERVED = 5  # sessions that the registered model is asked about
OTHER_DEVICE = 1e-5  # how far a GPU's prediction may be from the served model's, which uses the CPU


class AuditedLine(BaseModel):
    """What one model's steps made, as far as it is audited; `ModelLine` has all of it."""

    model_config = ConfigDict(from_attributes=True)

    model: ModelConfig
    samples: Ref
    fits: list[list[Ref]]  # by fold, then by member
    predictions: Ref
    baselines: Ref | None = None  # predictions of the same samples
    backtest: Ref | None = None


def to_audit(lines: Mapping[str, Any]) -> dict[str, AuditedLine]:
    """The part of each `ModelLine` that the audit reads, so that no other part is in its key."""
    return {name: AuditedLine.model_validate(line) for name, line in lines.items()}


@cached_task("audit")
def audit(
    experiment: Experiment,
    prices: dict[str, Ref],
    features: dict[str, Ref],
    labels: Labels,
    lines: dict[str, AuditedLine],
    device: str = "cpu",
    test_from: str = "",
) -> Ref:
    """Hunt leaks in the library on these prices, and compare the run's record with both.

    lines      of the models that were trained, see `to_audit`
    device     that the run predicted on
    test_from  first session of an opened holdout, as `label_regimes` was given it
    returns    audit.json (see `Audited.as_json`, and `checks`: comparisons and findings of each)
               and warmup.parquet
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
    record = read_record(features, labels, lines, test_from)
    where: dict[str, Any] = {"seed": experiment.seed, "test_from": record.test_from}
    checks: dict[str, Callable[[], Audited]] = {
        "files": partial(_files, prices, features, labels, lines),
        "record": partial(audit_record, bars, experiment, record, device),
        "replay": partial(audit_replay, bars, experiment, record, device),
        "served model": partial(_served, bars, experiment, record, device),
        "oracle": partial(audit_engine, bars, experiment.backtest, seed=experiment.seed),
        "warm-up": partial(judged, warmup),
        "causality": partial(audit_causality, bars, experiment, **where),
    }
    found = {}
    for name, check in checks.items():
        started = time.perf_counter()
        found[name] = check()
        count, seconds = sum(found[name].comparisons.values()), time.perf_counter() - started
        log.info(
            "audit, %s: %d comparisons, %d findings, %.1f s",
            *(name, count, len(found[name].findings), seconds),
        )
    about = merge(found.values()).as_json()
    about["checks"] = {
        name: {"compared": sum(each.comparisons.values()), "findings": len(each.findings)}
        for name, each in found.items()
    }
    with publish("audits") as out:
        write_json(out.folder / "audit.json", about)
        warmup.to_parquet(out.folder / "warmup.parquet")
    return out.ref


def _files(
    prices: dict[str, Ref], features: dict[str, Ref], labels: Labels, lines: dict[str, AuditedLine]
) -> Audited:
    """Every file is as it was written."""
    refs = list(dict.fromkeys(refs_in([prices, features, labels, lines])))
    broken = [ref for ref in refs if not ref.is_intact()]
    kind = "files changed since they were written"
    return Audited(
        {"files": len(refs)},
        tuple(
            Finding("record", ref.step, ref.digest[:16], "", kind, "its digest is another")
            for ref in broken
        ),
    )


def read_record(
    features: dict[str, Ref], labels: Labels, lines: dict[str, AuditedLine], test_from: str
) -> "RunRecord":
    """The run's files as values; samples are read when asked for."""
    from rnntrade.audit.record import ModelRecord, RunRecord
    from rnntrade.training.fits import load_fit

    return RunRecord(
        features={
            ticker: pd.read_parquet(ref.folder / "features.parquet")
            for ticker, ref in features.items()
        },
        labels=read_folds(labels),
        models={
            name: ModelRecord(
                model=line.model,
                samples=partial(load_samples, line.samples.folder),
                fits=[[load_fit(ref.folder) for ref in members] for members in line.fits],
                predictions=Predictions(
                    _read(line.predictions, "predictions"), _read(line.predictions, "members")
                ),
                baselines=_read(line.baselines, "predictions") if line.baselines else None,
                books=_read_books(line.backtest) if line.backtest else None,
            )
            for name, line in lines.items()
        },
        test_from=pd.Timestamp(test_from) if test_from else None,
    )


def _read(ref: Ref, table: str) -> pd.DataFrame:
    """A table that a step wrote; empty if it had nothing to write."""
    file = ref.folder / f"{table}.parquet"
    return pd.read_parquet(file) if file.is_file() else pd.DataFrame()


def _read_books(ref: Ref) -> Books:
    parts = ("strategy", "other", "benchmark")
    return Books(
        **{name: _read(ref, name) for name in ("probability", "target", "folds", "members")},
        **{part: load_backtest(ref.folder / part) for part in parts},
        rules={rule.name: load_backtest(rule) for rule in sorted((ref.folder / "rules").iterdir())},
        cost_cases=read_cost_cases(_read(ref, "cost_cases")),
    )


def _served(prices: Prices, experiment: Experiment, record: "RunRecord", device: str) -> Audited:
    """Every model, asked as it would be served, on sessions all over its newest test part."""
    from rnntrade.audit.replay import audit_served

    tolerance = 0.0 if device == "cpu" else OTHER_DEVICE
    year, parts = experiment.backtest.sessions_per_year, []
    for own in record.models.values():
        table = own.predictions.table
        newest = table[(table["part"] == "test") & (table["fold"] == table["fold"].max())]
        days = pd.DatetimeIndex(np.sort(newest["decision"].unique()))
        asked = sorted({*days[np.linspace(0, len(days) - 1, SERVED).round().astype(int)]})
        parts.append(
            audit_served(
                prices,
                own.fits[-1],
                table,
                asked,
                tolerance=tolerance,
                sessions_per_year=year,
            )
        )
    return merge(parts)
