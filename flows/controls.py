"""The controls: is the edge found that is there, and none where there is none."""

import os
import time
from dataclasses import replace

from prefect import flow, get_run_logger

from rnntrade.controls.rules import ControlResult, ControlsReport
from rnntrade.storage import write_json
from tasks.refs import publish
from tasks.tracking.runs import alive


@flow(flow_run_name="controls-fast={fast}")
def controls(fast: bool = False, workers: int = 0) -> ControlsReport:
    """Run P1-P3 and N1-N4 on 5 seeds each, side by side, and judge them by the rules stated before.

    fast     a small network instead of the direction model's LSTM
    workers  processes; 0: one per core
    returns  the same for the same code, machine and version
    """
    from rnntrade.controls.run import run_controls

    log, began = get_run_logger(), time.monotonic()
    version = "fast" if fast else "full"

    def show(result: ControlResult) -> None:
        log.info("%s", result.sentence())

    with alive():
        report = run_controls(version, workers or os.cpu_count() or 1, show)
        with publish("controls") as out:
            (out.folder / "controls.md").write_text(report.table, encoding="utf-8")
            write_json(out.folder / "controls.json", report.as_json())
    log.info("%s controls: %.0f s", version, time.monotonic() - began)
    return replace(report, folder=str(out.folder))
