"""What a run found, in a few lines: for the terminal, Prefect's pages and MLflow."""

import math
import os
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from pydantic import BaseModel

from rnntrade.audit.findings import Audited, AuditReport
from rnntrade.config import Experiment
from rnntrade.evaluation.compare import Comparison
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from rnntrade.evaluation.verdict import CORRECTED, overall, plain
from rnntrade.evaluation.verdict import summary as in_one_sentence
from tasks.home import tracking_uri
from tasks.refs import ModelRefs, Ref
from tasks.setup.temporary_server import TEMPORARY
from tasks.tracking.runs import RunIds
from tasks.tracking.silence import without_password

Row = dict[str, str]


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

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return self.model_dump()

    def tables(self) -> dict[str, list[Row]]:
        """Titles and rows, as a person reads them."""
        return {
            "Models on the test part, each beside its best baseline there": self.models,
            "Strategies after costs, beside buy and hold": self.strategies,
            "Is the best better than its benchmark by more than the picking?": self.comparisons,
        }

    def places(self) -> Row:
        """Where to look further."""
        server = get_current_settings().api.url
        if server == os.environ.get(TEMPORARY):  # which ends with this command
            server = None
        page = f"{server.removesuffix('/api')}/runs/flow-run/{self.prefect_run}" if server else ""
        uri = without_password(tracking_uri())
        link = f"#/experiments/{self.mlflow_experiment}/runs?workflowType=machine_learning"
        base = uri if uri.startswith("http") else "http://127.0.0.1:5000"
        return {
            "verdict": self.verdict,
            "audit": self.audit,
            "report": self.report,
            "MLflow": f"{base}/{link}"
            + ("" if uri.startswith("http") else "  (after: rnntrade ui)"),
            "Prefect": page or "http://127.0.0.1:4200  (after: rnntrade ui)",
        }


@task(task_run_name="summarise", cache_policy=NO_CACHE)
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
    audit = audited.load().merged
    summary = Summary(
        experiment=experiment.name,
        source=experiment.data.source,
        verdict=in_one_sentence(
            [each.verdict for each in judged.values()],
            [each.verdict for each in traded.values()],
            warned=bool(warnings),
        ),
        warnings=warnings,
        audit=_audit_sentence(audit),
        outcome=overall(
            [*(j.verdict for j in judged.values()), *(t.verdict for t in traded.values())]
        ),
        models=[_model_row(each) for each in judged.values()],
        strategies=[_strategy_row(each) for each in traded.values()],
        comparisons=[_comparison_row(ref.load()) for ref in compared.values()],
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
            parts += [f"### {title}", _markdown_table(rows)]
    parts += [f"**failed** {name}: {reason}" for name, reason in summary.failures.items()]
    parts += [summary.audit, CORRECTED, f"Report: `{summary.report}`"]
    return "\n\n".join(parts)


def _model_row(each: ModelEvaluation) -> Row:
    percent = each.score_name == "rmse"

    def shown(value: float) -> str:
        return f"{100 * value:.3f} %" if percent else f"{value:.3f}"

    scale, unit = (100, " %") if percent else (1, "")
    difference, low, high = (scale * value for value in (each.difference, *each.interval))
    digits = 2 if percent else 3
    return {
        "model": each.name,
        "asked": f"{each.task}, {each.horizon} ahead",
        "measure": "RMSE" if percent else each.score_name,
        "test": shown(each.score),
        "best baseline": f"{shown(each.baseline_score)} {each.best_baseline.replace('_', ' ')}",
        "difference": f"{difference:+.{digits}f}{unit} ({low:+.{digits}f} to {high:+.{digits}f})",
        "verdict": each.verdict,
    }


def _strategy_row(each: StrategyEvaluation) -> Row:
    own, held = each.figures, each.benchmark_figures
    return {
        "strategy": each.name,
        "net return": f"{100 * own['total_return']:+.1f} %",
        "Sharpe": _ratio(own["sharpe_ratio"]),
        "drawdown": f"{100 * own['max_drawdown']:.1f} %",
        "trades": f"{own['trades']:.0f}",
        "buy and hold": (
            f"{100 * held['total_return']:+.1f} %, {_ratio(held['sharpe_ratio'])}, "
            f"{100 * held['max_drawdown']:.1f} %"
        ),
        "best rule": _best_rule(each),
        "deflated": f"{_ratio(each.deflated_sharpe)} of {each.trials} trials",
        "verdict": each.verdict,
    }


def _audit_sentence(audit: Audited) -> str:
    if audit.clean:
        return f"No leak in {audit.compared:,} comparisons."
    return f"{len(audit.findings)} findings in {audit.compared:,} comparisons: a known leak."


def _comparison_row(each: Comparison) -> Row:
    p = f"{each.spa_p:.3f}" if math.isfinite(each.spa_p) else "too short"
    overfitting = f"{each.overfitting:.2f}" if math.isfinite(each.overfitting) else "-"
    return {
        "question": each.question,
        "tried": str(len(each.models)),
        "benchmark": plain(each.benchmark),
        "SPA p": p,
        "better (StepM)": ", ".join(each.better) or "none",
        "overfitting (PBO)": overfitting,
    }


def _best_rule(each: StrategyEvaluation) -> str:
    """The rule with the highest Sharpe ratio, of those that learned nothing."""
    known = each.rules["sharpe_ratio"].dropna()
    if known.empty:
        return "none"
    return f"{known.max():.2f} {str(known.idxmax()).replace('_', ' ')}"


def _ratio(ratio: float) -> str:
    """A ratio; "none" where it is undefined, as for what never traded."""
    return f"{ratio:.2f}" if math.isfinite(ratio) else "none"


def _figures(
    each: ModelEvaluation, strategy: StrategyEvaluation | None
) -> dict[str, float | str | None]:
    """Every figure by name: what MLflow keeps and --json prints."""
    own = each.scores.loc[each.name].to_dict()
    figures: dict[str, Any] = {
        "score": each.score,
        "baseline": each.baseline_score,
        "difference": each.difference,
        "difference_low": each.interval[0],
        "difference_high": each.interval[1],
        "chosen_epoch_score": each.validation_score,
        "smallest_edge": each.smallest_edge,
        "samples": float(each.samples),
        "p_value": each.p_value,
        "attempts": float(each.attempts),
        **{f"test.{name}": value for name, value in own.items()},
    }
    for _, test in each.tests.iterrows():
        figures[f"p.{test['test']} against {test['against']}".replace(",", "")] = test["p_value"]
    if each.seeds is not None:
        figures["seeds.deviation"] = float(each.seeds["score"].std())
    if len(each.folds) > 1:
        figures["folds.deviation"] = float(each.folds["score"].std())
    if strategy:
        figures |= {
            "strategy.deflated_sharpe": strategy.deflated_sharpe,
            "strategy.deflated_sharpe_2025": strategy.deflated_sharpe_2025,
            "strategy.probabilistic_sharpe": strategy.probabilistic_sharpe,
            "strategy.trials": float(strategy.trials),
            "strategy.sharpe_low": strategy.sharpe_interval[0],
            "strategy.sharpe_high": strategy.sharpe_interval[1],
        }
        figures |= {f"strategy.{name}": value for name, value in strategy.figures.items()}
        figures |= {f"hold.{name}": value for name, value in strategy.benchmark_figures.items()}
    known = {
        name: float(value) if math.isfinite(value) else None for name, value in figures.items()
    }
    words = {"measure": each.score_name, "best_baseline": each.best_baseline}
    words |= {"verdict": each.verdict, "sentence": each.sentence, "power": each.power}
    if strategy:
        words |= {"strategy.verdict": strategy.verdict, "strategy.sentence": strategy.sentence}
        words["strategy.power"] = strategy.power
    return {**known, **words}


def _markdown_table(rows: list[Row]) -> str:
    head = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    return "\n".join(f"| {line} |" for line in [*head, *(" | ".join(r.values()) for r in rows)])
