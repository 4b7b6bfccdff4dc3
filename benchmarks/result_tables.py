"""The tables of docs/results.md, from a run that MLflow has recorded: every model, every baseline.

    python benchmarks/result_tables.py RUN_ID

RUN_ID is the parent run that `rnntrade run … --json` gives as `mlflow_run`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from machine import describe_machine

from rnntrade.codec import load
from rnntrade.evaluation.models import ModelEvaluation
from rnntrade.evaluation.strategies import StrategyEvaluation
from tasks.tracking.runs import client


def main(run_id: str) -> None:
    known = client()
    parent = known.get_run(run_id)
    print(f"{describe_machine()}\n")
    print(f"{parent.data.tags['mlflow.note.content'].splitlines()[2]}\n")
    children = known.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'"
    )
    with TemporaryDirectory() as folder:
        judged, traded = [], []
        for run in reversed(children):
            steps = {each.path for each in known.list_artifacts(run.info.run_id)}
            if "evaluations" in steps:
                place = known.download_artifacts(run.info.run_id, "evaluations", folder)
                judged.append(load(ModelEvaluation, Path(place)))
            if "strategies" in steps:
                place = known.download_artifacts(run.info.run_id, "strategies", folder)
                traded.append(load(StrategyEvaluation, Path(place)))
    for each in judged:
        _model(each)
    for each in traded:
        _strategy(each)


def _model(each: ModelEvaluation) -> None:
    name = f"{each.name}: {each.task}, {each.horizon} ahead"
    print(f"### {name}\n\n{each.sentence} {each.power}\n")
    shown = ["accuracy", "macro_f1", "cohen_kappa", "brier", "ece", "transition_recall"]
    _table(each.scores, shown if each.score_name == "accuracy" else None)
    _table(each.folds, ["first", "last", "samples", "score", "baseline", "difference"])
    if each.seeds is not None:
        _table(each.seeds, None)
    _table(each.tests, ["test", "against", "statistic", "p_value"])


def _strategy(each: StrategyEvaluation) -> None:
    print(f"### Strategy of {each.name}\n\n{each.sentence} {each.power}\n")
    figures = ["annual_return", "sharpe_ratio", "max_drawdown"]
    _table(each.by_cost, [*figures, *(f"hold_{name}" for name in figures)])
    _table(each.rules, figures)
    _table(each.folds, None)
    if each.seeds is not None:
        _table(each.seeds, None)
    for name in ("probabilistic_sharpe", "deflated_sharpe", "deflated_sharpe_2025"):
        print(f"* {name}: {_cell(getattr(each, name))}")
    print()


def _table(table: pd.DataFrame, columns: list[str] | None) -> None:
    """Print the columns asked for, or all, as Markdown."""
    chosen = [name for name in (columns or table.columns) if name in table]
    print("| | " + " | ".join(chosen) + " |")
    print("| --- |" + " --- |" * len(chosen))
    for index, row in table[chosen].to_dict("index").items():
        print(f"| {_cell(index)} | " + " | ".join(_cell(value) for value in row.values()) + " |")
    print()


def _cell(value: object) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.3f}"
    return str(value)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        print(__doc__)
