"""What is recorded in MLflow at the end of a run: figures, curves, tables, and which prices."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rnntrade.audit.findings import AuditReport
from rnntrade.config import Experiment
from rnntrade.report.catalogue import figure, glossary, markdown_table
from tasks.plain import task
from tasks.refs import ModelRefs, Ref, Tables, data_fingerprint, refs_in, write_manifest
from tasks.reproduction import FILE, Provenance
from tasks.summary import Summary, markdown
from tasks.tracking.runs import RunIds, client, write

OF_EACH_MODEL = ("score", "baseline", "difference", "strategy.sharpe_ratio")  # on the parent run


@task("record")
def record(
    ids: RunIds,
    experiment: Experiment,
    prices: Tables,
    models: dict[str, ModelRefs],
    summary: Summary,
    page: Ref[None],
    made_of: Provenance,
    others: list[Ref[Any]],
) -> None:
    """Write everything down and close the runs; a failed model's run says why it failed.

    made_of  all digests, for `rnntrade reproduce`
    others   what the run made on the way: kept from cleaning, not copied into MLflow
    """
    known = client()
    shared = {
        "data.fingerprint": data_fingerprint(prices),
        "leaky": str(experiment.labels.thresholds == "full_sample").lower(),
        "holdout": made_of.holdout,
    }
    for name, run_id in ids.children.items():
        if name in summary.failures:
            known.set_tag(run_id, "error", summary.failures[name])
            known.set_terminated(run_id, "FAILED")
            continue
        refs, figures = models[name], summary.figures[name]
        sections = {
            "model": asdict(refs.model),
            "training": asdict(experiment.training),
            "split": asdict(experiment.split),
            "seed": experiment.seed,
        }
        words = {key: value for key, value in figures.items() if isinstance(value, str)}
        write(
            run_id,
            params=_flat(sections),
            figures=_numbers(figures),
            curves=_curves(refs),
            tags={**shared, **words, "mlflow.note.content": str(figures["sentence"])},
        )
        results = (refs.predictions, refs.baselines, refs.evaluation, refs.books, refs.strategy)
        for ref in refs_in(results):
            known.log_artifacts(run_id, str(ref.folder), ref.step)
        _log_prices(run_id, experiment.data.source, prices)
        known.set_terminated(run_id)
    compared = {
        f"{name}.{metric}": value
        for name, figures in summary.figures.items()
        for metric, value in _numbers(figures).items()
        if metric in OF_EACH_MODEL
    }
    tags = {
        **shared,
        "verdict": summary.verdict,
        "outcome": summary.outcome,
        "mlflow.note.content": markdown(summary),
    }
    write(ids.parent, params=_flat(asdict(experiment)), figures=compared, tags=tags)
    known.log_artifacts(ids.parent, str(page.folder))
    known.log_text(ids.parent, made_of.model_dump_json(indent=1), FILE)
    known.log_text(ids.parent, glossary(), "glossary.md")  # names, units and meanings of metrics
    _log_prices(ids.parent, experiment.data.source, prices)
    write_manifest(
        ids.parent, [*prices.values(), *made_of.fetched.values(), page, *others, *refs_in(models)]
    )
    known.set_terminated(ids.parent)
    known.set_experiment_tag(
        ids.experiment_id, "mlflow.note.content", _best_so_far(ids, experiment)
    )


@task("record_audit")
def record_audit(ids: RunIds, audited: Ref[AuditReport]) -> None:
    """Put the audit and its outcome into the run, before anything fails because of it."""
    known, audit = client(), audited.load().merged
    known.log_artifacts(ids.parent, str(audited.folder), "audit")
    outcome = "clean" if audit.clean else f"{len(audit.findings)} findings"
    for run_id in (ids.parent, *ids.children.values()):
        known.set_tag(run_id, "audit", outcome)
    known.log_metric(ids.parent, "audit.comparisons", float(audit.compared))


def _best_so_far(ids: RunIds, experiment: Experiment) -> str:
    """Notes of the experiment: per model the run that beat, or missed, its baseline by the most."""
    rows = []
    for name in ids.children:
        finished = f"attributes.status = 'FINISHED' and attributes.run_name = '{name}'"
        best = client().search_runs(
            [ids.experiment_id], finished, max_results=1, order_by=["metrics.difference DESC"]
        )
        for run in best:
            page = f"#/experiments/{ids.experiment_id}/runs/{run.info.run_id}"
            over, verdict = run.data.metrics["difference"], run.data.tags["verdict"]
            best_run = {"model": name, "best run": f"[{run.info.run_id[:8]}]({page})"}
            best_run["over its best baseline"] = figure("difference").text(over)
            rows.append({**best_run, "verdict": verdict})
    title = f"{experiment.description}\n\n**Best run of each model so far**\n\n"
    return title + (markdown_table(rows) if rows else "")


def _numbers(figures: Mapping[str, float | str | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if isinstance(value, float)}


def _curves(refs: ModelRefs) -> dict[str, list[float]]:
    """What each fit's epochs led to; fold and member are named where there are several."""
    curves: dict[str, list[float]] = {}
    for fold, members in enumerate(refs.fits):
        for member, ref in enumerate(members):
            history = ref.load().history
            alone = len(refs.fits) == len(members) == 1
            which = "" if alone else f"/fold_{fold}_member_{member}"
            for name in ("training_loss", "validation_loss", "training_score", "validation_score"):
                curves[name + which] = [getattr(epoch, name) for epoch in history]
    return curves


def _log_prices(run_id: str, source: str, prices: Tables) -> None:
    """Name the prices by digest: logging the frame itself would profile it for seconds."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    code, context = CodeDatasetSource(tags={"source": source}), "mlflow.data.context"
    named = {f"{source} {ticker}": ref.digest[:16] for ticker, ref in prices.items()}
    inputs = [
        DatasetInput(
            MetaDataset(code, name=name, digest=digest)._to_mlflow_entity(),
            [InputTag(context, "training")],
        )
        for name, digest in named.items()
    ]
    try:
        client().log_inputs(run_id, inputs)
    except MlflowException:
        # Another run may have entered the same prices at the same moment, which MLflow refuses;
        # then they are there by now.  Anything else is raised again.
        client().log_inputs(run_id, inputs)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """{"training": {"patience": 3}} -> {"training.patience": "3"}; models by their names."""
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        if name == "models":
            value = {model["name"]: model for model in value}
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{name}.")
        else:
            plain = json.dumps(value, default=str) if isinstance(value, tuple) else str(value)
            leaves[prefix + name] = plain
    return leaves
