"""What a run found, in a few lines: for the terminal, Prefect's pages and MLflow."""

import math
import os
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from pydantic import BaseModel

from rnntrade.audit.findings import AuditReport
from rnntrade.config import Experiment
from rnntrade.evaluation.compare import Comparison
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import CORRECTED, overall
from rnntrade.evaluation.verdict import summary as in_one_sentence
from rnntrade.report import catalogue, tables
from tasks.home import tracking_uri
from tasks.plain import task
from tasks.refs import ModelRefs, Ref
from tasks.setup.temporary_server import TEMPORARY
from tasks.tracking.runs import RunIds
from tasks.tracking.silence import without_password

Row = dict[str, str]
OF_STRATEGY = ("deflated_sharpe", "deflated_sharpe_2025", "probabilistic_sharpe", "trials")


class Summary(BaseModel):
    """The result of the flow `run`."""

    experiment: str
    source: str  # of the prices
    verdict: str
    warnings: list[str]  # about the prices
    audit: str  # what was compared, and what was found
    outcome: str  # "evidence", "weak evidence" or "no evidence": the best that anything showed
    models: list[Row]
    strategies: list[Row]
    comparisons: list[Row]
    failures: dict[str, str]  # by model, why
    figures: dict[str, dict[str, float | str | None]]  # by model, unrounded
    versions: dict[str, str] = {}  # by model: number of the registered version
    clean: bool = True  # whether the audit found nothing
    report: str  # path of the page
    mlflow_run: str
    mlflow_experiment: str
    prefect_run: str

    def tables(self) -> dict[str, list[Row]]:
        """Titles and rows, as a person reads them."""
        return {
            catalogue.title("brief_models"): self.models,
            catalogue.title("brief_strategies"): self.strategies,
            catalogue.title("brief_together"): self.comparisons,
        }

    def places(self) -> Row:
        """Where to look further."""
        server = get_current_settings().api.url
        if server == os.environ.get(TEMPORARY):  # which ends with this command
            server = None
        page = f"{server.removesuffix('/api')}/runs/flow-run/{self.prefect_run}" if server else ""
        base, later = without_password(tracking_uri()), "  (after: rnntrade ui)"
        link = f"#/experiments/{self.mlflow_experiment}/runs?workflowType=machine_learning"
        return {
            "verdict": self.verdict,
            "audit": self.audit,
            "report": self.report,
            "MLflow": f"{base}/{link}"
            if base.startswith("http")
            else f"http://127.0.0.1:5000/{link}{later}",
            "Prefect": page or f"http://127.0.0.1:4200{later}",
        }


@task("summarise")
def summarise(
    experiment: Experiment,
    ids: RunIds,
    models: dict[str, ModelRefs],
    failures: dict[str, str],
    page: Ref[None],
    compared: dict[str, Ref[Comparison]],
    audited: Ref[AuditReport],
    warnings: list[str],
) -> Summary:
    """Put the verdicts side by side, and show them on Prefect's pages."""
    judged = {name: refs.evaluation.load() for name, refs in models.items() if refs.evaluation}
    traded = {name: refs.strategy.load() for name, refs in models.items() if refs.strategy}
    verdicts = [[each.verdict for each in group.values()] for group in (judged, traded)]
    audit = audited.load().merged
    summary = Summary(
        experiment=experiment.name,
        source=experiment.data.source,
        verdict=in_one_sentence(verdicts[0], verdicts[1], warned=bool(warnings)),
        warnings=warnings,
        audit=f"No leak in {audit.compared:,} comparisons."
        if audit.clean
        else f"{len(audit.findings)} findings in {audit.compared:,} comparisons: a known leak.",
        outcome=overall(verdicts[0] + verdicts[1]),
        models=tables.models(judged.values(), brief=True).texts(),
        strategies=tables.brief_strategies(traded.values()).texts(),
        comparisons=tables.together([ref.load() for ref in compared.values()], brief=True).texts(),
        failures=failures,
        figures={name: _figures(each, traded.get(name)) for name, each in judged.items()},
        clean=audit.clean,
        report=str(page.folder / "report.html"),
        mlflow_run=ids.parent,
        mlflow_experiment=ids.experiment_id,
        prefect_run=str(flow_run.id or ""),
    )
    create_table_artifact(
        key="models", table=[dict(row) for row in summary.models], description=summary.verdict
    )
    create_markdown_artifact(key="run", markdown=markdown(summary), description="What was found")
    return summary


def markdown(summary: Summary) -> str:
    """The summary as Markdown, for Prefect and for the notes of the MLflow run."""
    parts = [f"# {summary.experiment}", f"**{summary.verdict}**"]
    parts += [f"**warning** {warning}" for warning in summary.warnings]
    for title, rows in summary.tables().items():
        if rows:
            parts += [f"### {title}", catalogue.markdown_table(rows)]
    parts += [f"**failed** {name}: {reason}" for name, reason in summary.failures.items()]
    parts += [summary.audit, CORRECTED, f"Report: `{summary.report}`"]
    return "\n\n".join(parts)


def _figures(
    e: ModelEvaluation, strategy: StrategyEvaluation | None
) -> dict[str, float | str | None]:
    figures: dict[str, Any] = {
        "score": e.score,
        "baseline": e.baseline_score,
        "difference": e.difference,
        "difference_low": e.interval[0],
        "difference_high": e.interval[1],
        "chosen_epoch_score": e.validation_score,
        "smallest_edge": e.smallest_edge,
        "samples": e.samples,
        "p_value": e.p_value,
        "attempts": e.attempts,
        **{f"test.{name}": value for name, value in e.scores.loc[e.name].items()},
    }
    for row in e.tests.itertuples(index=False):
        figures[f"p_value.{row.test} against {row.against}".replace(",", "")] = row.p_value
    if e.seeds is not None:
        figures["seeds.deviation"] = e.seeds["score"].std()
    if len(e.folds) > 1:
        figures["folds.deviation"] = e.folds["score"].std()
    words = {"measure": e.score_name, "best_baseline": e.best_baseline, "verdict": e.verdict}
    words |= {"sentence": e.sentence, "power": e.power}
    if strategy:
        own = {name: getattr(strategy, name) for name in OF_STRATEGY} | dict(strategy.figures)
        own["sharpe_low"], own["sharpe_high"] = strategy.sharpe_interval
        figures |= {f"strategy.{name}": value for name, value in own.items()}
        figures |= {f"hold.{name}": value for name, value in strategy.benchmark_figures.items()}
        texts = ("verdict", "sentence", "power")
        words |= {f"strategy.{name}": getattr(strategy, name) for name in texts}
    known = {name: float(x) if math.isfinite(x) else None for name, x in figures.items()}
    return {**known, **words}
