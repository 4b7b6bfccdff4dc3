"""The tables of docs/results.md, from a run that MLflow has recorded: every model, every baseline.

    python benchmarks/result_tables.py RUN_ID

RUN_ID is the parent run that `rnntrade run … --json` gives as `mlflow_run`.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import describe_machine

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
            for step, found in (("evaluations", judged), ("strategies", traded)):
                if any(each.path == step for each in known.list_artifacts(run.info.run_id)):
                    place = known.download_artifacts(run.info.run_id, step, folder)
                    found.append(
                        json.loads((Path(place) / "evaluation.json").read_text(encoding="utf-8"))
                    )
    for each in judged:
        _model(each)
    for each in traded:
        _strategy(each)


def _model(each: dict[str, Any]) -> None:
    name = f"{each['name']}: {each['task']}, {each['horizon']} ahead"
    print(f"### {name}\n\n{each['sentence']} {each['power']}\n")
    shown = ["accuracy", "macro_f1", "cohen_kappa", "brier", "ece", "transition_recall"]
    _table(each["scores"], shown if each["score_name"] == "accuracy" else None)
    _table(each["folds"], ["first", "last", "samples", "score", "baseline", "difference"])
    if each["seeds"]:
        _table(each["seeds"], None)
    _table(each["tests"], ["test", "against", "statistic", "p_value"])


def _strategy(each: dict[str, Any]) -> None:
    print(f"### Strategy of {each['name']}\n\n{each['sentence']} {each['power']}\n")
    figures = ["annual_return", "sharpe_ratio", "max_drawdown"]
    _table(each["by_cost"], [*figures, *(f"hold_{name}" for name in figures)])
    _table(each["rules"], figures)
    _table(each["folds"], None)
    if each["seeds"]:
        _table(each["seeds"], None)
    for name in ("probabilistic_sharpe", "deflated_sharpe", "deflated_sharpe_2025"):
        print(f"* {name}: {_cell(each[name])}")
    print()


def _table(table: dict[str, Any], columns: list[str] | None) -> None:
    """Print the columns asked for, or all, as Markdown."""
    chosen = [name for name in (columns or table["columns"]) if name in table["columns"]]
    places = [table["columns"].index(name) for name in chosen]
    print("| | " + " | ".join(chosen) + " |")
    print("| --- |" + " --- |" * len(chosen))
    for index, row in zip(table["index"], table["data"], strict=True):
        print(f"| {_cell(index)} | " + " | ".join(_cell(row[at]) for at in places) + " |")
    print()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.3f}"
    text = str(value)
    return text[:10] if text[4:5] == "-" and text[10:11] == "T" else text


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        print(__doc__)
