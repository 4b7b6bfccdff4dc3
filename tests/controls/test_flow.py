"""The flow: progress told, files written, the outcome in plain values."""

import json
from pathlib import Path

import pytest

from rnntrade.controls import run as library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_server", "home"),
    pytest.mark.filterwarnings("ignore:Series.values returning"),  # exchange_calendars' own
]


def test_the_flow_writes_what_the_controls_said(monkeypatch: pytest.MonkeyPatch):
    whole, asked = library.run_controls, []

    def one(version, workers, on_result):
        asked.append((version, workers))
        return whole(version, 1, on_result, names=("N3",), seeds=(0,))

    monkeypatch.setattr(library, "run_controls", one)
    from flows.controls import controls

    summary = controls(fast=True, workers=2)
    assert asked == [("fast", 2)]
    assert not summary.passed  # only one of seven was run
    assert summary.reasons[0] == "P1 was not run."
    assert (summary.rejected, summary.tests) == (0, 1)
    folder = Path(summary.folder)
    assert summary.table == (folder / "controls.md").read_text()
    stored = json.loads((folder / "controls.json").read_text())
    assert stored == summary.as_json() | {"folder": ""}
    (fit,) = stored["rows"][5]["results"]
    assert fit["control"] == "N3"
    assert controls(fast=True, workers=2) == summary
