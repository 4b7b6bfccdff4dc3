"""The controls: is the edge found that is there, and none where there is none."""

import os
import time
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from pydantic import BaseModel

from rnntrade.controls.rules import ControlResult, ControlRow
from rnntrade.storage import write_json
from tasks.artifacts import publish
from tasks.tracking.runs import alive


class ControlsSummary(BaseModel):
    """What the controls said; the same for the same code, machine and version."""

    version: str  # "full" or "fast"
    passed: bool
    reasons: list[str]  # why not; empty if passed
    rows: list[ControlRow]
    rejected: int  # N tests that were
    allowed: int  # ... and that may be
    tests: int  # N tests in all
    folder: str  # with controls.json and controls.md

    @property
    def table(self) -> str:
        """The table in Markdown, with the outcome below it."""
        return (Path(self.folder) / "controls.md").read_text(encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return self.model_dump(mode="json")


@flow(flow_run_name="controls-fast={fast}")
def controls(fast: bool = False, workers: int = 0) -> ControlsSummary:
    """Run P1-P3 and N1-N4 on 5 seeds each, side by side, and judge them by the rules stated before.

    fast     a small network instead of the direction model's LSTM
    workers  processes; 0: one per core
    """
    from rnntrade.controls.run import run_controls
    from rnntrade.controls.table import markdown

    log = get_run_logger()
    began = time.monotonic()
    version = "fast" if fast else "full"

    with alive():
        report = run_controls(
            version,
            workers or os.cpu_count() or 1,
            lambda result: log.info("%s", line_of(result)),
        )
        with publish("controls") as out:
            summary = ControlsSummary(
                version=version,
                passed=report.passed,
                reasons=list(report.reasons),
                rows=list(report.rows),
                rejected=report.rejected,
                allowed=report.allowed,
                tests=report.tests,
                folder="",
            )
            (out.folder / "controls.md").write_text(markdown(report), encoding="utf-8")
            write_json(out.folder / "controls.json", summary.as_json())
    log.info("%s controls: %.0f s", version, time.monotonic() - began)
    return summary.model_copy(update={"folder": str(out.folder)})


def line_of(result: ControlResult) -> str:
    """Return a fit's outcome in a line."""
    captured = "" if result.captured is None else f", {result.captured:.2f} of the edge"
    return (
        f"{result.control} seed {result.seed}: {result.verdict}, accuracy {result.accuracy:.4f} "
        f"(best possible {result.best:.4f}, a leak above {result.ceiling:.4f}), "
        f"p {result.p_value:.2g}{captured}, {result.epochs} epochs"
    )
